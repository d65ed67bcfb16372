"""`/ops/backfill`: what may be asked, what is answered, and the order that a request makes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.backfill.jobs import ASKED_JOB, PLACED_JOB
from gateway.http.bodies import body_schema, read_body
from gateway.http.columns import envelope
from gateway.http.endpoints import Answer, Body, Endpoint, Parameter, Query, parameter
from gateway.http.moments import EARLIEST_US, LATEST_US, rfc3339
from gateway.http.parameters import (
    AnyText,
    Complaint,
    Moment,
    OneOf,
    ProviderName,
    Symbol,
    Word,
    one_of,
    shown,
)
from gateway.http.problems import FieldError, Problem, about, invalid, invalid_field
from schemas.backfill import BackfillOrder, asked_id
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, MarketTime
from schemas.configuration.model import FROM_DATABASE, BarsStream, Configuration, Streams
from schemas.configuration.streams import BAR_INTERVALS
from schemas.errors import UnknownSymbol
from schemas.intervals import DAY_US
from schemas.providers.facts import ProviderFacts
from schemas.streams import BAR_STREAM, StreamId
from schemas.symbols.names import is_symbol
from schemas.universe import TIERS, Tier

KEY_HEADER = "Idempotency-Key"
KEY = Word("[!-~]{1,200}", "not_a_key", "use 1 to 200 letters, digits and signs without spaces")
JOB_ID = re.compile(r"[!-~]{1,200}\Z")
REQUIRED = ("symbol", "interval", "start", "end")
EXAMPLE = '{"symbol": "SPY", "interval": "1m", "start": "2026-03-02", "end": "2026-03-03"}'
# The simulator's own offer, as producers collect it where there is no file: its symbols are those that spoke.
OFFERED = Configuration(
    universe=FROM_DATABASE, streams=Streams(bars=BarsStream(providers=("yahoo", "finnhub")))
)
JOB_PATH: Mapping[str, Parameter] = {"job_id": Parameter(kind=AnyText(), words="Id of the job.")}


@dataclass(frozen=True, kw_only=True)
class BackfillAsked(Query):
    """Body of `POST /ops/backfill`: bars that start in [start, end)."""

    symbol: str = parameter(Symbol(), "Whose bars.", default="")
    interval: str = parameter(OneOf(BAR_INTERVALS), "Length of the bars; one that is collected.", default="")
    start: EventTime = parameter(
        Moment(dates=True),
        "Begin, inclusive; a bare date is midnight at the symbol's venue.",
        unit="RFC 3339",
        default=EARLIEST_US,
    )
    end: EventTime = parameter(
        Moment(dates=True),
        "End, exclusive, not in the future.",
        unit="RFC 3339",
        default=LATEST_US,
        after="start",
    )
    priority: Tier = parameter(
        OneOf(TIERS), "How urgent it is: T0 is served first; T2 without it.", default="T2"
    )
    source: str | None = parameter(
        ProviderName(), "Who is asked; without it, or with best, the one that is preferred for these bars."
    )

    @property
    def content(self) -> str:
        """Return what was asked for, to be compared with another request."""
        return f"{self.symbol} {self.interval} {self.start} {self.end} {self.priority} {self.source or ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """All that decides whether bars can be fetched: configuration, vendors, whether the symbol's are collected, the time."""

    configuration: Configuration
    facts: Mapping[str, ProviderFacts]
    collects: bool
    now: MarketTime


def backfill_asked(body: bytes) -> BackfillAsked:
    """Return what a body of BACKFILL asks; raise Problem naming each member that is wrong."""
    return read_body(BackfillAsked, body, required=REQUIRED, example=EXAMPLE, timezone_of=_timezone)


