"""Daily bars are adjusted for the splits known at the market time, never for later ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.simulator.market.dataset import RealMarket
from infra.simulator.market.model import DailyBar
from schemas.intervals import DAY_US, SECOND_US
from tests.support.simulations import seconds


@pytest.fixture(scope="module")
def market(market_data: Path) -> RealMarket:
    """The market over all data files."""
    return RealMarket(market_data)


def day_of(market: RealMarket, symbol: str, day: str, now: str) -> DailyBar:
    """Return one daily bar as served at 12:00 New York on the day `now`."""
    start = seconds(day, "00:00") * SECOND_US
    (bar,) = market.daily(symbol, start, start + DAY_US, seconds(now, "12:00") * SECOND_US)
    return bar


def test_before_a_split_prices_are_raw(market: RealMarket) -> None:
    """On 2014-06-06 nobody serves Apple's close divided by seven."""
    assert day_of(market, "AAPL", "2014-06-06", "2014-06-06").close == 645.57
    assert day_of(market, "AAPL", "2014-06-06", "2014-06-08").close == 645.57


def test_after_a_split_earlier_prices_are_divided(market: RealMarket) -> None:
    """From 2014-06-09 on, the day before is a seventh and its volume sevenfold."""
    before = day_of(market, "AAPL", "2014-06-06", "2014-06-06")
    after = day_of(market, "AAPL", "2014-06-06", "2014-06-09")
    assert after.close == round(645.57 / 7, 6)
    assert after.volume == before.volume * 7
    assert day_of(market, "AAPL", "2014-06-09", "2014-06-09").close == 93.7


def test_the_split_is_an_event_of_its_day(market: RealMarket) -> None:
    """Seven for one, at the open of 2014-06-09."""
    start, end = seconds("2014-06-01", "00:00"), seconds("2014-07-01", "00:00")
    (split,) = market.splits("AAPL", start * SECOND_US, end * SECOND_US)
    assert (split.numerator, split.denominator) == (7, 1)
    assert split.time == seconds("2014-06-09", "09:30") * SECOND_US


def test_dividends_touch_the_adjusted_close_alone(market: RealMarket) -> None:
    """Years later SPY's close of 2013-10-07 is still its own, its adjusted close is lower."""
    bar = day_of(market, "SPY", "2013-10-07", "2016-01-04")
    assert bar.close == day_of(market, "SPY", "2013-10-07", "2013-10-07").close
    assert bar.adjusted_close < bar.close


def test_a_day_without_a_daily_file_is_made_of_regular_minutes(market: RealMarket) -> None:
    """GOOG's half day ends at 13:00."""
    bar = day_of(market, "GOOG", "2015-12-24", "2015-12-28")
    minutes = market.minutes("GOOG", bar.time, seconds("2015-12-24", "13:00") * SECOND_US)
    assert bar.visible_from == seconds("2015-12-24", "13:00") * SECOND_US
    assert (bar.open, bar.close, bar.volume) == (
        minutes[0].open,
        minutes[-1].close,
        sum(minute.volume for minute in minutes),
    )
