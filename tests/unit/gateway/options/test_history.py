"""Past sessions: the moments they are taken at, what counts of their chains, and that a part of a slice says what the whole would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.surface import Smile, atm_volatility
from gateway.options.history import (
    ENOUGH_STRIKES,
    PastEnds,
    PastPlace,
    PastSlice,
    about_the_money,
    beside_at,
    past_chain,
    past_moments,
    past_months,
    past_smiles,
)
from gateway.options.inputs import MAX_AGE_S, Beside, ParYields
from gateway.options.slices import OptionSlice
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import EventTime, KnowledgeTime, day_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.support.builders import a_quote
from tests.support.option_slices import GOOG_CLOSE, goog_slices, leg, option_slice, us

SHARES = calendar_of("SPY")
NEVER = KnowledgeTime(4_102_444_800_000_000)
CLOSE_US = us(GOOG_CLOSE)
MOMENT = KnowledgeTime(CLOSE_US + 30 * MINUTE_US)


def texts(moments: Sequence[int]) -> list[str]:
    """Return moments as text, to the minute."""
    return [datetime.fromtimestamp(each / 1e6, UTC).strftime("%m-%d %H:%M") for each in moments]


@pytest.mark.parametrize(
    ("symbol", "today", "expected"),
    [
        # Friday, and Monday after clocks went back in New York
        ("SPY", date(2015, 11, 3), ["10-30 20:30", "11-02 21:30"]),
        # Thanksgiving is none, the Friday after it a half day
        ("SPY", date(2015, 11, 30), ["11-25 21:30", "11-27 18:30"]),
        # Christmas Eve is a half day, a Saturday after Christmas has no other before it
        ("SPY", date(2015, 12, 26), ["12-23 21:30", "12-24 18:30"]),
        ("SPY", date(2015, 12, 25), ["12-23 21:30", "12-24 18:30"]),
        # the day itself is not before it
        ("SPY", date(2015, 12, 24), ["12-22 21:30", "12-23 21:30"]),
        # a market without sessions has days of UTC
        ("BINANCE:BTCUSDT", date(2015, 12, 26), ["12-25 00:30", "12-26 00:30"]),
    ],
)
def test_sessions_are_taken_half_an_hour_after_their_own_close(
    symbol: str, today: date, expected: list[str]
) -> None:
    """Of the symbol's calendar, in its own time."""
    assert texts(past_moments(calendar_of(symbol), today, NEVER, count=2)) == expected


def test_another_market_has_its_own_closes() -> None:
    """Frankfurt is closed on Christmas Eve, and open when New York is not."""
    calendar = calendar_of("SAP.DE")
    found = past_moments(calendar, date(2015, 11, 27), NEVER, count=2)
    days = [calendar.date_of(each) for each in found]
    assert days == [date(2015, 11, 25), date(2015, 11, 26)]
    sessions = [calendar.session_on(day_of(day) * DAY_US) for day in days]
    assert [each - 30 * MINUTE_US for each in found] == [each.close for each in sessions if each is not None]
    assert date(2015, 12, 24) not in [
        calendar.date_of(each) for each in past_moments(calendar, date(2015, 12, 31), NEVER, count=10)
    ]


@settings(max_examples=40)
@given(
    st.dates(date(2001, 1, 1), date(2030, 1, 1)),
    st.integers(0, 300),
    st.sampled_from(["SPY", "SAP.DE", "BINANCE:BTCUSDT"]),
    st.integers(-3, 3),
)
def test_moments_are_the_last_ones_known_by_then(day: date, count: int, symbol: str, hours: int) -> None:
    """So many, in order, none of the day itself, none that is still to come, none left out."""
    calendar = calendar_of(symbol)
    as_of = KnowledgeTime(day_of(day) * DAY_US + hours * HOUR_US)
    found = past_moments(calendar, day, as_of, count=count)
    assert len(found) == min(count, 273)
    assert found == sorted(set(found))
    assert all(each <= as_of for each in found)
    whole = past_moments(calendar, day, as_of, count=1_000)
    assert whole[len(whole) - len(found) :] == found
    assert len(set(map(calendar.date_of, (each - 31 * MINUTE_US for each in found)))) == len(found)


def test_a_history_of_months_looks_at_few_of_them_at_a_time() -> None:
    """The first ten days of a month are looked at with the one before, for expiries of which nothing was said since."""
    moments = past_moments(SHARES, date(2015, 12, 26), NEVER, count=252)
    months = past_months(moments)
    assert [each for month in months for each in month.moments] == moments
    assert len(months) == 13
    for month in months:
        begin, end = month.span
        assert begin == past_months(month.moments[:1])[0].span[0]
        assert all(begin <= each - 10 * DAY_US and each + DAY_US < end for each in month.moments)
        assert end - begin < 75 * DAY_US
    assert past_months([]) == []