def symbol_in(body: bytes) -> list[str]:
    """Return the symbol a body names, where one can be read: its calendar is wanted before the body is."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return []  # said when it is read
    symbol = document.get("symbol") if isinstance(document, dict) else None
    return [symbol] if isinstance(symbol, str) and is_symbol(symbol) else []


def request_key(given: str | None) -> str:
    """Return the key of a request, "" where it has none; raise Problem."""
    if given is None:
        return ""
    try:
        return KEY.read(KEY_HEADER, given, "UTC")
    except Complaint as complaint:
        raise invalid_field(KEY_HEADER, complaint.code, str(complaint)) from None


def order_of(asked: BackfillAsked, collecting: Circumstances, *, caller: str, key: str) -> BackfillOrder:
    """Return the order for what is asked; raise the Problem (422) of everything that stands against it.

    `key` tells this request from the next for the same.
    """
    errors = [*_symbol_faults(asked, collecting), *_stretch_faults(asked, collecting)]
    provider, fault = _provider_of(asked, collecting)
    if fault is not None:
        errors.append(fault)
    if errors:
        raise invalid(*errors)
    series = StreamId(BAR_STREAM.name, asked.interval, provider, asked.symbol)
    return BackfillOrder(
        job_id=asked_id(series, asked.start, asked.end, key),
        series=series,
        from_time=asked.start,
        to_time=asked.end,
        tier=asked.priority,
        origin="user",
        source=caller,
    )


def check_job_id(job_id: str) -> str:
    """Return the id; raise the problem (404) of one that no job can have."""
    if JOB_ID.match(job_id) is None:
        raise unknown_job(job_id)
    return job_id


def unknown_job(job_id: str) -> Problem:
    """Return the problem of a job that is not there."""
    detail = f"there is no job {shown(job_id)}; copy the job_id of the answer, or it was purged since"
    return about("job_id", "unknown_job", detail)


def _timezone(members: Mapping[str, Any]) -> str:
    symbol = members.get("symbol")
    return calendar_of(symbol).timezone if isinstance(symbol, str) and is_symbol(symbol) else "UTC"


def _symbol_faults(asked: BackfillAsked, collecting: Circumstances) -> list[FieldError]:
    bars = collecting.configuration.streams.bars
    if bars is None:
        detail = "no bars are collected here; add streams.bars to the configuration"
        return [FieldError(param="interval", code="not_collected", detail=detail)]
    errors = []
    if not collecting.collects:
        detail = (
            f"bars of {asked.symbol} are not collected; add it to the configuration or the universe first"
        )
        errors.append(FieldError(param="symbol", code="not_collected", detail=detail))
    if asked.interval not in bars.intervals:
        detail = f"bars of {asked.interval} are not collected; {one_of(asked.interval, bars.intervals)}"
        errors.append(FieldError(param="interval", code="not_collected", detail=detail))
    return errors


def _stretch_faults(asked: BackfillAsked, collecting: Circumstances) -> list[FieldError]:
    errors, longest = [], collecting.configuration.backfill.longest_days
    if asked.end > collecting.now:
        detail = f"end is in the future; use {rfc3339(collecting.now)} or earlier"
        errors.append(FieldError(param="end", code="not_over", detail=detail))
    if asked.end - asked.start > longest * DAY_US:
        latest = rfc3339(asked.start + longest * DAY_US)
        detail = (
            f"the stretch is longer than {longest} days; end it by {latest}, and ask for the rest after it"
        )
        errors.append(FieldError(param="end", code="out_of_range", detail=detail))
    return errors


def _provider_of(asked: BackfillAsked, collecting: Circumstances) -> tuple[str, FieldError | None]:
    """Return who is asked, or why nobody can be."""
    bars = collecting.configuration.streams.bars
    if bars is None or asked.interval not in bars.intervals:
        return "", None  # said of the interval
    able = [name for name in bars.providers if not _lacking(name, asked, collecting)]
    if asked.source is None and able:
        return able[0], None
    if asked.source in able:
        return asked.source, None
    what = f"{asked.interval} bars of {asked.symbol}"
    hint = f"use one of: {' '.join(able)}, or none" if able else "none of the configured providers does"
    if asked.source is None:
        detail = f"nobody serves {what} here; add a provider to streams.bars that does"
    elif asked.source not in bars.providers:
        detail = f"source {asked.source} is not asked for bars here; {hint}"
    else:
        detail = f"source {asked.source} {_lacking(asked.source, asked, collecting)}; {hint}"
    return "", FieldError(param="source", code="not_served", detail=detail)


def _lacking(name: str, asked: BackfillAsked, collecting: Circumstances) -> str:
    """Return why a provider cannot give what is asked; empty where it can."""
    facts = collecting.facts.get(name)
    if facts is None:
        return "is not installed here"
    if asked.interval not in facts.capabilities.intervals:
        return f"has no bars of {asked.interval}"
    try:
        facts.vendor_symbol(asked.symbol)
    except UnknownSymbol:
        return f"has no name for {asked.symbol}"
    return ""


_UNAVAILABLE = ("overloaded", "store_unavailable")
BACKFILL = Endpoint(
    method="POST",
    path="/ops/backfill",
    scope="backfill",
    topic="Continuity",
    summary="Fetch bars of a past stretch again; what is under way for it already is not asked for twice.",
    query=Query,
    request_headers={
        KEY_HEADER: Parameter(
            kind=KEY,
            words="A key of your own for this request, yours for 30 days: with it the same request again is answered with "
            "the same job, also after it ended.",
        )
    },
    body=Body(
        words=f"What is asked, such as {EXAMPLE}.",
        schema=body_schema(BackfillAsked, REQUIRED),
    ),
    answers={
        202: (
            Answer(
                words="Queued: the job, new.",
                schema=envelope(ASKED_JOB),
                headers={"Location": "Where the job is."},
            ),
        ),
        200: (
            Answer(
                words="A job that fetches all of it is there already. Under a less urgent priority it takes this one, where that "
                "has room: at once while it waits, for its next try while it runs.",
                schema=envelope(ASKED_JOB),
                headers={"Location": "Where the job is."},
            ),
        ),
    },
    problems=(
        "not_json",
        "backfill_disabled",
        "idempotency_key_reused",
        "backfill_cap",
        "configuration_unknown",
        "busy",
        *_UNAVAILABLE,
    ),
)
BACKFILL_JOB = Endpoint(
    method="GET",
    path="/ops/backfill/{job_id}",
    scope="backfill",
    topic="Continuity",
    summary="How a backfill job stands.",
    query=Query,
    path_parameters=JOB_PATH,
    answers={
        200: (
            Answer(
                words="The job.",
                schema=envelope(PLACED_JOB),
                headers={"Cache-Control": "private, for a second."},
            ),
        )
    },
    problems=("unknown_job", *_UNAVAILABLE),
)
