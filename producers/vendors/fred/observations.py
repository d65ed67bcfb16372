"""FRED's observations with their real-time periods: pages → vintages → events; pure.

`output_type` 1: one row per date and stretch of days on which a value stood. 9999-12-31 is for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.fred.releases import published
from producers.vendors.fred.series import SeriesDescription, next_offset
from producers.vendors.macro_rows import contradiction, observation, observed_value
from producers.vendors.payloads import VendorModel, first_fault
from producers.vendors.periods import parsed_day, period_of
from producers.vendors.values import rejected
from producers.vendors.vintages import Vintage, VintageWindow, began_since, joined
from schemas.clocks import Day, WallTime
from schemas.entries import Frequency
from schemas.errors import InvalidRecord, MalformedPayload

FOREVER = parsed_day("9999-12-31")
FIELDS = ("date", "realtime_start", "realtime_end", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationsPage:
    """A page of one window; `count` is of all its pages, `following` the offset of the next one."""

    vintages: tuple[Vintage, ...]
    rejected: tuple[RejectedValue, ...]
    count: int
    following: str = ""


class _Page(VendorModel):
    count: int
    offset: int
    limit: int
    observations: list[Any]


def parse_observations(
    payload: bytes, *, key: str, frequency: Frequency, window: VintageWindow, offset: int
) -> ObservationsPage:
    """Return the vintages of one page; a row that cannot be one is rejected alone.

    Raises MalformedPayload naming the field, also where rows of the page are not there.
    """
    try:
        page = _Page.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"fred observations: {first_fault(error)}") from error
    given = len(page.observations)
    following = next_offset("fred observations", page.count, page.offset, page.limit, given, offset)
    vintages, refused = [], []
    for row in page.observations:
        try:
            vintages.append(_vintage(row, frequency, window))
        except InvalidRecord as error:
            refused.append(rejected(key, InvalidRecord(f"fred observations: {error}"), row))
    return ObservationsPage(
        vintages=tuple(vintages), rejected=tuple(refused), count=page.count, following=following
    )


def _vintage(row: object, frequency: Frequency, window: VintageWindow) -> Vintage:
    if not isinstance(row, dict):
        raise InvalidRecord(f"a row is {row!r:.40}, which is no object")
    texts = [row.get(name) for name in FIELDS]
    for name, text in zip(FIELDS, texts, strict=True):
        if not isinstance(text, str):
            raise InvalidRecord(f"{name} is {text!r:.40}, which is no text")
    day, start, last = (parsed_day(str(text)) for text in texts[:3])
    end = None if last == FOREVER else last
    if end is not None and end < start:
        raise InvalidRecord(f"realtime_end {texts[2]} lies before realtime_start {texts[1]}")
    if start < window.start or (window.end is not None and (end is None or end > window.end)):
        raise InvalidRecord(f"realtime {texts[1]} to {texts[2]} lies outside what was asked for")
    first, after = period_of(day, frequency)
    return Vintage(
        period_start=first, period_end=after, value=observed_value(str(texts[3])), start=start, end=end
    )


def observations(
    chunks: Sequence[Sequence[ObservationsPage]],
    described: SeriesDescription,
    *,
    since: Day | None,
    received_time: WallTime,
    scheduled: bool = False,
) -> Answer:
    """Return the events of all windows, put together: of vintages that began on `since` or later, of all without it.

    Raises MalformedPayload where the rows of a window changed while they were read.
    """
    for pages in chunks:
        if len({page.count for page in pages}) > 1:
            raise MalformedPayload("fred observations: count changed from page to page")
    pages = [page for chunk in chunks for page in chunk]
    key = described.facts.key
    found, refused = joined(vintage for page in pages for vintage in page.vintages)
    dead = [each for page in pages for each in page.rejected]
    dead += (contradiction(key, each.vintage, f"fred observations: {each.why}") for each in refused)
    events = []
    for vintage in began_since(found, since):
        try:
            publication = published(key, vintage.start, described.updated, received_time, scheduled=scheduled)
        except InvalidRecord as error:
            dead.append(contradiction(key, vintage, f"fred observations: {error}"))
            continue
        events.append(observation(described.facts, vintage, publication, received_time))
    return Answer(events=events, rejected=dead)
