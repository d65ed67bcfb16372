"""Which price, rate, dividends and time a slice is priced with: those that were known when it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pytest

from gateway.options.inputs import (
    INPUT_LEAD_US,
    Beside,
    ParYields,
    UnpricedSlice,
    underlying_price,
    unpriced_chain,
)
from gateway.options.moments import DividendVersion
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.clocks import EventTime, KnowledgeTime, MarketTime, RawOffset, WallTime
from schemas.streams import Quote
from tests.support.option_slices import FIRST_DAY, GOOG_CLOSE, NEW_YORK, leg, option_slice, us

NOW = us(GOOG_CLOSE)
MINUTE = 60_000_000
DAY_S = 86_400


def quote(event_time: int, *, known_from: int = NOW, **said: float) -> Quote:
    """Return a quote of the underlying."""
    return Quote(
        symbol="GOOG",
        provider="yahoo",
        event_time=EventTime(event_time),
        received_time=WallTime(known_from),
        known_from=KnowledgeTime(known_from),
        raw_offset=RawOffset(1),
        index=0,
        **said,  # type: ignore[arg-type]
    )


def unpriced(beside: Beside | None = None, *, now: int | None = None, **said: Any) -> UnpricedSlice:
    """Return GOOG's slice of what is said, of one leg unless it says others, with its inputs."""
    legs = said.pop("legs", [leg(750.0, "C")])
    chain = unpriced_chain(
        said.get("symbol", "GOOG"),
        [option_slice(legs, **said)],
        beside or Beside(),
        load_calendar(US_EQUITIES),
        now=None if now is None else MarketTime(now),
    )
    return chain.slices[0]


def expiring(day: date, **said: Any) -> UnpricedSlice:
    """Return a slice that expires on a day."""
    return unpriced(expiry=(day - FIRST_DAY).days, **said)


@pytest.mark.parametrize(
    ("said", "price", "source"),
    [
        ({}, 748.24, "slice_mid"),
        ({"underlying_bid": 748.38}, 748.38, "slice_mid"),
        ({"underlying_bid": 748.39, "underlying_price": 748.0}, 748.0, "slice_last"),
        (
            {"underlying_bid": 745.0, "underlying_ask": 748.734, "underlying_price": 740.0},
            746.867,
            "slice_mid",
        ),
        (
            {"underlying_bid": 745.0, "underlying_ask": 748.735, "underlying_price": 740.0},
            740.0,
            "slice_last",
        ),
        ({"underlying_ask": None, "underlying_price": 740.0}, 740.0, "slice_last"),
        ({"underlying_bid": 0.0, "underlying_price": 740.0}, 740.0, "slice_last"),
        ({"underlying_bid": None, "underlying_price": 0.0}, None, "none"),
        ({"underlying_bid": -1.0, "underlying_price": math.nan}, None, "none"),
    ],
    ids=("mid", "locked", "crossed", "just narrow", "just wide", "one side", "no bid", "zero", "nonsense"),
)
def test_the_slices_own_mid_counts_unless_it_is_crossed_or_wide_then_its_last_price(
    said: Mapping[str, Any], price: float | None, source: str
) -> None:
    """0.5 % of the mid is not wide."""
    found = underlying_price(option_slice([], **said))

    assert (found.price, found.source) == (None if price is None else pytest.approx(price), source)


def test_a_quote_of_ours_counts_where_the_slice_has_no_price() -> None:
    """One within a minute that was known by then, the nearest in time; its mid or its last price."""
    bare = option_slice([], underlying_bid=None, underlying_ask=None)
    known = NOW + 2_000_000
    near = quote(NOW - 30_000_000, bid=748.0, ask=749.0)
    far = quote(NOW + MINUTE, last=750.0)

    assert underlying_price(bare, [far, near]).price == 748.5
    assert underlying_price(bare, [far]).price == 750.0
    assert underlying_price(bare, [far]).source == "quote"
    assert underlying_price(bare, [far]).time == NOW + MINUTE
    assert underlying_price(bare, [quote(NOW, bid=748.0, ask=760.0), far]).price == 750.0
    assert underlying_price(bare, [quote(NOW + MINUTE + 1, last=750.0)]).source == "none"
    assert underlying_price(bare, [quote(NOW, known_from=known, last=750.0)]).source == "quote"
    assert underlying_price(bare, [quote(NOW, known_from=known + 1, last=750.0)]).source == "none"


