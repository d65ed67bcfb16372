"""Effects of single actions: numbers, or the reason why there are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.action_effects import (
    RawSessions,
    ShareSteps,
    amount_basis,
    price_effect,
    share_effect,
)
from schemas.clocks import Day
from tests.support.corporate_actions import day, dividend, effect, flat, sessions, split, told

ANY_NUMBER = st.none() | st.floats()
NO_STEPS = ShareSteps([])


@pytest.mark.parametrize(
    ("to", "of"),
    [(0.0, 1.0), (1.0, 0.0), (1e300, 1.0), (1.0, 1e300), (math.nan, 1.0), (7.0, math.inf), (-7.0, 1.0), (1e4, 1e-4)],
)  # fmt: skip
def test_an_impossible_ratio_is_unresolved(to: float, of: float) -> None:
    """Neither a factor of nothing nor one without end."""
    found = share_effect(split("2014-06-09", to, of), day("2014-06-09"))

    assert (found.reason, found.before, found.after) == ("ratio_impossible", 1.0, 1.0)


def test_a_ratio_is_in_its_smallest_numbers() -> None:
    """A million and fifty thousand for a million is 21 for 20; what is no whole number stays as told."""
    whole = share_effect(split("2014-06-09", 1_050_000.0 / 10, 1_000_000.0 / 10), day("2014-06-09"))
    broken = share_effect(split("2014-06-09", 1.05), day("2014-06-09"))

    assert (whole.after, whole.before) == (21.0, 20.0)
    assert (broken.after, broken.before) == (1.05, 1.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"amount": math.nan}, "amount_impossible", id="NaN"),
        pytest.param({"amount": None}, "amount_impossible", id="no amount"),
        pytest.param({"amount": 0.0}, "amount_impossible", id="nothing"),
        pytest.param({"amount": 120.0}, "amount_above_close", id="above the price"),
        pytest.param({"amount": 100.0}, "amount_above_close", id="all of the price"),
        pytest.param({"currency": "EUR"}, "other_currency", id="euro"),
        pytest.param({"currency": ""}, "other_currency", id="unsaid currency"),
        pytest.param({"amount_basis": "unknown"}, "amount_basis_unknown", id="basis"),
    ],
)
def test_a_dividend_nobody_can_apply_is_unresolved(changes: dict[str, Any], reason: str) -> None:
    """With its reason, and a factor of 1."""
    action = told("cash_dividend", "2014-06-09", **({"amount": 1.0} | changes))

    found = price_effect(action, action.ex_date, day("2021-04-01"), flat(100.0), NO_STEPS)

    assert (found.reason, found.kept) == (reason, 1.0)


def test_the_close_is_that_of_the_last_trading_day() -> None:
    """Over a weekend; one that is not known is not replaced by an older one, and before the first day there is none."""
    known = sessions({"2014-06-05": (99.0, 50.0), "2014-06-06": (99.0, 100.0)})

    def kept(ex: str) -> tuple[float, str | None]:
        found = price_effect(dividend(ex, 1.0), day(ex), day("2021-04-01"), known, NO_STEPS)
        return found.kept, found.reason

    assert kept("2014-06-09") == (0.99, None)
    assert kept("2014-06-10") == (1.0, "close_unknown")
    assert kept("1998-01-02") == (1.0, "close_unknown")


def test_a_split_adjusted_amount_is_of_the_shares_of_the_day_it_was_told() -> None:
    """3.29 a share before 7:1 and 4:1 is told as 0.1175 after both, as 0.47 between them; the effect is one and the same."""
    steps = ShareSteps([effect("2014-06-09", after=7.0), effect("2020-08-31", after=4.0)])
    ex, prices = day("2014-05-08"), sessions({"2014-05-07": (590.0, 592.33)})

    def kept(amount: float, told_on: str, basis: str) -> float:
        action = dividend("2014-05-08", amount, amount_basis=basis)
        return price_effect(action, ex, day(told_on), prices, steps).kept

    declared = 1.0 - 3.29 / 592.33
    assert kept(3.29, "2021-04-01", "as_declared") == pytest.approx(declared, rel=1e-14)
    assert kept(3.29 / 28, "2021-04-01", "split_adjusted") == pytest.approx(declared, rel=1e-14)
    assert kept(0.47, "2015-01-05", "split_adjusted") == pytest.approx(declared, rel=1e-14)


def test_an_amount_declared_for_the_day_of_a_split_is_unresolved() -> None:
    """Nobody says whether it is for the shares before or after; a split-adjusted one is for those after all."""
    steps = ShareSteps([effect("2014-06-09", after=7.0)])
    ex, prices = day("2014-06-09"), sessions({"2014-06-06": (650.0, 700.0)})
    declared, adjusted = (
        price_effect(dividend("2014-06-09", 1.0, amount_basis=basis), ex, Day(ex + 1), prices, steps)
        for basis in ("as_declared", "split_adjusted")
    )

    assert declared.reason == "split_on_ex_date"
    assert adjusted.kept == pytest.approx(0.99, rel=1e-14)


def test_an_amount_across_an_unresolved_split_is_unresolved() -> None:
    """Its shares cannot be counted."""
    steps = ShareSteps([effect("2014-06-09", after=7.0, reason="ratio_impossible")])
    action = dividend("2014-05-08", 0.47, amount_basis="split_adjusted")

    found = price_effect(action, action.ex_date, day("2021-04-01"), flat(600.0), steps)

    assert found.reason == "shares_unresolved"


@pytest.mark.parametrize("type_", ["spin_off", "rights", "merger", "rename"])
def test_what_has_no_factor_is_unresolved(type_: str) -> None:
    """With the vendor's own factor it is applied."""
    without, given_ = told(type_, "2014-06-09"), told(type_, "2014-06-09", price_factor=0.96)

    assert price_effect(without, without.ex_date, Day(0), flat(70.0), NO_STEPS).reason == "no_factor"
    assert price_effect(given_, given_.ex_date, Day(0), flat(70.0), NO_STEPS).kept == 0.96


