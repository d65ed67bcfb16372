"""FRED's fredgraph.csv, which asks for no key: the values of now, and not since when they are said; pure.

It tells neither units nor frequency. The frequency is that of the days between its dates.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from producers.vendors.answers import Answer
from producers.vendors.csv_rows import cells_rejected, table
from producers.vendors.fred.series import rights_of
from producers.vendors.macro_rows import UNTOLD, SeriesFacts, contradiction, observation, observed_value
from producers.vendors.periods import parsed_day, period_of
from producers.vendors.vintages import Vintage, joined
from schemas.clocks import Day, WallTime
from schemas.entries import Frequency
from schemas.errors import InvalidRecord, MalformedPayload

# Days from one date to the next, at most, by frequency: months are up to 31 days long, weekends and holidays 5.
LONGEST_DAYS: tuple[tuple[int, Frequency], ...] = (
    (5, "D"), (10, "W"), (20, "BW"), (45, "M"), (120, "Q"), (200, "S"), (400, "A"),
)  # fmt: skip


def parse_graph(
    payload: bytes, *, key: str, series: str, since: Day | None, received_time: WallTime, simulated: bool
) -> Answer:
    """Return the values of now, known since we saw them; `since` leaves out periods that ended before that day.

    Raises MalformedPayload where it is no such table.
    """
    place = "fred fredgraph"
    first = payload[:64].decode("utf-8", "replace").partition(",")[0].lstrip("\ufeff").strip()
    if first not in ("observation_date", "DATE"):
        raise MalformedPayload(f"{place}: the header begins with no observation_date")
    given = table(payload, place, needed=(first, series), symbol=key)
    dead = list(given.rejected)
    days: list[tuple[Day, float | None]] = []
    for row in given.rows:
        try:
            days.append((parsed_day(row[first].strip()), observed_value(row[series])))
        except InvalidRecord as error:
            dead.append(cells_rejected(key, f"{place}: {error}", row))
    facts = SeriesFacts(
        key=key,
        frequency=frequency_between(sorted({day for day, _ in days})),
        rights=rights_of(series),
        simulated=simulated,
    )
    vintages = []
    for day, value in days:
        start, end = period_of(day, facts.frequency)
        vintages.append(Vintage(period_start=start, period_end=end, value=value, start=Day(0), end=None))
    found, refused = joined(vintages)
    dead += (contradiction(key, each.vintage, f"{place}: two values of one date") for each in refused)
    kept = (vintage for vintage in found if since is None or vintage.period_end > since)
    events = [observation(facts, each, UNTOLD, received_time, with_vintages=False) for each in kept]
    return Answer(events=events, rejected=dead)


def frequency_between(days: list[Day]) -> Frequency:
    """Return the frequency whose dates lie as far apart as most of these do, which are in order; daily for less than two."""
    apart = Counter(later - earlier for earlier, later in pairwise(days))
    if not apart:
        return "D"
    # Most days of a month's dates lie 31 apart, of a day's one: the commonest distance is of the frequency.
    (common, _), *_ = apart.most_common(1)
    return next((frequency for longest, frequency in LONGEST_DAYS if common <= longest), "A")
