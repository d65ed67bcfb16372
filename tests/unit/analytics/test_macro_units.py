"""Vintages of macro series: real revisions, changes of one vintage, and joins with bars."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.macro_units import MacroUnits, Vintages
from schemas.clocks import KnowledgeTime
from schemas.entries import Frequency, MacroObservation
from tests.support.corporate_actions import day
from tests.support.lines_run import lines_run
from tests.support.macro_vintages import IMPORTED, end_of, real_vintages, said


def published(
    observations: tuple[MacroObservation, ...] | list[MacroObservation], by: int = 2**62
) -> Vintages:
    """Return what was published by a moment (µs)."""
    return Vintages.of(observations, as_of=KnowledgeTime(by), knowledge="published")


def asked(data: Path, series: str, period: str, by: str, units: MacroUnits) -> float:
    """Return a real series' value of a period as published by the end of a day."""
    seen = published(real_vintages(data, series), end_of(by))
    places = seen.latest()
    place = places[seen.periods[places] == day(period)]
    frequency = real_vintages(data, series)[0].frequency
    found = seen.transformed(place, units, frequency, moments=np.array([end_of(by)]))
    assert found.statuses.tolist() == ["ok"]
    return float(found.values[0])


@pytest.mark.parametrize(
    ("series", "period", "units", "by", "expected"),
    [
        ("GDPC1", "2016-04-01", "lin", "2016-07-29", 16575.1),
        ("GDPC1", "2016-04-01", "lin", "2016-08-25", 16575.1),
        ("GDPC1", "2016-04-01", "lin", "2016-08-26", 16570.2),
        ("GDPC1", "2016-04-01", "lin", "2016-09-29", 16583.1),
        ("GDPC1", "2016-04-01", "pca", "2016-07-29", 1.218),
        ("GDPC1", "2016-04-01", "pca", "2016-08-26", 1.099),
        ("GDPC1", "2016-04-01", "pca", "2016-09-29", 1.414),
        ("PAYEMS", "2016-10-01", "chg", "2016-11-04", 161.0),
        ("PAYEMS", "2016-10-01", "chg", "2016-12-01", 161.0),
        ("PAYEMS", "2016-10-01", "chg", "2016-12-02", 142.0),
        ("UNRATE", "2016-10-01", "lin", "2017-01-26", 4.9),
        ("UNRATE", "2016-10-01", "lin", "2017-01-27", 4.8),
        ("CPIAUCSL", "2016-10-01", "pc1", "2016-11-17", 1.64489),
        ("CPIAUCSL", "2016-10-01", "pc1", "2017-01-18", 1.64489),
    ],
)
def test_real_revisions_as_they_were_seen(
    market_data: Path, series: str, period: str, units: MacroUnits, by: str, expected: float
) -> None:
    """To the decimals written."""
    found = asked(market_data, series, period, by, units)

    assert round(found, len(repr(expected).partition(".")[2])) == expected


def test_a_first_print_is_never_compared_with_another_ones_first_print(market_data: Path) -> None:
    """144952 − 144747 would be 205: of all revisions, and of the first, each change is that of its own moment."""
    seen = published(real_vintages(market_data, "PAYEMS"))
    changes = {}
    for name, places in (("first", seen.first()), ("all", np.arange(len(seen.periods)))):
        of_period = places[seen.periods[places] == day("2016-10-01")]
        changes[name] = seen.transformed(of_period, "chg", "M").values.tolist()

    assert changes["first"] == [161.0]
    assert changes["all"][:2] == [161.0, 142.0]
    assert 205.0 not in changes["all"]


def test_everything_imported_on_one_day_is_read_by_its_vintages(market_data: Path) -> None:
    """What is known: nothing before the import; after it the newest vintage of each period, however the file is ordered."""
    observations = real_vintages(market_data, "GDPC1")
    backwards = tuple(reversed(observations))
    before, after, other = (
        Vintages.of(each, as_of=KnowledgeTime(IMPORTED + shift), knowledge="known")
        for each, shift in ((observations, -1), (observations, 0), (backwards, 0))
    )

    assert len(before.periods) == 0
    assert after.values.tolist() == other.values.tolist()
    assert after.values[after.latest()].tolist() == [
        each.value for each in sorted(observations, key=lambda each: each.period_start) if each.vintage_end is None
    ]  # fmt: skip


