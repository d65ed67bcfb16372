"""Candidates of a chain: counted and listed by loops, and what is no leg or too many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.enumeration import MOST_CANDIDATES, ChainColumns, Selection, enumerated
from analytics.strategy_types import STRATEGY_TYPES
from schemas.errors import TooManyCandidates
from tests.support.strategy_chains import priced_chain


def listed(chain: ChainColumns, selection: Selection) -> list[tuple[str, ...]]:
    """Return each candidate as its type and the names of its contracts."""
    found = enumerated(chain, selection)
    return [
        (STRATEGY_TYPES[kind].name, *(chain.names[leg] for leg in legs if leg >= 0))
        for kind, legs in zip(found.types, found.legs, strict=True)
    ]


def by_loops(chain: ChainColumns, selection: Selection) -> list[tuple[str, ...]]:
    """Return the same, done the long way."""
    at = {
        (int(chain.expiries[row]), bool(chain.is_call[row]), float(chain.strikes[row])): row
        for row in np.flatnonzero(chain.eligible)
    }
    found, numbers = [], sorted(set(chain.expiries.tolist()))
    for position, expiry in enumerate(numbers):
        ladder = sorted({float(k) for k, e in zip(chain.strikes, chain.expiries, strict=True) if e == expiry})
        for kind in STRATEGY_TYPES:
            if not selection.admits(kind):
                continue
            for places in _places(ladder, kind.strikes, selection.width_max):
                later = numbers[position + 1] if position + 1 < len(numbers) else None
                keys = [
                    (later if leg.later else expiry, leg.is_call, ladder[places[leg.place]])
                    for leg in kind.legs
                ]
                rows = [at.get(key) for key in keys]  # type: ignore[arg-type]
                if None not in rows:
                    found.append((kind.name, *(chain.names[row] for row in rows)))  # type: ignore[index]
    return found


def _places(ladder: list[float], count: int, width: int) -> list[tuple[int, ...]]:
    places: list[tuple[int, ...]] = [(n,) for n in range(len(ladder))]
    for _ in range(count - 1):
        places = [
            (*each, n) for each in places for n in range(each[-1] + 1, min(each[-1] + width + 1, len(ladder)))
        ]
    if count < 3:
        return places
    return [p for p in places if abs(ladder[p[1]] - ladder[p[0]] - ladder[p[-1]] + ladder[p[-2]]) < 1e-9]


@given(
    gaps=st.lists(st.sampled_from([1.0, 2.5, 5.0]), min_size=3, max_size=9),
    usable=st.lists(st.booleans(), min_size=40, max_size=40),
    width=st.integers(1, 4),
)
def test_candidates_are_all_there_are_in_order(gaps: list[float], usable: list[bool], width: int) -> None:
    """Uneven ladders, holes in them, two expiries; by expiry, type and strikes."""
    strikes = tuple(95.0 + sum(gaps[:n]) for n in range(len(gaps)))
    chain, _ = priced_chain(strikes)
    chain, _ = priced_chain(strikes, is_usable=np.array(usable[: len(chain.names)]))
    selection = Selection(width_max=width)

    assert listed(chain, selection) == by_loops(chain, selection)


def test_views_types_expiries_and_legs_narrow_it() -> None:
    """Each filter takes away, none adds."""
    chain, _ = priced_chain()
    everything = listed(chain, Selection())

    assert [
        each for each in everything if each[0] in {"long_put", "bear_put_spread", "bear_call_spread"}
    ] == listed(chain, Selection(view="bearish"))
    assert {each[0] for each in listed(chain, Selection(types={"iron_condor"}))} == {"iron_condor"}
    assert max(len(each) for each in listed(chain, Selection(legs_max=2))) == 3
    assert {each[1][:2] for each in listed(chain, Selection(expiries={1}))} == {"60"}
    assert len(listed(chain, Selection(expiries={0}))) + len(listed(chain, Selection(expiries={1}))) == len(
        everything
    )
    assert listed(chain, Selection(expiries={7})) == []


def test_a_calendar_spread_takes_the_next_listed_expiry() -> None:
    """Also where only the nearer one is asked for; the last has none."""
    chain, _ = priced_chain((100,), days=(30, 60, 90))

    assert listed(chain, Selection(types={"call_calendar"})) == [
        ("call_calendar", "30C100", "60C100"),
        ("call_calendar", "60C100", "90C100"),
    ]
    assert listed(chain, Selection(types={"call_calendar"}, expiries={1})) == [
        ("call_calendar", "60C100", "90C100")
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("is_usable", False), ("bids", 0.0), ("bids", np.nan), ("asks", np.nan), ("asks", 0.001), ("open_interest", 9.0),
        ("open_interest", np.nan), ("iv_widths", 0.11), ("iv_widths", np.nan), ("greeks", 0.04), ("greeks", -0.96), ("greeks", np.nan),
    ],
)  # fmt: skip
def test_a_contract_that_cannot_be_a_leg_is_in_no_candidate(column: str, value: float) -> None:
    """Unknown volatility, no side, crossed, unwanted, too wide, hopeless or certain."""
    chain, _ = priced_chain()
    row = chain.names.index("30C100")
    values = getattr(chain, column).copy()
    values[row] = value
    changed, _ = priced_chain(**{column: values})

    assert any("30C100" in each for each in listed(chain, Selection()))
    assert not any("30C100" in each for each in listed(changed, Selection()))


def test_trading_makes_up_for_open_interest() -> None:
    """One contract today is enough."""
    held = np.zeros(36)
    chain, _ = priced_chain(open_interest=held, volumes=np.ones(36))

    assert listed(chain, Selection()) == listed(priced_chain()[0], Selection())
    assert listed(priced_chain(open_interest=held)[0], Selection()) == []


def test_too_many_candidates_name_the_filter_that_helps() -> None:
    """An expiry where each alone has few enough, else a type, else narrower spreads; the count is told."""
    ladder = tuple(float(k) for k in range(85, 120))
    many, _ = priced_chain(ladder, days=tuple(range(30, 62, 2)))
    wide, _ = priced_chain(tuple(82 + 0.25 * n for n in range(150)), days=(60,))

    with pytest.raises(TooManyCandidates, match="narrow `expiry`") as error:
        enumerated(many, Selection())
    assert error.value.count > MOST_CANDIDATES
    assert error.value.narrower == "expiry"
    assert len(enumerated(many, Selection(expiries={3})).types) <= MOST_CANDIDATES
    with pytest.raises(TooManyCandidates, match="narrow `types`"):
        enumerated(wide, Selection(width_max=9))
    with pytest.raises(TooManyCandidates, match="narrow `width_max`"):
        enumerated(wide, Selection(width_max=20, types={"iron_condor"}))


def test_an_empty_chain_has_no_candidates() -> None:
    """It is no error."""
    chain, _ = priced_chain((), days=())

    assert len(enumerated(chain, Selection()).legs) == 0
