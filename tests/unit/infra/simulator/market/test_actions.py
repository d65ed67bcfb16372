"""Actions of the simulated market: made of the seed, told from their announcement on, one a year corrected."""

from __future__ import annotations

from datetime import date, timedelta

from infra.simulator.market.actions import CORRECTED_AFTER_US, made_dividends, told
from infra.simulator.market.model import SimulatedAction
from infra.simulator.market.synthetic import DEFAULT_SYMBOLS, SimulatedMarket
from schemas.intervals import DAY_US

NOW = 1_795_363_230_000_000  # 2026-11-22T16:00:30Z
TODAY = date(2026, 11, 22)


def test_they_depend_on_seed_and_symbol_alone() -> None:
    """What is told later never changes what was told before, but for the corrections."""
    for symbol in DEFAULT_SYMBOLS:
        early, late = made_dividends(1, symbol, NOW), made_dividends(1, symbol, NOW + 400 * DAY_US)
        assert list(late[: len(early)]) == list(early)
    assert [made_dividends(2, s, NOW) for s in DEFAULT_SYMBOLS] != [
        made_dividends(1, s, NOW) for s in DEFAULT_SYMBOLS
    ]


def test_some_symbols_pay_and_some_of_what_they_pay_lies_ahead() -> None:
    """Of twenty symbols, whatever the moment."""
    market = SimulatedMarket(seed=1, start_time=NOW)
    for moment in range(NOW, NOW + 300 * DAY_US, 37 * DAY_US):
        paying = {symbol for symbol in DEFAULT_SYMBOLS if market.actions(symbol, moment)}
        ahead = [a for symbol in paying for a in market.actions(symbol, moment) if a.time > moment]
        assert 4 <= len(paying) <= 16
        assert ahead
        assert all(action.told_from <= moment for action in ahead)


def test_a_dividend_is_declared_before_it_is_due_every_quarter() -> None:
    """With its days in order, in whole cents."""
    symbol = next(s for s in DEFAULT_SYMBOLS if made_dividends(1, s, NOW))
    known = told(made_dividends(1, symbol, NOW), NOW)

    assert {(a.ex_date.year, (a.ex_date.month - 1) // 3) for a in known} >= {
        (year, quarter) for year in (2024, 2025) for quarter in range(4)
    }
    for action in known:
        assert action.declared is not None and action.record is not None and action.paid is not None
        assert timedelta(30) <= action.ex_date - action.declared <= timedelta(75)
        assert action.ex_date < action.record < action.paid
        assert 0.05 <= action.amount == round(action.amount, 2)


def test_one_a_year_is_told_wrong_at_first() -> None:
    """Three days later it is what it stays."""
    symbol = next(s for s in DEFAULT_SYMBOLS if made_dividends(1, s, NOW))
    versions = made_dividends(1, symbol, NOW)
    wrong = [a for a in versions if a.ex_date.year == 2025 and versions.count(a) == 1]
    (first, last) = next(
        (a, b) for a in wrong for b in wrong if a.ex_date == b.ex_date and a.told_from < b.told_from
    )

    def amount(moment: int) -> float:
        return next(a.amount for a in told(versions, moment) if a.ex_date == first.ex_date)

    assert last.told_from - first.told_from == CORRECTED_AFTER_US
    assert amount(last.told_from - 1) == first.amount != amount(last.told_from) == last.amount
    assert not [a for a in told(versions, first.told_from - 1) if a.ex_date == first.ex_date]


def test_what_is_told_is_in_the_order_of_its_days() -> None:
    """Whatever the order it was told in."""
    days = (date(2026, 2, 1), date(2026, 1, 1))
    actions = [
        SimulatedAction(kind="dividend", ex_date=day, time=0, told_from=n) for n, day in enumerate(days)
    ]

    assert [a.ex_date for a in told(actions, 1)] == [days[1], days[0]]
    assert [a.ex_date for a in told(actions, 0)] == [days[0]]