def test_every_real_vintage_is_valid_from_its_day_on(market_data: Path) -> None:
    """As slowly looked up, of six series."""
    rows = 0
    for series in ("PAYEMS", "GDPC1", "DGORDER", "CPIAUCSL", "UNRATE", "JTSJOL"):
        observations = real_vintages(market_data, series)
        seen, rows = published(observations), rows + len(observations)
        moments = np.unique(seen.moments)[::3]
        for moment in moments.tolist():
            by = published(observations, moment)
            slow = {each.period_start: each.value for each in sorted(observations, key=lambda each: each.published_at or 0) if (each.published_at or 0) <= moment}  # fmt: skip
            assert dict(zip(by.periods[by.latest()].tolist(), by.values[by.latest()].tolist(), strict=True)) == slow  # fmt: skip
            place = seen.at(np.array(list(slow)), np.full(len(slow), moment))
            assert seen.values[place].tolist() == list(slow.values())
    assert rows > 1_000


@pytest.mark.parametrize(
    ("frequency", "period", "base", "units"),
    [
        pytest.param("M", "2016-03-01", "2016-02-01", "chg", id="month"),
        pytest.param("Q", "2016-01-01", "2015-10-01", "chg", id="quarter"),
        pytest.param("S", "2016-01-01", "2015-07-01", "chg", id="half year"),
        pytest.param("A", "2016-01-01", "2015-01-01", "chg", id="year"),
        pytest.param("W", "2016-03-05", "2016-02-27", "chg", id="week"),
        pytest.param("BW", "2016-03-05", "2016-02-20", "chg", id="two weeks"),
        pytest.param("D", "2016-03-07", "2016-03-04", "chg", id="over a weekend"),
        pytest.param("Q", "2016-01-01", "2015-01-01", "pc1", id="quarter a year before"),
        pytest.param("W", "2016-03-05", "2015-03-07", "pc1", id="week a year before"),
        pytest.param("D", "2016-03-07", "2015-03-06", "pc1", id="day a year before, a Saturday"),
        pytest.param("D", "2016-02-29", "2015-02-28", "pc1", id="leap day"),
    ],
)
def test_bases(frequency: Frequency, period: str, base: str, units: MacroUnits) -> None:
    """The period before, or that of a year before; a later one beside it is none."""
    told = [said(base, 100.0, known=1), said(period, 110.0, known=2), said(day(base) - 400, 1.0, known=1)]
    seen = Vintages.of(told, as_of=KnowledgeTime(2), knowledge="known")
    found = seen.transformed(seen.latest()[-1:], units, frequency)

    assert found.values.tolist() == pytest.approx([10.0])


@pytest.mark.parametrize(
    ("frequency", "a_year"), [("D", 365), ("W", 52), ("BW", 26), ("M", 12), ("Q", 4), ("S", 2), ("A", 1)]
)
def test_a_year_has_as_many_periods(frequency: Frequency, a_year: int) -> None:
    """1 % a period, compounded."""
    before = {"D": "2016-06-30", "W": "2016-06-24", "BW": "2016-06-17", "M": "2016-06-01", "Q": "2016-04-01", "S": "2016-01-01", "A": "2015-07-01"}[frequency]  # fmt: skip
    seen = published([said(before, 100.0, published=1), said("2016-07-01", 101.0, published=1)])

    found = seen.transformed(seen.latest()[-1:], "pca", frequency).values

    assert found.tolist() == pytest.approx([100.0 * (1.01**a_year - 1.0)])


@pytest.mark.parametrize(
    ("value", "base", "units", "status"),
    [
        pytest.param(None, 1.0, "chg", "missing", id="published as missing"),
        pytest.param(1.0, None, "pch", "base_missing", id="base published as missing"),
        pytest.param(1.0, 0.0, "pch", "undefined", id="from nothing"),
        pytest.param(-1.0, 1.0, "pca", "undefined", id="through zero"),
        pytest.param(0.0, 1.0, "log", "undefined", id="logarithm of nothing"),
        pytest.param(1e300, 1e-300, "pch", "undefined", id="beyond a double"),
        pytest.param(math.nan, 1.0, "lin", "missing", id="NaN"),
        pytest.param(2.0, 1.0, "log", "ok", id="logarithm"),
        pytest.param(-1.0, -2.0, "chg", "ok", id="below zero"),
    ],
)
def test_what_has_no_value_says_why(
    value: float | None, base: float | None, units: MacroUnits, status: str
) -> None:
    """A number where, and only where, all is well."""
    seen = published([said("2016-09-01", base, published=1), said("2016-10-01", value, published=1)])
    found = seen.transformed(seen.latest()[-1:], units, "M")

    assert found.statuses.tolist() == [status]
    assert np.isfinite(found.values).tolist() == [status == "ok"]


