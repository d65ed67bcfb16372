"""A login that is refused while a service runs: told, waited out, and ended only where other credentials are there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from infra.runtime.kafka.clients import common_config
from infra.runtime.kafka.login import PART, check_login, watch_login
from infra.runtime.lifecycle import Health
from infra.runtime.settings import MdsSettings
from schemas.errors import BrokerUnavailable, ConfigurationError
from tests.support.eventually import eventually

AUTHENTICATION, TRANSPORT = KafkaError._AUTHENTICATION, KafkaError._TRANSPORT  # noqa: SLF001 - the library's names
WITHIN_S = 20.0


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """The file of a password."""
    file = tmp_path / "password"
    file.write_text("first\n")
    return file


@pytest.fixture
def servers(password: Path) -> str:
    """Bootstrap servers that ask for it."""
    env = {
        "MDS_KAFKA": "broker.example:9093",
        "MDS_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "MDS_KAFKA_SASL_MECHANISM": "PLAIN",
        "MDS_KAFKA_USERNAME": "me",
        "MDS_KAFKA_PASSWORD_FILE": str(password),
    }
    return MdsSettings.from_env(env).bootstrap_servers


def write(file: Path, text: str | None) -> None:
    """Put other text into a file; None: delete it."""
    if text is None:
        file.unlink()
    else:
        file.write_text(text)


def refuse(servers: str) -> None:
    """Let one of the clients hear that its login is refused."""
    common_config(servers, "any")["error_cb"](KafkaError(AUTHENTICATION, "invalid credentials"))


@asynccontextmanager
async def watching(
    servers: str, open_to_us: threading.Event | None = None
) -> AsyncIterator[tuple[Health, asyncio.Task[None]]]:
    """Watch while the block runs, brokers that let us in while an event is set."""

    def log_in(_: str) -> None:
        if open_to_us is None or not open_to_us.is_set():
            raise ConfigurationError("refused", remedy="none")

    health = Health()
    task = asyncio.create_task(watch_login(servers, health, log_in=log_in))
    try:
        await eventually(lambda: PART in health.parts, within_s=WITHIN_S)
        yield health, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, BrokerUnavailable):
            await task


async def test_a_refusal_is_told_and_ends_nothing(servers: str) -> None:
    """The cluster may be right again by itself: with the same credentials a restart would help nobody."""
    open_to_us = threading.Event()
    async with watching(servers, open_to_us) as (health, task):
        assert health.parts[PART].ready
        common_config(servers, "any")["error_cb"](KafkaError(TRANSPORT))
        refuse(servers)

        await eventually(lambda: not health.parts[PART].ready, within_s=WITHIN_S)
        assert health.parts[PART].detail["refused"] == "invalid credentials"
        assert "restart" in health.parts[PART].detail["remedy"]

        open_to_us.set()
        await eventually(lambda: health.parts[PART].ready, within_s=WITHIN_S)
        assert not task.done()


async def test_other_credentials_end_the_process_only_where_the_old_ones_are_refused(
    servers: str, password: Path
) -> None:
    """They may be there before the cluster knows them."""
    write(password, "second\n")
    async with watching(servers) as (_, task):
        assert not task.done()
        refuse(servers)

        await eventually(task.done, within_s=WITHIN_S)
        with pytest.raises(BrokerUnavailable, match="restarting with them"):
            task.result()


async def test_a_file_that_is_gone_is_not_new(servers: str, password: Path) -> None:
    """A mount that is away for a moment would otherwise end a service that cannot start again."""
    write(password, None)
    async with watching(servers) as (health, task):
        refuse(servers)

        await eventually(lambda: not health.parts[PART].ready, within_s=WITHIN_S)
        assert not task.done()


async def test_servers_that_do_not_ask_are_not_watched() -> None:
    """Nothing is asked of them, and nothing is reported."""
    health = Health()
    check_login("127.0.0.1:9")
    await watch_login("127.0.0.1:9", health)

    assert PART not in health.parts
