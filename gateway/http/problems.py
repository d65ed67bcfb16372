"""Faults of a request as RFC 9457 problem documents: which parameter, what is wrong, what would be right.

`PROBLEMS` is the one table of codes, `FIELD_ERRORS` the one of the words in a problem's `errors`; both are published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.providers.built_in import meant_by

TITLES: Mapping[int, str] = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Nothing that is accepted",
    408: "The request body came too slowly",
    409: "Conflict with the present state",
    410: "No longer available",
    413: "Too large",
    415: "Not a body that is read here",
    416: "No such range",
    422: "A parameter is wrong",
    429: "Too many",
    500: "Internal error",
    503: "Not available now",
}
ANY_STATUS = 0  # of a code that stands for several statuses


@dataclass(frozen=True, slots=True)
class Cause:
    """One code of the table: its HTTP status (ANY_STATUS: several), what brings it about, and what to do."""

    status: int
    cause: str
    remedy: str

    @property
    def title(self) -> str:
        """Return the `title` of its documents."""
        return TITLES.get(self.status, "Error")


PROBLEMS: Mapping[str, Cause] = {
    "bad_request": Cause(400, "The request is not HTTP as it should be.", "Correct what `detail` names."),
    "not_json": Cause(400, "The body is not JSON.", "Send a JSON object."),
    "token_invalid": Cause(
        400, "The page token was not made here.", "Copy `next_page_token` unchanged, or begin without one."
    ),
    "token_mismatch": Cause(
        400,
        "The page token belongs to another query.",
        "Keep every other parameter as it was, or begin without one.",
    ),
    "unauthenticated": Cause(
        401, "A key is asked for and none was sent.", "Send `Authorization: Bearer <key>`."
    ),
    "auth_failed": Cause(401, "The key is not known here.", "Check it, or ask its issuer for a new one."),
    "forbidden": Cause(403, "The key lacks the scope of the endpoint.", "Use a key that has it."),
    "host_not_allowed": Cause(
        403, "Without keys only a loopback name may be asked.", "Use 127.0.0.1, or set up keys."
    ),
    "origin_not_allowed": Cause(
        403, "A web page of that Origin may not ask.", "Add it to GATEWAY_ORIGINS or to the key's origins."
    ),
    "cross_site": Cause(
        403, "A page of another site embeds the answer.", "Fetch it from an Origin that is in GATEWAY_ORIGINS."
    ),
    "proxied_without_keys": Cause(
        403, "A proxy brought the request, and there are no keys.", "Set GATEWAY_KEYS_FILE, or ask without a proxy."
    ),
    "backfill_disabled": Cause(
        403, "The configuration says that nothing is fetched again.", "Set backfill.enabled to true, then reload."
    ),
    "tracing_disabled": Cause(
        403, "The process does not let itself be traced.", "Start it with MDS_TRACE=1, and the extra `trace`."
    ),
    "unknown_path": Cause(404, "There is no such path.", "Take the one suggested; GET / lists what there is."),
    "unknown_symbol": Cause(
        404, "Nothing was ever stored or seen of the symbol.", "Correct it, or add it to the configuration."
    ),
    "no_options": Cause(
        404, "No option chain of the symbol was ever stored.", "Collect it with `streams.options`, or take another symbol."
    ),
    "unknown_expiry": Cause(404, "No listed contract expires on that day.", "Take one of those `detail` names."),
    "unknown_cursor": Cause(
        404, "The symbol has no such stream.", "Take one of those `detail` lists, or wait for its first record."
    ),
    "unknown_job": Cause(
        404, "There is no such backfill job.", "Copy its `job_id`, or ask again: one that ended may be purged."
    ),
    "no_archive": Cause(
        404, "No archive is where the setting says.", "Set GATEWAY_ARCHIVE to its folder, or start `mds archive run`."
    ),
    "unknown_file": Cause(404, "No file of the archive is called so.", "Take a `path` that GET /archive lists."),
    "unknown_trace": Cause(404, "No trace is called so.", "Take an `id` that GET /ops/traces lists."),
    "unknown_dead_event": Cause(
        404, "There is no such dead event, or cause.", "Copy it from GET /ops/dlq/events; what expired is gone."
    ),
    "method_not_allowed": Cause(405, "The path has other methods.", "Use one of the header `Allow`."),
    "not_acceptable": Cause(
        406, "The answer has none of the media types of `Accept`.", "Accept one of those `detail` lists."
    ),
    "request_timeout": Cause(408, "The body did not come in time.", "Send it whole."),
    "no_configuration_file": Cause(
        409, "No file is in force: the simulator's symbols are collected.", "Set MDS_CONFIG and restart."
    ),
    "trace_under_way": Cause(409, "A process is being traced already.", "Come again when that is over."),
    "wrong_state": Cause(
        409, "The job, or dead event, is in a state in which this cannot be done.", "Look at `state`, and who `acted` on it last."
    ),
    "token_expired": Cause(410, "The page token is older than an hour, and has expired.", "Begin without one."),
    "not_kept": Cause(
        410, "What is asked for is older than what is kept.", "Ask for what is since `kept_from`."
    ),
    "file_pruned": Cause(
        410, "The file was deleted to make room.", "Ask for a later one; what is stored is in the database still."
    ),
    "body_too_large": Cause(413, "The body is larger than the endpoint takes.", "Split it."),
    "unsupported_media_type": Cause(
        415, "The body has another media type, or is compressed.", "Send the one `detail` names, uncompressed."
    ),
    "range_not_satisfiable": Cause(
        416, "The range begins behind the end of the file.", "Ask for one within the length in Content-Range."
    ),
    "invalid_parameter": Cause(
        422, "One or more parameters are wrong; `errors` names all of them.", "Correct each as its `detail` says."
    ),
    "idempotency_key_reused": Cause(
        422, "The Idempotency-Key stands for another request of yours.", "Take a new key for a new request."
    ),
    "body_not_allowed": Cause(422, "The endpoint takes no body.", "Send none; POST /ops/validate tries one."),
    "invalid_configuration": Cause(
        422, "The configuration file has faults; the last good one stays in force.", "Correct each of `errors`."
    ),
    "backfill_cap": Cause(
        429, "The tier has as many backfill jobs as it may.", "Come again after `Retry-After`, or take another tier."
    ),
    "provider_budget": Cause(
        429, "A provider was asked as often today as it may be.", "Come again at `reset_time`, or allow it more."
    ),
    "rate_limited": Cause(
        429, "The key, or the address, has used its units.", "Come again after `Retry-After`; ask for less at once."
    ),
    "upgrade_required": Cause(426, "The path is a WebSocket.", "Connect with ws:// or wss://."),
    "archive_damaged": Cause(
        500, "A file of the archive is not as it was written.", "Run `mds archive verify` where it is, and restore a copy."
    ),
    "internal": Cause(500, "A fault of the service.", "Report it with the `request_id`."),
    "broker_unavailable": Cause(503, "Kafka does not answer now.", "Come again after `Retry-After`."),
    "busy": Cause(503, "Too much of this is under way at once.", "Come again after `Retry-After`."),
    "configuration_unknown": Cause(
        503, "No configuration was read yet.", "Come again, or see `last_error` of GET /health."
    ),
    "not_ready": Cause(
        503, "The store has not said yet how complete it is.", "Come again, or look at GET /health."
    ),
    "not_yet_complete": Cause(
        503, "The store has not reached the `as_of` asked for.", "Come again, or ask for the one `detail` names."
    ),
    "overloaded": Cause(
        503, "All connections to the database are in use, or too many option chains wait to be priced.", "Come again after `Retry-After`."
    ),
    "service_unreachable": Cause(
        503, "The process does not answer at its ops port.", "Look whether it runs (`mds status`), then come again."
    ),
    "stale_value": Cause(
        503, "The newest value is older than `max_age_ms`.", "Allow more, or come again after `Retry-After`."
    ),
    "too_many_connections": Cause(
        503, "There are as many HTTP connections as there may be.", "Keep fewer open; come again after `Retry-After`."
    ),
    "store_unavailable": Cause(503, "The database does not answer now.", "Come again after `Retry-After`."),
    "http_error": Cause(ANY_STATUS, "Something else of HTTP is not right.", "Correct what `detail` names."),
}  # fmt: skip

FIELD_ERRORS: Mapping[str, str] = {
    "ambiguous_symbol": "The symbol names several instruments; use one of the candidates.",
    "conflict": "Two parameters say the same thing differently; use one of them.",
    "in_future": "Nobody knows yet what will be known then; use an earlier as_of or none.",
    "inverted_range": "`end` is not after `start`; `end` is exclusive.",
    "missing_field": "The member is needed; send it.",
    "needs_adjustment": "The parameter is of adjusted prices; give an `adjustment`, or leave it out.",
    "needs_factors": "The parameter is of macro series beside bars, or of adjusted prices; name series in `with`, give an `adjustment`, or leave it out.",
    "needs_filter": "Nothing says which are meant; give a filter.",
    "needs_symbol": "The parameter is answered for one symbol only; name one, or leave it out.",
    "no_zone": "The time names no zone; add Z or an offset.",
    "not_a_capability": "It is no capability; use one like quotes or bars:1m.",
    "not_a_cause": "It is no cause; copy one from GET /ops/dlq/events.",
    "not_a_choice": "It is none of the choices; use one of those listed.",
    "not_a_date": "It is no date of the calendar; write it like 2026-03-02.",
    "not_a_key": "It cannot be a key of yours; use visible signs without spaces.",
    "not_a_list": "A list is wanted.",
    "not_a_provider": "It cannot be a provider's name; use best or one like yahoo.",
    "not_a_reason": "It says no reason; use a few words.",
    "not_a_symbol": "It cannot be a symbol; use capitals, percent-encoded in a path.",
    "not_a_tier": "It is no tier; use one like T0.",
    "not_a_time": "It is not RFC 3339; write it like 2026-03-02T14:30:00Z.",
    "not_an_age": "It is no age; write it like 30d, 12h or 90m.",
    "not_an_object": "A JSON object is wanted.",
    "not_collected": "It is not collected here; use what is, or add it to the configuration.",
    "not_over": "The stretch ends in the future; end it now or earlier.",
    "not_served": "The provider does not serve that here; use one of those listed, or name none.",
    "not_stored": "Bars of that adjustment are not stored here; ask for one that is, or for none.",
    "not_text": "The member is no text; put it in quotes.",
    "not_with_revisions": "All revisions come in order of time; use sort=asc.",
    "out_of_range": "The number, time or length is outside the range named.",
    "repeated_parameter": "A parameter is given twice; give it once.",
    "too_precise": "The time is finer than a microsecond; use at most six digits.",
    "unknown_field": "There is no such member; use one of those listed.",
    "unknown_parameter": "There is no such parameter; use the one suggested or one of those listed.",
    "unknown_provider": "The provider gave no bars of the symbol; use best or one of those listed.",
}
"""Words of `errors[].code` beside the codes of PROBLEMS, with cause and remedy in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One wrong parameter: its name, a stable word, and a sentence that ends with what would be right."""

    param: str
    code: str
    detail: str

    def document(self) -> dict[str, str]:
        """Return the entry of a problem's `errors`."""
        named = self.param.encode("utf-8", "backslashreplace").decode()  # JSON may name what is no text
        return {"param": named, "code": self.code, "detail": self.detail}


