"""`price` and `batch`: what may be asked, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from gateway.http.bodies import MOST_UNKNOWN, json_object
from gateway.http.columns import AS_OF, UNRESOLVED, by_name, envelope, or_null, record
from gateway.http.endpoints import Answer, Body, Endpoint, Query, parameter
from gateway.http.parameters import SYMBOL_RULE, Complaint, Moment, ProviderName, Schema, Whole, unknown
from gateway.http.problems import FieldError, invalid
from gateway.market.bars_request import PATH_SYMBOL
from gateway.market.price import PRICE_COLUMNS, PRICE_FIELDS
from schemas.clocks import KnowledgeTime
from schemas.intervals import DAY_US

MAX_BATCH_SYMBOLS = 500
MAX_AGE_LIMIT_MS = 10 * 365 * DAY_US // 1000
BATCH_MEMBERS = ("symbols", "fields", "as_of")
EXAMPLE = '{"symbols": ["AAPL", "MSFT"]}'
AS_OF_MEMBER = Moment()


@dataclass(frozen=True, kw_only=True)
class PriceQuery(Query):
    """Query of `GET /stocks/{symbol}/price`."""

    provider: str | None = parameter(
        ProviderName(), "Only values of this provider; the newest of all without it."
    )
    as_of: KnowledgeTime | None = parameter(Moment(), "Answer with what was known then.", unit="RFC 3339")
    max_age_ms: int | None = parameter(
        Whole(0, MAX_AGE_LIMIT_MS), "Refuse a value older than this.", unit="ms"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """The newest values of many symbols, each named once, as known by `as_of`."""

    symbols: Sequence[str]
    fields: Sequence[str] | None
    as_of: KnowledgeTime | None


def batch_request(body: bytes) -> BatchRequest:
    """Return what the body of BATCH asks; raise Problem naming each member that is wrong."""
    document = json_object(body, EXAMPLE)
    strange = (name for name in document if name not in BATCH_MEMBERS)
    errors = [
        FieldError(param=name, code="unknown_field", detail=unknown(name, BATCH_MEMBERS))
        for name in islice(strange, MOST_UNKNOWN)
    ]
    as_of = None
    if document.get("as_of") is not None:
        try:
            as_of = KnowledgeTime(AS_OF_MEMBER.read("as_of", str(document["as_of"]), "UTC"))
        except Complaint as complaint:
            errors.append(FieldError(param="as_of", code=complaint.code, detail=str(complaint)))
    errors += _symbol_errors(document.get("symbols")) + _field_errors(document.get("fields"))
    if errors:
        raise invalid(*errors)
    symbols = list(dict.fromkeys(document["symbols"]))
    return BatchRequest(symbols=symbols, fields=document.get("fields"), as_of=as_of)


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
    strange = ((place, str(name)) for place, name in enumerate(fields) if name not in PRICE_FIELDS)
    return [
        FieldError(param=f"fields[{place}]", code="unknown_field", detail=unknown(name, PRICE_FIELDS))
        for place, name in islice(strange, MOST_UNKNOWN)
    ]


_BATCH: Schema = {
    "type": "object",
    "properties": {
        "symbols": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": MAX_BATCH_SYMBOLS,
            "description": "One that cannot be answered is listed in `unresolved` and spoils no other.",
        },
        "fields": {
            "type": ["array", "null"],
            "items": {"type": "string", "enum": list(PRICE_FIELDS)},
            "minItems": 1,
            "description": "Members wanted of each value; all without it.",
        },
        "as_of": or_null(AS_OF_MEMBER.schema())
        | {"description": "Answer with what was known then. Unit: RFC 3339."},
    },
    "required": ["symbols"],
    "additionalProperties": False,
}
_UNAVAILABLE = ("not_yet_complete", "overloaded", "store_unavailable")
_SOME_FIELDS: Schema = record(*PRICE_COLUMNS) | {"required": []}

PRICE = Endpoint(
    method="GET",
    path="/stocks/{symbol}/price",
    scope="read",
    topic="Market data",
    summary="The newest value of a symbol, with its age and state.",
    query=PriceQuery,
    path_parameters=PATH_SYMBOL,
    answers={
        200: (
            Answer(
                words="The value; data is null where something of the symbol is stored, but no price.",
                schema=envelope(or_null(record(*PRICE_COLUMNS)), AS_OF, UNRESOLVED),
            ),
        )
    },
    problems=("unknown_symbol", "not_kept", "stale_value", *_UNAVAILABLE),
)
BATCH = Endpoint(
    method="POST",
    path="/stocks/batch",
    scope="read",
    topic="Market data",
    summary="The newest values of many symbols in one answer.",
    query=Query,
    lenient=True,
    body=Body(words=f"What is asked, such as {EXAMPLE}.", schema=_BATCH),
    answers={
        200: (
            Answer(
                words="The values by symbol.",
                schema=envelope(by_name(_SOME_FIELDS), AS_OF, UNRESOLVED, members=(UNRESOLVED,)),
            ),
        )
    },
    problems=("not_json", "not_kept", "invalid_parameter", *_UNAVAILABLE),
)
