"""Option chains out of a snapshot: which slices count at a moment, the slices themselves, and what is known beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.database import option_statements
from gateway.database.rows import packed_field
from gateway.database.shell.snapshot import Snapshot
from gateway.database.versions import GapFilter
from gateway.entries.shell.reading import entries
from gateway.options.inputs import QUOTE_WITHIN_US, Beside, ParYields, dividend_days, yield_days
from gateway.options.moments import DividendVersion
from gateway.options.places import SlicePlace, listed_places
from gateway.options.shell.model_queue import KeptByLegs
from gateway.options.slices import OptionSlice
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, EventTime, KnowledgeTime, RawOffset, WallTime, date_of
from schemas.entries import CorporateAction
from schemas.intervals import DAY_US
from schemas.macro_keys import TENORS
from schemas.partitions import partition_of
from schemas.records import Gap
from schemas.streams import OPTION_STREAM, Quote
from schemas.tables import INDEX_BITS, MAX_INDEX

DIVIDENDS = ("cash_dividend", "special_dividend")
KEYS = {f"UST:{tenor}": tenor for tenor in TENORS}
EVERYTHING = EventTime(0), EventTime(4_102_444_800_000_000)
MAX_META_GAPS = 100
FEWEST_YIELDS = 2  # of a day that is told of tenor by tenor
SLICE_FLAGS = {name: packed_field(OPTION_STREAM, name) for name in ("is_adjusted", "is_partial", "simulated")}


def rate_partitions(partitions: int) -> list[int]:
    """Return the partitions, of so many, in which rates are told."""
    return sorted({partition_of(key, partitions) for key in KEYS})


async def newest_slices(
    snapshot: Snapshot,
    symbol: str,
    provider: str | None,
    span: tuple[EventTime, EventTime],
    as_of: KnowledgeTime,
) -> list[SlicePlace]:
    """Return of each provider, root and expiry the newest slice stamped in `span` and known by `as_of`."""
    rows = await snapshot.fetch(option_statements.NEWEST_SLICES, symbol, provider, *span, as_of)
    return [SlicePlace(**place_fields(dict(row))) for row in rows]


def place_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a place by name, out of a row of the newest slices."""
    names = "provider", "stream_id", "root", "event_time", "position", "known_from"
    return {name: row[name] for name in names} | {"expiry": date_of(Day(row["expiry"]))}


async def first_known(
    snapshot: Snapshot, symbol: str, provider: str | None, span: tuple[EventTime, EventTime]
) -> KnowledgeTime | None:
    """Return when anything of a symbol's options first became known; None where nothing ever did."""
    rows = await snapshot.fetch(option_statements.FIRST_SLICE, symbol, provider, *span)
    first: KnowledgeTime | None = rows[0][0]
    return first


async def read_slices(
    snapshot: Snapshot, symbol: str, partition: int, places: Sequence[SlicePlace]
) -> list[OptionSlice]:
    """Return slices with their legs, in the order of `places`."""
    rows = await snapshot.fetch(
        option_statements.SLICES_AT,
        [place.stream_id for place in places],
        [place.event_time for place in places],
        [place.position for place in places],
        min((place.event_time for place in places), default=0),
        max((place.event_time for place in places), default=0) + 1,
    )
    found = {(row["stream_id"], row["position"]): row for row in rows}
    made = []
    for place in places:
        said = slice_fields(dict(found[place.stream_id, place.position]), symbol, place.provider)
        made.append(OptionSlice.of_row(said, partition))
        await asyncio.sleep(0)  # legs by the thousand must not hold up the WebSocket clients
    return made


def slice_fields(row: Mapping[str, Any], symbol: str, provider: str) -> dict[str, Any]:
    """Return what a row of slices says, by the names of fields and legs."""
    flags, position = row["flags"], row["position"]
    return {
        **row,
        **{name: bool(flags & each.mask) for name, each in SLICE_FLAGS.items()},
        "symbol": symbol,
        "provider": provider,
        "raw_offset": RawOffset(position >> INDEX_BITS),
        "index": position & MAX_INDEX,
    }


