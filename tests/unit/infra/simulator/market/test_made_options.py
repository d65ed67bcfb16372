"""Made-up chains: the same for the same moment, of no later one, with the holes that real ones have."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.market.made_options import expiry_dates, made_up_legs, option_root, strikes_around
from infra.simulator.market.model import Candle
from infra.simulator.market.option_legs import SimulatedLeg, ends_at
from infra.simulator.market.synthetic import SimulatedMarket
from infra.simulator.market.view import MarketView
from schemas.calendar.sessions import ALWAYS_OPEN, US_EQUITIES, load_calendar
from schemas.symbols.occ import root_terms, spelled
from tests.support.simulations import SYNTHETIC_NOW, frozen_view


def micros(text: str) -> int:
    """Return an RFC 3339 time in µs."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def chain(now: str, symbol: str = "SIM001", view: MarketView | None = None) -> Sequence[SimulatedLeg]:
    """Return the chain of a symbol at a moment."""
    view = view or frozen_view(None, now)
    listing = view.market.listing(symbol)
    assert listing is not None
    return made_up_legs(1, view, listing, micros(now))


@pytest.mark.parametrize("now", [SYNTHETIC_NOW, "2026-11-27T23:59:59Z", "2026-12-31T00:00:00Z"])
def test_a_moment_has_one_chain(now: str) -> None:
    """Whoever asks, whatever was asked before."""
    assert chain(now) == chain(now)
    assert chain(now) != chain(now, "SIM002")


class _Cut(SimulatedMarket):
    """A market in which nothing after a moment can be read."""

    def span(self, symbol: str, start: int, end: int):
        assert end <= LIMIT[0], "read ahead"
        return super().span(symbol, start, end)

    def minutes(self, symbol: str, start: int, end: int) -> list[Candle]:
        assert end <= LIMIT[0], "read ahead"
        return super().minutes(symbol, start, end)


LIMIT = [0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60 * 86_400 - 1))
def test_nothing_is_read_of_what_comes_later(second: int) -> None:
    """Not of the shares, and no stamp lies ahead."""
    now = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=second)
    LIMIT[0] = micros(now.isoformat())
    market = _Cut(seed=1, start_time=LIMIT[0])
    legs = chain(now.isoformat(), view=MarketView(market, frozen_view(None, now.isoformat()).clock))

    assert legs
    for leg in legs:
        assert leg.quote_time is not None
        assert leg.quote_time <= LIMIT[0]
        assert leg.last_time is None or leg.last_time <= LIMIT[0]


def test_a_chain_has_the_shape_of_a_real_one() -> None:
    """About ten expiries, some of them a month's, 15 to 40 strikes each, in order, none twice."""
    legs = chain(SYNTHETIC_NOW)
    strikes = Counter(leg.contract.expiry for leg in legs if leg.contract.right == "C")
    keys = [(leg.contract.expiry, leg.contract.strike_mills, leg.contract.right) for leg in legs]

    assert 9 <= len(strikes) <= 12
    assert all(15 <= count <= 40 for count in strikes.values())
    assert {date(2026, 12, 18), date(2027, 1, 15), date(2028, 1, 21)} <= set(strikes)
    assert all(expiry.weekday() == 4 for expiry in strikes)
    assert keys == sorted(set(keys))


