"""The market of real data holds what the files hold and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.market.dataset import RealMarket, partial_bar
from infra.simulator.market.model import Candle
from schemas.errors import ConfigurationError, MalformedPayload
from schemas.intervals import MINUTE_US, SECOND_US
from tests.support.simulations import file_bars, file_rows, seconds


@pytest.fixture(scope="module")
def market(market_data: Path) -> RealMarket:
    """The market over all data files."""
    return RealMarket(market_data)


def test_streams_are_those_with_files(market: RealMarket) -> None:
    """A symbol offers bars, quotes and trades only where files of them exist."""
    streams = {listing.symbol: listing.streams for listing in market.listings()}
    assert streams == {
        "AAPL": ("bars", "quotes"),
        "GOOG": ("bars", "quotes"),
        "IBM": ("quotes", "trades"),
        "SPY": ("bars", "quotes", "trades"),
        "TWX": ("bars", "quotes"),
    }


def test_the_market_begins_with_its_first_event(market: RealMarket, market_data: Path) -> None:
    """The first SPY bar of 2013-10-04 is the earliest row of all."""
    assert market.start_time // SECOND_US == file_bars(market_data, "SPY", "2013-10-04")[0][0]


@pytest.mark.parametrize(
    ("symbol", "day"),
    [("SPY", "2013-10-07"), ("GOOG", "2015-12-24"), ("GOOG", "2015-12-28"), ("TWX", "2014-06-06")],
)
def test_minutes_are_the_rows_of_the_file(
    market: RealMarket, market_data: Path, symbol: str, day: str
) -> None:
    """Every row once, none added, prices exact."""
    start = seconds(day, "00:00") * SECOND_US
    bars = market.minutes(symbol, start, start + 1_440 * MINUTE_US)
    rows = [(b.time // SECOND_US, b.open, b.high, b.low, b.close, b.volume) for b in bars]
    assert rows == file_bars(market_data, symbol, day)


async def test_trades_are_the_rows_of_the_tick_file(market: RealMarket, market_data: Path) -> None:
    """All 250,601 trades of SPY on 2013-10-07 in file order, suspicious ones too."""
    midnight = seconds("2013-10-07", "00:00")
    chunk = await market.trade_chunk("SPY", midnight * SECOND_US)
    assert chunk is not None
    rows = file_rows(market_data, "equity_tick", "SPY", "2013-10-07")
    assert len(chunk) == len(rows) == 250_601
    assert [time - midnight * 1_000 for time in chunk.times_ms] == [int(row[0]) for row in rows]
    assert [round(price * 10_000) for price in chunk.prices] == [int(row[1]) for row in rows]
    assert [list(chunk.sizes), list(chunk.conditions)] == [[int(r[2]) for r in rows], [r[4] for r in rows]]


async def test_tick_days_follow_one_another_to_the_end(market: RealMarket) -> None:
    """Each chunk names where the next begins; after the last there is none."""
    first = await market.trade_chunk("SPY", market.start_time)
    assert first is not None
    second = await market.trade_chunk("SPY", first.next_from)
    assert second is not None
    assert second.times_ms[0] > first.times_ms[-1]
    assert await market.trade_chunk("SPY", second.next_from) is None
    assert await market.trade_chunk("GOOG", 0) is None


def test_bid_and_ask_are_those_of_the_last_whole_minute(market: RealMarket) -> None:
    """SPY at 04:01:30 shows the close of 04:00's quote row; before the first row there is no book."""
    now = seconds("2013-10-07", "04:01") * SECOND_US + 30 * SECOND_US
    book = market.top_of_book("SPY", now)
    assert book is not None
    assert (book.bid, book.bid_size, book.ask, book.ask_size) == (167.25, 300, 167.27, 20_000)
    assert market.top_of_book("SPY", seconds("2013-10-07", "03:59") * SECOND_US) is None
    assert market.top_of_book("IBM", now) is None


PRICES = st.integers(1, 10_000).map(lambda cents: cents / 100)


@given(PRICES, PRICES, PRICES, PRICES, st.integers(0, 10**9), st.floats(0, 1))
def test_a_partial_bar_grows_into_the_whole(
    a: float, b: float, c: float, d: float, volume: int, fraction: float
) -> None:
    """It never leaves the whole bar, keeps its open, and is the whole bar at the end."""
    low, opened, close, high = sorted((a, b, c, d))
    whole = Candle(time=0, open=opened, high=high, low=low, close=close, volume=volume)
    part = partial_bar(whole, fraction)
    assert part.open == whole.open
    assert whole.low <= part.low <= part.close <= part.high <= whole.high
    assert 0 <= part.volume <= whole.volume
    assert partial_bar(whole, 1.0) == whole


def test_a_directory_without_data_is_refused(tmp_path: Path) -> None:
    """The message names the setting and what it takes."""
    with pytest.raises(ConfigurationError, match="MDS_SIMULATOR_DATA"):
        RealMarket(tmp_path)


def test_a_broken_file_is_named(market_data: Path, tmp_path: Path) -> None:
    """A row that does not parse and an archive that does not open say which file it is."""
    folder = tmp_path / "equity_minute" / "spy"
    folder.mkdir(parents=True)
    good = market_data / "equity_minute" / "spy"
    shutil.copy(good / "20131004_trade.zip", folder / "20131004_trade.zip")
    shutil.copy(good / "20131004_quote.zip", folder / "20131007_trade.zip")
    (folder / "20131008_trade.zip").write_bytes(b"not an archive")
    market = RealMarket(tmp_path)
    for day in ("2013-10-07", "2013-10-08"):
        start = seconds(day, "00:00") * SECOND_US
        with pytest.raises(MalformedPayload, match=day.replace("-", "")):
            market.minutes("SPY", start, start + 1)
