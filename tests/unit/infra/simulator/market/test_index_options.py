"""The made-up index: its hours, its two roots, when each of them ends, and that nothing else changes for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.market.made_options import (
    OF_CLOSE,
    OF_MORNING,
    expiry_dates,
    made_up_legs,
    option_root,
)
from infra.simulator.market.option_legs import SimulatedLeg, days_since_epoch, ends_at
from infra.simulator.market.synthetic import DEFAULT_SYMBOLS, SimulatedMarket
from infra.simulator.market.venues import INDEX_SYMBOL, IndexMarket
from infra.simulator.market.view import MarketView
from schemas.calendar.sessions import US_EQUITIES, calendar_of, load_calendar
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.symbols.instruments import classify
from schemas.symbols.occ import root_terms
from tests.support.simulations import frozen_view

NEW_YORK = load_calendar(US_EQUITIES)
THIRD_FRIDAY = date(2026, 12, 18)


def micros(text: str) -> int:
    """Return an RFC 3339 time in µs."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_US


def chain(now: str) -> Sequence[SimulatedLeg]:
    """Return the index's contracts at a moment."""
    view = frozen_view(None, now)
    listing = view.market.listing(INDEX_SYMBOL)
    assert listing is not None
    return made_up_legs(1, view, listing, micros(now))


def roots_by_day(legs: Sequence[SimulatedLeg]) -> dict[date, set[str]]:
    """Return the roots that expire on each date."""
    found: dict[date, set[str]] = defaultdict(set)
    for leg in legs:
        found[leg.contract.expiry].add(leg.contract.root)
    return found


def of_slice(legs: Sequence[SimulatedLeg], root: str, day: date = THIRD_FRIDAY) -> list[SimulatedLeg]:
    """Return the contracts of one root and expiry."""
    return [leg for leg in legs if (leg.contract.root, leg.contract.expiry) == (root, day)]


def test_a_third_friday_has_both_roots_and_other_fridays_the_weekly_one() -> None:
    """Months beyond the weeks ahead have the monthly root alone, as SPX; Fridays that are holidays come a day early."""
    found = roots_by_day(chain("2026-11-30T12:00:00-05:00"))

    assert found == {
        **{date(2026, 12, day): {OF_CLOSE} for day in (4, 11, 24, 31)},
        THIRD_FRIDAY: {OF_MORNING, OF_CLOSE},
        date(2027, 1, 8): {OF_CLOSE},
        date(2027, 1, 15): {OF_MORNING},
        date(2027, 2, 19): {OF_MORNING},
        date(2027, 3, 19): {OF_MORNING},
        date(2028, 1, 21): {OF_MORNING},
    }


@settings(deadline=None)
@given(st.dates(date(2024, 2, 1), date(2030, 12, 31)))
def test_whatever_the_day_each_month_ahead_has_one_expiry_and_each_of_six_weeks(day: date) -> None:
    """In the session that is the last by its Friday, third Fridays that are holidays among them."""
    now = micros(f"{day}T00:00:30-05:00")
    found = expiry_dates(NEW_YORK, now)
    months = [each.day for each in found if each.is_monthly]

    assert 5 <= sum(each.is_weekly for each in found) <= 6
    assert len({(each.year, each.month) for each in months}) == len(months) >= 5
    for each in months:
        session = NEW_YORK.session_on(days_since_epoch(each) * DAY_US)
        assert session is not None
        assert session.close > now
        assert 14 <= each.day <= 21