def a_place(days: float, place: int = 1, **said: Any) -> PastPlace:
    """Return a place of a slice that was stamped at the half day's close and ends so many days later, at a full one's."""
    fields: dict[str, Any] = {
        "provider": "polygon", "stream_id": 1, "root": "GOOG", "expiry": GOOG_CLOSE.date() + timedelta(days=days),
        "event_time": CLOSE_US, "position": place, "known_from": CLOSE_US + place, "is_adjusted": False,
        "lacks_underlying": False,
    }  # fmt: skip
    return PastPlace(**(fields | said))


def a_smile(volatility: float, days: float) -> Smile:
    """Return a smile of one volatility, so many days and three hours before it ends."""
    of = option_slice([leg(100.0, "C")])
    years = (days + 0.125) / 365
    return Smile(
        forward=1.0, years=years, moneyness=of.strikes - 100.0, variances=of.strikes * 0 + volatility**2 * years,
        deltas=of.strikes, is_call=of.is_call,
    )  # fmt: skip


def chain_of(places: Sequence[PastPlace], calendar: Calendar = SHARES) -> Any:
    """Return what counts of places as of the half day's moment."""
    return past_chain(places, PastEnds("GOOG", calendar), MOMENT)


def test_the_nearest_expiries_on_both_sides_of_thirty_days_count_first() -> None:
    """What says nothing is passed over for the next; without any on one side nothing is asked for."""
    places = {days: a_place(days, days) for days in (8, 15, 22, 29, 36, 57)}
    chain = chain_of(list(places.values()))
    assert [each.position for each in chain.near] == [29, 22, 15, 8]
    assert [each.position for each in chain.far] == [36, 57]
    assert chain.wanted({}) == [places[29], places[36]]
    known = {places[29].key: None, places[36].key: a_smile(0.3, 36)}
    assert chain.wanted(known) == [places[22]]
    known[places[22].key] = a_smile(0.3, 22)
    assert chain.wanted(known) == []
    assert chain.volatility(known) == pytest.approx(0.3)
    known[places[36].key] = known[places[57].key] = None
    assert chain.wanted(known) == []
    assert math.isnan(chain.volatility(known))
    assert math.isnan(chain_of([places[36]]).volatility({}))
    assert chain_of([places[36]]).wanted({}) == []
    assert chain_of([]) is None


def test_an_expiry_in_exactly_thirty_days_is_both() -> None:
    """And is asked for once."""
    before = CLOSE_US - 21 * HOUR_US  # at the close of the day before
    exact, *others = (a_place(days, days, event_time=before) for days in (29, 22, 36))
    chain = past_chain([exact, *others], PastEnds("GOOG", SHARES), KnowledgeTime(before + 30 * MINUTE_US))
    assert chain is not None
    assert chain.wanted({}) == [exact]


@pytest.mark.parametrize(
    "said",
    [
        {"is_adjusted": True},
        {"root": "GOOG1"},
        {"event_time": CLOSE_US - int((MAX_AGE_S + 1) * SECOND_US)},
        {"expiry": date(2037, 1, 15)},
        {"expiry": GOOG_CLOSE.date()},
    ],
    ids=str,
)
def test_what_can_say_nothing_is_not_asked_for(said: dict[str, Any]) -> None:
    """Adjusted ones, those that were too old or over, and those whose end nobody knows."""
    chain = chain_of([a_place(29, 2), a_place(36, 3), a_place(30, 4, **said)])
    assert [each.position for each in (*chain.near, *chain.far)] == [2, 3]


def test_a_chain_is_of_whoever_told_last_and_its_day_is_that_of_its_newest_stamp() -> None:
    """Of all that is listed, what says nothing too; as for a chain that is asked for."""
    other = a_place(29, 5, provider="yahoo", stream_id=2, known_from=CLOSE_US - 1)
    late = a_place(
        57, 7, event_time=CLOSE_US + 7 * HOUR_US, root="GOOG1", lacks_underlying=True, known_from=CLOSE_US + 9
    )
    chain = chain_of([other, a_place(29, 2), a_place(36, 3), late])
    assert [each.position for each in (*chain.near, *chain.far)] == [2, 3]
    assert chain.lacking == [(late.event_time, late.known_from)]


