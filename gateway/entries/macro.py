"""Answers of macro series: which vintage of each period counts at a moment, and what it says in the units asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from analytics.macro_units import MacroUnits, Vintages
from gateway.http.moments import rfc3339
from schemas.clocks import Day, KnowledgeTime, iso_day
from schemas.entries import Frequency, MacroObservation
from schemas.identity import event_id
from schemas.intervals import DAY_US
from schemas.streams import MACRO_STREAM

# What the change of the first period asked for is compared with lies before it: a year, and a week of holidays.
BASE_DAYS = 380
CHANGE_DIGITS = 10
_DAYS_BEFORE: Mapping[Frequency, int] = {"D": 7, "W": 7, "BW": 14, "M": 31, "Q": 92, "S": 184, "A": 366}


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroQuestion:
    """One moment and what counts at it; `knowledge` is known or published."""

    as_of: KnowledgeTime
    knowledge: str
    units: str

    def vintages(self, observations: Sequence[MacroObservation]) -> Vintages:
        """Return the vintages that count."""
        return Vintages.of(
            observations,
            as_of=self.as_of,
            knowledge=cast("Literal['known', 'published']", self.knowledge),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodValue:
    """The value of one period in the units asked for, and the observation it is made of; `moment` is when it was said, µs."""

    observation: MacroObservation
    moment: int
    value: float | None
    status: str

    @property
    def place(self) -> tuple[int | str, ...]:
        """The place of the value in an answer."""
        return self.observation.period_start, self.moment


def base_days(units: str, frequency: Frequency) -> int:
    """Return how many days before a period what it is compared with may begin: none of values that are compared with nothing."""
    if units in ("lin", "log"):
        return 0
    return BASE_DAYS if units == "pc1" else _DAYS_BEFORE[frequency]


def periods(
    observations: Sequence[MacroObservation], question: MacroQuestion, revisions: str, first: Day, end: Day,
    frequency: Frequency | None = None,
) -> list[PeriodValue]:  # fmt: skip
    """Return the values of the periods that begin in [first, end), by period and by the moment each was said.

    `frequency` is the series', else that of the last observation. `revisions` latest compares each with its base as both are valid at the question's moment; first and all with what was
    valid when the value itself was said.
    """
    if not observations:
        return []
    vintages = question.vintages(observations)
    if revisions == "all":
        places = np.arange(len(vintages.periods))
    else:
        places = vintages.latest() if revisions == "latest" else vintages.first()
    asked = (vintages.periods[places] >= first) & (vintages.periods[places] < end)
    places = places[asked]
    moments = np.full(len(places), question.as_of, np.int64) if revisions == "latest" else None
    said = vintages.transformed(
        places, cast("MacroUnits", question.units), frequency or observations[-1].frequency, moments=moments
    )
    return [
        PeriodValue(
            observation=observations[row],
            moment=moment,
            value=value if status == "ok" else None,
            status=status,
        )
        for row, moment, value, status in zip(
            vintages.rows[places].tolist(),
            vintages.moments[places].tolist(),
            said.values.tolist(),
            said.statuses.tolist(),
            strict=True,
        )
    ]


def said_values(
    observations: Sequence[MacroObservation],
    question: MacroQuestion,
    first: Day,
    frequency: Frequency | None = None,
) -> list[PeriodValue]:
    """Return the values of the periods from `first` on that are not published as missing, by period."""
    found = periods(observations, question, "latest", first, Day(1 << 31), frequency)
    return [each for each in found if each.status != "missing"]


def newest(said: Sequence[PeriodValue], question: MacroQuestion, partition: int) -> dict[str, Any] | None:
    """Return the newest of the values of a series in `partition` beside the one before it; None where there is none."""
    if not said:
        return None
    last, before = said[-1], said[-2] if len(said) > 1 else None
    change = None
    if before is not None and last.value is not None and before.value is not None:
        change = round(last.value - before.value, CHANGE_DIGITS)  # of decimals, which binary numbers miss
    today = question.as_of // DAY_US
    return {
        **series_row(last.observation),
        **value_row(last, partition),
        "previous": None
        if before is None
        else {"value": before.value, "period_start": iso_day(before.observation.period_start)},
        "change": change,
        "staleness_days": max(0, today - last.observation.period_end),
    }


def series_row(observation: MacroObservation) -> dict[str, Any]:
    """Return what is said of the series as a whole."""
    return {
        "key": observation.symbol,
        "provider": observation.provider,
        "source_units": observation.units,
        "seasonal": observation.seasonal,
        "frequency": observation.frequency,
        "rights": observation.rights,
        "simulated": observation.simulated,
    }


def value_row(said: PeriodValue, partition: int) -> dict[str, Any]:
    """Return the JSON members of one value of a series in `partition`."""
    seen = said.observation
    return {
        "value": said.value,
        "status": said.status,
        "period_start": iso_day(seen.period_start),
        "period_end": iso_day(seen.period_end),
        "published_at": None if seen.published_at is None else rfc3339(seen.published_at),
        "published_precision": seen.published_precision,
        "known_from": rfc3339(seen.known_from),
        "vintage_start": None if seen.vintage_start is None else iso_day(seen.vintage_start),
        "event_id": event_id(
            MACRO_STREAM.topic, seen.symbol, seen.event_time, partition, seen.raw_offset, seen.index
        ),
    }