@pytest.mark.parametrize(
    ("expiry", "opens", "closes"),
    [
        pytest.param(date(2026, 12, 18), "2026-12-18T09:30:00-05:00", "2026-12-18T16:00:00-05:00", id="third-friday"),
        pytest.param(date(2026, 7, 17), "2026-07-17T09:30:00-04:00", "2026-07-17T16:00:00-04:00", id="in-summer"),
        pytest.param(date(2019, 4, 19), "2019-04-18T09:30:00-04:00", "2019-04-18T16:00:00-04:00", id="good-friday-2019"),
        pytest.param(date(2014, 4, 18), "2014-04-17T09:30:00-04:00", "2014-04-17T16:00:00-04:00", id="good-friday-2014"),
        pytest.param(date(2014, 4, 19), "2014-04-17T09:30:00-04:00", "2014-04-17T16:00:00-04:00", id="its-saturday"),
        pytest.param(date(2026, 11, 27), "2026-11-27T09:30:00-05:00", "2026-11-27T13:00:00-05:00", id="half-day"),
    ],
)  # fmt: skip
def test_the_morning_root_ends_on_the_open_and_the_other_on_the_close(
    expiry: date, opens: str, closes: str
) -> None:
    """Of the last session by the expiration date."""
    assert ends_at(NEW_YORK, expiry, OF_MORNING) == micros(opens)
    assert ends_at(NEW_YORK, expiry, OF_CLOSE) == micros(closes)


@pytest.mark.parametrize(("year", "lists"), [(2019, date(2019, 4, 18)), (2014, date(2014, 4, 17))])
def test_a_third_friday_that_is_good_friday_is_listed_under_the_day_before(year: int, lists: date) -> None:
    """As weekly and as monthly, and gone at the close of that day."""
    before, after = (
        expiry_dates(NEW_YORK, micros(f"{lists}T{clock}-04:00")) for clock in ("15:59:59", "16:00:00")
    )

    assert before[0] == (lists, True, True)
    assert all(each.day.year > year or each.day > lists for each in after)


def test_on_the_third_friday_the_morning_root_stands_still_and_the_other_is_traded() -> None:
    """What ended on the open was last quoted and traded the session before, and is listed until the day is over."""
    legs = chain("2026-12-18T12:00:00-05:00")
    morning, closing = of_slice(legs, OF_MORNING), of_slice(legs, OF_CLOSE)
    thursdays_close = micros("2026-12-17T16:00:00-05:00")

    assert morning
    assert {leg.quote_time for leg in morning} == {thursdays_close}
    assert {leg.day for leg in morning} == {None}
    assert max(leg.last_time or 0 for leg in morning) == thursdays_close
    assert {leg.quote_time for leg in closing} == {micros("2026-12-18T12:00:00-05:00")}
    assert any(leg.day is not None for leg in closing)
    on_thursday = {leg.contract: leg for leg in of_slice(chain("2026-12-17T16:00:00-05:00"), OF_MORNING)}
    assert [(leg.bid, leg.ask) for leg in morning] == [
        (on_thursday[leg.contract].bid, on_thursday[leg.contract].ask) for leg in morning
    ]
    assert roots_by_day(chain("2026-12-18T15:59:59-05:00"))[THIRD_FRIDAY] == {OF_MORNING, OF_CLOSE}
    assert THIRD_FRIDAY not in roots_by_day(chain("2026-12-18T16:00:00-05:00"))


def test_contracts_that_cannot_be_exercised_early_may_be_worth_less_than_that_would_pay() -> None:
    """The more, the longer they last: a strike paid in a year is worth less. A share's never are, but for the rounding of a book."""
    view = frozen_view(None, "2026-11-30T12:00:00-05:00")

    def least(symbol: str) -> float:
        spot = view.market.span(symbol, micros("2026-11-30T09:30:00-05:00"), view.now(symbol))
        assert spot is not None
        legs = made_up_legs(1, view, _listing(view, symbol), view.now(symbol))
        assert {leg.style for leg in legs} == {"european" if symbol == INDEX_SYMBOL else "american"}
        puts = [leg for leg in legs if leg.contract.right == "P" and leg.mid is not None]
        return min(
            (leg.mid or 0.0) / (leg.contract.strike - spot.close)
            for leg in puts
            if leg.contract.strike > 1.1 * spot.close
        )

    assert least(INDEX_SYMBOL) < 0.99
    assert least("SIM001") > 0.999


