"""What a takeover finds in the logs of a real broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.runtime.kafka.clients import producer_config
from schemas.errors import ConfigurationError
from schemas.intervals import MINUTE_US
from schemas.topics import (
    BARS,
    DEFAULT_PARTITIONS,
    EVIDENCE,
    PROGRESS,
    RAW_BARS,
    STATE,
    catalogue,
    progress_key,
)
from schemas.wire.codec import encode
from stream_processors import saving
from stream_processors.memory import PartitionState
from stream_processors.saving import Saving, standing
from stream_processors.shell import rebuild
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block
from tests.support.eventually import eventually
from tests.support.partition_writers import SPY, block_of, transaction, writer_of
from tests.support.processor_workers import Log, Raw

DAY_MINUTES = 1_440


def known(state: PartitionState) -> dict[str, tuple[Any, ...]]:
    """Return what a state knows of its series."""
    return {
        each.name: (each.seen_to, each.frontier, each.collecting, each.versions and each.versions.newest)
        for each in state.held.values()
    }


def delete_before(bootstrap: str, prefix: str, offset: int) -> None:
    """Delete raw records, as retention does."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records([TopicPartition(prefix + RAW_BARS, SPY, offset)]).values():
        future.result(30)


async def recreate(bootstrap: str, prefix: str, log: Log) -> None:
    """Delete the raw topic and make it again."""
    admin, name = AdminClient({"bootstrap.servers": bootstrap}), prefix + RAW_BARS
    admin.delete_topics([name])[name].result(30)
    config = catalogue().topics[RAW_BARS].config

    def made() -> bool:
        try:
            admin.create_topics([NewTopic(name, DEFAULT_PARTITIONS, 1, config=config)])[name].result(30)
        except Exception:  # noqa: BLE001 - the old one is still going
            return False
        return True

    await eventually(made, within_s=30)
    await eventually(lambda: name in admin.list_topics(timeout=10).topics, within_s=30)


def test_standing_is_found_however_deep_and_foreign_records_are_skipped(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, raw: Raw
) -> None:
    """Progress buried under others', and garbage in every topic that is read back."""
    monkeypatch.setattr(rebuild, "FIRST_WINDOW", 2)
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    for number in range(3):
        writer.commit([transaction(raw, state, block_of(number, number + 2))])
    for topic in (PROGRESS, BARS, EVIDENCE, STATE):
        for _ in range(9):
            raw.send(topic, SPY, b"garbage", b"other")
    raw.send(PROGRESS, SPY, b"garbage", progress_key(RAW_BARS, SPY))

    rebuilt = writer_of(kafka_bootstrap, topic_prefix).take_over()

    assert (rebuilt.next_offset, rebuilt.known_from) == (3, state.known_from)
    assert known(rebuilt) == known(state)
    assert transaction(raw, rebuilt, block_of(2, 3, 4)).canonical == []


def test_a_successor_knows_of_hours_and_days_what_was_saved_long_ago(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, raw: Raw, log: Log
) -> None:
    """Rounds end, the raw log before them is deleted, and nothing is given twice nor missed."""
    monkeypatch.setattr(saving, "ROUND_EVENTS", 50)
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    midnight = NINE_THIRTY // (DAY_MINUTES * MINUTE_US) * DAY_MINUTES * MINUTE_US
    slow = a_block(
        a_bar_event(interval="1d", event_time=midnight), a_bar_event(interval="1h", event_time=NINE_THIRTY)
    )
    writer.commit([transaction(raw, state, slow)])
    for number in range(40):
        writer.commit([transaction(raw, state, block_of(number))])
    saved = [value for value in log.values(STATE, SPY) if value["chunk"] == -1]
    assert len(saved) > 2
    delete_before(kafka_bootstrap, topic_prefix, saved[-1]["next_offset"])

    rebuilt = writer_of(kafka_bootstrap, topic_prefix).take_over()

    assert known(rebuilt) == known(state)
    assert transaction(raw, rebuilt, slow).canonical == []
    assert transaction(raw, rebuilt, block_of(*range(40))).canonical == []
    late = transaction(
        raw, rebuilt, a_block(a_bar_event(interval="1h", event_time=NINE_THIRTY + 3 * 60 * MINUTE_US))
    )
    assert [(told.kind, told.interval) for told in late.evidence] == [("absent", "1h")]


