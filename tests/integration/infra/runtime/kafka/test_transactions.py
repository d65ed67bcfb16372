"""Transactions of one writer on the real broker: all or nothing, in order, and never by two at once."""

from __future__ import annotations

import uuid

import pytest

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.transactions import FencedWriter
from schemas.errors import BrokerUnavailable, Fenced
from schemas.topics import BARS, GAPS
from tests.conftest import free_port

WITHIN_S = 30.0
TIMEOUT_MS = 60_000


def a_writer(bootstrap: str, name: str, **tuning: object) -> FencedWriter:
    """Return a writer that has not taken over yet."""
    return FencedWriter(bootstrap, name, timeout_ms=TIMEOUT_MS, tuning=tuning)


@pytest.fixture
def name() -> str:
    """A transactional id of this test alone."""
    return f"test-{uuid.uuid4().hex[:8]}"


def committed(bootstrap: str, topic: str, partition: int = 0) -> list[bytes]:
    """Return the values a reader of committed records sees."""
    with LogReader(bootstrap, "test-reader") as reader:
        return [message.value() or b"" for message in reader.read(topic, partition, 0)]


def numbered(first: int, end: int) -> list[tuple[bytes | None, bytes | None]]:
    """Return records with a number each."""
    return [(b"k", b"%d" % number) for number in range(first, end)]


def test_a_transaction_is_whole_in_order_and_over_several_topics(
    kafka_bootstrap: str, topic_prefix: str, name: str
) -> None:
    """Nothing of it is seen before the commit, all of it afterwards."""
    writer = a_writer(kafka_bootstrap, name)
    writer.take_over(WITHIN_S)
    writer.begin()
    writer.write(topic_prefix + BARS, 0, numbered(0, 100), within_s=WITHIN_S)
    writer.write(topic_prefix + GAPS, 0, numbered(0, 1), within_s=WITHIN_S)
    before = committed(kafka_bootstrap, topic_prefix + BARS)
    writer.commit(WITHIN_S)

    assert before == []
    assert committed(kafka_bootstrap, topic_prefix + BARS) == [value for _, value in numbered(0, 100)]
    assert committed(kafka_bootstrap, topic_prefix + GAPS) == [b"0"]


def test_the_delivered_end_is_the_offset_after_the_last_record_of_this_transaction(
    kafka_bootstrap: str, topic_prefix: str, name: str
) -> None:
    """Commit markers take offsets, too: only the broker's report tells; a new transaction has not delivered yet."""
    writer, topic = a_writer(kafka_bootstrap, name), topic_prefix + BARS
    writer.take_over(WITHIN_S)
    ends = []
    for first in (0, 3):
        writer.begin()
        with pytest.raises(BrokerUnavailable, match="was not confirmed"):
            writer.delivered_end(topic)
        writer.write(topic, 0, numbered(first, first + 3), within_s=WITHIN_S, report=True)
        writer.commit(WITHIN_S)
        ends.append(writer.delivered_end(topic))

    with LogReader(kafka_bootstrap, "test-reader") as reader:
        offsets = [message.offset() for message in reader.read(topic, 0, 0)]
    assert ends == [3, 7]
    assert offsets == [0, 1, 2, 4, 5, 6]


def test_more_records_than_the_local_queue_takes_keep_their_order(
    kafka_bootstrap: str, topic_prefix: str, name: str
) -> None:
    """What was refused is queued again, from the first that was."""
    writer, topic = (
        a_writer(kafka_bootstrap, name, **{"queue.buffering.max.messages": 50}),
        topic_prefix + BARS,
    )
    writer.take_over(WITHIN_S)
    writer.begin()
    writer.write(topic, 0, numbered(0, 2_000), within_s=WITHIN_S, report=True)
    writer.commit(WITHIN_S)

    assert committed(kafka_bootstrap, topic) == [value for _, value in numbered(0, 2_000)]
    assert writer.delivered_end(topic) == 2_000


def test_a_predecessor_can_commit_nothing_once_it_is_replaced(
    kafka_bootstrap: str, topic_prefix: str, name: str
) -> None:
    """What it left open is aborted by the takeover, whether it is frozen or only slow."""
    frozen, successor = a_writer(kafka_bootstrap, name), a_writer(kafka_bootstrap, name)
    topic = topic_prefix + BARS
    frozen.take_over(WITHIN_S)
    frozen.begin()
    frozen.write(topic, 0, [(None, b"old")], within_s=WITHIN_S, report=True)
    successor.take_over(WITHIN_S)
    successor.begin()
    successor.write(topic, 0, [(None, b"new")], within_s=WITHIN_S)
    successor.commit(WITHIN_S)
    with pytest.raises(Fenced, match="a successor owns it"):
        frozen.commit(WITHIN_S)

    assert committed(kafka_bootstrap, topic) == [b"new"]


def test_two_names_do_not_disturb_one_another(kafka_bootstrap: str, topic_prefix: str, name: str) -> None:
    """Fencing is by name alone."""
    first, second = a_writer(kafka_bootstrap, name), a_writer(kafka_bootstrap, f"{name}-other")
    for writer in (first, second):
        writer.take_over(WITHIN_S)
    for writer, value in ((first, b"1"), (second, b"2")):
        writer.begin()
        writer.write(topic_prefix + BARS, 0, [(None, value)], within_s=WITHIN_S)
    second.commit(WITHIN_S)
    first.commit(WITHIN_S)

    assert sorted(committed(kafka_bootstrap, topic_prefix + BARS)) == [b"1", b"2"]


def test_a_broker_that_is_away_is_unavailable(name: str) -> None:
    """Which is no fencing: the process ends, and the next one takes over."""
    with pytest.raises(BrokerUnavailable, match=f"taking over {name}"):
        a_writer(f"127.0.0.1:{free_port()}", name).take_over(0.5)