def test_its_roots_are_nobody_elses() -> None:
    """Shares whose root would be one of them have no options; the root table says whose they are and how they end."""
    assert [option_root(symbol) for symbol in ("SIMX", "SIM0X", "SIMXW", "SIM0XW", "SIMXY")] == [
        None,
        None,
        None,
        None,
        "SIMXY",
    ]
    for root, settlement in ((OF_MORNING, "am"), (OF_CLOSE, "pm")):
        terms = root_terms(root)
        assert (terms.underlying, terms.style, terms.settlement, terms.delivery, terms.is_adjusted) == (
            INDEX_SYMBOL, "european", settlement, "cash", False,
        )  # fmt: skip
    instrument = classify(INDEX_SYMBOL)
    assert instrument is not None
    assert (instrument.asset_class, instrument.currency) == ("index", "USD")
    assert calendar_of(INDEX_SYMBOL).name == US_EQUITIES


def test_it_has_values_in_the_hours_of_new_york_alone_and_nobodys_quotes() -> None:
    """A value each minute from half past nine to four, none on a holiday; no book, no trade, in no list of securities."""
    view = frozen_view(None, "2026-11-30T12:00:00-05:00")
    begin = micros("2026-11-25T00:00:00-05:00")
    opens = [bar.time for bar in view.market.minutes(INDEX_SYMBOL, begin, begin + 3 * DAY_US)]
    expected = [
        *range(micros("2026-11-25T09:30:00-05:00"), micros("2026-11-25T16:00:00-05:00"), MINUTE_US),
        *range(micros("2026-11-27T09:30:00-05:00"), micros("2026-11-27T13:00:00-05:00"), MINUTE_US),
    ]

    assert opens == expected
    assert view.market.top_of_book(INDEX_SYMBOL, view.now(INDEX_SYMBOL)) is None
    assert INDEX_SYMBOL not in {listing.symbol for listing in view.market.listings()}
    assert _listing(view, INDEX_SYMBOL).synthetic


async def test_nobody_trades_it() -> None:
    """At a socket it is silent, where a share is not."""
    market = IndexMarket(SimulatedMarket(seed=7, start_time=0), seed=7)
    noon = micros("2026-11-30T12:00:00-05:00")

    assert await market.trade_chunk(INDEX_SYMBOL, noon) is None
    assert await market.trade_chunk("SIM001", noon) is not None


def test_its_values_follow_the_seed_as_those_of_shares_do() -> None:
    """Two markets differ, and one does not from itself."""

    def values(seed: int) -> list[float]:
        market = IndexMarket(SimulatedMarket(seed=seed, start_time=0), seed=seed)
        noon = micros("2026-11-30T12:00:00-05:00")
        return [bar.close for bar in market.minutes(INDEX_SYMBOL, noon, noon + HOUR_US)]

    assert values(7) == values(7)
    assert values(7) != values(8)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([*DEFAULT_SYMBOLS, "SIMA", "SIM0042"]),
    st.integers(micros("2026-11-01T00:00:00Z"), micros("2026-12-31T00:00:00Z")),
    st.integers(0, 9),
)
def test_no_other_symbol_is_changed_by_it(symbol: str, now: int, seed: int) -> None:
    """Bars, days, books, actions and chains are those of a market without an index."""
    bare = SimulatedMarket(seed=seed, start_time=0)
    beside = IndexMarket(bare, seed=seed)
    clock = frozen_view(None, "2026-11-30T12:00:00-05:00").clock
    asked = now - now % MINUTE_US

    assert list(beside.minutes(symbol, asked - HOUR_US, asked)) == bare.minutes(
        symbol, asked - HOUR_US, asked
    )
    assert list(beside.daily(symbol, asked - 2 * DAY_US, asked, now)) == bare.daily(
        symbol, asked - 2 * DAY_US, asked, now
    )
    assert beside.span(symbol, asked - HOUR_US, now) == bare.span(symbol, asked - HOUR_US, now)
    assert beside.top_of_book(symbol, now) == bare.top_of_book(symbol, now)
    assert beside.actions(symbol, now) == bare.actions(symbol, now)
    assert beside.listing(symbol) == bare.listing(symbol)
    assert list(beside.listings()) == list(bare.listings())
    with_index, without = (
        made_up_legs(seed, MarketView(market, clock), _listing(MarketView(market, clock), symbol), now)
        for market in (beside, bare)
    )
    assert with_index == without


def _listing(view: MarketView, symbol: str):
    listing = view.market.listing(symbol)
    assert listing is not None
    return listing