def stamped_days(slices: Sequence[OptionSlice]) -> tuple[Day, Day]:
    """Return the first and the last day (UTC) on which slices are stamped."""
    stamps = [each.event_time for each in slices]
    return Day(min(stamps) // DAY_US), Day(max(stamps) // DAY_US)


async def beside(
    snapshot: Snapshot,
    symbol: str,
    slices: Sequence[OptionSlice],
    *,
    as_of: KnowledgeTime,
    believed: Sequence[str],
) -> Beside:
    """Return what was known besides the slices by `as_of`: par yields, dividends, and quotes where slices have no underlying."""
    if not slices:
        return Beside()
    days = stamped_days(slices)
    return Beside(
        quotes=await quotes_about(
            snapshot, symbol, [(each.event_time, each.known_from) for each in slices if each.lacks_underlying]
        ),
        par_yields=await par_yields(snapshot, yield_days(*days), as_of),
        dividends=await cash_dividends(snapshot, symbol, dividend_days(*days), as_of),
        believed=believed,
    )


async def quotes_about(
    snapshot: Snapshot, symbol: str, stamps: Iterable[tuple[EventTime, KnowledgeTime]]
) -> list[Quote]:
    """Return quotes within a minute of stamps, by their own; of each stamp those known by the moment beside it."""
    moments = sorted(set(stamps))
    if not moments:
        return []
    rows = await snapshot.fetch(
        option_statements.QUOTES_BESIDE,
        symbol,
        [moment for moment, _ in moments],
        [known for _, known in moments],
        QUOTE_WITHIN_US,
        moments[0][0] - QUOTE_WITHIN_US,
        moments[-1][0] + QUOTE_WITHIN_US + 1,
    )
    found = sorted(rows, key=lambda row: (row["event_time"], row["position"], row["provider"]))
    return [
        Quote(
            symbol=symbol,
            provider=row["provider"],
            event_time=row["event_time"],
            known_from=row["known_from"],
            received_time=WallTime(row["known_from"]),
            raw_offset=RawOffset(row["position"] >> INDEX_BITS),
            index=row["position"] & MAX_INDEX,
            bid=row["bid"],
            ask=row["ask"],
            last=row["last"],
        )
        for row in found
    ]


async def par_yields(snapshot: Snapshot, of: tuple[Day, Day], as_of: KnowledgeTime) -> list[ParYields]:
    """Return the curve of each of some days [first, last] as it was at each moment at which tenors of it became known."""
    rows = await snapshot.fetch(option_statements.YIELDS, list(KEYS), *of, as_of)
    days: dict[int, dict[str, float | None]] = {}
    curves: dict[tuple[int, int], ParYields] = {}
    for row in rows:
        day, told_at = row["day"], row["known_from"]
        percents = days.setdefault(day, {})
        percents[KEYS[row["symbol"]]] = row["value"]
        if len(percents) >= FEWEST_YIELDS:
            curves[day, told_at] = ParYields(
                observed=date_of(Day(day)), told_at=told_at, percents=dict(percents)
            )
    return list(curves.values())


async def cash_dividends(
    snapshot: Snapshot, symbol: str, ex_dates: tuple[Day, Day], as_of: KnowledgeTime
) -> list[DividendVersion]:
    """Return every version of cash dividends of some ex-dates [first, last] that was known by `as_of`, in the order they were told."""
    told = await entries(
        snapshot,
        CorporateAction,
        symbol,
        as_of=as_of,
        provider=None,
        days=ex_dates,
        revisions="all",
    )
    cash = [each for each in told if each.type in DIVIDENDS]
    return [
        DividendVersion(
            source=each.provider,
            entry=each.action_id,
            ex_date=date_of(each.ex_date),
            amount=0.0 if each.state == "cancelled" else each.amount or 0.0,
            told_at=each.known_from,
        )
        for each in sorted(cash, key=lambda each: (each.known_from, each.raw_offset, each.index))
    ]


@dataclass(slots=True, kw_only=True)
class ChainReading:
    """Slices that count at a moment, and what was found beside them."""

    places: Sequence[SlicePlace] = ()
    slices: Sequence[OptionSlice] = ()
    beside: Beside = field(default_factory=Beside)
    gaps: Sequence[Gap] = ()
    is_known: bool = True
    ever: KnowledgeTime | None = None
    kept_from: EventTime | None = None


class ChainAsked(NamedTuple):
    """A question about a symbol's chain: slices of a provider (None: of whoever told last) stamped in `span`, known by `as_of`."""

    symbol: str
    provider: str | None
    span: tuple[EventTime, EventTime]
    as_of: KnowledgeTime


async def read_chain(
    snapshot: Snapshot,
    asked: ChainAsked,
    *,
    partition: int,
    believed: Sequence[str],
    kept: KeptByLegs[OptionSlice],
) -> ChainReading:
    """Return the slices that count and what was known beside them; slices that are `kept` are not read again."""
    symbol, as_of = asked.symbol, asked.as_of
    stored = await newest_slices(snapshot, symbol, asked.provider, asked.span, as_of)
    found = ChainReading(places=listed_places(stored, calendar_of(symbol)))
    if not found.places:
        found.is_known = await snapshot.knows(symbol)
        found.ever = await first_known(snapshot, symbol, asked.provider, EVERYTHING)
        found.kept_from = await snapshot.kept_from(OPTION_STREAM.name)
        return found
    slices = {place.key: kept.get(place.key) for place in found.places}
    missing = [place for place in found.places if slices[place.key] is None]
    for place, each in zip(missing, await read_slices(snapshot, symbol, partition, missing), strict=True):
        kept.keep(place.key, each, len(each))
        slices[place.key] = each
    found.slices = [each for each in slices.values() if each is not None]
    found.beside = await beside(snapshot, symbol, found.slices, as_of=as_of, believed=believed)
    moments = [place.event_time for place in found.places]
    told = await snapshot.gaps(
        GapFilter(
            symbol=symbol,
            intervals=[""],
            provider=found.places[0].provider,
            start=min(moments),
            end=EventTime(max(moments) + 1),
            as_of=as_of,
        ),
        limit=MAX_META_GAPS,
    )
    found.gaps = [gap for gap in told.gaps if gap.stream.startswith(f"{OPTION_STREAM.name}:")]
    return found