@pytest.mark.parametrize(
    ("expiry", "root", "ends"),
    [
        (date(2014, 6, 21), "AAPL", (2014, 6, 20, 16)),
        (date(2014, 4, 19), "AAPL", (2014, 4, 17, 16)),
        (date(2015, 12, 24), "GOOG", (2015, 12, 24, 13)),
        (date(2016, 1, 15), "SPX", (2016, 1, 15, 9, 30)),
        (date(2016, 1, 15), "SPXW", (2016, 1, 15, 16)),
    ],
)
def test_a_slice_ends_with_the_last_session_by_its_date_as_its_root_settles(
    expiry: date, root: str, ends: tuple[int, ...]
) -> None:
    """Saturdays, Good Friday, half days, and what settles on the opening."""
    found = expiring(expiry, root=root, event_time=us(datetime(2014, 4, 1, 12, tzinfo=NEW_YORK)))
    moment = us(datetime(*ends, tzinfo=NEW_YORK))  # type: ignore[misc, arg-type]

    assert found.expiration_us == moment
    assert found.years == pytest.approx((moment - found.slice.event_time) / 1e6 / (365 * DAY_S), rel=1e-14)


def test_years_are_of_seconds_that_passed_whatever_clocks_are_set_to() -> None:
    """An hour is lost on 2016-03-13."""
    assert expiring(date(2016, 1, 15)).years * 365 == pytest.approx(22.125)
    assert expiring(date(2016, 3, 18)).years * 365 == pytest.approx(85.125 - 1 / 24)


def test_an_index_nobody_lists_has_an_unknown_settlement_and_so_has_what_ends_beyond_the_calendar() -> None:
    """The second at the end of its date, at the latest."""
    assert unpriced(symbol="^XYZ", root="XYZ").settlement == "unknown"
    found = expiring(date(2040, 1, 20))

    assert found.settlement == "unknown"
    assert found.expiration_us == ((date(2040, 1, 21) - FIRST_DAY).days * DAY_S) * 1_000_000 - 1


def test_rates_are_of_the_newest_yields_that_were_told_by_then() -> None:
    """What was told later, or is of a later day, is not known; ten days later they are too old."""
    told = KnowledgeTime(NOW + 2_000_000 - INPUT_LEAD_US)

    def yields(day: date, percent: float, told_at: int = told) -> ParYields:
        return ParYields(observed=day, told_at=KnowledgeTime(told_at), percents={"1M": percent})

    def rate(*given: ParYields) -> tuple[float, str]:
        found = unpriced(Beside(par_yields=given, fallback_rate=0.03))
        return found.rate, found.rate_source

    old, new = yields(date(2015, 12, 22), 1.0), yields(date(2015, 12, 23), 2.0)
    assert rate(old, new) == rate(new, old) == (pytest.approx(2 * math.log(1.01)), "ust_par")
    assert rate(old, yields(date(2015, 12, 23), 2.0, told + 1)) == (
        pytest.approx(2 * math.log(1.005)),
        "ust_par",
    )
    assert rate(old, yields(date(2015, 12, 25), 2.0)) == (pytest.approx(2 * math.log(1.005)), "ust_par")
    assert rate(yields(date(2015, 12, 14), 1.0))[1] == "ust_par"
    assert rate(yields(date(2015, 12, 13), 1.0)) == (0.03, "fallback")
    assert rate() == (0.03, "fallback")


