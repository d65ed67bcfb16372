"""The market of the demonstration: what it can be shown on, and the one minute that is cut."""

from __future__ import annotations

from json import dumps
from typing import Any

import pytest

from infra.cli import demo_market
from infra.cli.demo_market import CutMinute, Stopped, running_minute, usable_clock
from infra.cli.system import System
from infra.simulator.faults.injection import null_minutes
from infra.simulator.faults.parsing import parse_scenario
from tests.support.builders import NINE_THIRTY

MINUTE = 60_000_000
CLOCK = {"market_time": NINE_THIRTY, "speed": 1, "synthetic": True}


def offering(monkeypatch: pytest.MonkeyPatch, clock: dict[str, Any] | None, *rules: dict[str, Any]) -> System:
    """Return a system whose simulator answers so."""
    system = System.from_env({})

    def answered(url: str) -> tuple[int, Any]:
        if clock is None:
            return 0, None
        return 200, {"rules": list(rules)} if url.endswith("/scenario") else CLOCK | clock

    monkeypatch.setattr(demo_market, "get_json", answered)
    return system


@pytest.mark.parametrize(
    ("clock", "told"),
    [
        (None, "without --live"),
        ({"synthetic": False}, "MDS_SIMULATOR_DATA"),
        ({"speed": 0.0}, "MDS_SIMULATOR_SPEED"),
        ({"speed": "max"}, "MDS_SIMULATOR_SPEED"),
    ],
)
def test_a_market_that_cannot_be_used_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, clock: dict[str, Any] | None, told: str
) -> None:
    """Before anything is cut."""
    with pytest.raises(Stopped, match=told):
        usable_clock(offering(monkeypatch, clock))


@pytest.mark.parametrize(
    ("end", "is_free"), [(NINE_THIRTY, True), (NINE_THIRTY + 1, False), (None, False), (90.0, False)]
)
def test_a_scenario_in_force_is_left_alone_and_one_that_is_over_is_none(
    monkeypatch: pytest.MonkeyPatch, end: int | float | None, is_free: bool
) -> None:
    """One that ended at a named moment cuts nothing any more; of one without an end, or with an offset, nobody knows."""
    rule = {"fault": {"type": "html"}, "when": {} if end is None else {"to": end}}
    system = offering(monkeypatch, {"speed": 20}, rule)
    if is_free:
        assert usable_clock(system)["speed"] == 20
    else:
        with pytest.raises(Stopped, match="MDS_SIMULATOR_SCENARIO"):
            usable_clock(system)


@pytest.mark.parametrize(
    ("second", "speed", "later"), [(0, 1, 0), (58, 1, 0), (59, 1, 1), (39, 20, 0), (40, 20, 1), (59.9, 1, 1)]
)
def test_a_minute_that_is_nearly_over_is_not_cut_but_the_next(
    second: float, speed: float, later: int
) -> None:
    """A second of ours is enough to cut it, whatever the market's pace."""
    assert running_minute(NINE_THIRTY + int(second * 1e6), speed) == NINE_THIRTY + later * MINUTE


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata", "Asia/Tokyo"])
def test_the_rule_cuts_that_minute_of_the_vendors_day_and_ends_by_itself(zone: str) -> None:
    """The simulator reads it, and means the minute that was meant, wherever the venue is."""
    minute = NINE_THIRTY + 17 * MINUTE
    (rule,) = parse_scenario(
        f'{{"rules": [{dumps(CutMinute(symbol="SIM007", minute=minute, zone=zone).rule())}]}}'
    ).rules

    assert null_minutes([rule.fault], minute - 60 * MINUTE, minute + 60 * MINUTE, zone) == [minute]  # type: ignore[list-item]
    assert rule.when.to == minute + 10 * MINUTE
    assert (rule.match.vendor, rule.match.symbol) == ("yahoo", "SIM007")
