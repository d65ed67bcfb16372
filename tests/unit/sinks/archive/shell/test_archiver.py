"""The rounds of the archive over logs in memory: what is read when, what is refused, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from infra.runtime.lifecycle import Health
from schemas.clocks import CanonicalOffset, WallTime
from schemas.errors import ArchiveUnavailable, BrokerUnavailable, Fenced
from schemas.partitions import TopicPartition
from schemas.topics import DEFAULT_PARTITIONS, MOVED_FROM, RAW_TRADES
from sinks.archive.planning import HOUR_US, Row
from sinks.archive.shell import archiver as archiving
from sinks.archive.shell.archiver import Archiver
from sinks.archive.shell.inspection import archived
from sinks.progress.positions import EpochStart, Log, StoredPosition
from tests.support.archives import (
    INCARNATION,
    NOON_US,
    TOPIC_ID,
    DyingDisk,
    a_row,
    archiver,
    raise_killed,
    stored_rows,
)

WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """A row as a consumer gives it."""

    row: Row
    epoch: int
    stamp: int

    def offset(self) -> int:
        """Return its place."""
        return self.row.offset

    def key(self) -> bytes | None:
        """Return its key."""
        return self.row.key

    def value(self) -> bytes | None:
        """Return its value."""
        return self.row.value

    def timestamp(self) -> tuple[int, int]:
        """Return who stamped it, and when."""
        return self.stamp, self.row.append_us // 1_000

    def headers(self) -> list[tuple[str, bytes]]:
        """Return where it was moved from."""
        return [] if self.row.moved_from is None else [(MOVED_FROM, self.row.moved_from)]

    def leader_epoch(self) -> int:
        """Return the epoch it was written in."""
        return self.epoch


@dataclass
class Broker:
    """Partitions of raw trades; those in `away` do not answer. It counts what is read."""

    rows: dict[int, list[Row]] = field(default_factory=lambda: {n: [] for n in range(DEFAULT_PARTITIONS)})
    starts: dict[int, int] = field(default_factory=dict)
    newer: dict[int, EpochStart] = field(default_factory=dict)
    away: set[int] = field(default_factory=set)
    read_rows: int = 0
    topic_id: str = TOPIC_ID
    again: str = ""  # the id of the topic that is made while the first record is read
    epoch: int = 2
    stamp: int = TIMESTAMP_LOG_APPEND_TIME

    async def look(
        self,
        partitions: Collection[TopicPartition],
        stored: Mapping[TopicPartition, StoredPosition] | None = None,
    ) -> dict[TopicPartition, Log]:
        """Return each log; what is newer is told where it is asked for a position."""
        return {
            place: Log(
                topic_id=self.topic_id,
                start=CanonicalOffset(self.starts.get(place.partition, 0)),
                end=CanonicalOffset(self._end(place.partition)),
                leader_epoch=self.epoch,
                newer=self.newer.get(place.partition) if place in (stored or {}) else None,
            )
            for place in partitions
        }

    def _end(self, partition: int) -> int:
        rows = self.rows[partition]
        return rows[-1].offset + 1 if rows else 0

    def read(self, topic: str, partition: int, start: int, end: int | None = None) -> Iterator[Told]:
        """Yield the records, or fail."""
        if partition in self.away:
            raise BrokerUnavailable(f"{topic}/{partition} gave nothing")
        for row in self.rows[partition]:
            if start <= row.offset < (end or 0):
                self.topic_id = self.again or self.topic_id
                self.read_rows += 1
                yield Told(row, self.epoch, self.stamp)

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker in memory with five records of noon in each partition but the last."""
    made = Broker()
    for number in range(DEFAULT_PARTITIONS - 1):
        made.rows[number] = [a_row(at, size=number) for at in range(5)]
    monkeypatch.setattr(archiving, "LogReader", lambda *_, **__: made)
    return made


def opened(root: Path, broker: Broker, now: list[WallTime] | None = None) -> Archiver:
    """Return an archiver of it, by default by a clock for which all hours are over."""
    clock = now or [WallTime(NOON_US + 2 * HOUR_US)]
    made = archiver(root, "none", "", file_bytes=10**9, now_us=lambda: clock[0])
    made._logs = broker  # noqa: SLF001
    return made


def stored(root: Path) -> dict[int, list[Row]]:
    """Return what is archived, by partition."""
    return {part.tail.place.partition: stored_rows(part.path) for part in archived(root) if part.tail}


async def test_an_hour_that_is_not_over_is_read_once_and_again_when_it_is(
    tmp_path: Path, broker: Broker
) -> None:
    """However often it is looked at; nothing is held meanwhile."""
    now = [WallTime(NOON_US + 10_000_000)]
    archive = opened(tmp_path, broker, now)
    for _ in range(5):
        await archive.round()
    assert (broker.read_rows, stored(tmp_path)[0]) == (15, [])
    now[0] = WallTime(NOON_US + HOUR_US + 59_999_999)
    await archive.round()
    assert broker.read_rows == 15

    now[0] = WallTime(NOON_US + HOUR_US + 60_000_000)
    await archive.round()
    await archive.round()

    assert broker.read_rows == 30
    assert stored(tmp_path) == broker.rows


async def test_a_record_of_the_next_hour_ends_a_file_before_its_time_is_up(
    tmp_path: Path, broker: Broker
) -> None:
    """As soon as the hour before is looked at, which is when that is over."""
    late = [a_row(at, append_us=NOON_US + HOUR_US + at) for at in (7, 9)]
    broker.rows[0] += late
    archive = opened(tmp_path, broker, [WallTime(NOON_US + HOUR_US + 60_000_000)])

    await archive.round()

    assert stored(tmp_path)[0] == broker.rows[0][:5]
    (part,) = [part for part in archived(tmp_path) if part.path.name == "partition=0"]
    assert part.tail is not None
    assert (part.tail.next_offset, part.tail.leader_epoch) == (5, 2)


