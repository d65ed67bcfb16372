"""Raw prices around ex-dates: which are wanted, and which of those that are stored count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateway.database.versions import BarBasis, BarVersion
from gateway.market.raw_prices import (
    EdgeBar,
    PricePlan,
    brought_back,
    price_plan,
    raw_edges,
    raw_sessions,
    rebased_edges,
)
from schemas.calendar.sessions import load_calendar
from schemas.clocks import date_of, iso_day
from schemas.entries import CorporateAction
from schemas.intervals import HOUR_US
from tests.support.bar_versions import a_version
from tests.support.corporate_actions import day, dividend, split, told

XNYS = load_calendar("XNYS")
YEAR = day("2014-01-01"), day("2014-12-31")


def planned(*actions: CorporateAction, within: tuple[int, int] | None = YEAR) -> PricePlan:
    """Return the prices actions are judged by, among those of 2014."""
    return price_plan("AAPL", actions, XNYS, within=within)  # type: ignore[arg-type]


def asked(plan: PricePlan) -> list[tuple[str, str]]:
    """Return what is asked for, as symbol and date."""
    return [(each.symbol, iso_day(each.day)) for each in plan.asked]


def test_an_action_wants_the_day_before_it_and_its_own() -> None:
    """A Friday and a Monday, each with its regular session in New York."""
    plan = planned(split("2014-06-09", 7.0))
    friday, monday = plan.asked

    assert asked(plan) == [("AAPL", "2014-06-06"), ("AAPL", "2014-06-09")]
    assert plan.listed == (friday.day, monday.day)
    assert plan.bounds == (XNYS.day_start(date_of(friday.day)), XNYS.day_start(date_of(day("2014-06-10"))))
    assert (monday.opens - monday.begin, monday.closes - monday.begin) == (9.5 * HOUR_US, 16 * HOUR_US)


def test_an_ex_date_without_trading_wants_the_next_day_that_has() -> None:
    """Of Independence Day the Thursday before and the Monday after."""
    assert asked(planned(split("2014-07-04", 2.0))) == [("AAPL", "2014-07-03"), ("AAPL", "2014-07-07")]


def test_prices_are_wanted_of_dividends_in_range_and_of_every_split() -> None:
    """Which split counts must not depend on the page; the days of all are listed, or an ex-date would move."""
    actions = [split("1998-06-09", 2.0), dividend("1999-08-07", 0.47), dividend("2014-08-07", 0.47)]
    some, none = planned(*actions), planned(*actions, within=None)

    assert [name for _, name in asked(some)] == ["1998-06-08", "1998-06-09", "2014-08-06", "2014-08-07"]
    assert [name for _, name in asked(none)] == ["1998-06-08", "1998-06-09"]
    assert len(some.listed) == len(none.listed) == 6


def test_what_is_spun_off_is_wanted_on_its_first_day() -> None:
    """And what ends a share wants nothing."""
    plan = planned(told("spin_off", "2014-06-09", child_symbol="TIME"), told("delisting", "2014-09-01"))

    assert asked(plan) == [("AAPL", "2014-06-06"), ("AAPL", "2014-06-09"), ("TIME", "2014-06-09")]


def test_days_grow_with_the_actions_not_with_the_history() -> None:
    """Two of each, whatever the range."""
    for count in (4, 8, 16):
        plan = planned(*(dividend(day("2014-01-06") + 14 * k, 0.1) for k in range(count)))
        assert len(plan.asked) == 2 * count


TWO = planned(split("2014-06-09", 7.0))


def edge(place: int, price: float, *, first: bool = False, **changes: Any) -> EdgeBar:
    """Return what is stored of a day: its bar, or the first or last minute of it."""
    moment = TWO.asked[place].opens + (0 if first else 6 * HOUR_US)
    values = {"interval": "1d", "event_time": moment, "open": price, "close": price} | changes
    return EdgeBar(asked=place, is_first=first, bar=a_version(**values))


def test_a_days_own_bar_counts_before_its_minutes_and_the_newest_of_them() -> None:
    """Minutes lack the auction; where there is no day they serve."""
    found = [
        edge(0, 645.0, interval="1m", raw_offset=9),
        edge(0, 645.57),
        edge(0, 645.5, raw_offset=-1, provider="b"),
        edge(1, 92.7, interval="1m", first=True),
    ]
    sessions = raw_sessions("AAPL", TWO, found)

    assert sessions.close_before(day("2014-06-09")) == 645.57
    assert (sessions.open_on(day("2014-06-09")), sessions.open_on(day("2014-06-06"))) == (92.7, None)
    assert np.isnan(sessions.closes[1])
    assert sessions.currency == "USD"


def test_prices_of_another_currency_than_the_newest_are_not_known() -> None:
    """GBp is a hundredth of GBP; without any the currency is nobody's."""
    sessions = raw_sessions("AAPL", TWO, [edge(0, 64_557.0, currency="GBp"), edge(1, 93.7, currency="GBP")])

    assert (sessions.currency, sessions.close_before(day("2014-06-09"))) == ("GBP", None)
    assert raw_sessions("AAPL", TWO, []).currency == ""


def test_a_child_is_priced_by_its_own_close() -> None:
    """Not among the parent's days."""
    plan = planned(told("spin_off", "2014-06-09", child_symbol="TIME"))
    child = EdgeBar(asked=2, is_first=False, bar=a_version(symbol="TIME", interval="1d", close=23.0))
    own = [edge(0, 71.08), child]

    assert raw_sessions("AAPL", plan, own).first_closes == {"TIME": 23.0}
    assert raw_sessions("AAPL", plan, own).close_before(day("2014-06-09")) == 71.08


@pytest.mark.parametrize("uncertain", [False, True])
def test_where_nothing_is_stored_raw_what_is_adjusted_is_brought_back(uncertain: bool) -> None:
    """Of the days that lack, and where it can be told."""
    adjusted = [
        edge(0, 92.22, adjustment_state="split"),
        edge(1, 93.7, adjustment_state="split", provider="b"),
    ]
    found = [*adjusted, edge(1, 93.7)]
    (lacking,) = rebased_edges(TWO, "AAPL", found)
    (own,) = raw_edges(found)
    basis = BarBasis(days=(day("2014-06-06"),) * 2, shares_of=(day("2014-06-20"),) * 2, uncertain=uncertain)
    back: list[BarVersion] = [replace(lacking.bar, close=645.57, basis=basis)]
    became = brought_back([lacking], back)

    assert (lacking, own) == (adjusted[0], found[2])
    assert [each.bar.close for each in became] == ([] if uncertain else [645.57])
    assert rebased_edges(TWO, "AAPL", [edge(0, 1.0, adjustment_state="all")]) == []
