"""Basis of bars: told, rebased, uncertain, mixed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adjustment import NO_DAY, ActionSchedule
from analytics.bar_basis import BarsTold, basis_days, is_rebased, judged_basis, mixed_basis
from tests.support.corporate_actions import day, days, effect, sessions

SPLIT = ActionSchedule([effect("2014-06-09", after=7.0)])
BAR = np.array([[650.0], [651.26], [644.47], [645.57]])
NOTHING = np.full((4, 1), np.nan)


def test_the_basis_a_provider_tells() -> None:
    """Raw: the bar's own day; split: the day told, else that of the answer; all: nobody can say."""
    found = basis_days(
        ["raw", "split", "split", "all"],
        days(*["2014-06-06"] * 4),
        np.array([NO_DAY, day("2014-06-10"), NO_DAY, day("2014-06-10")]),
        days(*["2020-01-02"] * 4),
    )

    assert found.tolist() == [day("2014-06-06"), day("2014-06-10"), day("2020-01-02"), NO_DAY]


def test_a_rebased_bar_has_all_four_prices_times_the_ratio() -> None:
    """Within 0.2 %; a correction of one price is none."""
    corrected = BAR / 7
    corrected[1] *= 1.003

    assert is_rebased(BAR, BAR / 7 * 1.0019, np.array([1 / 7])).tolist() == [True]
    assert is_rebased(BAR, BAR / 7 * 1.0021, np.array([1 / 7])).tolist() == [False]
    assert is_rebased(BAR, corrected, np.array([1 / 7])).tolist() == [False]
    assert is_rebased(NOTHING, BAR, np.array([1.0])).tolist() == [False]


@pytest.mark.parametrize(
    ("received", "now", "before", "expected"),
    [
        pytest.param("2014-06-06", BAR, NOTHING, "2014-06-06", id="before the split nothing is doubted"),
        pytest.param("2014-06-09", BAR / 7, BAR, "2014-06-09", id="rebased at once"),
        pytest.param("2014-06-09", BAR, BAR, "2014-06-08", id="not rebased yet"),
        pytest.param("2014-06-09", BAR / 49, BAR, None, id="rebased twice"),
        pytest.param("2014-06-09", BAR / 7, NOTHING, None, id="nothing to compare with"),
        pytest.param("2014-06-12", BAR / 7, NOTHING, None, id="the third session after"),
        pytest.param("2014-06-13", BAR / 7, NOTHING, "2014-06-13", id="the fourth session after"),
    ],
)
def test_what_is_told_in_the_first_sessions_after_a_split_must_be_proven(
    received: str, now: np.ndarray, before: np.ndarray, expected: str | None
) -> None:
    """By the version before it, here of the Friday before."""
    found = judged_basis(
        days("2014-06-05"),
        np.array([True]),
        BarsTold(prices=now, basis=days(received)),
        BarsTold(prices=before, basis=days("2014-06-06")),
        SPLIT,
        sessions().days,
    )

    assert found.tolist() == [NO_DAY if expected is None else day(expected)]


def test_raw_bars_and_bars_of_the_ex_date_are_not_doubted() -> None:
    """They have nothing to be rebased."""
    found = judged_basis(
        days("2014-06-06", "2014-06-09"),
        np.array([False, True]),
        BarsTold(prices=np.hstack([BAR, BAR / 7]), basis=days("2014-06-10", "2014-06-10")),
        BarsTold(prices=np.hstack([NOTHING, NOTHING]), basis=days("2014-06-06", "2014-06-06")),
        SPLIT,
        sessions().days,
    )

    assert found.tolist() == [day("2014-06-10")] * 2


def test_a_ratio_too_near_one_leaves_it_uncertain() -> None:
    """Both readings fit within the tolerance."""
    found = judged_basis(
        days("2014-06-05"),
        np.array([True]),
        BarsTold(prices=BAR, basis=days("2014-06-09")),
        BarsTold(prices=BAR, basis=days("2014-06-06")),
        ActionSchedule([effect("2014-06-09", after=1001.0, before=1000.0)]),
        sessions().days,
    )

    assert found.tolist() == [NO_DAY]


def test_the_first_minute_after_apples_split_is_mixed(market_data: Path) -> None:
    """High 645.57, low 92.23 in one minute: flagged, with a factor of 1; every other minute of three days is not."""
    bars, highs, lows = [], [], []
    for text in ("2014-06-05", "2014-06-06", "2014-06-09"):
        path = market_data / "equity_minute" / "aapl" / f"{text.replace('-', '')}_trade.zip"
        with zipfile.ZipFile(path) as archive:
            rows = archive.read(archive.namelist()[0]).decode().split()
        for row in rows:
            _, _, high, low, _, _ = row.split(",")
            bars.append(day(text))
            highs.append(float(high) / 10_000)
            lows.append(float(low) / 10_000)
    listed = np.array(bars)
    found = mixed_basis(listed, np.array(highs), np.array(lows), SPLIT)
    (place,) = np.flatnonzero(found).tolist()

    assert (listed[place], highs[place]) == (day("2014-06-09"), 645.57)
    one = listed[place : place + 1]
    assert SPLIT.factors(one, one, target=day("2014-06-09"), adjustment="split").prices(np.ones(1)) == 1.0


def test_a_wide_bar_of_another_day_or_hour_is_not_mixed() -> None:
    """Only the first of an ex-date can be."""
    listed = days("2014-06-06", "2014-06-09", "2014-06-09")

    assert mixed_basis(listed, np.array([700.0, 100.0, 700.0]), np.full(3, 100.0), SPLIT).tolist() == [False] * 3  # fmt: skip


@given(st.lists(st.tuples(st.integers(16_220, 16_240), st.floats(), st.floats()), max_size=8))
def test_any_numbers_have_a_basis_or_none(rows: list[tuple[int, float, float]]) -> None:
    """NaN and infinities prove nothing."""
    bars = np.array(sorted(row[0] for row in rows), np.int64)
    now, before = (np.array([[row[k] for row in rows]] * 4).reshape(4, -1) for k in (1, 2))
    found = judged_basis(
        bars,
        np.ones(len(rows), np.bool_),
        BarsTold(prices=now, basis=bars + 3),
        BarsTold(prices=before, basis=bars),
        SPLIT,
        sessions().days,
    )

    assert set(found.tolist()) <= {NO_DAY, day("2014-06-08"), *(bars + 3).tolist()}
    assert mixed_basis(bars, now[0], before[0], SPLIT).shape == bars.shape
