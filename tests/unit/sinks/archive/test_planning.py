"""Which records make a file, when an hour is over, what to do about a log, and what may be pruned."""

from __future__ import annotations

import pytest

from schemas.archive.manifest import KeptFile, ManifestEnd, append
from schemas.clocks import CanonicalOffset
from sinks.archive.planning import (
    HOUR_US,
    ROW_BYTES,
    Cut,
    FileLimits,
    Row,
    Work,
    irreplaceable,
    leading,
    work,
)
from sinks.progress.positions import EpochStart, Log, PartitionRefused
from tests.support.archives import INCARNATION, NOON_US, TOPIC_ID, a_file, a_row, begun


def files_of(rows: list[Row], limits: FileLimits) -> list[list[int]]:
    """Return the offsets of each file."""
    files: list[list[int]] = []
    cut = Cut(limits)
    for row in rows:
        if not files or not cut.takes(row):
            cut = Cut(limits)
            files.append([])
        cut.add(row)
        files[-1].append(row.offset)
    return files


def test_a_file_ends_with_its_hour_or_once_it_is_full() -> None:
    """By append time, also where a clock was set back; what makes it full is still in it."""
    hours = [0, 0, 1, 1, 0, 2]
    rows = [a_row(at, append_us=NOON_US + hour * HOUR_US + at) for at, hour in enumerate(hours)]
    small = FileLimits(file_bytes=2 * 45 + 1)

    assert files_of(rows, FileLimits()) == [[0, 1], [2, 3], [4], [5]]
    assert files_of([a_row(at) for at in range(7)], FileLimits(file_bytes=2 * ROW_BYTES)) == [
        [0, 1], [2, 3], [4, 5], [6],
    ]  # fmt: skip
    assert files_of([a_row(at, size=200) for at in range(3)], small) == [[0], [1], [2]]


def test_empty_records_fill_a_file_too() -> None:
    """Else a partition of them had one without end."""
    rows = [Row(at, a_row(at).append_us, None, None) for at in range(200)]

    assert len(files_of(rows, FileLimits(file_bytes=ROW_BYTES * 50))) == 4


def test_an_hour_is_over_by_the_clock_alone() -> None:
    """No later record is needed; our clock has to be past it by what the broker's may be behind."""
    cut = Cut(FileLimits(settle_us=7_000_000))
    assert cut.over_at_us() == 0

    cut.add(a_row(0, append_us=NOON_US + HOUR_US - 1))

    assert cut.over_at_us() == NOON_US + HOUR_US + 7_000_000


def tail(next_offset: int, *, epoch: int = 5) -> ManifestEnd:
    """Return the tail of a manifest that begins at offset 10."""
    _, first = append(None, begun(10))
    return first if next_offset == 10 else append(first, a_file(10, next_offset, epoch=epoch))[1]


def log(start: int, end: int, *, newer: tuple[int, int] | None = None, topic_id: str = TOPIC_ID) -> Log:
    """Return a log as the broker has it."""
    first = None if newer is None else EpochStart(offset=CanonicalOffset(newer[0]), epoch=newer[1])
    return Log(
        topic_id=topic_id, start=CanonicalOffset(start), end=CanonicalOffset(end), leader_epoch=9, newer=first
    )


@pytest.mark.parametrize(
    ("next_offset", "held", "wanted"),
    [
        pytest.param(10, log(10, 10), Work(lost=None, start=10, end=10), id="empty"),
        pytest.param(33, log(4, 60), Work(lost=None, start=33, end=60), id="goes-on"),
        pytest.param(33, log(33, 33), Work(lost=None, start=33, end=33), id="idle"),
        pytest.param(33, log(41, 60), Work(lost=(33, 41), start=41, end=60), id="retention-was-faster"),
        pytest.param(33, log(41, 41), Work(lost=(33, 41), start=41, end=41), id="nothing-left"),
        pytest.param(33, log(4, 60, newer=(33, 6)), Work(lost=None, start=33, end=60), id="another-leader"),
        pytest.param(10, log(4, 60, newer=(9, 6)), Work(lost=None, start=10, end=60), id="no-epoch-known"),
    ],
)
def test_work_goes_on_where_the_manifest_ends(next_offset: int, held: Log, wanted: Work) -> None:
    """What the broker deleted before is a loss of its own."""
    assert work(tail(next_offset), held) == wanted


@pytest.mark.parametrize(
    ("held", "problem"),
    [(log(4, 32), "lost its end"), (log(4, 60, newer=(20, 6)), "was cut at 20 and grew again")],
)
def test_an_offset_is_never_archived_twice(held: Log, problem: str) -> None:
    """A log that lost its end would give its offsets to other records; an operator decides."""
    refused = work(tail(33), held)

    assert isinstance(refused, PartitionRefused)
    assert problem in refused.problem
    assert INCARNATION in refused.remedy


def test_pruning_takes_the_oldest_files_and_no_hole() -> None:
    """One that is young keeps what follows it, however old that is stamped."""
    files = [a_file(at, at + 10, append_us=NOON_US + 100 * at) for at in (0, 10, 20)]
    odd = a_file(30, 40, append_us=NOON_US)

    assert leading(files, NOON_US) == []
    assert leading([*files, odd], NOON_US + 1_006) == files[:2]
    assert leading([*files, odd], NOON_US + 1_005) == files[:1]
    assert leading([*files, odd], NOON_US + 10_000) == [*files, odd]


def test_what_the_broker_does_not_hold_whole_is_irreplaceable() -> None:
    """Nor does the log of a topic that was made again hold anything of it."""
    files = [a_file(0, 10), a_file(10, 20), a_file(20, 30)]

    def only_here(held: Log | None) -> list[KeptFile]:
        return irreplaceable(files, TOPIC_ID, held)

    assert only_here(log(0, 30)) == []
    assert only_here(log(11, 30)) == files[:2]
    assert only_here(log(10, 29)) == [files[0], files[2]]
    assert only_here(log(0, 30, topic_id="another")) == files
    assert only_here(None) == files
