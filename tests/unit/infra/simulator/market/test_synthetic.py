"""Synthetic bars, trades and quotes are one market, and the same one every time."""

from __future__ import annotations

import subprocess
import sys
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.market.random_walk import minute_trades
from infra.simulator.market.synthetic import DEFAULT_SYMBOLS, FIRST_TRADE_TIME, SimulatedMarket
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US

NOW = 1_795_000_000 * SECOND_US
MARKET = SimulatedMarket(seed=1, start_time=NOW)
SYMBOLS = st.sampled_from([*DEFAULT_SYMBOLS, "SIMA", "SIM0042"])
MOMENTS = st.integers(FIRST_TRADE_TIME + DAY_US, NOW)


@given(SYMBOLS, st.integers(FIRST_TRADE_TIME // MINUTE_US, NOW // MINUTE_US))
def test_a_bar_is_the_aggregate_of_its_trades(symbol: str, minute: int) -> None:
    """Open, high, low, close and volume of a minute are those of its trades, to the last share."""
    start = minute * MINUTE_US
    (bar,) = MARKET.minutes(symbol, start, start + MINUTE_US)
    trades = minute_trades(1, symbol, minute)
    assert bar.time == start
    assert (bar.open, bar.close) == (trades.prices[0], trades.prices[-1])
    assert (bar.high, bar.low) == (max(trades.prices), min(trades.prices))
    assert bar.volume == sum(trades.sizes)
    assert min(trades.sizes) > 0
    assert list(trades.times_ms) == sorted(trades.times_ms)
    assert start <= trades.times_ms[0] * 1_000 <= trades.times_ms[-1] * 1_000 < start + MINUTE_US


@given(SYMBOLS, MOMENTS)
def test_a_quote_straddles_the_last_trade(symbol: str, now: int) -> None:
    """The bid is below and the ask above the last trade at the quote's own time."""
    book = MARKET.top_of_book(symbol, now)
    _, last = MARKET.last_trade(symbol, book.time)
    assert book.bid < last < book.ask
    assert book.bid_size > 0
    assert book.ask_size > 0


@given(SYMBOLS, MOMENTS)
def test_the_forming_minute_holds_the_trades_so_far(symbol: str, now: int) -> None:
    """What is seen of a minute in progress never lies outside what the minute becomes."""
    forming = MARKET.forming(symbol, now)
    (whole,) = MARKET.minutes(symbol, now - now % MINUTE_US, now - now % MINUTE_US + 1)
    if forming is None:
        return
    assert forming.open == whole.open
    assert whole.low <= forming.low <= forming.close <= forming.high <= whole.high
    assert 0 < forming.volume <= whole.volume


@given(SYMBOLS, st.integers(FIRST_TRADE_TIME // MINUTE_US, NOW // MINUTE_US), st.integers(1, 400))
def test_a_span_is_the_aggregate_of_its_minutes(symbol: str, first: int, count: int) -> None:
    """Hours taken whole come to the same as their minutes."""
    start, end = first * MINUTE_US, (first + count) * MINUTE_US
    bars, span = MARKET.minutes(symbol, start, end), MARKET.span(symbol, start, end)
    assert span is not None
    assert len(bars) == count
    assert (span.open, span.close) == (bars[0].open, bars[-1].close)
    assert (span.high, span.low) == (max(b.high for b in bars), min(b.low for b in bars))
    assert span.volume == sum(bar.volume for bar in bars)


def test_a_day_is_the_aggregate_of_its_minutes() -> None:
    """The daily bar of a UTC day is made of its 1,440 minutes."""
    midnight = NOW - NOW % DAY_US
    (day,) = MARKET.daily("SIM001", midnight, midnight + 1, NOW)
    bars = MARKET.minutes("SIM001", midnight, midnight + DAY_US)
    assert len(bars) == 1_440
    assert (day.open, day.close, day.volume) == (bars[0].open, bars[-1].close, sum(b.volume for b in bars))


def test_any_minute_is_the_same_in_another_process() -> None:
    """Neither history, hash seeds nor the order of questions changes a minute."""
    minute = NOW // MINUTE_US
    MARKET.minutes("SIM003", NOW - DAY_US, NOW)
    here = minute_trades(7, "SIM003", minute)
    code = (
        "from infra.simulator.market.random_walk import minute_trades;"
        f"c = minute_trades(7, 'SIM003', {minute}); print(list(c.times_ms), list(c.prices), list(c.sizes))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == f"{list(here.times_ms)} {list(here.prices)} {list(here.sizes)}"


def test_another_seed_or_symbol_is_another_market() -> None:
    """Seeds and symbols do not share prices."""
    minute = NOW // MINUTE_US
    prices: set[bytes] = {
        array("d", minute_trades(seed, symbol, minute).prices).tobytes()
        for seed in (1, 2)
        for symbol in ("SIM001", "SIM002")
    }
    assert len(prices) == 4


def test_prices_stay_plausible_for_years() -> None:
    """An hour of a year never moves a fifth; over all of it the price stays within a factor of three."""
    hours = [
        MARKET.span("SIM005", start, start + HOUR_US) for start in range(FIRST_TRADE_TIME, NOW, 97 * HOUR_US)
    ]
    lows, highs = [h.low for h in hours if h], [h.high for h in hours if h]
    assert max(highs) / min(lows) < 3
    assert all(high / low < 1.2 for low, high in zip(lows, highs, strict=True))


@pytest.mark.parametrize("symbol", ["AAPL", "SIM", "SIM-1", "sim001", "SIM0123456789", ""])
def test_other_names_are_unknown(symbol: str) -> None:
    """Only SIM plus letters or digits is simulated."""
    assert MARKET.listing(symbol) is None


def test_simulated_symbols_say_so() -> None:
    """The listing is marked wherever a vendor would name the instrument."""
    listing = MARKET.listing("SIM001")
    assert listing is not None
    assert listing.synthetic
    assert (listing.exchange_code, listing.instrument_type, listing.calendar) == ("SIM", "SIMULATED", "24/7")
    assert listing.long_name == "Simulated SIM001"
