"""How often each tier and each interval is polled."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.configuration.model import parse_configuration
from schemas.configuration.streams import (
    BAR_INTERVALS,
    ActionsStream,
    MacroStream,
    QuotesStream,
    Streams,
    TierCadence,
    Tiers,
    TradesStream,
    cadence_us,
    overlap_us,
)
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US, slot_us
from schemas.located_yaml import InvalidConfiguration
from schemas.symbols.instruments import checked_symbol
from schemas.universe import TIERS
from tests.support.entries import KNOWN


@pytest.mark.parametrize(
    ("interval", "every_s", "every_us"),
    [
        pytest.param("1m", 60.0, MINUTE_US, id="a-minute-as-it-is-said"),
        pytest.param("1m", 5.0, 5 * SECOND_US, id="minutes-as-told"),
        pytest.param("5m", 30.0, MINUTE_US, id="a-fifth-of-five"),
        pytest.param("5m", 300.0, 5 * MINUTE_US, id="slower-than-a-fifth"),
        pytest.param("1h", 60.0, 12 * MINUTE_US, id="a-fifth-of-an-hour"),
        pytest.param("1d", 60.0, HOUR_US, id="a-day-hourly"),
        pytest.param("1d", 3600.0, HOUR_US, id="never-less-than-hourly"),
    ],
)
def test_a_longer_bar_is_polled_less_often(interval: str, every_s: float, every_us: int) -> None:
    """Every fifth of its length, at most hourly."""
    assert cadence_us(interval, every_s) == every_us


def test_a_poll_asks_for_two_bars_again_at_least() -> None:
    """The overlap of the file holds where it is more."""
    assert overlap_us("1m", 300.0) == 5 * MINUTE_US
    assert overlap_us("5m", 300.0) == 10 * MINUTE_US
    assert overlap_us("1d", 300.0) == 2 * DAY_US


def test_what_a_tier_does_not_say_is_its_default_or_the_streams_own() -> None:
    """A faster T1 draws T0 with it, a slower one T2."""
    tiers = Tiers()

    assert [tiers.bars_every_s(tier, 60.0) for tier in TIERS] == [30.0, 60.0, 300.0]
    assert [tiers.quotes_every_s(tier, 5.0) for tier in TIERS] == [1.0, 5.0, 60.0]
    assert [tiers.bars_every_s(tier, 10.0) for tier in TIERS] == [10.0, 10.0, 300.0]
    assert [tiers.quotes_every_s(tier, 90.0) for tier in TIERS] == [1.0, 90.0, 90.0]


def test_what_a_tier_says_is_what_holds() -> None:
    """Each stream of each tier on its own."""
    tiers = Tiers(T0=TierCadence(quotes_every_s=2.0), T2=TierCadence(bars_every_s=900.0))

    assert [tiers.quotes_every_s(tier, 5.0) for tier in TIERS] == [2.0, 5.0, 60.0]
    assert [tiers.bars_every_s(tier, 60.0) for tier in TIERS] == [30.0, 60.0, 900.0]


@given(
    interval=st.sampled_from(BAR_INTERVALS),
    own_s=st.floats(1.0, 3600.0),
    overlap_s=st.floats(60.0, 86_400.0),
)
def test_tiers_are_in_order_and_no_bar_slips_between_two_polls(
    interval: str, own_s: float, overlap_s: float
) -> None:
    """T0 is never slower than T1, nor T1 than T2; between two polls lies less than what a poll asks for again."""
    every = [cadence_us(interval, Tiers().bars_every_s(tier, own_s)) for tier in TIERS]

    assert every == sorted(every)
    assert overlap_us(interval, overlap_s) >= 2 * slot_us(interval)
    fastest = SECOND_US if interval == "1m" else min(slot_us(interval) // 5, HOUR_US)
    assert all(fastest <= each <= HOUR_US for each in every)


def test_a_symbol_is_printable_ascii_without_spaces() -> None:
    """Whether it names anything is judged later, symbol by symbol."""
    assert checked_symbol("^GSPC") == "^GSPC"
    for wrong in ("A B", "\u00c4", "A\n"):
        with pytest.raises(ValueError, match="printable ASCII"):
            checked_symbol(wrong)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (["cpy"], "streams.macro.keys.0 is wrong: no macro series is called so, not 'cpy'; did you mean cpi"),
        (["FRED:GDPC1", "gdpc1"], "streams.macro.keys.1 is wrong: no macro series is called so, not 'gdpc1'; did you mean FRED:GDPC1"),
        (["cpi", "FRED:CPIAUCSL"], "FRED:CPIAUCSL and cpi are the same series"),
    ],
)  # fmt: skip
def test_a_series_nobody_knows_is_told_with_what_was_meant(keys: list[str], told: str) -> None:
    """With its place in the file; one series under two names would be polled twice."""
    text = f"symbols: [SPY]\nstreams:\n  macro: {{keys: {json.dumps(keys)}}}\n"

    with pytest.raises(InvalidConfiguration) as error:
        parse_configuration(text, source="f", known=KNOWN)

    (fault,) = error.value.faults
    assert told in str(fault)
    assert fault.line == 3


def test_whoever_a_stream_names_is_named() -> None:
    """Those who poll, who push, and the sources of series."""
    streams = Streams(
        quotes=QuotesStream(providers=("yahoo",)),
        trades=TradesStream(provider="finnhub"),
        actions=ActionsStream(providers=("polygon", "yahoo")),
        macro=MacroStream(keys=("cpi", "eurusd")),
    )

    assert streams.providers == {"yahoo", "finnhub", "polygon", "fred", "ecb"}
    assert list(map(str, streams.series)) == ["FRED:CPIAUCSL", "ECB:EXR.D.USD.EUR.SP00.A"]
    assert Streams().providers == frozenset()
