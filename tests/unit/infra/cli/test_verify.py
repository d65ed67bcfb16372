"""Rows of two databases that can be compared, and those of which nothing can be said yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.cli import verify
from infra.cli.system import System
from infra.cli.verify import Judging
from infra.runtime.postgres.comparing import VIEWS
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US
from schemas.partitions import TopicPartition, partition_of
from schemas.topics import BARS, DEFAULT_PARTITIONS, TRADES

VIEW = {view.name: view for view in VIEWS}
SPY = partition_of("SPY", DEFAULT_PARTITIONS)
UNTIL = 1_000
LIVE = "postgresql://h/live"
SERIES = "bars.1m:yahoo:SPY"


def judging(changed: dict[str, list[tuple[int, int]]] | None = None, **floors: int) -> Judging:
    """Return the judging of two databases that hold SPY in full until a moment."""
    marks = {TopicPartition(topic, SPY): UNTIL for topic in (BARS, TRADES)}
    return Judging(watermarks=marks, partitions=DEFAULT_PARTITIONS, floors=floors, changed=changed or {})


def bar(**changes: Any) -> dict[str, Any]:
    """Return a row of bars."""
    named = {"symbol": "SPY", "provider": "yahoo", "interval": "1m", "stream_id": 7}
    return named | {"event_time": 500, "position": 3, "close": 1.0, "known_from": UNTIL - 1} | changes


def gap(**changes: Any) -> dict[str, Any]:
    """Return a gap."""
    named = {"gap_id": "g", "stream": SERIES, "symbol": "SPY", "provider": "yahoo", "interval": "1m"}
    times = {"from_time": 100, "to_time": 200, "known_from": 300}
    return named | times | {"state": "open", "detector": "processor"} | changes


def test_what_both_hold_in_full_is_compared() -> None:
    """By content; a row of one side alone differs."""
    judge = judging()

    assert judge.verdict(VIEW["v_bars_all"], bar(), bar()) == "same"
    assert judge.verdict(VIEW["v_bars_all"], bar(), bar(close=2.0)) == "different"
    assert judge.verdict(VIEW["v_bars_all"], bar(), None) == "different"
    assert judge.verdict(VIEW["v_bars_all"], None, bar()) == "different"


def test_what_is_known_later_says_nothing_yet() -> None:
    """Of history both sides must be later, or a moment put off by hand would hide it; of a current value one."""
    judge = judging()

    assert judge.verdict(VIEW["v_bars_all"], bar(known_from=UNTIL), None) == "unsettled"
    assert judge.verdict(VIEW["v_bars_all"], bar(known_from=UNTIL), bar()) == "different"
    assert judge.verdict(VIEW["v_bars"], bar(known_from=UNTIL), bar()) == "unsettled"
    elsewhere = next(s for s in map("S{}".format, range(99)) if partition_of(s, DEFAULT_PARTITIONS) != SPY)
    assert judge.verdict(VIEW["v_bars_all"], bar(symbol=elsewhere), None) == "unsettled"


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        pytest.param({}, "different", id="nothing came"),
        pytest.param({SERIES: [(150, 151)]}, "unsettled", id="a bar in it"),
        pytest.param({SERIES: [(900, 901)]}, "different", id="a bar elsewhere"),
        pytest.param({"bars.1m:alpaca:SPY": [(150, 151)]}, "different", id="another's bar"),
        pytest.param({SERIES: [(50, 10**18)]}, "unsettled", id="evidence over it"),
    ],
)
def test_a_gap_differs_unless_something_came_that_changes_it(
    changed: dict[str, list[tuple[int, int]]], verdict: str
) -> None:
    """Its known_from is its evidence's, and says nothing of its state."""
    assert judging(changed).verdict(VIEW["v_gaps"], gap(state="filled"), gap()) == verdict
    assert judging(changed).verdict(VIEW["v_gaps"], gap(), None) == verdict


