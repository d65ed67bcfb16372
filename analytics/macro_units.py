"""Vintages of a macro series: values as they were said at a moment, changes of them within one vintage, and the newest by each bar.

A change compares a period with its base as both were valid at one moment. First prints beside today's revisions, which a
source's own transforms mix, make changes that nobody ever saw.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from schemas.clocks import KnowledgeTime
from schemas.entries import Frequency, MacroObservation

MacroUnits = Literal["lin", "chg", "pch", "pc1", "pca", "log"]
MacroStatus = Literal["ok", "missing", "base_missing", "undefined"]
PERIODS_PER_YEAR: Mapping[Frequency, int] = {"D": 365, "W": 52, "BW": 26, "M": 12, "Q": 4, "S": 2, "A": 1}
UNPUBLISHED = -(2**63)
"""The moment of a row of which nobody says when it was published."""

# Days and moments of one kind each; days since 1970-01-01, moments in µs since then.
Whole = NDArray[np.int64]
Doubles = NDArray[np.float64]
Places = NDArray[np.intp]
Said = tuple[int, int | None, int, int, int, float | None]
"""What a vintage is made of: first day of the period, publication and our knowledge (µs), raw offset, index, value."""

_MONTHS: Mapping[Frequency, int] = {"M": 1, "Q": 3, "S": 6, "A": 12}
_WEEKS_DAYS: Mapping[Frequency, int] = {"W": 7, "BW": 14}
_YEAR_OF_WEEKS_DAYS = 364
# A day's base is the newest one before it that has a value: over weekends and holidays, and no further.
_MOST_DAYS_BACK = 7
_OLDEST_DAY, _NEWEST_DAY = -3_000_000, 3_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformed:
    """Values in the units asked for, of shape (n,); NaN where, and only where, the status is not "ok"."""

    values: Doubles
    statuses: NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vintages:
    """Sayings of a source about the periods of one series, as known at one moment: each (period, moment) once, in that order; arrays of shape (n,).

    `periods` are first days; `moments` are those of publication, else of our first knowledge, µs; a value that was published
    as missing is NaN; `rows` are the places among what this was made of.
    """

    periods: Whole
    moments: Whole
    values: Doubles
    rows: Places

    @classmethod
    def of(
        cls,
        observations: Sequence[MacroObservation],
        *,
        as_of: KnowledgeTime,
        knowledge: Literal["known", "published"],
    ) -> Vintages:
        """Return what of the observations of one series was known, or published, by `as_of`."""
        said: list[Said] = [
            (
                each.period_start, each.published_at, each.known_from, each.raw_offset, each.index, each.value,
            )
            for each in observations
        ]  # fmt: skip
        return cls.of_rows(said, as_of=as_of, knowledge=knowledge)

    @classmethod
    def of_rows(
        cls, said: Sequence[Said], *, as_of: KnowledgeTime, knowledge: Literal["known", "published"]
    ) -> Vintages:
        """Return the same of rows of their fields alone."""
        numbers = [(each[0], UNPUBLISHED if each[1] is None else each[1], *each[2:5]) for each in said]
        values = [np.nan if each[5] is None else each[5] for each in said]
        periods, published, known, offsets, indexes = np.array(numbers, np.int64).reshape(-1, 5).T
        return cls.of_columns(
            periods,
            published,
            known,
            offsets,
            indexes,
            np.array(values, np.float64),
            as_of=as_of,
            knowledge=knowledge,
        )

    @classmethod
    def of_columns(
        cls,
        periods: Whole,
        published: Whole,
        known: Whole,
        offsets: Whole,
        indexes: Whole,
        values: Doubles,
        *,
        as_of: KnowledgeTime,
        knowledge: Literal["known", "published"],
    ) -> Vintages:
        """Return the same of columns; `published` is UNPUBLISHED where nobody says, offsets and indexes tell equal moments apart."""
        moments = np.where(published == UNPUBLISHED, known, published)
        there = np.flatnonzero((known if knowledge == "known" else moments) <= as_of)
        order = there[
            np.lexsort((indexes[there], offsets[there], known[there], moments[there], periods[there]))
        ]
        p, m = periods[order], moments[order]
        # What is said again of the same moment takes the place of what was said.
        stays = np.concatenate(((p[1:] != p[:-1]) | (m[1:] != m[:-1]), np.ones(min(len(p), 1), np.bool_)))
        order = order[stays]
        finite = np.where(np.isfinite(values), values, np.nan)
        return cls(periods=p[stays], moments=m[stays], values=finite[order], rows=order)

    def latest(self) -> Places:
        """Return the places of the newest vintage of each period, by period."""
        return np.flatnonzero(np.concatenate((self._changes(), np.ones(min(len(self.periods), 1), np.bool_))))

    def first(self) -> Places:
        """Return the places of the first vintage of each period, by period."""
        return np.flatnonzero(np.concatenate((np.ones(min(len(self.periods), 1), np.bool_), self._changes())))

    def transformed(
        self,
        places: Places,
        units: MacroUnits,
        frequency: Frequency,
        *,
        moments: Whole | None = None,
    ) -> Transformed:
        """Return the values at `places` in `units`, each with its base as valid at the same one of `moments`.

        Without them that is the moment each value was said at, which is for all revisions or the first; for the latest it is
        that of the question. pch, pc1 and pca are in per cent, pca compounded by 365, 52, 26, 12, 4, 2 or 1 periods a year.
        """
        values = self.values[places]
        at = self.moments[places] if moments is None else moments
        if units in ("lin", "log"):
            base = np.zeros(len(places))
        else:
            base = self._bases(self.periods[places], at, frequency, is_year=units == "pc1")
        with np.errstate(all="ignore"):
            changed = _in_units(values, base, units, PERIODS_PER_YEAR[frequency])
        statuses = np.select(
            [np.isnan(values), np.isnan(base), ~np.isfinite(changed)],
            ["missing", "base_missing", "undefined"],
            "ok",
        )
        return Transformed(values=np.where(statuses == "ok", changed, np.nan), statuses=statuses)

    def joined(self, ends: Whole) -> Places:
        """Return for each bar END (µs) the place of the newest period's value said by then, -1 where nothing was.

        A revision of an older period changes nothing; a period whose value is taken back gives way to the one before it.
        """
        moments, places = self._headlines()
        found = np.searchsorted(moments, ends, "right")
        return np.concatenate((np.array([-1], np.intp), places))[found]

    def at(self, periods: Whole, moments: Whole) -> Places:
        """Return the place of what was valid of each period at its moment, -1 where nothing was."""
        if not len(self.periods):
            return np.full(len(periods), -1, np.intp)
        # One number for (period, moment), in the order of both.
        distinct, ranks = np.unique(self.moments, return_inverse=True)
        starts = self.periods[self.first()]
        width = len(distinct) + 1
        keys = np.searchsorted(starts, self.periods) * width + ranks
        asked = np.searchsorted(starts, periods) * width + np.searchsorted(distinct, moments, "right")
        place = np.searchsorted(keys, asked) - 1
        return np.where((place >= 0) & (self.periods[place] == periods), place, -1)

    def _changes(self) -> NDArray[np.bool_]:
        return np.asarray(self.periods[1:] != self.periods[:-1])

    def _bases(self, periods: Whole, moments: Whole, frequency: Frequency, *, is_year: bool) -> Doubles:
        """Return the value of each period's base, valid at its moment; NaN where there is none."""
        base = np.full(len(periods), np.nan)
        for candidates in base_periods(periods, frequency, is_year=is_year):
            place = self.at(candidates, moments)
            found = np.isnan(base) & (place >= 0)
            base[found] = self.values[place[found]]
        return base

    def _headlines(self) -> tuple[Whole, Places]:
        """Return when the newest period's value changed, and the places of what it became."""
        order = np.lexsort((self.periods, self.moments))
        given = ~np.isnan(self.values)
        taken_back = ~given[1:] & given[:-1] & ~self._changes()
        if taken_back.any():
            changes = list(_replayed(order.tolist(), self.periods.tolist(), given.tolist()))
            return self.moments[order], np.array(changes, np.intp)
        order = order[given[order]]
        periods = self.periods[order]
        order = order[periods >= np.maximum.accumulate(periods)] if len(order) else order
        return self.moments[order], order