def test_dividends_are_those_told_by_then_that_go_ex_later() -> None:
    """From the midnight at the venue their ex-date begins with; impossible amounts count for nothing."""
    told = KnowledgeTime(NOW + 2_000_000 - INPUT_LEAD_US)

    def paid(day: date, amount: float = 1.0, told_at: int = told) -> DividendVersion:
        return DividendVersion(entry=day, ex_date=day, amount=amount, told_at=KnowledgeTime(told_at))

    def years(*given: DividendVersion) -> list[tuple[float, float]]:
        return [*unpriced(Beside(dividends=given)).dividends]

    first, second = paid(date(2015, 12, 25), 2.0), paid(date(2016, 1, 4))
    assert years(second, first) == [
        (pytest.approx(11 / 24 / 365, rel=1e-12), 2.0),
        (pytest.approx((10 + 11 / 24) / 365, rel=1e-12), 1.0),
    ]
    assert years(paid(date(2015, 12, 24)), paid(date(2016, 1, 4), told_at=told + 1)) == []
    assert years(*(paid(date(2016, 1, 4), amount) for amount in (0.0, -1.0, math.nan, math.inf))) == []


def test_a_dividend_counts_as_it_was_last_told_by_then() -> None:
    """One that was raised, moved or taken back since is what it was; of several sources the most believed that tells of any to come counts alone."""
    told = KnowledgeTime(NOW + 2_000_000 - INPUT_LEAD_US)

    def said(amount: float, at: int, day: int = 4, source: str = "yahoo") -> DividendVersion:
        return DividendVersion(
            source=source, entry="q1", ex_date=date(2016, 1, day), amount=amount, told_at=KnowledgeTime(at)
        )

    def amounts(*given: DividendVersion) -> list[float]:
        found = unpriced(Beside(dividends=given, believed=["polygon", "yahoo"])).dividends
        return [amount for _, amount in found]

    assert amounts(said(0.5, told - 9), said(0.6, told), said(0.7, told + 1)) == [0.6]
    assert amounts(said(0.5, told - 9), said(0.0, told + 1)) == [0.5]
    assert amounts(said(0.5, told - 9), said(0.0, told - 1)) == []
    moved = DividendVersion(
        source="yahoo", entry="q1", ex_date=date(2015, 12, 1), amount=0.5, told_at=KnowledgeTime(told - 1)
    )
    assert amounts(said(0.5, told - 9), moved) == []
    others = said(0.8, told, source="polygon"), said(0.9, told, source="aaa")
    assert amounts(said(0.5, told), *others) == [0.8]
    assert amounts(said(0.5, told), said(0.0, told, source="polygon"), others[1]) == [0.5]


def test_quotes_are_as_old_as_they_were_at_the_newest_stamp_of_their_slice() -> None:
    """Whenever they are asked for; without a stamp nobody knows."""
    legs = [
        leg(750.0, "C", quote_time=NOW - 901_000_000),
        leg(750.0, "P"),
        leg(760.0, "C", quote_time=NOW + 1),
    ]
    found = unpriced(legs=legs, now=NOW + 30 * DAY_S * 1_000_000).ages.tolist()

    assert found[::2] == [901.0, 0.0]
    assert math.isnan(found[1])


def test_a_slice_is_stale_after_twenty_minutes_of_sessions() -> None:
    """Valued at the close it is fresh until the next opening, and for twenty minutes; without a moment to be asked at none is."""
    monday = us(datetime(2015, 12, 28, 9, 50, tzinfo=NEW_YORK))

    assert not unpriced().is_stale
    assert not unpriced(now=monday).is_stale
    assert unpriced(now=monday + 1).is_stale


def test_what_delivers_something_else_is_adjusted_leg_by_leg() -> None:
    """By root, by the vendor's flag, or by multiplier."""
    legs = [leg(750.0, "C"), leg(750.0, "P", multiplier=10.0)]

    assert unpriced(legs=legs).adjusted_legs.tolist() == [False, True]
    assert unpriced(legs=legs, root="GOOG1").adjusted_legs.all()
    assert unpriced(legs=legs, is_adjusted=True).adjusted_legs.all()


def test_slices_come_by_expiry_and_root() -> None:
    """Whatever order they were read in."""
    slices = [
        option_slice([], expiry=day, root=root) for day, root in ((16_900, "A"), (16_800, "B"), (16_800, "A"))
    ]
    found = unpriced_chain("GOOG", slices, Beside(), load_calendar(US_EQUITIES)).slices

    assert [(each.slice.expiry.isoformat(), each.slice.root) for each in found] == [
        ("2015-12-31", "A"),
        ("2015-12-31", "B"),
        ("2016-04-09", "A"),
    ]
