"""`POST /admin/macro/refresh`: what may be asked, what is answered, and what stands against it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gateway.backfill.order_request import KEY, KEY_HEADER
from gateway.http.bodies import json_object
from gateway.http.columns import DATE, FLAG, NUMBER, TEXT, WHOLE, Column, envelope, record, rows, words_of
from gateway.http.endpoints import Answer, Body, Endpoint, Parameter, Query
from gateway.http.parameters import AnyText, Schema, shown, unknown
from gateway.http.problems import FieldError, invalid
from gateway.market.factors import MAX_SERIES
from schemas.clocks import WallTime
from schemas.configuration.model import Configuration
from schemas.errors import UnknownSymbol
from schemas.macro_keys import series_key
from schemas.providers.facts import ProviderFacts

EXAMPLE = '{"keys": ["cpi", "FRED:GDPC1"], "full": true}'
MEMBERS = ("keys", "full", "vintages")
MAX_KEYS = 1_000  # as many as a configuration names
LONGEST_WAIT_S = 50
LIFETIME_S = 600  # of a refresh: whatever is not done by then has expired
PREFER, APPLIED = "Prefer", "Preference-Applied"
FAILURES = ("provider_disabled", "refused", "failed", "expired")
_WAIT = re.compile(r"wait=(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshAsked:
    """A body: series by the names given (None: all that are collected), and whether all there is of them is asked for again."""

    keys: Mapping[str, str] | None = None
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshWanted:
    """A refresh of these keys, in order, each once."""

    keys: tuple[str, ...]
    full: bool

    @property
    def content(self) -> str:
        """Return what is asked for, to be compared with another request."""
        return f"macro refresh {'full' if self.full else 'news'} {' '.join(self.keys)}"

    @property
    def subject(self) -> str:
        """Return the name under which refreshes of the same are noted."""
        return f"macro_refresh|{sha256(self.content.encode()).hexdigest()[:32]}"


def refresh_asked(body: bytes) -> RefreshAsked:
    """Return what a body asks, an empty one for news of all series; raise the Problem of everything wrong with it."""
    if not body.strip():
        return RefreshAsked()
    document = json_object(body, EXAMPLE)
    strange = sorted(set(document) - set(MEMBERS))[:MAX_SERIES]
    errors = [
        FieldError(param=name, code="unknown_field", detail=unknown(name, MEMBERS, "no member here"))
        for name in strange
    ]
    keys, wrong = _keys(document.get("keys"))
    errors += wrong
    errors += [each for name in ("full", "vintages") for each in _flag_faults(name, document.get(name))]
    if document.get("vintages") is False:
        detail = (
            "vintages is false; a value without its vintage would stand beside those that have theirs, so vintages come wherever "
            "a source tells them: leave it out"
        )
        errors.append(FieldError(param="vintages", code="not_a_choice", detail=detail))
    if errors:
        raise invalid(*errors)
    return RefreshAsked(keys=keys, full=document.get("full") is True)


def _flag_faults(name: str, given: object) -> list[FieldError]:
    if given is None or isinstance(given, bool):
        return []
    detail = f"{name} is neither true nor false; send {EXAMPLE}"
    return [FieldError(param=name, code="not_a_choice", detail=detail)]


def _keys(given: object) -> tuple[Mapping[str, str] | None, list[FieldError]]:
    if given is None:
        return None, []
    if not isinstance(given, list) or not given or not all(isinstance(each, str) for each in given):
        detail = f"keys is no list of names; send {EXAMPLE}, or leave it out for all series"
        return None, [FieldError(param="keys", code="not_a_list", detail=detail)]
    if len(given) > MAX_KEYS:
        detail = f"keys names {len(given)} series; name {MAX_KEYS} at most"
        return None, [FieldError(param="keys", code="out_of_range", detail=detail)]
    found, errors = dict[str, str](), list[FieldError]()
    for name in dict.fromkeys(given):
        try:
            found[name] = str(series_key(name))
        except UnknownSymbol as error:
            errors.append(FieldError(param="keys", code="not_a_symbol", detail=f"keys: {error}"))
    return found, errors[:MAX_SERIES]


def wait_of(preference: str | None) -> int | None:
    """Return for how many seconds a caller prefers to wait, at most LONGEST_WAIT_S; None: not at all."""
    for part in (preference or "").split(","):
        if (match := _WAIT.fullmatch(part.strip())) is not None:
            return min(int(match[1]), LONGEST_WAIT_S) or None
    return None


def check_collected(keys: Mapping[str, str], configuration: Configuration) -> None:
    """Raise the Problem of series that the configuration does not collect."""
    collected = {str(key) for key in configuration.streams.series}
    errors = [
        FieldError(
            param="keys",
            code="not_collected",
            detail=f"{shown(name)} is not collected; add it to streams.macro.keys of the configuration first",
        )
        for name, key in keys.items()
        if key not in collected
    ]
    if errors:
        raise invalid(*errors[:MAX_SERIES])


def keyless(facts: ProviderFacts) -> str:
    """Return why all vintages of a series cannot be had from a source that is asked without its key."""
    given = facts.without_key or "nothing"
    return f"{facts.title} is asked without a key and gives {given}; set {facts.keys} for the producers"


def job_id_of(wanted: RefreshWanted, begun: WallTime) -> str:
    """Return what a refresh is called that is begun at a moment."""
    return f"{wanted.subject}|{begun}"


def begun_of(job_id: str) -> WallTime:
    """Return when a refresh of this name was begun."""
    return WallTime(int(job_id.rpartition("|")[2]))


def job_row(job_id: str, keys: Sequence[str], requests: Mapping[str, int], eta: float) -> dict[str, Any]:
    """Return the JSON row of a refresh."""
    return {"job_id": job_id, "keys": [*keys], "requests": sum(requests.values()), "eta_s": eta}


_JOB = (
    Column("job_id", TEXT, "Its id, that of its jobs on jobs.v1."),
    Column("keys", rows(TEXT), "Series it asks for, by key."),
    Column("requests", WHOLE, "Requests it takes at the least.", "requests"),
    Column("eta_s", NUMBER, "Seconds they take at the pace the sources are asked at.", "s"),
)
_CHANGED = record(
    Column("key", TEXT, "Key of the series."),
    Column("vintages", WHOLE, "Values and revisions that are new here.", "values"),
    Column("first", DATE, "First day of the earliest period among them.", "date"),
    Column("last", DATE, "First day of the latest one.", "date"),
)
_FAILED = record(
    Column("key", TEXT, "Key of the series."),
    Column("code", words_of(FAILURES), "Why nothing, or not all, came of it."),
    Column("detail", TEXT, "The same in words, with the remedy."),
)
_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "keys": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": MAX_KEYS,
            "description": "Series by key or alias; without it all that are collected.",
        },
        "full": {
            "type": "boolean",
            "default": False,
            "description": "Ask again for all that their sources ever said, not for what is new.",
        },
        "vintages": {
            "type": "boolean",
            "enum": [True],
            "default": True,
            "description": "Vintages come wherever a source tells them.",
        },
    },
    "required": [],
    "additionalProperties": False,
}
REFRESH = Endpoint(
    method="POST",
    path="/admin/macro/refresh",
    scope="admin",
    topic="Macro series",
    summary="Ask the sources of macro series now; a refresh of the same series that is under way is not begun again.",
    query=Query,
    request_headers={
        KEY_HEADER: Parameter(
            kind=KEY,
            words="A key of your own for this request, yours for 30 days: with it the same request again is answered with "
            "the same job, also after it ended.",
        ),
        PREFER: Parameter(
            kind=AnyText(),
            words=f"`wait=30`: answer when it has ended, at the latest after so many seconds, {LONGEST_WAIT_S} at most.",
        ),
    },
    body=Body(words=f"What is asked, such as {EXAMPLE}; empty: news of all.", schema=_SCHEMA, required=False),
    answers={
        202: (
            Answer(
                words="Under way. Ask again with the same Idempotency-Key and `Prefer` for what came of it.",
                schema=envelope(
                    record(*_JOB, Column("joined", FLAG, "An earlier request had begun it already.")),
                ),
            ),
        ),
        200: (
            Answer(
                words="It ended within the time preferred, and what came of it can be asked for.",
                schema=envelope(
                    record(
                        *_JOB,
                        Column("joined", FLAG, "An earlier request had begun it already."),
                        Column("changed", rows(_CHANGED), "Series of which something new came."),
                        Column("unchanged", rows(TEXT), "Series that say what they said before, by key."),
                        Column("failed", rows(_FAILED), "Series that could not be asked for."),
                        Column(
                            "without_vintages",
                            rows(TEXT),
                            "Series whose source was asked without its key: their values of now came alone.",
                        ),
                    ),
                ),
                headers={APPLIED: "The time to wait that counted."},
            ),
        ),
    },
    problems=(
        "not_json",
        "provider_budget",
        "idempotency_key_reused",
        "configuration_unknown",
        "broker_unavailable",
        "overloaded",
        "store_unavailable",
    ),
)