async def test_a_partition_that_fails_holds_up_no_other_for_long(tmp_path: Path, broker: Broker) -> None:
    """It is the last the next time."""
    broker.away = {0}
    archive = opened(tmp_path, broker)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await archive.round()

    assert {number: len(rows) for number, rows in stored(tmp_path).items()} == {0: 0, 1: 5, 2: 5, 3: 0}
    broker.away = set()
    await archive.round()
    assert stored(tmp_path) == broker.rows


async def test_a_log_that_was_cut_is_not_archived_on(tmp_path: Path, broker: Broker) -> None:
    """One that lost its end, and one that grew again since: its offsets name other records now."""
    archive = opened(tmp_path, broker)
    await archive.round()
    before = stored(tmp_path)
    broker.epoch = 3
    broker.rows[0] = broker.rows[0][:2]
    broker.rows[1] = [*broker.rows[1][:2], *(a_row(at, size=99) for at in range(2, 9))]
    broker.newer[1] = EpochStart(offset=CanonicalOffset(2), epoch=3)
    broker.rows[2] += [a_row(5)]

    again = opened(tmp_path, broker)
    for made in (archive, again):
        if made is again:
            await made.round()
        else:
            with pytest.raises(Fenced):
                await made.round()

    told = {place.partition: refusal.problem for place, refusal in again.refused.items()}
    assert set(told) == {0, 1}
    assert "lost its end" in told[0]
    assert "was cut at 2 and grew again" in told[1]
    assert stored(tmp_path) == before | {2: broker.rows[2]}


async def test_a_topic_made_again_while_it_is_read_is_not_taken_for_the_old_one(
    tmp_path: Path, broker: Broker
) -> None:
    """Nothing of it is filed under the old one; the next round files it under its own."""
    broker.again = "another"
    archive = opened(tmp_path, broker)
    with pytest.raises(BrokerUnavailable, match="made again while it was read"):
        await archive.round()
    assert all(rows == [] for rows in stored(tmp_path).values())

    await archive.round()

    for number, rows in broker.rows.items():
        assert stored_rows(tmp_path / RAW_TRADES / "another" / f"partition={number}") == rows
        assert stored_rows(tmp_path / RAW_TRADES / INCARNATION / f"partition={number}") == []


async def test_a_log_that_others_stamp_is_refused(tmp_path: Path, broker: Broker) -> None:
    """Unless its records were moved and say when they were known."""
    broker.stamp = TIMESTAMP_CREATE_TIME
    broker.rows[1] = [row._replace(moved_from=f"0/7/{row.append_us}".encode()) for row in broker.rows[1]]
    archive = opened(tmp_path, broker)

    await archive.round()

    told = {place: refusal.remedy for place, refusal in archive.refused.items()}
    assert set(told) == {TopicPartition(RAW_TRADES, 0), TopicPartition(RAW_TRADES, 2)}
    assert all("message.timestamp.type=LogAppendTime" in remedy for remedy in told.values())
    assert stored(tmp_path) == broker.rows | {0: [], 2: []}


async def test_a_foreign_header_is_nobodys_past(tmp_path: Path, broker: Broker) -> None:
    """Where the broker stamped a record it was not moved, whatever it says."""
    rows = broker.rows[0]
    broker.rows[0] = [row._replace(moved_from=b"0/7/8") for row in rows]

    await opened(tmp_path, broker).round()

    assert stored(tmp_path)[0] == rows


async def test_health_says_what_is_refused_and_what_failed(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not ready with the reason; ready once there is none."""
    monkeypatch.setattr(archiving, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(archiving, "BACKOFF", replace(archiving.BACKOFF, first_s=0.0, longest_s=0.0))
    archive, health, seen = opened(tmp_path, broker), Health(), []
    broker.stamp = TIMESTAMP_CREATE_TIME

    async def look(places: Collection[TopicPartition], *given: object) -> dict[TopicPartition, Log]:
        if len(places) == 1:
            return await broker.look(places)
        part = health.parts[archiving.ARCHIVE]
        seen.append((part.ready, part.detail))
        if len(seen) == 3:
            broker.stamp = TIMESTAMP_LOG_APPEND_TIME
        if len(seen) == 6:
            raise ArchiveUnavailable("no room")
        if len(seen) == 9:
            raise Fenced("somebody took over")
        return await broker.look(places, *given)  # type: ignore[arg-type]

    archive._logs = type("Logs", (), {"look": staticmethod(look)})()  # noqa: SLF001
    with pytest.raises(Fenced):
        await asyncio.wait_for(archive.run(health), WITHIN_S)

    reasons = [detail for _, detail in seen]
    assert any("LogAppendTime" in str(detail.get("refused")) for detail in reasons)
    assert {"error": "no room"} in reasons
    assert seen[-1] == (True, {"partitions": DEFAULT_PARTITIONS})
    assert stored(tmp_path) == broker.rows


async def test_nothing_is_written_where_nothing_came(tmp_path: Path, broker: Broker) -> None:
    """Looking costs the disk nothing."""
    archive = opened(tmp_path, broker)
    await archive.round()
    disk = DyingDisk(1, raise_killed)
    for part in archive._parts.values():  # noqa: SLF001
        part.folder._disk = disk  # noqa: SLF001

    for _ in range(3):
        await archive.round()

    assert disk.moments == 0
