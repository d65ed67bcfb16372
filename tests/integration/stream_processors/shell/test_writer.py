"""The fenced writer of one partition against a real broker: takeover, fencing, exact end offsets, rebuilding."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException, Producer

from infra.runtime.kafka.clients import producer_config
from schemas.errors import Fenced
from schemas.intervals import MINUTE_US
from schemas.topics import BARS, EVIDENCE, RAW_BARS, dead
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block
from tests.support.partition_writers import SPY, block_of, transaction, writer_of
from tests.support.processor_workers import Log, Raw


def test_a_predecessor_that_wakes_up_can_write_nothing(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Whatever it had decided meanwhile is refused."""
    frozen, successor = writer_of(kafka_bootstrap, topic_prefix), writer_of(kafka_bootstrap, topic_prefix)
    state = frozen.take_over()
    frozen.commit([transaction(raw, state, block_of(0))])

    taken = successor.take_over()
    successor.commit([transaction(raw, taken, block_of(1))])

    with pytest.raises(Fenced):
        frozen.commit([transaction(raw, state, block_of(5))])
    assert [value["raw_offset"] for value in log.values(BARS, SPY)] == [0, 1]


def test_what_a_predecessor_left_open_is_aborted(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """A takeover does not wait for the transaction's time-out, and its commit comes too late."""
    successor = writer_of(kafka_bootstrap, topic_prefix)
    frozen = Producer(
        {
            **producer_config(kafka_bootstrap, "frozen"),
            "transactional.id": successor.transactional_id,
            "transaction.timeout.ms": 60_000,
            "delivery.timeout.ms": 60_000,
        }
    )
    frozen.init_transactions(10)
    frozen.begin_transaction()
    frozen.produce(topic_prefix + BARS, b"never", b"SPY", partition=SPY)
    frozen.flush(5)

    successor.commit([transaction(raw, successor.take_over(), block_of(1))])

    with pytest.raises(KafkaException):
        frozen.commit_transaction(5)
    assert [value["raw_offset"] for value in log.values(BARS, SPY)] == [0]


def test_progress_claims_exactly_where_the_canonical_partition_ended(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Whoever read up to the claimed offset holds all of the transactions before; through ticks, runs and a takeover."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    writer.commit([transaction(raw, state, block_of(0, 1))])
    writer.commit([transaction(raw, state, None)])
    writer.commit(
        [transaction(raw, state, block) for block in (block_of(2), None, block_of(3, 4), block_of(5))]
    )
    writer.commit([transaction(raw, state, block_of(6)), transaction(raw, state, block_of(7))])
    second = writer_of(kafka_bootstrap, topic_prefix)
    state = second.take_over()
    second.commit([transaction(raw, state, block_of(8)), transaction(raw, state, block_of(9))])
    second.commit([transaction(raw, state, None)])

    records = log.messages(BARS, SPY)
    values = log.values(BARS, SPY)
    assert len(values) == 10
    done, before = -1, 0
    for progress in log.progress(RAW_BARS, SPY):
        earlier = [
            (m.offset() or 0) + 1 for m, v in zip(records, values, strict=True) if v["raw_offset"] <= done
        ]
        assert progress.canonical_end_offset == max(earlier, default=0), progress
        assert progress.complete_before is not None
        assert before < progress.complete_before <= progress.known_from, progress
        before = progress.known_from
        done = progress.raw_offset
    assert done == 10


def test_a_foreign_record_makes_no_claim_false(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """What is claimed was confirmed before; where a transaction's own records will lie nobody needs to know."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    writer.commit([transaction(raw, state, block_of(0))])
    intruder = Producer(producer_config(kafka_bootstrap, "test-intruder"))
    intruder.produce(topic_prefix + BARS, b"foreign", b"SPY", partition=SPY)
    intruder.flush(5)

    writer.commit([transaction(raw, state, block_of(1)), transaction(raw, state, block_of(2))])
    writer.commit([transaction(raw, state, None)])

    ends = [(m.offset() or 0) + 1 for m in log.messages(BARS, SPY) if m.value() != b"foreign"]
    claimed = [progress.canonical_end_offset for progress in log.progress(RAW_BARS, SPY)]
    assert claimed == [0, ends[0], ends[2]]


def test_everything_of_a_block_is_in_one_transaction(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Records, evidence, dead letters and progress, a block larger than the local queue included."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    events = [
        a_bar_event(event_time=NINE_THIRTY + n * MINUTE_US, close=float("nan") if n == 3 else 167.3)
        for n in (0, 2, 3)
    ]
    writer.commit([transaction(raw, state, a_block(*events))])

    assert len(log.values(BARS, SPY)) == 2
    assert len(log.values(EVIDENCE, SPY)) == 2
    assert len(log.messages(dead(RAW_BARS), SPY)) == 1
    assert len(log.progress(RAW_BARS, SPY)) == 1
