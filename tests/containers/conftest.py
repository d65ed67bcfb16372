"""A broker and a TimescaleDB in containers, where a Docker engine answers; the images are pinned to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import docker
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from docker.errors import DockerException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.conftest import free_port
from tests.support.eventually import eventually

# The tag is for the reader: Docker goes by the digest, that of the index of all architectures.
TIMESCALE_IMAGE = "timescale/timescaledb:2.30.0-pg17@sha256:3113d12b78392c064aa7475caf7a52b447b29ddd4f9bfd23526733fcb03e3459"
KAFKA_IMAGE = "apache/kafka:4.2.2@sha256:1213eb3943d551e5ed1fca7a4e109001cee35770b66a02a0c37a8964efe09b69"
ANSWERS_WITHIN_S = 120.0
BROKER = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
}


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """An engine that answers; most machines and CI have none."""
    try:
        docker.from_env().ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers here: {error}")
    testcontainers_config.ryuk_disabled = True  # an image more, to clean up what leaving a fixture does


@pytest.fixture(scope="session")
def timescale_container(docker_engine: None) -> Iterator[str]:
    """DSN of a TimescaleDB with the right to create databases."""
    password = {"POSTGRES_USER": "mds", "POSTGRES_PASSWORD": "mds", "POSTGRES_DB": "mds"}
    with DockerContainer(TIMESCALE_IMAGE).with_exposed_ports(5432).with_envs(**password) as server:
        dsn = f"postgresql://mds:mds@{server.get_container_host_ip()}:{server.get_exposed_port(5432)}/mds"
        asyncio.run(eventually(lambda: _takes_statements(dsn), within_s=ANSWERS_WITHIN_S))
        yield dsn


async def _takes_statements(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
        await connection.close()
    except asyncpg.PostgresError as error:
        raise AssertionError(f"{dsn} does not answer: {error}") from error
    return True


@pytest.fixture(scope="session")
def kafka_container(docker_engine: None) -> Iterator[str]:
    """Bootstrap servers of a broker, at the port it says it is at."""
    port = free_port()
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port).with_envs(**BROKER)
    with container.with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://localhost:{port}"):
        bootstrap = f"localhost:{port}"
        asyncio.run(eventually(lambda: _has_topics(bootstrap), within_s=ANSWERS_WITHIN_S))
        yield bootstrap


def _has_topics(bootstrap: str) -> bool:
    try:
        AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=5)
    except KafkaException as error:
        raise AssertionError(f"{bootstrap} does not answer: {error}") from error
    return True
