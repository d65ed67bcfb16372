"""Requests of REST callers, parsed and checked: history, price, batch, gaps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from gateway.http.moments import (
    EARLIEST_US,
    LATEST_US,
    PERIODS,
    BadMoment,
    midnight,
    parse_date,
    parse_moment,
    period_start,
)
from gateway.http.parameters import SYMBOL, SYMBOL_RULE, Parameters, checked_symbol, closest, shown
from gateway.http.problems import FieldError, Problem, invalid, invalid_field
from gateway.market.bars import SESSIONS
from gateway.market.price import PRICE_FIELDS
from schemas.calendar.sessions import Calendar
from schemas.intervals import DAY_US, INTERVALS, INTRADAY_US
from schemas.records import GAP_STATE_RANK

MAX_LIMIT_ROWS = 10_000
DEFAULT_LIMIT_ROWS = 1_000
MAX_BATCH_SYMBOLS = 500
MAX_AGE_LIMIT_MS = 10 * 365 * DAY_US // 1000
ADJUSTMENTS = ("raw", "split", "all")
DEFAULT_PERIODS = {
    "1m": "1d",
    "5m": "5d",
    "15m": "5d",
    "30m": "1mo",
    "1h": "1mo",
    "1d": "1y",
    "1wk": "5y",
    "1mo": "10y",
}

HISTORY_PARAMETERS = (
    "interval", "start", "end", "period", "adjustment", "session", "as_of", "revisions", "sort", "limit",
    "page_token", "provider", "format",
)  # fmt: skip
INTRADAY_PARAMETERS = (*HISTORY_PARAMETERS, "date")
PRICE_PARAMETERS = ("provider", "as_of", "max_age_ms")
GAPS_PARAMETERS = ("symbol", "interval", "provider", "state", "start", "end", "sort", "limit", "page_token")
BATCH_FIELDS = ("symbols", "fields", "as_of")
Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRequest:
    """Bars of one symbol with event_time in [start, end), all µs."""

    symbol: str
    interval: str
    start: int
    end: int
    provider: str | None  # None: best of all
    adjustment: str | None  # None: whatever is stored, said in meta
    session: str
    as_of: int | None
    revisions: str
    descending: bool
    limit: int
    format: str
    page_token: str | None
    fixed_range: bool  # both ends given: with an as_of the answer can never change
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRequest:
    """The newest value of one symbol."""

    symbol: str
    provider: str | None
    as_of: int | None
    max_age_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """The newest values of many symbols."""

    symbols: Sequence[str]
    fields: Sequence[str] | None
    as_of: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GapsRequest:
    """Gaps that overlap [start, end)."""

    symbol: str | None
    interval: str | None
    provider: str | None
    state: str | None
    start: int
    end: int
    descending: bool
    limit: int
    page_token: str | None
    given: Mapping[str, str]


def history_request(symbol: str, pairs: Pairs, calendar: Calendar, now: int) -> HistoryRequest:
    """Return what `GET /stocks/{symbol}/history` asks; `now` is market time. Raises Problem."""
    query = Parameters(pairs, HISTORY_PARAMETERS)
    interval = query.choice("interval", INTERVALS, "1d")
    period = DEFAULT_PERIODS[interval]
    return _bars_request(symbol, query, interval, ("regular", period), calendar, now)


def intraday_request(symbol: str, pairs: Pairs, calendar: Calendar, now: int) -> HistoryRequest:
    """Return what `GET /stocks/{symbol}/intraday` asks: one trading day by default. Raises Problem."""
    query = Parameters(pairs, INTRADAY_PARAMETERS)
    interval = query.choice("interval", tuple(INTRADAY_US), "1m")
    return _bars_request(symbol, query, interval, ("all", "1d"), calendar, now)


def _bars_request(
    symbol: str, query: Parameters, interval: str, defaults: tuple[str, str], calendar: Calendar, now: int
) -> HistoryRequest:
    session, period = defaults
    start, end = _range(query, period, calendar, now)
    request = HistoryRequest(
        symbol=checked_symbol(symbol),
        interval=interval,
        start=start,
        end=end,
        provider=query.provider(),
        adjustment=query.choice("adjustment", ADJUSTMENTS, "raw") if query.has("adjustment") else None,
        session=query.choice("session", tuple(SESSIONS), session),
        as_of=query.moment("as_of", None),
        revisions=query.choice("revisions", ("latest", "all"), "latest"),
        descending=query.choice("sort", ("asc", "desc"), "asc") == "desc",
        limit=query.integer("limit", 1, MAX_LIMIT_ROWS, DEFAULT_LIMIT_ROWS),
        format=query.choice("format", ("json", "csv"), "json"),
        page_token=query.text("page_token"),
        fixed_range=query.has("date") or (query.has("start") and query.has("end")),
        given=query.given(),
    )
    if request.revisions == "all" and request.descending:
        query.wrong(
            "sort", "not_with_revisions", "revisions=all is in order of time and knowledge; use sort=asc"
        )
    query.check()
    return request


def _range(query: Parameters, default_period: str, calendar: Calendar, now: int) -> tuple[int, int]:
    """Return [start, end) from date, period or start and end; errors go into `query`."""
    rivals = [name for name in ("date", "period", "start", "end") if query.has(name)]
    if len(rivals) > 1 and (rivals[0] == "date" or rivals[:2] == ["period", "start"]):
        query.wrong(rivals[0], "conflict", f"{rivals[0]} and {rivals[1]} say two ranges; use one of them")
    if query.has("date"):
        return _day(query, calendar)
    start, end = _start_and_end(query, calendar.timezone)
    until = LATEST_US if end is None else end
    period = query.choice("period", PERIODS, default_period)
    if start is None:
        start = period_start(period, min(now, until), calendar)
    return start, until


def _start_and_end(query: Parameters, timezone: str) -> tuple[int | None, int | None]:
    start, end = query.moment("start", timezone), query.moment("end", timezone)
    if start is not None and end is not None and end <= start:
        query.wrong(
            "end", "inverted_range", "end is not after start; end is exclusive, so use one later than start"
        )
    return start, end


def _day(query: Parameters, calendar: Calendar) -> tuple[int, int]:
    text = query.text("date") or ""
    try:
        day = parse_date(text)
    except BadMoment as error:
        query.wrong("date", error.code, f"date: {error}")
        return 0, 1
    return midnight(day, calendar.timezone), midnight(day + timedelta(days=1), calendar.timezone)


def price_request(symbol: str, pairs: Pairs) -> PriceRequest:
    """Return what `GET /stocks/{symbol}/price` asks. Raises Problem."""
    query = Parameters(pairs, PRICE_PARAMETERS)
    request = PriceRequest(
        symbol=checked_symbol(symbol),
        provider=query.provider(),
        as_of=query.moment("as_of", None),
        max_age_ms=query.integer("max_age_ms", 0, MAX_AGE_LIMIT_MS, 0) if query.has("max_age_ms") else None,
    )
    query.check()
    return request


def gaps_request(pairs: Pairs, calendar_for: Callable[[str], Calendar]) -> GapsRequest:
    """Return what `GET /gaps` asks; `calendar_for` maps a symbol to its calendar. Raises Problem."""
    query = Parameters(pairs, GAPS_PARAMETERS)
    symbol = query.text("symbol")
    timezone = calendar_for(checked_symbol(symbol)).timezone if symbol is not None else "UTC"
    start, end = _start_and_end(query, timezone)
    request = GapsRequest(
        symbol=symbol,
        interval=query.choice("interval", INTERVALS, "1m") if query.has("interval") else None,
        provider=query.provider(),
        state=query.choice("state", tuple(GAP_STATE_RANK), "open") if query.has("state") else None,
        start=EARLIEST_US if start is None else start,
        end=LATEST_US if end is None else end,
        descending=query.choice("sort", ("asc", "desc"), "asc") == "desc",
        limit=query.integer("limit", 1, MAX_LIMIT_ROWS, DEFAULT_LIMIT_ROWS),
        page_token=query.text("page_token"),
        given=query.given(),
    )
    query.check()
    return request


def batch_request(body: bytes) -> BatchRequest:
    """Return what `POST /stocks/batch` asks; raise Problem naming the member that is wrong."""
    document = _object(body)
    errors = [
        FieldError(param=name, code="unknown_field", detail=_unknown(name, BATCH_FIELDS))
        for name in document
        if name not in BATCH_FIELDS
    ]
    as_of = None
    if document.get("as_of") is not None:
        try:
            as_of = parse_moment(str(document["as_of"]), None)
        except BadMoment as error:
            errors.append(FieldError(param="as_of", code=error.code, detail=f"as_of: {error}"))
    errors += _symbol_errors(document.get("symbols")) + _field_errors(document.get("fields"))
    if errors:
        raise invalid(*errors)
    symbols = list(dict.fromkeys(document["symbols"]))
    return BatchRequest(symbols=symbols, fields=document.get("fields"), as_of=as_of)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        detail = 'the body is not JSON; send {"symbols": ["AAPL", "MSFT"]}'
        where = (FieldError(param="body", code="not_json", detail=detail),)
        raise Problem(status=400, code="not_json", detail=detail, errors=where) from error
    if not isinstance(document, dict):
        raise invalid_field(
            "body", "not_an_object", 'the body is not an object; send {"symbols": ["AAPL", "MSFT"]}'
        )
    return document


def _unknown(name: str, known: Sequence[str]) -> str:
    near = closest(name, known)
    return f"{shown(name)} is unknown; " + (
        f"did you mean {near}?" if near else f"known are: {' '.join(known)}"
    )


def _symbol_errors(symbols: Any) -> list[FieldError]:
    if not isinstance(symbols, list) or not 1 <= len(symbols) <= MAX_BATCH_SYMBOLS:
        count = f"{len(symbols)} symbols" if isinstance(symbols, list) else "no list of symbols"
        detail = f"symbols: {count} given; give a list of 1 to {MAX_BATCH_SYMBOLS}"
        return [FieldError(param="symbols", code="out_of_range", detail=detail)]
    return [
        FieldError(param=f"symbols[{place}]", code="not_a_symbol", detail=f"a symbol is text; {SYMBOL_RULE}")
        for place, symbol in enumerate(symbols)
        if not isinstance(symbol, str)
    ]


def _field_errors(fields: Any) -> list[FieldError]:
    if fields is None:
        return []
    if not isinstance(fields, list) or not fields:
        detail = f"fields: give a list of some of: {' '.join(PRICE_FIELDS)}"
        return [FieldError(param="fields", code="not_a_list", detail=detail)]
    return [
        FieldError(param=f"fields[{place}]", code="unknown_field", detail=_unknown(str(name), PRICE_FIELDS))
        for place, name in enumerate(fields)
        if name not in PRICE_FIELDS
    ]


def is_symbol(text: str) -> bool:
    """Whether a batch's symbol could be one at all."""
    return bool(SYMBOL.match(text))
