"""Questions to a cluster, and a transaction nobody ever sees, on the real broker."""

from __future__ import annotations

import asyncio
import time

import pytest
from confluent_kafka.admin import AdminClient

from infra.runtime.clock import wall_us
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.probing import GROUP, Probe
from infra.runtime.kafka.releases import newest_level, release_of
from infra.runtime.kafka.topics import Topics
from schemas.errors import BrokerUnavailable
from schemas.topics import CONFIGURATION, GAPS, dead
from tests.conftest import free_port
from tests.support.silent_servers import silent_server

PROBED = dead(CONFIGURATION)
SECOND_US = 1_000_000


def groups(bootstrap: str) -> set[str]:
    """Return the groups that the broker lists."""
    admin = AdminClient({"bootstrap.servers": bootstrap})  # held: what it was asked ends with it
    listed = admin.list_consumer_groups().result(15)
    assert not listed.errors
    return {each.group_id for each in listed.valid}


def test_the_cluster_tells_who_is_there_and_how_topics_are_kept(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Without rules about rights everything is allowed, and the broker says so."""
    probe = Probe(kafka_bootstrap, prefix=topic_prefix, within_s=15)
    cluster, name = probe.cluster(), topic_prefix + GAPS
    state = probe.topics([name])[name]

    assert [f"{each.host}:{each.port}" for each in cluster.brokers] == [kafka_bootstrap]
    assert cluster.partitions[topic_prefix + PROBED] == 1
    assert (state.replicas, state.config["message.timestamp.type"]) == (1, "LogAppendTime")
    assert state.config["cleanup.policy"] == "compact"
    assert state.operations is not None
    assert state.operations >= {"READ", "WRITE"}


def test_what_was_written_to_try_it_is_stamped_and_never_seen(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Not by readers, and there is no group afterwards; it can be tried again at once."""
    before, topic = groups(kafka_bootstrap), topic_prefix + PROBED
    probe = Probe(kafka_bootstrap, prefix=topic_prefix, within_s=15)

    for _ in range(2):
        attempt = probe.attempt(topic, wall_us)
        assert attempt.appended is not None
        assert abs(attempt.appended - attempt.sent) < 60 * SECOND_US
        assert attempt.sent <= attempt.confirmed

    assert probe.read(topic) == 0
    with LogReader(kafka_bootstrap, "test") as reader:
        assert list(reader.read(topic, 0, 0)) == []
    assert topic_prefix + GROUP not in groups(kafka_bootstrap) - before


def test_a_record_that_is_there_is_read(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Committed ones count, whatever was aborted beside them."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    producer.produce(topic_prefix + PROBED, b"x", partition=0)
    assert producer.flush(15) == 0
    probe = Probe(kafka_bootstrap, prefix=topic_prefix, within_s=15)
    probe.attempt(topic_prefix + PROBED, wall_us)

    assert probe.read(topic_prefix + PROBED) == 1


def test_a_topic_its_producer_stamps_tells_no_append_time(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Then the clock of the broker is not known."""
    topic = topic_prefix + PROBED
    Topics(kafka_bootstrap, "test").change([topic], "message.timestamp.type", "CreateTime")

    assert Probe(kafka_bootstrap, prefix=topic_prefix, within_s=15).attempt(topic, wall_us).appended is None


def test_the_embedded_broker_is_of_the_release_it_is(kafka_bootstrap: str) -> None:
    """Told by the newest metadata.version it could run."""
    host, _, port = kafka_bootstrap.rpartition(":")
    level = newest_level(host, int(port), within_s=15)

    assert level is not None
    assert str(release_of(level)) == "4.2.x"


@pytest.mark.parametrize(
    "greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x06\x00\x00\x50\xfe\x00\x00"]
)
async def test_who_does_not_speak_the_protocol_tells_no_release(greeting: bytes) -> None:
    """Neither silence nor another protocol holds anybody up."""
    async with silent_server(greeting) as port:
        began_s = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="does not tell its features"):
            await asyncio.to_thread(newest_level, "127.0.0.1", port, within_s=0.5)

        assert time.monotonic() - began_s < 10


def test_a_broker_that_is_not_there_is_said_so_in_time() -> None:
    """By every question."""
    probe = Probe(f"127.0.0.1:{free_port()}", prefix="", within_s=0.5)

    with pytest.raises(BrokerUnavailable):
        probe.cluster()
    with pytest.raises(BrokerUnavailable):
        probe.read("t")