def test_what_lies_beside_a_slice_is_cut_to_its_day() -> None:
    """Yields of the last two weeks, quotes of two minutes: whatever else is known changes nothing."""
    days = [GOOG_CLOSE.date() - timedelta(days=back) for back in (40, 15, 14, 0, -1, -2)]
    yields = [ParYields(observed=day, told_at=MOMENT, percents={}) for day in sorted(days)]
    stamps = [CLOSE_US + seconds * SECOND_US for seconds in (-61, -60, 0, 60, 61)]
    quotes = [a_quote(symbol="GOOG", event_time=stamp) for stamp in stamps]
    known = Beside(quotes=quotes, par_yields=yields, believed=["x"])
    found = beside_at(known, EventTime(CLOSE_US))
    assert [(each.observed - GOOG_CLOSE.date()).days for each in found.par_yields] == [-14, 0, 1]
    assert [each.event_time for each in found.quotes] == stamps[1:4]
    assert found.believed == ["x"]


def at_the_forward(slices: Sequence[OptionSlice], *, is_whole: bool) -> list[tuple[float | None, bool]]:
    """Return the volatility at the forward of each slice, and whether it is the whole's."""
    past = [PastSlice(each, MOMENT) for each in slices]
    found = past_smiles("GOOG", past, Beside(), SHARES, is_whole=is_whole)
    return [(None if smile is None else atm_volatility(smile), is_sure) for smile, is_sure in found]


def check_parts(slices: Sequence[OptionSlice]) -> int:
    """Check that parts which are sure say what the whole says, to the last bit; return how many are sure."""
    parts, whole = (at_the_forward(slices, is_whole=each) for each in (False, True))
    assert all(is_sure for _, is_sure in whole)
    for (part, is_sure), (all_of_it, _) in zip(parts, whole, strict=True):
        assert not is_sure or part == all_of_it
    return sum(is_sure for _, is_sure in parts)


def test_a_part_of_a_real_slice_says_what_the_whole_says(market_data: Path) -> None:
    """To the last bit, and where it may not it says so; of the expiries about 30 days it is enough."""
    slices = goog_slices(market_data)
    assert check_parts(slices) >= 8
    about = [each for each in slices if each.expiry in (date(2016, 1, 22), date(2016, 1, 29))]
    assert check_parts(about) == len(about) == 2
    assert all(len(about_the_money(each, 748.24)) < len(each) for each in about)


LEGS = st.tuples(
    st.booleans(), st.floats(0.05, 0.9), st.floats(-3.0, 3.0), st.sampled_from([0.02, 0.02, 0.05, 3.0, -0.05])
)


@settings(max_examples=60, deadline=None)
@given(st.lists(LEGS, min_size=40, max_size=60), st.floats(700.0, 800.0), st.integers(15, 60))
def test_a_part_is_never_sure_of_something_else(
    legs: list[tuple[bool, float, float, float]], price: float, days: int
) -> None:
    """Whatever legs lack, cross or are too wide, and wherever the forward lies."""
    told = []
    for number, (is_quoted, volatility, noise, spread) in enumerate(legs):
        strike = 650.0 + 10.0 * (number // 2)
        right, inside = ("C", price - strike) if number % 2 == 0 else ("P", strike - price)
        mid = max(inside, 0.0) + 0.4 * volatility * price * math.sqrt(days / 365) + noise
        sides = {"bid": mid - spread, "ask": mid + spread} if is_quoted or number % 3 else {}
        told.append(leg(strike, right, multiplier=100.0, **sides))
    expiry = day_of(GOOG_CLOSE.date() + timedelta(days=days))
    of = option_slice(told, expiry=expiry, underlying_bid=price - 0.1, underlying_ask=price + 0.1)
    check_parts([of, replace(of, underlying_bid=None, underlying_ask=None)])


def test_the_strikes_nearest_to_the_price_are_a_part() -> None:
    """Of two equally near both; of few strikes, or without a price, all."""
    strikes = [100.0 + number for number in range(41)]
    of = option_slice([leg(strike, right) for strike in strikes for right in "CP"])
    # shares of a power of two are exact
    part = about_the_money(of, 128.0)
    assert sorted(set(part.strikes.tolist())) == [128.0 + n for n in range(-5, 6)]
    assert len(set(about_the_money(of, 128.3).strikes.tolist())) == ENOUGH_STRIKES == 10
    assert len(part.bid) == len(part.is_call) == len(part.quote_time) == 22
    assert about_the_money(of, None) is of
    few = of.take(part.is_call[:8].nonzero()[0])
    assert about_the_money(few, 120.0) is few