def test_how_far_a_series_came_differs_unless_later_records_say_so() -> None:
    """Only where they lie between the two."""
    view = VIEW["v_streams"]
    row = {"stream_id": 7, "kind": "bars", "interval": "1m", "provider": "yahoo", "symbol": "SPY"}
    ours, theirs = row | {"start_time": 10, "last_seen": 90}, row | {"start_time": 10, "last_seen": 60}

    assert judging().verdict(view, ours, theirs) == "different"
    assert judging({SERIES: [(90, 91)]}).verdict(view, ours, theirs) == "unsettled"
    assert judging({SERIES: [(200, 201)]}).verdict(view, ours, theirs) == "different"
    assert judging({SERIES: [(200, 201)]}).verdict(view, ours, ours) == "same"
    assert judging({SERIES: [(200, 201)]}).verdict(view, ours, None) == "unsettled"


def test_coverage_differs_unless_something_came_in_its_session() -> None:
    """A day, of days a year."""
    view = VIEW["v_coverage"]
    ours = {
        "symbol": "SPY",
        "provider": "yahoo",
        "interval": "1m",
        "stream_id": 7,
        "start_time": 0,
        "absent": 3,
    }
    theirs = ours | {"absent": 2}

    assert judging({SERIES: [(DAY_US // 2, DAY_US)]}).verdict(view, ours, theirs) == "unsettled"
    assert judging({SERIES: [(2 * DAY_US, 3 * DAY_US)]}).verdict(view, ours, theirs) == "different"
    daily = judging({"bars.1d:yahoo:SPY": [(200 * DAY_US, 201 * DAY_US)]})
    assert daily.verdict(view, ours | {"interval": "1d"}, theirs | {"interval": "1d"}) == "unsettled"


def test_what_the_sink_told_itself_or_no_longer_keeps_is_no_difference() -> None:
    """No topic says the one, and retention took the other."""
    assert judging().verdict(VIEW["v_gaps"], gap(detector="sink"), None) == "unsettled"
    kept = judging(bars=600)
    assert kept.verdict(VIEW["v_bars_all"], None, bar()) == "unsettled"
    assert kept.verdict(VIEW["v_bars_all"], None, bar(event_time=601)) == "different"
    assert kept.verdict(VIEW["v_gaps"], None, gap()) == "unsettled"


def test_evidence_of_a_whole_partition_has_that_ones_watermark() -> None:
    """It names no symbol."""
    view = VIEW["v_gap_evidence"]
    told = gap(stream=f"{TRADES}/{SPY}", symbol="", raw_offset=1, idx=0)

    assert judging().verdict(view, told, None) == "different"
    assert judging().verdict(view, told | {"stream": f"{TRADES}/{SPY + 1}"}, None) == "unsettled"


def test_topics_that_do_not_reach_to_the_beginning_prove_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So nothing is made or compared, and the archive is named."""
    monkeypatch.setattr(verify, "made_plan", lambda *_: (None, ["raw.bars.v1/2: offsets 0 to 1 are deleted"]))
    settings = SimpleNamespace(dsn=LIVE)

    assert verify.verify(cast("System", SimpleNamespace(settings=settings)), into=None, archive=False) == 1
    told = capsys.readouterr().err
    assert "raw.bars.v1/2: offsets 0 to 1 are deleted" in told
    assert "read the archive with --archive" in told


def test_a_database_that_was_not_migrated_is_told_before_one_is_filled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Filling takes long, and its views are not what they are compared with."""

    async def lacking(dsn: str) -> None:
        assert dsn == LIVE
        raise ConfigurationError("migration 0021 was not applied", remedy="run `mds migrate`")

    monkeypatch.setattr(verify, "made_plan", lambda *_: (None, []))
    monkeypatch.setattr(verify, "refuse_unmigrated", lacking)
    settings = SimpleNamespace(dsn=LIVE)

    with pytest.raises(ConfigurationError, match="0021 was not applied"):
        verify.verify(cast("System", SimpleNamespace(settings=settings)), into=None, archive=False)