def _replayed(order: Sequence[int], periods: Sequence[int], given: Sequence[bool]) -> Iterator[int]:
    """Yield the place of the newest period's value after each thing said, in the order of `order`; -1 while there is none."""
    newest: list[int] = []
    said: dict[int, int] = {}
    for place in order:
        said[periods[place]] = place
        if given[place]:
            heapq.heappush(newest, -periods[place])
        while newest and not given[said[-newest[0]]]:
            heapq.heappop(newest)
        yield said[-newest[0]] if newest else -1


def _in_units(values: Doubles, base: Doubles, units: MacroUnits, a_year: int) -> Doubles:
    """Return values in units; what has none is not finite."""
    if units == "lin":
        return values
    if units == "log":
        return np.asarray(np.log(values))
    if units == "chg":
        return values - base
    ratio = values / base
    if units == "pca":
        # A ratio below zero has no power that means anything.
        return np.where(ratio >= 0.0, 100.0 * (ratio**a_year - 1.0), np.nan)
    return 100.0 * (ratio - 1.0)


def base_periods(periods: Whole, frequency: Frequency, *, is_year: bool) -> Iterator[Whole]:
    """Yield the periods that may be the base of each, the first choice first: the one before it, or a year before it."""
    periods = np.clip(periods, _OLDEST_DAY, _NEWEST_DAY)
    if frequency in _MONTHS:
        yield _months_before(periods, 12 if is_year else _MONTHS[frequency])
    elif frequency in _WEEKS_DAYS:
        yield periods - (_YEAR_OF_WEEKS_DAYS if is_year else _WEEKS_DAYS[frequency])
    else:
        newest = _months_before(periods, 12) if is_year else periods - 1
        for back in range(_MOST_DAYS_BACK):
            yield newest - back


def _months_before(days: Whole, months: int) -> Whole:
    """Return the same day some months before; the month's last where that month is shorter."""
    dates = days.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    target = month - months
    last = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(np.int64) - 1
    offset = np.minimum((dates - month.astype("datetime64[D]")).astype(np.int64), last)
    return np.asarray(target.astype("datetime64[D]").astype(np.int64) + offset)
