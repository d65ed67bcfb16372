"""A replay's plan: kept as it was, known again, and shortened by what is done; and how far it says it is."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from infra.cli.replay_request import requested
from infra.cli.replay_source import ReplayPlan, kept_plan, made_plan, progress_line, refuse_holes
from infra.cli.system import System
from infra.runtime.kafka.ranges import Range
from schemas.errors import ConfigurationError
from schemas.topics import BARS
from tests.support.archives import a_row, opened, rows_of

RANGES = (Range(BARS, 0, 10, 50), Range(BARS, 1, 0, 7), Range(BARS, 3, 4, 9))


def a_plan(**options: object) -> ReplayPlan:
    """Return a plan of bars into a file."""
    request = requested(["bars"], ("file", "a.csv"), **options)  # type: ignore[arg-type]
    return ReplayPlan(request=request, partitions=4, ranges=RANGES)


def test_a_plan_is_kept_and_known_again() -> None:
    """Whatever its options are."""
    plan = a_plan(symbols=["SPY"], positions=["2:5", "7"], by="event", until="2026-03-02T14:31:00Z")

    assert kept_plan(plan.request, plan.to_json(), "a.csv.parts") == plan


def test_the_plan_of_another_replay_is_refused() -> None:
    """And what that one was is said."""
    with pytest.raises(ConfigurationError, match=r"another replay \(symbols=\['SPY'\]\)"):
        kept_plan(a_plan().request, a_plan(symbols=["SPY"]).to_json(), "a.csv.parts")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"request": {}, "partitions": "x", "ranges": []}']
)
def test_a_plan_that_cannot_be_read_is_nobodys(content: bytes) -> None:
    """What is to be deleted is named."""
    with pytest.raises(
        ConfigurationError, match=r"a\.csv\.parts holds a plan that cannot be read; delete it"
    ):
        kept_plan(a_plan().request, content, "a.csv.parts")


def test_what_is_done_is_not_read_again() -> None:
    """A partition that is done is left out; one that nothing is of begins where it did."""
    left = a_plan().after({0: 30, 1: 7})

    assert left.ranges == (Range(BARS, 0, 30, 50), Range(BARS, 3, 4, 9))
    assert (a_plan().total, left.total) == (52, 25)


def test_records_made_anew_need_all_that_came_before() -> None:
    """Their offsets say nothing of those of the archive."""
    plan = a_plan(archive=True)

    assert plan.after({0: 10**6}) == plan
    assert plan.is_processed
    assert not a_plan().is_processed


@pytest.mark.parametrize(
    ("passed", "total", "line"),
    [
        (250, 1_000, "1,000 records, 25 %, 100 records/s, 0:00:30 left"),
        (1_000, 1_000, "1,000 records, 100 %, 100 records/s, 0:00:00 left"),
        (0, 0, "1,000 records, 100 records/s"),
        (5_000, 1_000, "1,000 records, 100 records/s"),
    ],
)
def test_how_far_it_is_is_said_where_it_is_known(passed: int, total: int, line: str) -> None:
    """Offsets of an archive that processing makes into other records say nothing of that."""
    assert progress_line(1_000, passed, total, 10.0) == line


def test_holes_are_named_and_stop_it_unless_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error both ways."""
    assert refuse_holes(["bars.v1/0: gone"], allowed=False) == 1
    assert "error: bars.v1/0: gone\nerror: the range is not whole" in capsys.readouterr().err
    assert refuse_holes(["bars.v1/0: gone"], allowed=True) == 0
    assert capsys.readouterr().err == "warning: bars.v1/0: gone\n"
    assert refuse_holes([], allowed=False) == 0


def test_an_archive_is_read_as_far_as_its_manifests_go(tmp_path: Path) -> None:
    """Of a partition whose folder was just made, and has no line yet, nothing is archived; as of one that is not there."""
    folder = opened(tmp_path)
    folder.keep(rows_of(a_row(offset) for offset in range(3)), leader_epoch=1)
    place = folder.tail.begun
    begun = folder.path.with_name(f"partition={place.partition + 1}")
    begun.mkdir()
    env = {**os.environ, "SINKS_ARCHIVE": str(tmp_path)}
    system = cast("System", SimpleNamespace(env=env, partition_count=lambda: place.partition + 3))
    request = requested([place.topic], ("prefix", "p."), archive=True)

    plan, holes = made_plan(system, request)

    assert plan.ranges == (Range(place.topic, place.partition, 0, 3),)
    told = [f"{place.topic}/{place.partition + n}: nothing of it is archived" for n in (1, 2)]
    assert holes[-2:] == told