def test_a_spin_off_is_worth_the_childs_first_close() -> None:
    """One share of 22.4 for eight of 71.08 leaves 1 − 2.8/71.08."""
    action = told("spin_off", "2014-06-09", child_symbol="TIME", ratio_to=1.0, ratio_from=8.0)
    bare = flat(71.08)
    prices = RawSessions(
        days=bare.days, opens=bare.opens, closes=bare.closes, currency="USD", first_closes={"TIME": 22.4}
    )

    assert price_effect(action, action.ex_date, Day(0), prices, NO_STEPS).kept == pytest.approx(
        1 - 2.8 / 71.08
    )
    assert price_effect(action, action.ex_date, Day(0), bare, NO_STEPS).reason == "no_factor"


def test_the_basis_of_a_recorded_dividend_follows_from_the_adjusted_closes() -> None:
    """Yahoo on AAPL 2020-11-06: 0.205 at 119.03, step 0.99827759; the same numbers after a 4:1 split tell both readings apart."""
    assert amount_basis(0.205, 119.03, 0.99827759, 1.0) == "as_declared"
    assert amount_basis(0.205, 119.03, 0.99827759, 0.25) == "split_adjusted"
    assert amount_basis(0.82, 119.03, 0.99827759, 0.25) == "as_declared"
    assert amount_basis(0.41, 119.03, 0.99827759, 0.25) == "unknown"
    # so small that both readings fit
    assert amount_basis(0.0001, 119.03, 1.0, 0.25) == "unknown"


@given(amount=ANY_NUMBER, ratio_to=ANY_NUMBER, ratio_from=ANY_NUMBER, factor=ANY_NUMBER, close=st.floats(), kind=st.sampled_from(["split", "stock_dividend", "cash_dividend", "spin_off"]))  # fmt: skip
def test_any_number_ends_in_a_finite_factor_or_a_reason(
    amount: float | None,
    ratio_to: float | None,
    ratio_from: float | None,
    factor: float | None,
    close: float,
    kind: str,
) -> None:
    """Never NaN, and never a factor of zero or less."""
    action = told(kind, "2014-06-09", amount=amount, ratio_to=ratio_to, ratio_from=ratio_from, price_factor=factor)  # fmt: skip
    prices = flat(close)
    found = (
        share_effect(action, action.ex_date)
        if kind in ("split", "stock_dividend")
        else price_effect(action, action.ex_date, Day(0), prices, NO_STEPS)
    )

    numbers = np.array([found.before, found.after, found.kept])
    assert np.all(np.isfinite(numbers)) and np.all(numbers > 0.0)
    assert found.reason is None or numbers.tolist() == [1.0, 1.0, 1.0]


@given(amount=st.floats(), close=st.floats(), step=st.floats(), ratio=st.floats())
def test_any_step_has_a_basis(amount: float, close: float, step: float, ratio: float) -> None:
    """Unknown, where it says nothing."""
    assert amount_basis(amount, close, step, ratio) in ("as_declared", "split_adjusted", "unknown")
