"""`/ops/trace` and `/ops/traces`: which process shall be traced and for how long, and what is answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.http.bodies import MOST_UNKNOWN, json_object
from gateway.http.columns import TEXT, WHOLE, Column, envelope, record, rows
from gateway.http.endpoints import JSON, Answer, Body, Endpoint, Parameter, Query
from gateway.http.parameters import Schema, Word, unknown
from gateway.http.problems import FieldError, invalid

MAX_SECONDS = 60
MIN_ENTRIES, MAX_ENTRIES = 1_000, 1_000_000
DEFAULT_SECONDS, DEFAULT_ENTRIES = 5, 200_000
OWN = "gateway"
EXAMPLE = '{"service": "gateway", "seconds": 5}'
RANGES: Mapping[str, tuple[int, int, int]] = {
    "seconds": (1, MAX_SECONDS, DEFAULT_SECONDS),
    "max_entries": (MIN_ENTRIES, MAX_ENTRIES, DEFAULT_ENTRIES),
}
"""Least, most and default of the numbers of an order."""

_ORDER: Schema = {
    "type": "object",
    "properties": {
        "service": {"type": "string", "description": "The process: gateway, or a name of GATEWAY_SERVICES."},
        **{
            name: {
                "type": "integer",
                "minimum": least,
                "maximum": most,
                "default": default,
                "description": words,
            }
            for (name, (least, most, default)), words in zip(
                RANGES.items(),
                ("For how long. Unit: s.", "Most calls that are kept, the newest."),
                strict=True,
            )
        },
    },
    "required": ["service"],
    "additionalProperties": False,
}
_BEGUN = record(
    Column("id", TEXT, "Names the trace, once it is over."),
    Column("service", TEXT, "The process that is traced."),
    Column("seconds", WHOLE, "For how long.", "s"),
    Column("max_entries", WHOLE, "Most calls that are kept."),
)
_KEPT = record(
    Column("id", TEXT, "Its name; the moment it began, in UTC, is part of it."),
    Column("service", TEXT, "The process that was traced."),
    Column("size_bytes", WHOLE, "Of the file.", "bytes"),
)
TRACE = Endpoint(
    method="POST",
    path="/ops/trace",
    scope="admin",
    topic="Operations",
    summary="Trace every call of a process for some seconds; it is several times slower meanwhile.",
    query=Query,
    body=Body(words="Which process, and for how long.", schema=_ORDER),
    answers={202: (Answer(words="It has begun.", schema=envelope(_BEGUN)),)},
    problems=("not_json", "tracing_disabled", "trace_under_way", "service_unreachable"),
)
TRACES = Endpoint(
    method="GET",
    path="/ops/traces",
    scope="admin",
    topic="Operations",
    summary="The traces that are kept, the newest five.",
    query=Query,
    answers={200: (Answer(words="The newest first.", schema=envelope(rows(_KEPT))),)},
)
TRACE_FILE = Endpoint(
    method="GET",
    path="/ops/traces/{id}",
    scope="admin",
    topic="Operations",
    summary="A trace in Chrome's trace format, for `vizviewer` or Perfetto.",
    query=Query,
    path_parameters={
        "id": Parameter(
            kind=Word(r"[a-z_]{1,32}-\d{8}T\d{12}Z", "not_a_choice", "use an id that GET /ops/traces lists"),
            words="As `id` of the list.",
        )
    },
    answers={
        200: (Answer(words="The file.", media=JSON),),
        206: (Answer(words="A range of it.", media=JSON, headers={"Content-Range": "Which it is."}),),
        304: (Answer(words="The caller has it.", media=""),),
        416: (Answer(words="The range begins behind its end.", media=""),),
    },
    problems=("unknown_trace",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTrace:
    """A trace as it is asked for."""

    service: str
    seconds: int
    max_entries: int


def wanted_trace(body: bytes, services: Collection[str]) -> WantedTrace:
    """Return what a body asks, of one of these services; raise the Problem of everything wrong with it."""
    given = json_object(body, EXAMPLE)
    errors = [*_unknown(given), *_service(given, services)]
    numbers = dict[str, int]()
    for name, (least, most, default) in RANGES.items():
        value = given.get(name, default)
        if type(value) is not int or not least <= value <= most:
            detail = f"{name} is wrong; use a whole number of {least} to {most}"
            errors.append(FieldError(param=name, code="out_of_range", detail=detail))
        else:
            numbers[name] = value
    if errors:
        raise invalid(*errors)
    return WantedTrace(service=given["service"], **numbers)


def _unknown(given: Mapping[str, Any]) -> list[FieldError]:
    known = ("service", *RANGES)
    strange = [name for name in given if name not in known][:MOST_UNKNOWN]
    return [
        FieldError(param=name, code="unknown_field", detail=unknown(name, known, "no member here"))
        for name in strange
    ]


def _service(given: Mapping[str, Any], services: Collection[str]) -> list[FieldError]:
    if "service" not in given:
        return [
            FieldError(
                param="service", code="missing_field", detail=f"service is missing; send it: {EXAMPLE}"
            )
        ]
    if given["service"] in list(services):
        return []
    detail = f"service is wrong; use one of {', '.join(sorted(services))}"
    return [FieldError(param="service", code="not_a_choice", detail=detail)]
