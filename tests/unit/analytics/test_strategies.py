"""The ranking of strategies: within bounds, best first, the same whatever the order of the chain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.enumeration import ChainColumns, Selection
from analytics.margin import MARGIN_BASIS
from analytics.strategies import Demands, Ranking, ranking
from analytics.valuation import ExpiryColumns, Underlying
from tests.support.strategy_chains import SPOT, priced_chain

QUOTED = Underlying(price=SPOT, bid=SPOT - 0.02, ask=SPOT + 0.02)
EVERYTHING = Demands(limit=10_000)
ALL = Selection()


def ranked(
    chain: ChainColumns, expiries: ExpiryColumns, selection: Selection = ALL, demands: Demands = EVERYTHING
) -> Ranking:
    """Return the ranking of a chain."""
    return ranking(chain, expiries, QUOTED, selection=selection, demands=demands)


def permuted(chain: ChainColumns, order: list[int]) -> ChainColumns:
    """Return the chain with its contracts in another order."""
    arrays = {name: values[order] for name, values in vars(chain).items() if isinstance(values, np.ndarray)}
    arrays.pop("eligible", None)
    return replace(chain, names=tuple(chain.names[at] for at in order), **arrays)


def test_the_best_come_first_and_no_more_than_asked_for() -> None:
    """What is not shown is counted."""
    chain, expiries = priced_chain()
    everything, best = ranked(chain, expiries), ranked(chain, expiries, demands=Demands(limit=5))
    scores = [each.score for each in everything.strategies]

    assert scores == sorted(scores, reverse=True)
    assert len(scores) == everything.candidates == everything.kept == best.kept
    assert best.strategies == everything.strategies[:5]


def test_bounds_are_of_one_strategy_in_usd() -> None:
    """100 shares: a loss of 4.00 a share is 400; what is unbounded passes no bound of loss."""
    chain, expiries = priced_chain()
    everything = ranked(chain, expiries).strategies

    def kept(demands: Demands) -> list[object]:
        return list(ranked(chain, expiries, demands=replace(demands, limit=10_000)).strategies)

    limited = [each for each in everything if each.max_loss is not None and -each.max_loss * 100 <= 400]
    assert kept(Demands(max_loss=400)) == limited
    assert 0 < len(limited) < len(everything)
    assert kept(Demands(max_margin=2_000)) == [each for each in everything if each.margin * 100 <= 2_000]
    assert kept(Demands(min_pop=0.6)) == [each for each in everything if each.pop >= 0.6]
    assert kept(Demands(max_loss=-1.0)) == []


def test_a_strategy_says_all_of_itself() -> None:
    """Legs by name in order of the type, shares, unbounded as None, and whether a model was needed."""
    chain, expiries = priced_chain()
    found = {
        (each.type, *(leg.contract for leg in each.legs)): each for each in ranked(chain, expiries).strategies
    }
    strangle, collar = found["short_strangle", "30P95", "30C105"], found["collar", "30P95", "30C105"]
    calendar = found["call_calendar", "30C100", "60C100"]

    assert [leg.quantity for leg in strangle.legs] == [-1, -1]
    assert (strangle.max_loss, strangle.view, strangle.model_dependent) == (None, "neutral", False)
    assert strangle.max_profit == pytest.approx(-strangle.cost)
    assert (collar.shares, collar.margin_basis) == (1, MARGIN_BASIS)
    assert collar.max_loss == pytest.approx(95 - collar.cost)
    assert found["long_call", "30C100"].max_profit is None
    assert (calendar.model_dependent, len(calendar.breakevens)) == (True, 2)
    assert calendar.max_loss == pytest.approx(-calendar.cost, abs=0.01)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(36)))
def test_the_order_of_the_chain_changes_nothing(order: list[int]) -> None:
    """Neither which strategies, nor their order, nor a digit."""
    chain, expiries = priced_chain()

    assert ranked(permuted(chain, order), expiries) == ranked(chain, expiries)


def test_equal_scores_are_ordered_by_contract_names() -> None:
    """Two contracts that differ in nothing but their names."""
    chain, expiries = priced_chain((100,), days=(30, 60))
    twin = ChainColumns(
        names=("B", "A"),
        **{
            name: values[[0, 0]]
            for name, values in vars(chain).items()
            if isinstance(values, np.ndarray) and name not in {"eligible", "expiries"}
        },
        expiries=np.array([0, 1]),
    )
    same = replace(
        expiries,
        **{
            name: np.full(2, values[0])
            for name, values in (
                (n, getattr(expiries, n)) for n in ("years", "forwards", "volatilities", "rates")
            )
        },
    )
    found = ranked(twin, same, Selection(types={"long_call"})).strategies

    assert found[0].score == found[1].score
    assert [each.legs[0].contract for each in found] == ["A", "B"]


def test_nothing_usable_ranks_nothing() -> None:
    """It is no error."""
    chain, expiries = priced_chain(is_usable=np.zeros(36, dtype=np.bool_))

    assert ranked(chain, expiries) == Ranking(strategies=(), candidates=0, kept=0)
    assert ranked(*priced_chain((), days=())).candidates == 0
