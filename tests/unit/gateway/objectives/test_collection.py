"""What is collected, by the configuration and by what is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.objectives.collection import (
    DAILY_SILENT_AFTER_US,
    SILENT_AFTER_US,
    CollectedNow,
    SeriesStanding,
    SymbolCoverage,
    live_series,
    symbol_coverage,
    wanted_of,
)
from schemas.clocks import EventTime
from schemas.configuration.model import Configuration
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US, micros
from schemas.streams import BAR_STREAM, QUOTE_STREAM, StreamId
from schemas.universe import Member

# The days before: Tuesday a half day, Wednesday Christmas.
NOW = micros(datetime(2024, 12, 26, 15, tzinfo=UTC))


def stored(
    symbol: str, last_seen: int, provider: str = "yahoo", stream: str = "bars", interval: str = "1m"
) -> SeriesStanding:
    """Return a series that came so far."""
    name = StreamId(stream, interval, provider, symbol)  # type: ignore[arg-type]
    return SeriesStanding(id=name, start=EventTime(0), last_seen=EventTime(last_seen))


def configuration(**given: object) -> Configuration:
    """Return a configuration of two symbols, one of them without bars, and two intervals."""
    symbols = [
        {"symbol": "SPY", "tier": "T0"},
        {"symbol": "EURUSD=X", "tier": "T2"},
        {"symbol": "QQQ", "streams": ["quotes"]},
    ]
    streams = {"bars": {"providers": ["yahoo"], "intervals": ["1m", "1d"], "every_s": 60}}
    listed = {} if given.get("universe") == "database" else {"symbols": symbols}
    return Configuration.model_validate(listed | {"streams": streams} | given)


def test_a_configuration_says_whose_bars_come_in_which_tier_and_how_often() -> None:
    """Days are polled hourly, whatever the tier."""
    wanted = wanted_of(configuration(), ())

    assert wanted.symbols == {"SPY", "EURUSD=X", "QQQ"}
    assert wanted.tiers == {"SPY": "T0", "EURUSD=X": "T2"}
    assert wanted.intervals == {"1m", "1d"}
    assert wanted.silent_after_us("T0", "1m") == SILENT_AFTER_US + 30 * SECOND_US
    assert wanted.silent_after_us("T2", "1m") == SILENT_AFTER_US + 5 * MINUTE_US
    assert wanted.silent_after_us("T1", "1d") == DAILY_SILENT_AFTER_US + HOUR_US
    assert (
        replace(wanted, way_us=HOUR_US).silent_after_us("T2", "1m")
        == SILENT_AFTER_US + 5 * MINUTE_US + HOUR_US
    )
    assert (wanted.tier("SPY"), wanted.tier("QQQ"), wanted.tier("ELSE")) == ("T0", "T2", "T2")


def test_members_in_the_database_are_those_that_count() -> None:
    """Where the file names the database; where it lists symbols they do not."""
    members = [Member(symbol="IWM", tier="T1", streams=("bars",))]
    there = wanted_of(configuration(universe="database"), members)

    assert (there.symbols, there.tiers) == ({"IWM"}, {"IWM": "T1"})
    assert "IWM" not in (wanted_of(configuration(), members).symbols or ())


def test_without_bars_none_are_awaited() -> None:
    """Nor where an interval was taken out of the file."""
    nothing = wanted_of(configuration(streams={"quotes": {"provider": "yahoo"}}), ())

    assert not nothing.collects(StreamId(BAR_STREAM.name, "1m", "yahoo", "SPY"))
    assert nothing.collects(StreamId(QUOTE_STREAM.name, "", "yahoo", "SPY"))
    assert not wanted_of(configuration(), ()).collects(StreamId(BAR_STREAM.name, "5m", "yahoo", "SPY"))
    assert CollectedNow().collects(StreamId(BAR_STREAM.name, "5m", "yahoo", "SPY"))


def test_of_a_symbol_the_newest_provider_is_live() -> None:
    """In any order; each interval and stream has its own."""
    every = [
        stored("SPY", 10),
        stored("SPY", 30, "finnhub"),
        stored("SPY", 20, interval="5m"),
        stored("SPY", 5, "finnhub", "quotes", ""),
    ]
    wanted = {each.id for each in every[1:]}

    assert live_series(every, CollectedNow()) == live_series(every[::-1], CollectedNow()) == wanted


def test_symbols_are_covered_by_three_trading_days() -> None:
    """Holidays are none; of a market without hours they are days; any stream of any provider will do."""
    symbols = ["SPY", "QQQ", "IWM", "NOWHERE:A", "NOWHERE:B", "GONE"]
    monday, friday = NOW - 72 * HOUR_US, NOW - 6 * 24 * HOUR_US
    every = [
        stored("SPY", monday),
        stored("QQQ", friday),
        stored("IWM", friday),
        stored("IWM", monday, "finnhub", "quotes", ""),
        stored("NOWHERE:A", NOW - 71 * HOUR_US),
        stored("NOWHERE:B", NOW - 73 * HOUR_US),
        stored("ELSE", NOW),
    ]
    found = symbol_coverage(every, CollectedNow(symbols=frozenset(symbols), tiers={}), NOW)

    assert found == SymbolCoverage(wanted=6, covered=3, uncovered=("GONE", "NOWHERE:B", "QQQ"))
    assert symbol_coverage(every, CollectedNow(), NOW).wanted == 6
    assert symbol_coverage([], CollectedNow(), NOW) == SymbolCoverage(wanted=0, covered=0, uncovered=())


@pytest.mark.parametrize(
    ("wanted", "target", "needed"),
    [(10_000, 8_000, 8_000), (8_000, 8_000, 7_920), (50, 8_000, 50), (300, 8_000, 297)],
)
def test_how_many_are_needed(wanted: int, target: int, needed: int) -> None:
    """Of fewer than the target nearly all; of a few, all."""
    assert SymbolCoverage(wanted=wanted, covered=0, uncovered=()).needed(target) == needed
