"""Adjustment factors: the worked example of AAPL, and laws that hold for any actions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.action_choice import choose
from analytics.action_effects import Effect
from analytics.adjustment import NO_DAY, ActionSchedule, Adjustment
from schemas.clocks import Day
from tests.support.corporate_actions import (
    daily_bars,
    day,
    days,
    effect,
    factor_file_actions,
    flat,
    real_sessions,
    split,
    told,
    view,
)
from tests.support.lines_run import lines_run

PAID = [2.65] * 3 + [3.05] * 4 + [3.29] + [0.47] * 3 + [0.52] * 4 + [0.57] * 4 + [0.63] * 4 + [0.73] * 4 + [0.77] * 4 + [0.82] * 2 + [0.205] * 2  # fmt: skip
EXAMPLE = [
    # bar, basis, raw, split, all, volume
    ("2014-06-06", "2014-06-06", 645.57, 645.57, 645.57, 12_116_671),
    ("2014-06-06", "2014-06-09", 645.57, 92.224286, 92.224286, 84_816_697),
    ("2014-06-06", "2014-08-07", 645.57, 92.224286, 91.7679, 84_816_697),
    ("2014-06-06", "2021-03-31", 645.57, 23.056071, 20.77771, 339_266_788),
    ("2014-06-09", "2014-06-06", 93.70, 655.90, 655.90, 10_410_850),
    ("2014-06-09", "2021-03-31", 93.70, 23.425, 21.110184, 291_503_792),
]


def adjusted(
    schedule: ActionSchedule,
    bars: np.ndarray[tuple[int], np.dtype[np.int64]],
    prices: Sequence[float],
    target: int,
    adjustment: Adjustment = "split",
) -> list[float]:
    """Return raw prices adjusted."""
    factors = schedule.factors(bars, bars, target=Day(target), adjustment=adjustment)
    return list(factors.prices(np.array(prices)).tolist())


@pytest.mark.parametrize(("bar", "basis", "raw", "by_split", "by_all", "volume"), EXAMPLE)
def test_apple_as_worked_by_hand(
    market_data: Path, bar: str, basis: str, raw: float, by_split: float, by_all: float, volume: int
) -> None:
    """Real bars and a real factor file, as of the end of all: to the last decimal written, volumes to the share."""
    listed, values = daily_bars(market_data, "aapl")
    place = int(np.searchsorted(listed, day(bar)))
    chosen = choose(factor_file_actions(market_data, "aapl"), view(), real_sessions(market_data, "aapl"))
    schedule, one = ActionSchedule(chosen.effects), listed[place : place + 1]

    found = [
        schedule.factors(one, one, target=day(basis), adjustment=each) for each in ("raw", "split", "all")
    ]
    prices = [float(each.prices(values[3, place : place + 1])[0]) for each in found]

    assert prices[0] == raw
    assert prices[1] == pytest.approx(by_split, abs=5e-7)
    assert round(prices[2], len(repr(by_all).partition(".")[2])) == by_all
    assert [round(float(each.volumes(values[4, place : place + 1])[0])) for each in found[1:]] == [volume] * 2
    assert all(each.complete.all() and each.known.all() and not each.unresolved for each in found)


def test_apples_dividends_are_those_it_paid(market_data: Path) -> None:
    """35 of them, each within 0.0001, and four splits; nothing is unresolved, in conflict, or noted."""
    actions = factor_file_actions(market_data, "aapl")
    paid = [each for each in actions if each.amount is not None]
    chosen = choose(actions, view(), real_sessions(market_data, "aapl"))

    assert [each.amount for each in paid] == pytest.approx(PAID, abs=1e-4)
    assert (paid[0].ex_date, paid[-1].ex_date) == (day("2012-08-09"), day("2021-02-05"))
    assert [each.ratio for each in chosen.effects if each.of_shares] == [2.0, 2.0, 7.0, 4.0]
    assert [each.kept for each in chosen.effects if not each.of_shares] == pytest.approx(
        [1 - float(each.amount or 0) / float(close) for each, close in zip(paid, closes(market_data, paid), strict=True)]
    )  # fmt: skip
    assert (chosen.conflicts, chosen.notes) == ((), ())
    assert not any(each.reason for each in chosen.effects)


def closes(data: Path, actions: Sequence[object]) -> list[float]:
    """Return the closes before the ex-dates of actions."""
    listed, values = daily_bars(data, "aapl")
    return [float(values[3, np.searchsorted(listed, each.ex_date) - 1]) for each in actions]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["aapl", "spy"])
def test_every_real_day_is_adjusted_as_by_its_factor_file(market_data: Path, name: str) -> None:
    """Price times the file's own factors, 23 years of days, within what the file rounds."""
    listed, values = daily_bars(market_data, name)
    chosen = choose(factor_file_actions(market_data, name), view(), real_sessions(market_data, name))
    found = ActionSchedule(chosen.effects).factors(
        listed, listed, target=Day(int(listed[-1])), adjustment="all"
    )
    lines = (market_data / "equity_daily" / "factor_files" / f"{name}.csv").read_text().split()
    rows = [line.split(",") for line in lines]
    lasts = days(*(f"{row[0][:4]}-{row[0][4:6]}-{row[0][6:8]}" for row in rows))
    factors = np.array([float(row[1]) * float(row[2]) for row in rows])[np.searchsorted(lasts, listed)]

    assert found.complete.all()
    assert found.prices(values[3]) == pytest.approx(values[3] * factors / factors[-1], rel=3e-6)


