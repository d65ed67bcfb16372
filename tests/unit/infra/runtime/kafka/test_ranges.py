"""Stretches of logs: found by offset, append time, or what records say they are known since; deleted ones told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.ranges import DeletedRange, Range, Sought, planned, records
from schemas.errors import ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import BARS, RAW_BARS
from schemas.wire.codec import encode
from tests.support.builders import a_bar
from tests.support.memory_logs import Stored

FIRST, MS = 1_772_461_800_000_000, 1_000  # µs
LOW, FIRST_KEPT, HIGH, STEP = (
    10,
    12,
    40,
    3,
)  # every third offset is a record, the others are marks of transactions


class OneLog:
    """A partition of a log, read as from a broker; the record at offset n is known n ms after FIRST."""

    def __init__(self, topic: str) -> None:
        """Hold records of a topic."""
        self._topic, self.reads = topic, 0

    def bounds(self, _name: str, _partition: int) -> tuple[int, int]:
        """Return where it starts and ends."""
        return LOW, HIGH

    def offset_at(self, _name: str, _partition: int, time_us: int) -> int | None:
        """Return the first record appended then."""
        return next((n for n in self._offsets(LOW) if FIRST + n * MS >= time_us), None)

    def read(self, _name: str, _partition: int, start: int, end: int) -> Iterator[Stored]:
        """Yield records."""
        self.reads += 1
        for n in self._offsets(start):
            if n < end:
                value = encode(BARS, a_bar(known_from=FIRST + n * MS)) if self._topic == BARS else b"v"
                yield Stored(n, b"SPY", value, (FIRST + (n if self._topic != BARS else 99) * MS) // 1_000, 0)

    def _offsets(self, start: int) -> Iterator[int]:
        return (n for n in range(start, HIGH) if n % STEP == 0)


def plan(topic: str, **sought: Any) -> tuple[list[Range], list[DeletedRange]]:
    """Return the plan of what is sought in partition 1."""
    done = sought.pop("done", None)
    asked = Sought(**({"positions": {}} | sought))
    reader = cast("LogReader", OneLog(topic))
    return planned(reader, "p.", [TopicPartition(topic, 1)], asked, done)


@pytest.mark.parametrize("topic", [BARS, RAW_BARS])
def test_times_of_knowledge_bound_it_exactly(topic: str) -> None:
    """From the first record known by then, to before the first known at the end."""
    for since in range(LOW - 2, HIGH + 2):
        for until in (since + 1, since + 7):
            ranges, holes = plan(topic, since_us=FIRST + since * MS, until_us=FIRST + until * MS)
            read = [n for each in ranges for n in range(each.start, each.end) if n % STEP == 0]
            assert read == [n for n in range(max(LOW, since), min(HIGH, until)) if n % STEP == 0], since
            assert bool(holes) == (since <= FIRST_KEPT), since


def test_a_moment_within_a_millisecond_is_after_the_record() -> None:
    """Kafka keeps append times to the millisecond."""
    ranges, _ = plan(RAW_BARS, since_us=FIRST + 12 * MS + 1)

    assert ranges == [Range(RAW_BARS, 1, 15, HIGH)]


def test_what_is_deleted_of_what_was_asked_for_is_told() -> None:
    """All before the first by default, what lies behind an offset, nothing behind a later one."""
    ranges, holes = plan(BARS)
    assert ranges == [Range(BARS, 1, LOW, HIGH)]
    assert list(map(str, holes)) == [
        "p.bars.v1/1: offsets 0 to 9 are deleted; whole since 2026-03-02T14:30:00.012000Z"
    ]
    assert plan(BARS, positions={None: 4})[1] == [DeletedRange("p.bars.v1", 1, 4, LOW, FIRST + 12 * MS)]
    assert plan(BARS, positions={1: 12, None: 0}) == ([Range(BARS, 1, 12, HIGH)], [])
    with pytest.raises(ConfigurationError, match=r"p\.bars\.v1/1 ends at offset 40, before 41"):
        plan(BARS, positions={1: 41})


def test_what_is_done_begins_where_it_had_come() -> None:
    """Whatever time was asked for; what was deleted before that is no loss."""
    done = {TopicPartition(BARS, 1): 21}

    assert plan(BARS, since_us=FIRST, done=done) == ([Range(BARS, 1, 21, HIGH)], [])
    assert plan(BARS, done={TopicPartition(BARS, 1): 5})[1][0].start == 5
    assert plan(BARS, done={TopicPartition(BARS, 1): HIGH})[0] == []


def test_a_moment_is_found_by_halves() -> None:
    """However long the log is."""
    log = OneLog(BARS)
    planned(
        cast("LogReader", log), "", [TopicPartition(BARS, 1)], Sought(positions={}, since_us=FIRST + 35 * MS)
    )

    assert log.reads <= 7


def test_what_was_deleted_since_it_was_planned_is_told() -> None:
    """Not read over."""
    reader = cast("LogReader", OneLog(RAW_BARS))

    assert [record.offset for record in records(reader, "p.", Range(RAW_BARS, 1, LOW, 16))] == [12, 15]
    with pytest.raises(
        ConfigurationError, match=r"p\.raw\.bars\.v1/1: offsets 7 to 9 were deleted meanwhile"
    ):
        list(records(reader, "p.", Range(RAW_BARS, 1, 7, 16)))