def test_the_first_period_has_no_base_and_one_published_later_does_not_help_it() -> None:
    """At the moment it was said."""
    seen = published([said("2016-10-01", 110.0, published=1), said("2016-09-01", 100.0, published=2)])
    place = seen.latest()[-1:]

    assert seen.transformed(place, "chg", "M").statuses.tolist() == ["base_missing"]
    assert seen.transformed(place, "chg", "M", moments=np.array([2])).values.tolist() == [10.0]


def test_a_bar_gets_the_newest_value_published_by_its_end() -> None:
    """The moment itself included; a revision of an older period changes nothing, one of the newest does."""
    seen = published(
        [
            said("2016-09-01", 1.0, published=10),
            said("2016-10-01", 2.0, published=20),
            said("2016-09-01", 1.5, published=30),
            said("2016-10-01", 2.5, published=40),
            said("2016-11-01", None, published=50),
        ]
    )
    joined = seen.joined(np.array([9, 10, 19, 20, 35, 40, 60]))

    assert joined[0] == -1
    assert seen.values[joined[1:]].tolist() == [1.0, 1.0, 2.0, 2.0, 2.5, 2.5]


def test_a_value_that_is_taken_back_gives_way_to_the_one_before_it() -> None:
    """Until it is given again."""
    seen = published(
        [
            said("2016-09-01", 1.0, published=10),
            said("2016-10-01", 2.0, published=20),
            said("2016-10-01", None, published=30),
            said("2016-09-01", None, published=35),
            said("2016-10-01", 3.0, published=40),
        ]
    )
    joined = seen.joined(np.array([20, 30, 35, 40]))

    assert (joined[2], seen.values[joined[[0, 1, 3]]].tolist()) == (-1, [2.0, 1.0, 3.0])


SAYINGS = st.lists(
    st.builds(
        lambda period, value, moment, known: said(16_000 + period, value, published=moment, known=known),
        st.integers(0, 5),
        st.none() | st.sampled_from([1.0, 2.0, 3.0]),
        st.none() | st.integers(1, 12),
        st.integers(1, 12),
    ),
    max_size=15,
).map(lambda found: [said(each.period_start, each.value, published=each.published_at, known=each.known_from, offset=n) for n, each in enumerate(found)])  # fmt: skip


@settings(max_examples=200)
@given(observations=SAYINGS, by=st.integers(0, 13), data=st.data())
def test_an_answer_depends_on_nothing_that_came_later(
    observations: list[MacroObservation], by: int, data: st.DataObject
) -> None:
    """By either clock, to the last bit, in whatever order it is told."""
    shuffled = data.draw(st.permutations(observations))
    then = [each for each in shuffled if each.known_from <= by]
    earlier, later = (Vintages.of(each, as_of=KnowledgeTime(by), knowledge="known") for each in (then, observations))  # fmt: skip

    for seen in (earlier, later):
        assert seen.moments.shape == seen.values.shape
    assert earlier.values.tobytes() == later.values.tobytes()
    changes = [each.transformed(np.arange(len(each.periods)), "chg", "D").values.tobytes() for each in (earlier, later)]  # fmt: skip
    assert changes[0] == changes[1]
    joined = [each.values[each.joined(np.arange(14))].tobytes() if len(each.periods) else b"" for each in (earlier, later)]  # fmt: skip
    assert joined[0] == joined[1]


@settings(max_examples=200)
@given(observations=SAYINGS)
def test_joins_are_what_a_slow_look_finds(observations: list[MacroObservation]) -> None:
    """At every moment the newest period of those that have a value then."""
    seen = published(observations)
    joined = seen.joined(np.arange(14))
    for moment in range(14):
        by = published(observations, moment)
        given_ = [place for place in by.latest() if not math.isnan(by.values[place])]
        if given_:
            place = joined[moment]
            assert (seen.periods[place], seen.values[place]) == (by.periods[given_[-1]], by.values[given_[-1]])  # fmt: skip
        else:
            assert joined[moment] == -1


def test_the_work_grows_as_the_vintages_and_bars_do() -> None:
    """Taken back again and again, which is the slow way: lines run for n, 2n and 4n; bars cost none."""

    def work(n: int) -> int:
        observations = [said(15_000 + k // 2, None if k % 2 else 1.0, published=k + 1) for k in range(n)]
        seen, ends = published(observations), np.arange(n * 10)
        return lines_run(
            lambda: (seen.joined(ends), seen.transformed(seen.latest(), "pc1", "M")), "analytics"
        )

    once, twice, four_times = (work(n) for n in (500, 1_000, 2_000))
    assert twice < 2.1 * once
    assert four_times < 2.1 * twice
