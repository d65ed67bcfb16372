"""Faults of a request as RFC 9457 problem documents: which parameter, what is wrong, what would be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.providers.spelling import meant_by

TITLES: Mapping[int, str] = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "The request body came too slowly",
    409: "Conflict with the present state",
    410: "No longer available",
    413: "Too large",
    422: "A parameter is wrong",
    500: "Internal error",
    503: "Not available now",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One wrong parameter: its name, a stable word, and a sentence that ends with what would be right."""

    param: str
    code: str
    detail: str

    def document(self) -> dict[str, str]:
        """Return the entry of a problem's `errors`."""
        return {"param": self.param, "code": self.code, "detail": self.detail}


@dataclass(eq=False, kw_only=True)
class Problem(Exception):
    """A request that cannot be answered; `code` is stable, `retry_after_s` says when to come again."""

    status: int
    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    retry_after_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the problem+json body."""
        return {
            "type": f"urn:mds:problem:{self.code}",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
            "retryable": self.retry_after_s is not None,
            "errors": [error.document() for error in self.errors],
            **self.extra,
        }


def invalid(*errors: FieldError) -> Problem:
    """Return the problem of one or more wrong parameters."""
    return Problem(status=422, code="invalid_parameter", detail=errors[0].detail, errors=errors)


def invalid_field(param: str, code: str, detail: str) -> Problem:
    """Return the problem of one wrong parameter."""
    return invalid(FieldError(param=param, code=code, detail=detail))


def unknown_symbol(symbol: str, *, suggestion: str | None = None) -> Problem:
    """Return the problem of a symbol nobody ever sent us anything about."""
    meant = suggestion or " or ".join(other for other in meant_by(symbol) if other != symbol)
    hint = f"did you mean {meant}?" if meant else "add it to the configuration, or correct it"
    detail = f"nothing is known of the symbol {symbol!r}; {hint}"
    error = FieldError(param="symbol", code="unknown_symbol", detail=detail)
    return Problem(status=404, code="unknown_symbol", detail=detail, errors=(error,))
