"""What is collected: the file, its providers' keys, its calendars."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.preflight.collection import (
    calendars_of,
    collection_groups,
    judge_calendars,
    keys_lacking,
)
from infra.preflight.findings import Checked
from infra.preflight.running import look
from infra.runtime.clock import wall_us
from infra.runtime.settings import MdsSettings
from schemas.clocks import WallTime
from schemas.configuration.model import Configuration, parse_configuration
from schemas.intervals import DAY_US
from schemas.providers.built_in import BUILT_IN
from schemas.symbols.venues import CALENDARS

FILE = """
symbols: [SPY, VOD.L, BTC-USD]
streams: {quotes: {providers: [yahoo, finnhub]}}
"""
TOKEN = "PRODUCERS_FINNHUB_TOKEN"


def configuration(text: str = FILE) -> Configuration:
    """Return the file as producers read it."""
    return parse_configuration(text, source="test")


async def looked(folder: Path, text: str, *, now: int | None = None, **env: str) -> dict[str, Checked]:
    """Return what the checks find of a file."""
    file = folder / "mds.yaml"
    file.write_text(text)
    settings = MdsSettings(config=file)
    clock = wall_us if now is None else lambda: WallTime(now)
    return {each.name: each for each in await look(collection_groups(settings, env, clock), secrets=())}


@pytest.mark.parametrize(
    ("env", "more", "lacking"),
    [
        pytest.param({}, "", {"finnhub": TOKEN}, id="none"),
        pytest.param({TOKEN: "t"}, "", {}, id="set"),
        pytest.param({TOKEN: ""}, "", {"finnhub": TOKEN}, id="empty"),
        pytest.param({f"{TOKEN}_FILE": "/f"}, "", {}, id="in-a-file"),
        pytest.param({}, "providers: {alpaca: {enabled: false}}", {"finnhub": TOKEN}, id="off"),
        pytest.param(
            {TOKEN: "t", "PRODUCERS_ALPACA_KEY_ID": "i"}, "providers: {alpaca: {}}", {"alpaca": "PRODUCERS_ALPACA_SECRET_KEY"},
            id="half-a-key",
        ),
        pytest.param({TOKEN: "t"}, "providers: {fred: {}}", {}, id="gives-something-without"),
    ],
)  # fmt: skip
def test_an_enabled_provider_needs_every_key_it_asks_for(
    env: dict[str, str], more: str, lacking: dict[str, str]
) -> None:
    """In the variable or in a file; one that is off, or gives something without, needs none."""
    assert keys_lacking(configuration(FILE + more), BUILT_IN, env) == lacking


def test_the_calendars_are_those_of_the_symbols_or_all_there_are() -> None:
    """Which symbols a database holds is not asked."""
    assert {"XNYS", "XLON"} <= calendars_of(configuration())
    assert calendars_of(configuration("universe: database")) == set(CALENDARS)


@pytest.mark.parametrize(
    ("days", "result", "says"),
    [
        pytest.param({"XNYS": 61.0, "XLON": 400.0}, "ok", "61 days", id="far"),
        pytest.param({"XNYS": 59.4, "XLON": 400.0}, "warning", "XNYS (59 days)", id="near"),
        pytest.param({"XNYS": -1.0, "XLON": 10.0}, "failed", "XNYS", id="over"),
        pytest.param({}, "ok", "ever closes", id="none"),
    ],
)
def test_a_calendar_that_ends_soon_is_told_in_time(days: dict[str, float], result: str, says: str) -> None:
    """60 days: the next release mends it."""
    finding = judge_calendars(days)

    assert (finding.result, says in finding.says) == (result, True)


async def test_a_file_with_faults_names_the_place_and_hides_nothing_else(tmp_path: Path) -> None:
    """An unknown key is a fault with its line and a suggestion; what needs the file says so."""
    found = await looked(tmp_path, FILE + "provders: {}\n")

    assert found["configuration"].finding.result == "failed"
    assert "mds.yaml:4" in found["configuration"].finding.says
    assert "providers" in found["configuration"].finding.remedy
    assert found["provider-keys"].finding.result == "unknown"
    assert found["calendars"].finding.says == "not looked at: see configuration"


async def test_a_valid_file_is_well_and_a_missing_key_is_a_warning(tmp_path: Path) -> None:
    """Without its key a provider is left out, quietly."""
    found = await looked(tmp_path, FILE)

    assert found["configuration"].finding.says.endswith("is valid: 3 symbols")
    assert found["provider-keys"].finding.result == "warning"
    assert found["provider-keys"].finding.remedy == f"set {TOKEN}, or turn finnhub off"
    assert found["calendars"].finding.result == "ok"


async def test_horizons_are_judged_by_the_clock_that_is_given(tmp_path: Path) -> None:
    """Decades from now every calendar has ended."""
    found = await looked(tmp_path, FILE, now=wall_us() + 40_000 * DAY_US)

    assert found["calendars"].finding.result == "failed"


async def test_on_the_simulator_there_is_no_file_and_no_key() -> None:
    """It offers its own symbols and takes any key."""
    groups = collection_groups(MdsSettings(market_clock="simulator"), {}, wall_us)

    assert {each.finding.result for each in await look(groups, secrets=())} == {"ok"}
