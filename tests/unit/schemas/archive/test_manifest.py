"""The manifest: lines that tile the offsets, chained so that a change anywhere is seen, and cut off where one is torn."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.archive.chain import ManifestDamaged
from schemas.archive.manifest import (
    Line,
    ManifestEnd,
    append,
    kept,
    last,
    range_of,
    walk,
)
from tests.support.archives import INCARNATION, NOON_US, a_file, begun, lost, pruned

STORY: list[Line] = [begun(7), a_file(7, 19), lost(19, 30), a_file(30, 31), pruned(7, 30), a_file(31, 90)]


def written(lines: list[Line]) -> bytes:
    """Return a manifest."""
    tail, data = None, b""
    for line in lines:
        text, tail = append(tail, line)
        data += text
    return data


def test_lines_come_back_as_they_were_written() -> None:
    """With where each of them leads."""
    read = list(walk(written(STORY)))

    assert [line for line, _ in read] == STORY
    assert [(tail.next_offset, tail.pruned_to) for _, tail in read] == [
        (7, 7), (19, 7), (30, 7), (31, 7), (31, 30), (90, 30),
    ]  # fmt: skip
    assert kept(written(STORY)) == [a_file(30, 31), a_file(31, 90)]
    assert last(written(STORY)) == read[-1][1]
    assert last(b"") is None


@given(st.integers(0, 5_000))
def test_a_line_torn_off_at_any_byte_is_none(cut: int) -> None:
    """What was whole before it stays, and the writer knows how long that is."""
    data = written(STORY)
    torn = data[: cut % len(data)]
    tail = last(torn)

    assert [line for line, _ in walk(torn)] == STORY[: torn.count(b"\n")]
    assert torn[: 0 if tail is None else tail.size_bytes] == torn[: torn.rfind(b"\n") + 1]


@given(st.integers(0, 5_000), st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_seen(place: int, bit: int) -> None:
    """Its line is named; only a line's end that is no more may pass for a torn line, and no line for another."""
    data = bytearray(written(STORY))
    place %= len(data)
    data[place] ^= 1 << bit
    if place == len(data) - 1:
        assert [line for line, _ in walk(bytes(data))] == STORY[:-1]
        return

    with pytest.raises(ManifestDamaged) as raised:
        last(bytes(data))

    assert raised.value.number == written(STORY)[:place].count(b"\n") + 1


def test_a_line_that_was_taken_out_or_moved_breaks_the_chain() -> None:
    """Though each of them is as it was written."""
    lines = written(STORY).splitlines(keepends=True)

    for number, _ in enumerate(lines[:-1]):
        with pytest.raises(ManifestDamaged, match=r"chain is broken|no other"):
            last(b"".join(lines[:number] + lines[number + 1 :]))
    with pytest.raises(ManifestDamaged, match="chain is broken"):
        last(b"".join([lines[0], lines[2], lines[1]]))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (a_file(91, 92), "offsets 90 to 90 are missing"),
        (a_file(89, 95), "told twice"),
        (a_file(90, 90), "told twice"),
        (lost(100, 110), "offsets 90 to 99 are missing"),
        (pruned(31, 90), "pruned 31"),
        (pruned(30, 91), "pruned 30"),
        (begun(90), "no other"),
    ],
)
def test_what_does_not_follow_is_never_written(line: Line, problem: str) -> None:
    """A hole and a repetition are refused by who would write them."""
    tail = last(written(STORY))
    assert isinstance(tail, ManifestEnd)

    with pytest.raises(ManifestDamaged, match=problem):
        append(tail, line)
    with pytest.raises(ManifestDamaged, match="first line"):
        append(None, a_file(0, 1))


def test_the_latest_epoch_and_moment_are_kept() -> None:
    """A line of a loss has none, and a clock that was set back does not take it back."""
    lines = [begun(), a_file(0, 5, epoch=9, append_us=NOON_US + 80), lost(5, 6), a_file(6, 8, epoch=3)]
    tail = last(written(lines))

    assert tail is not None
    assert (tail.leader_epoch, tail.last_append_us) == (9, NOON_US + 85)


def test_a_file_is_named_by_its_day_and_offsets() -> None:
    """In an order that is that of the offsets."""
    files = [
        a_file(0, 5),
        a_file(12_345, 20_000),
        a_file(20_000, 20_001, append_us=NOON_US + 12 * 3_600_000_000),
    ]

    assert files[1].path == "date=2025-11-28/00000000000012345-00000000000019999.parquet"
    assert files[2].path.startswith("date=2025-11-29/")
    names = [file.path.rpartition("/")[2] for file in files]
    assert all(a < b for a, b in pairwise(names))
    assert [range_of(name) for name in names] == [(0, 5), (12_345, 20_000), (20_000, 20_001)]
    assert range_of("owner.json") is None
    assert begun().incarnation == INCARNATION


def test_a_manifest_is_read_on_from_any_line() -> None:
    """As if it had been read from its beginning."""
    data = written(STORY)
    read = list(walk(data))

    for count, (_, tail) in enumerate(read, start=1):
        assert list(walk(data[tail.size_bytes :], tail=tail)) == read[count:]
        assert [after.number for _, after in walk(data[tail.size_bytes :], tail=tail)] == [
            after.number for _, after in read[count:]
        ]