def test_raw_records_deleted_unprocessed_are_told_over_two_takeovers(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Retention was faster than the processor: the partition is told at once, each series up to when it goes on."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    writer.commit([transaction(raw, writer.take_over(), block_of(0))])
    for minute in (1, 2, 3):
        raw.block(RAW_BARS, block_of(minute))
    delete_before(kafka_bootstrap, topic_prefix, 4)

    second = writer_of(kafka_bootstrap, topic_prefix)
    state = second.take_over()
    assert (state.next_offset, state.torn, state.torn_from) == (4, True, state.known_from)
    second.commit([transaction(raw, state, None)])
    third = writer_of(kafka_bootstrap, topic_prefix)
    state = third.take_over()
    assert (state.torn, state.torn_from) == (True, None)
    third.commit([transaction(raw, state, block_of(6))])

    told = [
        (e["symbol"], e["from_time"], e["to_time"])
        for e in log.values(EVIDENCE, SPY)
        if e["cause"] == "log_truncated"
    ]
    assert [symbol for symbol, *_ in told] == ["", "SPY"]
    assert told[1][1:] == (NINE_THIRTY + MINUTE_US, NINE_THIRTY + 6 * MINUTE_US)
    assert not writer_of(kafka_bootstrap, topic_prefix).take_over().torn


def test_processed_records_that_are_deleted_cost_no_gap_and_no_trust_in_what_they_said(
    kafka_bootstrap: str, topic_prefix: str, raw: Raw
) -> None:
    """What a value was compared with is lost with them; that all was processed is not."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    state.saver = Saving(state).beginning_with([standing(state)])
    for number in range(4):
        writer.commit([transaction(raw, state, block_of(number))])
    delete_before(kafka_bootstrap, topic_prefix, 3)

    rebuilt = writer_of(kafka_bootstrap, topic_prefix).take_over()

    assert (rebuilt.next_offset, rebuilt.torn, rebuilt.known_from) == (4, False, state.known_from)
    again = transaction(raw, rebuilt, block_of(2, 3))
    assert len(again.canonical) == 1, "of minute 3 the raw record is there, of minute 2 it is not"


def test_a_log_written_before_states_were_saved_is_processed_again_once(
    kafka_bootstrap: str, topic_prefix: str, raw: Raw, log: Log
) -> None:
    """The first takeover saves it whole with the next transaction."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    state.saver = None
    for number in range(3):
        writer.commit([transaction(raw, state, block_of(number))])
    assert log.values(STATE, SPY) == []

    second = writer_of(kafka_bootstrap, topic_prefix)
    rebuilt = second.take_over()
    assert known(rebuilt) == known(state)
    second.commit([transaction(raw, rebuilt, block_of(3))])
    delete_before(kafka_bootstrap, topic_prefix, 3)

    third = writer_of(kafka_bootstrap, topic_prefix).take_over()
    assert known(third) == known(rebuilt)
    assert transaction(raw, third, block_of(0, 1, 2, 3)).canonical == []


async def test_a_recreated_raw_topic_is_refused_whatever_its_length(
    kafka_bootstrap: str, topic_prefix: str, raw: Raw, log: Log
) -> None:
    """Going on at its end would skip everything in it, silently."""
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    writer.commit([transaction(raw, state, block_of(0))])
    assert log.progress(RAW_BARS, SPY)[-1].raw_topic_id
    await recreate(kafka_bootstrap, topic_prefix, log)
    anew = Raw(kafka_bootstrap, topic_prefix)
    for number in range(5):
        anew.block(RAW_BARS, block_of(number))

    with pytest.raises(ConfigurationError, match="recreated"):
        writer_of(kafka_bootstrap, topic_prefix).take_over()


@pytest.mark.parametrize("grown", [0, 1, 4])
async def test_a_raw_topic_that_lost_its_end_is_refused_however_far_it_grew_again(
    kafka_bootstrap: str, topic_prefix: str, raw: Raw, log: Log, monkeypatch: pytest.MonkeyPatch, grown: int
) -> None:
    """Other records lie where those were that were processed; a broker without topic ids does not tell."""
    monkeypatch.setattr("stream_processors.shell.writer.PartitionWriter._topic_id", lambda _: "")
    writer = writer_of(kafka_bootstrap, topic_prefix)
    state = writer.take_over()
    for number in range(3):
        writer.commit([transaction(raw, state, block_of(number))])
    await recreate(kafka_bootstrap, topic_prefix, log)
    anew = Raw(kafka_bootstrap, topic_prefix)
    for number in range(2 + grown):
        anew.block(RAW_BARS, block_of(number))

    with pytest.raises(ConfigurationError, match="recreated" if grown == 0 else "grew again"):
        writer_of(kafka_bootstrap, topic_prefix).take_over()


async def test_records_between_offsets_are_told_from_holes(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """A control record leaves an offset without a record."""
    raw.block(RAW_BARS, block_of(0))
    producer = Producer(
        {
            **producer_config(kafka_bootstrap, "test-tx"),
            "transactional.id": f"{topic_prefix}tx",
            "delivery.timeout.ms": 9_000,
        }
    )
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic_prefix + RAW_BARS, encode(RAW_BARS, block_of(1)), partition=SPY)
    producer.commit_transaction(10)
    # the broker writes the marker later
    await eventually(lambda: log.ends()[RAW_BARS, SPY] == 2, within_s=10)
    raw.block(RAW_BARS, block_of(2))
    writer = writer_of(kafka_bootstrap, topic_prefix)

    assert writer.skipped_records(1, 3)
    assert not writer.skipped_records(2, 3)


async def test_a_neighbours_open_transaction_does_not_hide_our_progress(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Lanes share partitions of progress: a successor waits until what lies there is decided, then starts after ours."""
    state = (first := writer_of(kafka_bootstrap, topic_prefix)).take_over()
    config = producer_config(kafka_bootstrap, "neighbour") | {
        "transactional.id": f"{topic_prefix}processor-raw.trades.v1-{SPY}",
        "transaction.timeout.ms": 30_000, "delivery.timeout.ms": 30_000,
    }  # fmt: skip
    neighbour = Producer(config)
    neighbour.init_transactions(30)
    neighbour.begin_transaction()
    neighbour.produce(
        topic_prefix + PROGRESS, b"undecided", progress_key("raw.trades.v1", SPY), partition=SPY
    )
    neighbour.flush()
    first.commit([transaction(raw, state, block_of(0))])
    first.commit([transaction(raw, state, block_of(1))])

    taking_over = asyncio.create_task(asyncio.to_thread(writer_of(kafka_bootstrap, topic_prefix).take_over))
    done, _ = await asyncio.wait({taking_over}, timeout=3)
    neighbour.abort_transaction()

    assert not done, "it read past what nobody had decided yet"
    assert (await taking_over).next_offset == 2