def test_quotes_have_holes_and_widen_from_the_money() -> None:
    """No bid for what is worth nothing, here and there no ask far out, both sides near the money."""
    legs = chain(SYNTHETIC_NOW)
    strikes = sorted({leg.contract.strike for leg in legs})
    middle = strikes[len(strikes) // 2]
    widths: dict[bool, list[float]] = defaultdict(list)
    for leg in legs:
        if leg.bid is not None and leg.ask is not None:
            assert leg.bid < leg.ask
            widths[abs(math.log(leg.contract.strike / middle)) < 0.05].append((leg.ask - leg.bid) / leg.ask)

    assert any(leg.bid is None for leg in legs)
    assert any(leg.ask is None for leg in legs)
    assert any(leg.last is None for leg in legs)
    assert sum(widths[True]) / len(widths[True]) < sum(widths[False]) / len(widths[False])


def test_volume_only_grows_within_a_session_and_begins_anew() -> None:
    """And the last trade is never older than it was."""
    day = [
        {spelled(leg.contract): leg for leg in chain(f"2026-11-24T{hour:02d}:30:00Z")}
        for hour in range(0, 24, 3)
    ]
    for name, early in day[0].items():
        volumes = [at[name].day.volume if at[name].day else 0 for at in day]
        assert volumes == sorted(volumes)
        times = [at[name].last_time or 0 for at in day]
        assert times == sorted(times)
        assert {at[name].open_interest for at in day} == {early.open_interest}
    busiest = max(day[-1].values(), key=lambda leg: leg.day.volume if leg.day else 0)
    next_day = {spelled(leg.contract): leg for leg in chain("2026-11-25T00:00:30Z")}
    assert next_day[spelled(busiest.contract)].day is None
    assert next_day[spelled(busiest.contract)].last_time is not None


def test_an_expiry_is_listed_until_its_close_and_not_at_it() -> None:
    """Around the clock that is midnight."""
    assert chain("2026-11-27T23:59:59Z")[0].contract.expiry == date(2026, 11, 27)
    assert chain("2026-11-28T00:00:00Z")[0].contract.expiry == date(2026, 12, 4)


def test_where_friday_is_a_holiday_contracts_end_the_day_before() -> None:
    """Good Friday 2026, and the half day after Thanksgiving at one."""
    calendar = load_calendar(US_EQUITIES)
    days = [each.day for each in expiry_dates(calendar, micros("2026-03-30T12:00:00Z"))]

    assert days[0] == date(2026, 4, 2)
    assert ends_at(calendar, date(2026, 11, 27)) == micros("2026-11-27T13:00:00-05:00")
    assert ends_at(calendar, date(2026, 4, 3)) == micros("2026-04-02T16:00:00-04:00")
    assert ends_at(calendar, date(2014, 6, 21)) == micros("2014-06-20T16:00:00-04:00")


@settings(deadline=None)
@given(st.dates(date(2024, 2, 1), date(2030, 12, 31)))
def test_there_are_always_expiries_and_none_that_is_over(day: date) -> None:
    """Whatever the day."""
    calendar = load_calendar(ALWAYS_OPEN)
    found = expiry_dates(calendar, micros(f"{day}T12:00:00Z"))

    assert 8 <= len(found) <= 12
    assert found == sorted(found)
    assert found[0].day >= day
    assert any(each.is_monthly for each in found)
    assert all(each.is_weekly or each.is_monthly for each in found)


@given(st.floats(1.0, 900.0), st.booleans())
def test_strikes_surround_the_price(price: float, is_monthly: bool) -> None:
    """On a grid, above 0, each once."""
    strikes = strikes_around(price, is_monthly=is_monthly)

    assert strikes == sorted(set(strikes))
    assert 0 < strikes[0] <= max(price, strikes[0])
    assert strikes[-1] > price
    assert len(strikes) <= 40


def test_roots_are_standard_ones_and_long_names_have_no_options() -> None:
    """A digit at the end would say that a contract was adjusted."""
    assert [option_root(symbol) for symbol in ("SIM001", "SIM020", "SIMXY", "SIM12345", "GOOG")] == [
        "SIMB",
        "SIMCA",
        "SIMXY",
        None,
        None,
    ]
    assert not root_terms("SIMCA", underlying="SIM020").is_adjusted
    assert chain(SYNTHETIC_NOW, "SIM12345") == ()


def test_some_symbols_have_adjusted_contracts_beside_the_others() -> None:
    """In the months' expiries alone, on a tenth of the shares, by a root that says so."""
    legs = chain(SYNTHETIC_NOW, "SIM002")
    adjusted = [leg for leg in legs if leg.shares != 100]
    months = {leg.contract.expiry for leg in adjusted}

    assert {(leg.contract.root, leg.shares) for leg in legs} == {("SIMC", 100), ("SIMC1", 10)}
    assert root_terms("SIMC1", underlying="SIM002").is_adjusted
    assert date(2026, 12, 18) in months
    assert date(2026, 12, 4) not in months
    assert max(leg.ask or 0.0 for leg in adjusted) < max(leg.ask or 0.0 for leg in legs) / 5
    assert {leg.contract.root for leg in chain(SYNTHETIC_NOW)} == {"SIMB"}


def test_prices_make_sense_together() -> None:
    """Calls fall and puts rise with the strike, within the widths of their books."""
    by_expiry: dict[tuple[date, str], list[SimulatedLeg]] = defaultdict(list)
    for leg in chain(SYNTHETIC_NOW):
        by_expiry[leg.contract.expiry, leg.contract.right].append(leg)
    for (_, right), legs in by_expiry.items():
        quoted = [leg for leg in legs if leg.bid is not None and leg.ask is not None]
        ordered = quoted if right == "P" else quoted[::-1]
        assert all(low.bid <= high.ask for low, high in pairwise(ordered))
