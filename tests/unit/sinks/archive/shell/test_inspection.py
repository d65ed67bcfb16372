"""The record stream of an archive: the same records that the broker gave for the same moments."""

from __future__ import annotations

from argparse import Namespace
from io import BytesIO
from itertools import product
from pathlib import Path

import pytest

from schemas.intervals import MINUTE_US
from schemas.wire.framing import read_records
from sinks.archive.shell.commands import _cat
from sinks.archive.shell.inspection import Moments, archived, cat, replayed
from tests.support.archives import NOON_US, a_row, opened, rows_of

MINUTES = (0, 5, 2, 3, 6, 1, 7, 7, 4)  # of append times, by offset: a clock that steps back by five


def first_of(minute: int) -> int:
    """Return the first offset appended at a minute or later."""
    return next((offset for offset, each in enumerate(MINUTES) if each >= minute), len(MINUTES))


@pytest.mark.parametrize("per_file", [1, 2, 3, 9])
def test_a_clock_that_stepped_back_takes_nothing_out_of_the_middle(tmp_path: Path, per_file: int) -> None:
    """What a broker gives: from the first record appended then, up to the first appended at the end, however files are cut."""
    folder = opened(tmp_path)
    for first in range(0, len(MINUTES), per_file):
        some = enumerate(MINUTES[first : first + per_file], first)
        rows = [a_row(offset, append_us=NOON_US + minute * MINUTE_US) for offset, minute in some]
        folder.keep(rows_of(rows), leader_epoch=1)
    parts = list(archived(tmp_path))

    for start, end in product(range(-1, 9), (3, 6, 7, 8)):
        out = BytesIO()
        moments = Moments(NOON_US + start * MINUTE_US, NOON_US + end * MINUTE_US)
        assert list(cat(parts, replayed(parts, ()), moments, out)) == []
        out.seek(0)
        given = [record.offset for record in read_records(out)]
        assert given == list(range(first_of(start), first_of(end))), (start, end)


@pytest.mark.parametrize(("start", "end", "count"), [(None, None, 3), (None, 0, 0), (0, None, 3), (-1, 0, 0)])
def test_the_epoch_is_a_moment_like_any_other(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], start: int | None, end: int | None, count: int
) -> None:
    """As an end, nothing comes before it; only an end that was not given is none."""
    opened(tmp_path).keep(rows_of(a_row(offset) for offset in range(3)), leader_epoch=1)
    given = Namespace(topic=None, partition=None, start=start, end=end, incarnation=[])

    assert _cat(tmp_path, given) == 0
    assert len(list(read_records(BytesIO(capfdbinary.readouterr().out)))) == count
