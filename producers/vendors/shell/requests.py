"""One request to a vendor and what its answer means; several, where the answer comes in pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from infra.runtime.clock import wall_us
from infra.runtime.metrics import PROVIDER_ERRORS
from producers.budget.windows import Purpose
from producers.http.shell.body import MAX_KEPT_BYTES, MalformedResponse
from producers.http.shell.client import VendorHttp
from producers.vendors.action_rows import ActionOrigin, ActionPage, action_events
from producers.vendors.answers import Answer, Response
from producers.vendors.bar_rows import BarOrigin, BarPage, bar_events, session_hours
from producers.vendors.bar_slots import HOURLY
from schemas.clocks import MarketTime, WallTime
from schemas.errors import (
    HistoryEnded,
    MalformedPayload,
    MarketDataError,
    NoData,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
)
from schemas.intervals import SECOND_US

REFUSALS = (400, 401, 402, 403, 404, 422)  # answers whose body says what is meant
MAX_PAGES = 100  # of one answer: an unfinished list of symbols is no list

T = TypeVar("T")


class VendorPage(Protocol):
    """Part of an answer."""

    @property
    def following(self) -> str:
        """The token or address of the next part, empty on the last."""


P = TypeVar("P", bound=VendorPage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Generic[T]):
    """Content of an answer, and when its last byte was in."""

    value: T
    received_time: WallTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One GET; `refused` says what a 4xx status and its body mean."""

    endpoint: str
    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    refused: Callable[[int, bytes], MarketDataError]
    purpose: Purpose = "live"  # what the budget is asked for
    refusals: tuple[int, ...] = REFUSALS  # statuses whose meaning `refused` says


async def ask(http: VendorHttp, request: Request, parse: Callable[[bytes], T]) -> Asked[T]:
    """Return what `parse` makes of the answer.

    Raises MalformedResponse with the bytes, what the vendor's refusal means, and the errors of VendorHttp.
    """
    answer = await http.get(
        request.endpoint,
        request.url,
        params=request.params,
        headers=request.headers,
        refusals=request.refusals,
        purpose=request.purpose,
    )
    if answer.status in request.refusals:
        raise _counted(http, request, answer.status, request.refused(answer.status, answer.body))
    try:
        value = parse(answer.body)
    except MalformedPayload as error:
        raise MalformedResponse(
            str(error),
            endpoint=request.endpoint,
            received_time=answer.received_time,
            payload=answer.body[:MAX_KEPT_BYTES],
        ) from error
    except (ProviderRefused, ProviderThrottled) as error:  # said inside a 200
        raise _counted(http, request, answer.status, error) from None
    return Asked(value=value, received_time=answer.received_time)


def _counted(http: VendorHttp, request: Request, status: int, error: MarketDataError) -> MarketDataError:
    if isinstance(error, ProviderBanned):
        http.banned(request.endpoint, error.retry_after_s or 0.0)
    elif isinstance(error, ProviderRefused | ProviderThrottled):
        PROVIDER_ERRORS.labels(http.provider, request.endpoint, str(status)).inc()
    return error


def whole(endpoint: str, received_time: WallTime, payload: bytes, make: Callable[[], T]) -> T:
    """Return what `make` makes of an answer that is all in; raise MalformedResponse with the bytes where it cannot be used."""
    try:
        return make()
    except MalformedPayload as error:
        raise MalformedResponse(
            str(error), endpoint=endpoint, received_time=received_time, payload=payload[:MAX_KEPT_BYTES]
        ) from error


async def all_pages(
    provider: str, endpoint: str, fetch: Callable[[str], Awaitable[Asked[P]]]
) -> list[Asked[P]]:
    """Return every page, the first being what `fetch` gives for an empty text.

    Raises MalformedResponse where the pages go in a circle or do not end, and whatever `fetch` raises.
    """
    pages: list[Asked[P]] = []
    followed = {""}
    while True:
        page = await fetch(pages[-1].value.following if pages else "")
        pages.append(page)
        following = page.value.following
        if not following:
            return pages
        if following in followed or len(pages) == MAX_PAGES:
            raise MalformedResponse(
                f"{provider} {endpoint}: page {len(pages)} leads to another one, in a circle or beyond {MAX_PAGES}",
                endpoint=endpoint,
                received_time=page.received_time,
                payload=following.encode()[:MAX_KEPT_BYTES],
            )
        followed.add(following)


async def answered(endpoint: str, asking: Awaitable[Asked[Answer]], missing: tuple[str, ...]) -> Response:
    """Return the response of one request; where the vendor says it has nothing, `missing` are missing."""
    try:
        asked = await asking
    except NoData:
        return Response(endpoint=endpoint, received_time=wall_us(), answer=Answer(missing=missing))
    return Response(endpoint=endpoint, received_time=asked.received_time, answer=asked.value)


async def bars_answered(
    endpoint: str, asking: Awaitable[list[Asked[BarPage]]], origin: BarOrigin
) -> Response:
    """Return all pages of bars as one response, empty where the vendor has none; hours come as half hours.

    A page that says it is delayed tells how far the feed has come. Raises MalformedResponse where no bar can be used.
    """
    try:
        pages = await asking
    except NoData as error:
        nothing = Answer(too_old=isinstance(error, HistoryEnded))
        return Response(endpoint=endpoint, received_time=wall_us(), answer=nothing)
    return answer_of_pages(endpoint, pages, origin)


def answer_of_pages(endpoint: str, pages: Sequence[Asked[BarPage]], origin: BarOrigin) -> Response:
    """Return all pages of one symbol's bars as one response, as `bars_answered` does; raises like it."""
    delay_s = max(page.value.delay_s for page in pages)
    origin = replace(
        origin,
        adjustment_state=pages[0].value.adjustment_state,
        horizon=MarketTime(origin.horizon - delay_s * SECOND_US),
    )
    rows = [row for page in pages for row in page.value.rows]
    try:
        answer = bar_events(session_hours(rows, origin) if origin.interval == HOURLY else rows, origin)
    except MalformedPayload as error:
        raise MalformedResponse(
            str(error),
            endpoint=endpoint,
            received_time=pages[-1].received_time,
            payload=repr(rows[0]).encode(),
        ) from error
    unplaced = [refused for page in pages for refused in page.value.rejected]
    answer = replace(answer, rejected=[*answer.rejected, *unplaced], delay_s=delay_s)
    return Response(endpoint=endpoint, received_time=pages[-1].received_time, answer=answer)


def actions_of_pages(
    endpoint: str, pages: Sequence[Asked[ActionPage]], origin: ActionOrigin
) -> Asked[Answer]:
    """Return all pages of actions as one answer; raise MalformedResponse where none of many rows can be used."""
    received = pages[-1].received_time
    rows = [row for page in pages for row in page.value.rows]
    try:
        answer = action_events(rows, origin, received)
    except MalformedPayload as error:
        raise MalformedResponse(
            str(error),
            endpoint=endpoint,
            received_time=received,
            payload=repr(rows[0].entry).encode()[:MAX_KEPT_BYTES],
        ) from error
    unplaced = [refused for page in pages for refused in page.value.rejected]
    return Asked(value=replace(answer, rejected=[*answer.rejected, *unplaced]), received_time=received)
