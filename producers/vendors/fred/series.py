"""FRED's words about a series: its description, the days on which it said something new, its refusals; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise

from pydantic import Field, ValidationError

from producers.vendors.macro_rows import SeriesFacts
from producers.vendors.payloads import VendorModel, first_fault
from producers.vendors.periods import day_of, parsed_day
from producers.vendors.refusals import meaning
from schemas.clocks import Day, EventTime
from schemas.entries import Frequency, Rights
from schemas.errors import InvalidRecord, MalformedPayload, MarketDataError, ProviderRefused
from schemas.intervals import SECOND_US
from schemas.providers.fred import FACTS, PUBLIC_SERIES, RESTRICTED_PREFIXES, RESTRICTED_SERIES

FREQUENCIES: dict[str, Frequency] = {
    "D": "D", "W": "W", "BW": "BW", "M": "M", "Q": "Q", "SA": "S", "A": "A",
}  # fmt: skip
SEASONAL = ("SA", "NSA", "SAAR", "SSA")
OF_THE_KEY = "api_key"
# "2016-07-29 08:01:09-05": the offset of Central time, hours alone.
UPDATED = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)([+-]\d\d)(?::?(\d\d))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastUpdate:
    """The moment a series was last changed, µs, and the day of it where FRED is; that is the day of a vintage."""

    day: Day
    moment: EventTime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesDescription:
    """A series as FRED describes it now."""

    facts: SeriesFacts
    updated: LastUpdate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatesPage:
    """A page of the days on which vintages begin; `count` is of all pages, `following` the offset of the next one."""

    days: tuple[Day, ...]
    count: int
    following: str = ""


class KeyInDoubt(ProviderRefused):
    """A refusal of our key by a status that FRED also gives under load."""


class _Said(VendorModel):
    error_message: str | None = Field(default=None, alias="error_message")


class _Series(VendorModel):
    id: str
    frequency_short: str = Field(alias="frequency_short")
    units: str = ""
    seasonal_adjustment_short: str = Field(default="", alias="seasonal_adjustment_short")
    last_updated: str | None = Field(default=None, alias="last_updated")


class _AllSeries(VendorModel):
    seriess: list[_Series]


class _Dates(VendorModel):
    count: int
    offset: int
    limit: int
    vintage_dates: list[str] = Field(alias="vintage_dates")


def rights_of(series: str) -> Rights:
    """Return who may be given a series, as far as that is known: FRED shows some that belong to others."""
    if series in RESTRICTED_SERIES or series.startswith(RESTRICTED_PREFIXES):
        return "restricted"
    return "public" if series in PUBLIC_SERIES else "unknown"


def parse_series(payload: bytes, *, key: str, series: str, simulated: bool) -> SeriesDescription:
    """Return what a series is; raise MalformedPayload naming the field, also for a frequency that nobody knows."""
    try:
        found = _AllSeries.model_validate_json(payload).seriess
    except ValidationError as error:
        raise MalformedPayload(f"fred series: {first_fault(error)}") from error
    if len(found) != 1 or found[0].id != series:
        raise MalformedPayload(f"fred series: seriess is not {series} alone, which was asked for")
    (given,) = found
    frequency = FREQUENCIES.get(given.frequency_short)
    if frequency is None:
        raise MalformedPayload(f"fred series: frequency_short is {given.frequency_short[:20]!r}")
    adjusted = given.seasonal_adjustment_short
    facts = SeriesFacts(
        key=key,
        units=given.units,
        seasonal=adjusted if adjusted in SEASONAL else "",
        frequency=frequency,
        rights=rights_of(series),
        simulated=simulated,
    )
    return SeriesDescription(
        facts=facts, updated=None if given.last_updated is None else last_update(given.last_updated)
    )


def last_update(text: str) -> LastUpdate | None:
    """Return a moment as FRED writes it, None where it cannot be read: nothing is known then but the day of a vintage."""
    match = UPDATED.fullmatch(text)
    if match is None:
        return None
    day, clock, hours, minutes = match.groups()
    try:
        offset = timedelta(hours=int(hours), minutes=int(f"{hours[0]}{minutes or 0}"))
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=timezone(offset))
        return LastUpdate(day=day_of(moment.date()), moment=EventTime(int(moment.timestamp()) * SECOND_US))
    except (ValueError, OverflowError):
        return None


def parse_dates(payload: bytes, *, offset: int) -> DatesPage:
    """Return one page of vintage days; raise MalformedPayload naming the field, also where a part of it is not there."""
    try:
        page = _Dates.model_validate_json(payload)
        days = tuple(parsed_day(text) for text in page.vintage_dates)
    except ValidationError as error:
        raise MalformedPayload(f"fred vintagedates: {first_fault(error)}") from error
    except InvalidRecord as error:
        raise MalformedPayload(f"fred vintagedates: vintage_dates: {error}") from error
    following = next_offset("fred vintagedates", page.count, page.offset, page.limit, len(days), offset)
    if any(later <= earlier for earlier, later in pairwise(days)):
        raise MalformedPayload("fred vintagedates: vintage_dates are not in order, each once")
    return DatesPage(days=days, count=page.count, following=following)


def next_offset(place: str, count: int, offset: int, limit: int, given: int, asked: int) -> str:
    """Return the offset of the next page, empty on the last; raise MalformedPayload where a page is another, or not whole."""
    if offset != asked:
        raise MalformedPayload(f"{place}: offset is {offset}, {asked} was asked for")
    if limit < 1 or given != max(0, min(limit, count - offset)):
        raise MalformedPayload(f"{place}: {given} entries at offset {offset} of {count}, {limit} a page")
    end = offset + given
    return str(end) if end < count else ""


def all_days(pages: Sequence[DatesPage]) -> list[Day]:
    """Return the days of all pages, in order; raise MalformedPayload where the list changed while it was read."""
    days = [day for page in pages for day in page.days]
    ordered = all(later > earlier for earlier, later in pairwise(days))
    if len({page.count for page in pages}) > 1 or not ordered:
        raise MalformedPayload("fred vintagedates: the list changed while it was read")
    return days


def refusal(status: int, payload: bytes, about: str) -> MarketDataError:
    """Return what a 4xx answer about `about` means; a key refused with 400 may be load (fredapi issue 45)."""
    try:
        words = _Said.model_validate_json(payload).error_message or ""
    except ValidationError:
        words = payload[:200].decode("utf-8", "replace")
    if status == 400 and OF_THE_KEY in words.lower():
        told = f"{FACTS.name} refused our key with {status}; set {FACTS.keys} to a valid one"
        return KeyInDoubt(told)
    return meaning(FACTS, status, (words,), about=about)
