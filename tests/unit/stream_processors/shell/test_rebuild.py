"""What a take-over makes of the logs it finds, and whether records wait in a raw partition, as the watchdog asks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from infra.runtime.kafka.logs import LogReader
from schemas.calendar.sessions import calendars_in_force
from schemas.errors import ConfigurationError
from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition, partition_of
from schemas.records import Progress
from schemas.topics import BARS, EVIDENCE, PROGRESS, RAW_BARS, STATE
from schemas.wire.codec import decode
from stream_processors.shell.rebuild import records_wait
from tests.support.builders import NINE_THIRTY
from tests.support.memory_logs import MemoryLogs
from tests.support.partition_writers import block_of


@dataclass
class Lane:
    """An owned raw partition."""

    key: TopicPartition
    moved_at_s: float
    done: int


def a_past(records: int) -> MemoryLogs:
    """Return logs of a partition of which so many raw records are processed."""
    logs = MemoryLogs(RAW_BARS, partition_of("SPY", 4))
    standing = logs.take_over()
    for number in range(records):
        logs.commit(standing, logs.raw(block_of(number)))
    return logs


def test_a_broker_that_does_not_answer_is_not_our_stall() -> None:
    """An outage of Kafka must not end every processor."""
    with LogReader("127.0.0.1:1", "test", within_s=0.1) as unreachable:
        assert not records_wait(unreachable, "", Lane(TopicPartition(RAW_BARS, 2), 0.0, 5))


def test_a_successor_stands_where_the_last_one_stood() -> None:
    """State, ends, topic and epoch; what comes again says nothing new."""
    logs = a_past(3)
    found = logs.take_over()

    assert found.state.next_offset == 3
    assert found.state.known_from == logs.records[RAW_BARS][-1].appended_ms * 1_000
    assert (found.ends.canonical, found.ends.evidence) == (3, len(logs.records[EVIDENCE]))
    assert (found.raw.topic_id, found.raw.leader_epoch) == ("one", 3)
    progress = decode(PROGRESS, logs.records[PROGRESS][-1].data, Progress)
    assert (progress.raw_topic_id, progress.calendars) == ("one", calendars_in_force().fingerprint)
    assert logs.commit(found, logs.raw(block_of(0, 1, 2))).canonical == []


@pytest.mark.parametrize("clock_s", [0, -3_600])
@pytest.mark.parametrize("grown", range(5))
def test_a_log_that_lost_its_end_is_refused_however_far_it_grew_again(grown: int, clock_s: int) -> None:
    """Shorter, as long, or longer, by a leader whose clock is right or slow: other records lie where those were."""
    logs = a_past(4)
    del logs.records[RAW_BARS][2:]
    logs.epoch += 1
    logs.now_ms += clock_s * 1_000
    for number in range(grown):
        logs.raw(block_of(number))

    with pytest.raises(ConfigurationError) as refused:
        logs.take_over()
    assert "MDS_TOPIC_PREFIX" in str(refused.value)


def test_another_topic_of_the_name_is_refused_by_its_id() -> None:
    """Even where every record looks alike; a broker that names none, or progress of before, is believed."""
    logs = a_past(2)

    with pytest.raises(ConfigurationError, match="recreated"):
        logs.take_over("two")
    assert logs.take_over("").state.next_offset == 2


def test_a_record_of_an_older_leader_is_another_record() -> None:
    """Epochs only grow along a log, and the noted one is at most that of the record."""
    logs = a_past(2)
    logs.commit(logs.take_over(), logs.raw(block_of(5)))
    last = logs.records[RAW_BARS][-1]
    logs.records[RAW_BARS][-1] = type(last)(last.place, None, last.data, last.appended_ms, 2)

    with pytest.raises(ConfigurationError, match="grew again"):
        logs.take_over()


@pytest.mark.parametrize("ticks", [0, 1, 3])
def test_records_deleted_unprocessed_are_told_at_once_and_of_each_series_over_takeovers(ticks: int) -> None:
    """In the first transaction of the partition, in the first with events of each series, whoever writes them."""
    logs = a_past(3)
    for number in (3, 4, 5):
        logs.raw(block_of(number))
    logs.start[RAW_BARS] = 6
    since = logs.take_over().state.torn_from
    for _ in range(ticks):
        logs.commit(logs.take_over(), logs.raw(None))
    told = logs.commit(logs.take_over(), logs.raw(block_of(9))).evidence
    written = [each for each in logs.records[EVIDENCE] if b"log_truncated" in (each.data or b"")]

    assert since == logs.records[RAW_BARS][2].appended_ms * 1_000
    assert (
        [each.symbol for each in told if each.cause == "log_truncated"] == ["SPY"] if ticks else ["", "SPY"]
    )
    assert [each.name for each in written] == [b"", b"SPY"], "each is told once"
    # of what was processed after the last round the records are gone, too: it is told from what was saved
    assert (told[-1].from_time, told[-1].to_time) == (NINE_THIRTY + MINUTE_US, NINE_THIRTY + 9 * MINUTE_US)
    assert not logs.take_over().state.torn


def test_what_was_processed_and_deleted_is_no_gap_and_no_longer_compared_with() -> None:
    """Its record may have said something else in between."""
    logs = a_past(4)
    logs.start[RAW_BARS] = 3
    found = logs.take_over()

    assert (found.state.next_offset, found.state.torn, found.state.torn_from) == (4, False, None)
    assert len(logs.commit(found, logs.raw(block_of(0, 3))).canonical) == 1
    assert not [each for each in logs.records[EVIDENCE] if b"log_truncated" in (each.data or b"")]
    assert logs.take_over().state.next_offset == 5


def test_a_past_without_saved_state_is_processed_again_and_saved_whole() -> None:
    """Once: a log written before there was such a topic."""
    logs = a_past(5)
    logs.records[STATE].clear()
    found = logs.take_over()
    assert logs.commit(found, logs.raw(block_of(0, 4))).canonical == []
    assert logs.records[STATE]
    logs.start[RAW_BARS] = 5

    after = logs.take_over()
    assert logs.commit(after, logs.raw(block_of(0, 4))).canonical == []


def test_foreign_records_are_no_progress_and_no_state() -> None:
    """Garbage in every topic that is read back."""
    logs = a_past(3)
    for topic in (PROGRESS, BARS, EVIDENCE, STATE):
        for _ in range(9):
            logs.append(topic, b"other", b"garbage")

    assert logs.take_over().state.next_offset == 3