@dataclass(eq=False, kw_only=True)
class Problem(Exception):
    """A request that cannot be answered; `code` is one of PROBLEMS, `retry_after_s` says when to come again.

    `status` is the table's, and has to be given only for a code that has none there.
    """

    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    retry_after_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    status: int = ANY_STATUS

    def __post_init__(self) -> None:
        self.status = self.status or PROBLEMS[self.code].status

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"

    def document(self, request_id: str, trace_id: str = "") -> dict[str, Any]:
        """Return the problem+json body; `trace_id` "": the request is in no trace."""
        return {
            "type": f"urn:mds:problem:{self.code}",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
            **({"trace_id": trace_id} if trace_id else {}),
            "retryable": self.retry_after_s is not None,
            "errors": [error.document() for error in self.errors],
            **self.extra,
        }


def about(param: str, code: str, detail: str, *, retry_after_s: int | None = None, **extra: Any) -> Problem:
    """Return the problem that is itself the error of one parameter."""
    error = FieldError(param=param, code=code, detail=detail)
    return Problem(code=code, detail=detail, errors=(error,), retry_after_s=retry_after_s, extra=extra)


def invalid(*errors: FieldError) -> Problem:
    """Return the problem of one or more wrong parameters."""
    return Problem(code="invalid_parameter", detail=errors[0].detail, errors=errors)


def invalid_field(param: str, code: str, detail: str) -> Problem:
    """Return the problem of one wrong parameter."""
    return invalid(FieldError(param=param, code=code, detail=detail))


def unknown_symbol(symbol: str, *, suggestion: str | None = None) -> Problem:
    """Return the problem of a symbol nobody ever sent us anything about."""
    meant = suggestion or " or ".join(other for other in meant_by(symbol) if other != symbol)
    hint = f"did you mean {meant}?" if meant else "add it to the configuration, or correct it"
    return about("symbol", "unknown_symbol", f"nothing is known of the symbol {symbol!r}; {hint}")