def test_time_warner_is_unresolved_from_the_day_before_its_spin_off() -> None:
    """71.08 to 68.23 on 2014-06-09: `all` says so and gives the price as it is, `split` has nothing to say."""
    chosen = choose([told("spin_off", "2014-06-09", child_symbol="TIME", symbol="TWX")], view(), flat(71.08))
    schedule, bars = ActionSchedule(chosen.effects), days("2014-06-06", "2014-06-09")
    every, splits = (schedule.factors(bars, bars, target=day("2014-06-09"), adjustment=each) for each in ("all", "split"))  # fmt: skip

    assert [each.reason for each in every.unresolved] == ["no_factor"]
    assert every.complete.tolist() == [False, True]
    assert every.prices(np.array([71.08, 68.23])).tolist() == [71.08, 68.23]
    assert (splits.unresolved, splits.complete.all()) == ((), True)


def test_only_actions_between_a_bar_and_the_basis_are_told() -> None:
    """An announced one behind both is not, nor one before the first bar."""
    effects = [effect("2000-06-21", after=2.0), effect("2014-06-09", after=7.0), effect("2020-08-31", after=4.0, reason="ratio_impossible")]  # fmt: skip
    bars = days("2014-06-05", "2014-06-06")
    found = ActionSchedule(effects).factors(bars, bars, target=day("2014-06-09"), adjustment="all")

    assert [each.ex for each in found.applied] == [day("2014-06-09")]
    assert (found.unresolved, found.complete.all()) == ((), True)


def test_rows_of_any_basis_agree() -> None:
    """One raw, one polled before the split and one after it; raw comes back from each."""
    schedule = ActionSchedule([effect("2014-06-09", after=7.0), effect("2014-05-08", kept=0.99)])
    bars = days("2014-05-07", "2014-05-07", "2014-05-07")
    basis = days("2014-05-07", "2014-06-08", "2014-06-10")
    stored = np.array([700.0, 700.0, 100.0])

    def prices(adjustment: Adjustment) -> list[float]:
        found = schedule.factors(bars, basis, target=day("2015-01-01"), adjustment=adjustment)
        return list(found.prices(stored).tolist())

    assert prices("raw") == [700.0] * 3
    assert prices("split") == [100.0] * 3
    assert prices("all") == pytest.approx([99.0] * 3, rel=1e-15)


def test_a_bar_of_unknown_basis_stays_as_it_is() -> None:
    """And is told apart."""
    bars = days("2014-06-06")
    found = ActionSchedule([effect("2014-06-09", after=7.0)]).factors(
        bars, np.array([NO_DAY]), target=day("2015-01-01"), adjustment="split"
    )

    assert found.known.tolist() == [False]
    assert found.prices(np.array([5.0])).tolist() == [5.0]


