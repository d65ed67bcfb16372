"""A replay into a file, the writer a process of its own as it is: fed, finished, interrupted and gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from infra.cli import replay_targets
from infra.cli.replay import replay
from infra.cli.replay_request import ReplayRequest, requested
from infra.cli.replay_source import ReplayPlan
from infra.cli.system import System
from infra.runtime.kafka.ranges import Range
from schemas.errors import ConfigurationError
from schemas.topics import BARS
from schemas.wire.codec import encode
from schemas.wire.framing import StreamedRecord
from tests.support.builders import NINE_THIRTY, a_bar

pytestmark = pytest.mark.slow

PARTITIONS, RECORDS = 2, 30_000  # more than a part of each


class OneBroker:
    """A system whose topics hold bars, and a reader of them that may be stopped after some."""

    settings = None

    def __init__(self) -> None:
        """Hold the same bar again and again."""
        self.env = {**os.environ, "MDS_HOME": "unused"}
        self.value = encode(BARS, a_bar())
        self.stop_after: int | None = None
        self.records = RECORDS
        self.read = 0

    def reach_kafka(self) -> None:
        """Be reachable."""

    def plan(self, _: object, request: ReplayRequest) -> tuple[ReplayPlan, list[str]]:
        """Return the plan of everything."""
        ranges = tuple(Range(BARS, number, 0, self.records) for number in range(PARTITIONS))
        return ReplayPlan(request=request, partitions=PARTITIONS, ranges=ranges), []

    @contextmanager
    def reading(self, _: object, plan: ReplayPlan) -> Iterator[Iterator[StreamedRecord]]:
        """Read what a plan says."""
        yield self._records(plan)

    def _records(self, plan: ReplayPlan) -> Iterator[StreamedRecord]:
        for each in plan.ranges:
            for offset in range(each.start, each.end):
                if self.read == self.stop_after:
                    raise KeyboardInterrupt
                self.read += 1
                yield StreamedRecord(
                    topic=BARS, partition=each.partition, offset=offset, append_time=NINE_THIRTY, key=b"SPY", value=self.value
                )  # fmt: skip


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> OneBroker:
    """The system, read in place of a broker's."""
    there = OneBroker()
    monkeypatch.setattr(replay_targets, "made_plan", there.plan)
    monkeypatch.setattr(replay_targets, "reading", there.reading)
    return there


@pytest.fixture
def into(broker: OneBroker) -> Callable[[Path], int]:
    """Replay all bars into a file."""

    def run(path: Path) -> int:
        return replay(cast("System", broker), requested(["bars"], ("file", str(path))), allow_holes=False)

    return run


def test_stopped_by_hand_it_goes_on_where_it_was(
    broker: OneBroker, into: Callable[[Path], int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It says so, reads only what it lacks, and the file is the one made at once."""
    whole, path = tmp_path / "whole.csv", tmp_path / "broken.csv"
    assert into(whole) == 0
    broker.read, broker.stop_after = 0, 55_000
    assert into(path) == 1
    assert not path.exists()
    assert "the same command goes on where it was" in capfd.readouterr().err
    broker.read, broker.stop_after = 0, None

    assert into(path) == 0

    assert path.read_bytes() == whole.read_bytes()
    assert path.read_bytes().count(b"\r\n") == 1 + PARTITIONS * RECORDS
    assert broker.read == PARTITIONS * RECORDS - 55_000 + 25_000  # behind the last whole part
    assert not list(tmp_path.glob("*.parts"))


def test_a_writer_that_fails_ends_it_and_is_heard(
    broker: OneBroker, into: Callable[[Path], int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the writer's code; nothing is half there, and what is there stays as it is."""
    path = tmp_path / "bars.parquet"
    broker.value = b"poison"
    assert into(path) == 0
    assert "60,000 records are left out in all" in capfd.readouterr().err
    with pytest.raises(ConfigurationError, match="is there already"):
        into(path)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        into(tmp_path / "no folder" / "bars.parquet")


def test_a_place_where_no_file_can_be_made_is_named(into: Callable[[Path], int], tmp_path: Path) -> None:
    """Whatever the operating system says of it."""
    (tmp_path / "bars.csv.parts").write_text("a file of somebody's")
    (tmp_path / "folder.csv").mkdir()

    for name in ("bars.csv", "bars.csv.parts/bars.csv", f"{'long' * 99}.csv"):
        with pytest.raises(ConfigurationError, match=r"\.parts cannot be written: .*; name a file"):
            into(tmp_path / name)
    with pytest.raises(ConfigurationError, match=r"folder\.csv is there already"):
        into(tmp_path / "folder.csv")
    assert (tmp_path / "bars.csv.parts").read_text() == "a file of somebody's"


def test_killed_before_its_plan_had_its_name_it_begins_anew(
    broker: OneBroker, into: Callable[[Path], int], tmp_path: Path
) -> None:
    """Nothing of it counts yet, and nobody else's is there."""
    broker.records = 3
    parts = tmp_path / "bars.csv.parts"
    parts.mkdir()
    (parts / "plan.json.begun").write_text("{")

    assert into(tmp_path / "bars.csv") == 0
    assert not parts.exists()


def test_killed_after_its_last_step_but_one_it_is_done(
    broker: OneBroker, into: Callable[[Path], int], tmp_path: Path
) -> None:
    """The file is whole once it has its name; only the parts are left to be deleted."""
    path = tmp_path / "bars.csv"
    request = requested(["bars"], ("file", str(path)))
    parts = tmp_path / "bars.csv.parts"
    parts.mkdir()
    (parts / "plan.json").write_bytes(broker.plan(None, request)[0].to_json())
    path.write_text("whole")

    assert into(path) == 0
    assert path.read_text() == "whole"
    assert not parts.exists()
