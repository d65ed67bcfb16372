"""Macro series of the simulated world: vintages from a file, or made up, as far as the market clock has come.

A vintage names a day; it comes out at its moment of that day, and until then the one before stands.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from infra.simulator.market.macro_series import FILED, MacroSeries, released_at
from infra.simulator.market.macro_synthetic import SYNTHETIC, made_up
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US

FILE = Path("macro") / "us_macro_vintages.csv.gz"
COLUMNS = ["series_id", "date", "realtime_start", "realtime_end", "value"]
FOREVER = "9999-12-31"
ONE_DAY = timedelta(days=1)
CACHED_VIEWS = 64  # of at most a few thousand vintages each


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroVintage:
    """A source's word on the period it dates so, on the days [start, end]; `text` is empty where it has no value.

    `released` is the moment it came out, µs; `end` is None while it stands.
    """

    dated: date
    text: str
    start: date
    end: date | None
    released: int


@dataclass(frozen=True, kw_only=True)
class MacroBook:
    """All macro series there are; those of a file stand in for made-up ones of the same key."""

    seed: int = 0
    filed: Mapping[str, Sequence[MacroVintage]] = field(default_factory=dict)

    def listed(self) -> tuple[MacroSeries, ...]:
        """Return all series, in the order of their keys."""
        found = {
            series.key: series for series in (*SYNTHETIC.values(), *map(self.series, self.filed)) if series
        }
        return tuple(found[key] for key in sorted(found))

    def series(self, key: str) -> MacroSeries | None:
        """Return a series, None where there is none of that key."""
        return FILED[key] if key in self.filed else SYNTHETIC.get(key)

    def vintages(self, key: str, now: int) -> Sequence[MacroVintage]:
        """Return what had been said of a series at market time `now`, in the order of its dates and days."""
        series = self.series(key)
        if series is None:
            return ()
        return _seen(self._known(series, now), series, now)

    def _known(self, series: MacroSeries, now: int) -> Sequence[MacroVintage]:
        if series.synthetic:
            return _made_up(self.seed, series.key, now // DAY_US)
        return self.filed[series.key]


def read_macro_file(root: Path) -> Mapping[str, Sequence[MacroVintage]]:
    """Return the vintages of the file under `root`, none without one; raise ConfigurationError where it is another file."""
    path = root / FILE
    if not path.is_file():
        return {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        if rows.fieldnames != COLUMNS:
            raise ConfigurationError(
                f"{path} has other columns than {', '.join(COLUMNS)}", remedy="put the right file there"
            )
        keyed = sorted(((f"FRED:{row['series_id']}", row) for row in rows), key=_in_order)
    return {
        key: tuple(_filed(FILED[key], row) for _, row in group)
        for key, group in groupby(keyed, lambda each: each[0])
        if key in FILED
    }


def _in_order(entry: tuple[str, dict[str, str]]) -> tuple[str, str, str]:
    key, row = entry
    return key, row["date"], row["realtime_start"]


def _filed(series: MacroSeries, row: Mapping[str, str]) -> MacroVintage:
    start, last = date.fromisoformat(row["realtime_start"]), row["realtime_end"]
    return MacroVintage(
        dated=date.fromisoformat(row["date"]),
        text=row["value"],
        start=start,
        end=None if last == FOREVER else date.fromisoformat(last),
        released=released_at(series, start),
    )


@lru_cache(maxsize=CACHED_VIEWS)
def _made_up(seed: int, key: str, day: int) -> tuple[MacroVintage, ...]:
    """Return what is said of a made-up series up to the day after a day."""
    until = date(1970, 1, 1) + timedelta(days=day + 1)
    return tuple(_vintages(SYNTHETIC[key], seed, until))


def _vintages(series: MacroSeries, seed: int, until: date) -> Iterator[MacroVintage]:
    for dated, told in made_up(series, seed, until):
        for number, (start, text) in enumerate(told):
            following = told[number + 1][0] if number + 1 < len(told) else None
            yield MacroVintage(
                dated=dated,
                text=text,
                start=start,
                end=None if following is None else following - ONE_DAY,
                released=released_at(series, start),
            )


def _seen(vintages: Sequence[MacroVintage], series: MacroSeries, now: int) -> tuple[MacroVintage, ...]:
    return tuple(
        replace(each, end=None) if each.end is not None and _is_ahead(series, each.end, now) else each
        for each in vintages
        if each.released <= now
    )


def _is_ahead(series: MacroSeries, end: date, now: int) -> bool:
    """Whether what comes after a vintage that ends on a day is not out yet."""
    return released_at(series, end + ONE_DAY) > now