def test_nothing_is_adjusted_where_there_is_nothing() -> None:
    """No bar, or no action."""
    none = np.array([], np.int64)
    bars = days("2014-06-06")

    assert ActionSchedule([effect(16_000, after=2.0)]).factors(none, none, target=Day(0), adjustment="all").applied == ()  # fmt: skip
    assert adjusted(ActionSchedule([]), bars, [5.0], 20_000, "all") == [5.0]


EFFECTS = st.lists(
    st.builds(
        lambda ex, after, before, kept: effect(ex, after=after, before=before) if kept is None else effect(ex, kept=kept),
        st.integers(100, 160),
        st.sampled_from([2.0, 3.0, 7.0, 21.0]),
        st.sampled_from([1.0, 5.0, 10.0, 20.0]),
        st.none() | st.floats(0.5, 0.999),
    ),
    max_size=12,
)  # fmt: skip
SOME_DAYS = st.integers(95, 165)


@settings(max_examples=200)
@given(effects=EFFECTS, bar=SOME_DAYS, first=SOME_DAYS, second=SOME_DAYS, price=st.floats(0.01, 1e5))
def test_there_and_back_is_where_one_was(
    effects: list[Effect], bar: int, first: int, second: int, price: float
) -> None:
    """From one basis to another and back, and factors of two steps are that of both; days in any order."""
    schedule = ActionSchedule(effects)
    there = schedule.shares_between(np.array([first]), np.array([second]))
    back = schedule.shares_between(np.array([second]), np.array([first]))
    direct = schedule.factors(np.array([bar]), np.array([bar]), target=Day(second), adjustment="split")
    stepped = schedule.factors(np.array([bar]), np.array([bar]), target=Day(first), adjustment="split").prices(np.array([price])) * there  # fmt: skip
    stored = direct.prices(np.array([price]))
    raw = schedule.factors(np.array([bar]), np.array([second]), target=Day(first), adjustment="raw")

    assert there * back == pytest.approx(1.0, rel=1e-13)
    assert stepped == pytest.approx(stored, rel=1e-12)
    assert raw.prices(stored) == pytest.approx(price, rel=1e-12)
    assert direct.volumes(np.array([price])) * stored == pytest.approx(price * price, rel=1e-12)


@settings(max_examples=200)
@given(effects=EFFECTS, bar=SOME_DAYS, target=SOME_DAYS, data=st.data())
def test_factors_are_the_product_of_what_lies_between(
    effects: list[Effect], bar: int, target: int, data: st.DataObject
) -> None:
    """Multiplied one by one, in whatever order they are told."""
    shuffled = data.draw(st.permutations(effects))
    expected = 1.0
    for each in effects:
        step = each.before / each.after * each.kept
        if bar < each.ex <= target:
            expected *= step
        elif target < each.ex <= bar:
            expected /= step

    found = adjusted(ActionSchedule(shuffled), np.array([bar]), [1.0], target, "all")

    assert found == pytest.approx([expected], rel=1e-12)
    assert sorted(found) == adjusted(ActionSchedule(effects), np.array([bar]), [1.0], target, "all")


def test_whole_shares_stay_whole() -> None:
    """Five splits of 3 for 2 and back: volumes are those that were traded."""
    chosen = choose([split(16_000 + 10 * k, 3.0, 2.0) for k in range(5)], view(), flat(50.0))
    bars = np.array([15_000])
    found = ActionSchedule(chosen.effects).factors(bars, bars, target=Day(17_000), adjustment="split")

    assert found.volumes(np.array([3_200.0])).tolist() == [24_300.0]
    assert found.prices(np.array([243.0])).tolist() == [32.0]


def test_rows_cost_no_line_of_python() -> None:
    """The same lines run for a thousand bars as for four thousand, with as many splits."""

    def work(bars: int) -> int:
        schedule = ActionSchedule([effect(16_000 + k, after=2.0) for k in range(3)])
        listed = np.arange(15_000, 15_000 + bars)
        return lines_run(
            lambda: schedule.factors(listed, listed, target=Day(20_000), adjustment="all"), "analytics"
        )

    assert work(1_000) == work(2_000) == work(4_000)
