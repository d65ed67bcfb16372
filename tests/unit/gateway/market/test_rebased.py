"""Versions that are a bar in other shares, told from corrections."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.database.versions import BarVersion
from gateway.market.rebased import is_rebased_by_some_ratio, marked
from tests.support.bar_versions import a_version

HALVED = {"open": 5.0, "high": 6.0, "low": 4.5, "close": 5.5, "volume": 200.0}


def split(minute: int = 0, **changes: Any) -> BarVersion:
    """Return a split-adjusted version of 10, 12, 9, 11 and 100 shares."""
    return a_version(minute, **({"adjustment_state": "split"} | changes))


def flags(*versions: BarVersion, before: tuple[BarVersion, ...] = ()) -> list[bool]:
    """Return which are marked, and hold that nothing else of them changed."""
    found = marked(versions, before)
    assert [replace(each, rebased=False) for each in found] == list(versions)
    return [each.rebased for each in found]


def test_a_version_in_other_shares_is_marked_and_a_correction_is_not() -> None:
    """Each is held against the one before it: rebased, corrected, and taken back."""
    assert flags(split(), split(**HALVED), split(**(HALVED | {"close": 5.6})), split()) == [
        *(False, True, False, False)
    ]
    assert flags(split(), split(**HALVED), split()) == [False, True, True]
    assert flags() == []


def test_versions_of_other_bars_and_providers_do_not_matter() -> None:
    """They come between, in the order of time and knowledge."""
    theirs = split(provider="finnhub", close=9.5)

    assert flags(split(), theirs, split(1), split(**HALVED)) == [False, False, False, True]
    assert flags(split(), replace(theirs, **HALVED)) == [False, False]


def test_the_first_of_a_page_is_held_against_the_page_before() -> None:
    """Of its own provider; without one it is the first there is."""
    assert flags(split(**HALVED), before=(split(provider="finnhub"), split())) == [True]
    assert flags(split(**HALVED), before=(split(provider="finnhub"),)) == [False]


def test_only_prices_that_were_and_are_split_adjusted_are_rebased() -> None:
    """Of raw ones nobody rebases any; of those less dividends a ratio says nothing."""
    for state in ("raw", "all"):
        assert flags(split(adjustment_state=state), split(adjustment_state=state, **HALVED)) == [False, False]
    assert flags(split(adjustment_state="raw"), split(**HALVED)) == [False, False]


FRIDAY = (650.0, 651.26, 644.47, 645.57, 12_116_671.0)  # AAPL on 2014-06-06, before its split of 7 for 1


@pytest.mark.parametrize(
    ("before", "now", "rebased"),
    [
        pytest.param(FRIDAY, (92.857143, 93.037143, 92.067143, 92.224286, 84_816_697.0), True, id="7 for 1"),
        pytest.param(FRIDAY, (92.86, 93.04, 92.07, 92.22, 84_816_700.0), True, id="in cents and round lots"),
        pytest.param((92.86, 93.04, 92.07, 92.22, 84_816_700.0), FRIDAY, True, id="taken back"),
        pytest.param(FRIDAY, (92.86, 93.04, 92.07, 92.22, 12_116_671.0), False, id="the volume stayed"),
        pytest.param(FRIDAY, (92.86, 93.04, 92.07, 92.22, 85_300_000.0), False, id="the volume is off"),
        pytest.param(FRIDAY, (92.86, 93.30, 92.07, 92.22, 84_816_700.0), False, id="one price is off"),
        pytest.param(FRIDAY, FRIDAY, False, id="the same again"),
        pytest.param(FRIDAY, (*(each * 1.003 for each in FRIDAY[:4]), 12_080_430.0), False, id="3 tenths of a per cent"),
        pytest.param(FRIDAY, (*(each / 1.1 for each in FRIDAY[:4]), 13_328_338.0), True, id="a tenth as dividend"),
        pytest.param((10.0, 11.0, 9.0, 10.5, 0.0), (5.0, 5.5, 4.5, 5.25, 0.0), True, id="nobody traded"),
        pytest.param((10.0, 10.0, 10.0, 10.0, 0.0), (9.0, 9.0, 9.0, 9.0, 0.0), False, id="one number corrected"),
        pytest.param((10.0, 11.0, 9.0, 10.5, 0.0), (5.0, 5.5, 4.5, 5.25, 7.0), False, id="a volume that came"),
        pytest.param((10.0, 11.0, 9.0, 10.5, 7.0), (5.0, 5.5, 4.5, 5.25, 0.0), False, id="a volume that went"),
        pytest.param((math.nan,) * 5, FRIDAY, False, id="nothing before"),
    ],
)  # fmt: skip
def test_a_bar_in_other_shares_is_told_from_a_correction_without_the_ratio(
    before: tuple[float, ...], now: tuple[float, ...], *, rebased: bool
) -> None:
    """All four prices by one ratio, the volume by its inverse."""
    found = is_rebased_by_some_ratio(np.array(before).reshape(5, 1), np.array(now).reshape(5, 1))

    assert found.tolist() == [rebased]


@given(st.lists(st.tuples(*[st.floats()] * 10), max_size=6))
def test_any_numbers_are_rebased_or_not(rows: list[tuple[float, ...]]) -> None:
    """NaN and infinities prove nothing, and each bar is judged alone."""
    told = np.array(rows).reshape(-1, 10).T
    found = is_rebased_by_some_ratio(told[:5], told[5:])

    assert found.shape == (len(rows),)
    for place in range(len(rows)):
        column = told[:, place : place + 1]
        assert is_rebased_by_some_ratio(column[:5], column[5:]).tolist() == [found[place]]
        assert not found[place] or np.isfinite(column[[0, 1, 2, 3, 5, 6, 7, 8]]).all()
