"""The OpenAPI 3.1 document of the endpoints, from their declarations alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.http.columns import PROBLEM
from gateway.http.endpoints import PROBLEM_JSON, Answer, Endpoint, Parameter, defaults_of, parameters_of
from gateway.http.negotiation import JSON_V1, offered
from gateway.http.parameters import Schema
from gateway.http.problems import PROBLEMS

OPENAPI = "3.1.0"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Market Data Service"
ABOUT = (
    "Quotes, trades and bars with every version ever known. Times are RFC 3339 in UTC with six digits; ranges include "
    "their start and exclude their end; a parameter that is unknown, repeated or wrong is refused, all of them at once. "
    f"Whoever accepts `{JSON_V1}` gets version 1 of the answers under that name, or 406 once it is no longer spoken."
)
RETRY = {
    "Retry-After": {
        "description": "Seconds after which the same request may succeed.",
        "schema": {"type": "integer"},
    }
}
BORDER = (
    "host_not_allowed",
    "origin_not_allowed",
    "cross_site",
    "proxied_without_keys",
    "auth_failed",
    "rate_limited",
)  # a wrong key is refused even where none is needed
KEYED = ("unauthenticated", "forbidden")


def openapi(endpoints: Sequence[Endpoint[Any]], version: str) -> dict[str, Any]:
    """Return the document; `version` is the service's."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": OPENAPI,
        "jsonSchemaDialect": DIALECT,
        "info": {"title": TITLE, "version": version, "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": topic} for topic in dict.fromkeys(endpoint.topic for endpoint in endpoints)],
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        },
    }


def problems_of(endpoint: Endpoint[Any]) -> list[str]:
    """Return every code an endpoint may answer with, by status."""
    codes = {*endpoint.problems, *BORDER, "internal"}
    if endpoint.scope != "public":
        codes |= {*KEYED}
    if not endpoint.lenient:
        codes |= {"invalid_parameter"}
    if offered(endpoint):
        codes |= {"not_acceptable"}
    if endpoint.body is not None:
        codes |= {"request_timeout", "body_too_large"}
        if endpoint.errors is None:
            codes |= {"unsupported_media_type"}
    return sorted(codes, key=lambda code: (PROBLEMS[code].status, code))


def _operation(endpoint: Endpoint[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "tags": [endpoint.topic],
        "summary": endpoint.summary,
        "description": f"Needs the scope `{endpoint.scope}` where keys are in use.",
        "parameters": [
            *_declared(endpoint.path_parameters, "path"),
            *_query_parameters(endpoint),
            *_declared(endpoint.request_headers, "header"),
        ],
        "responses": _responses(endpoint),
    }
    if endpoint.scope == "public":
        operation |= {"description": "Needs no key.", "security": []}
    else:
        # Without keys on a loopback address no header is needed: the empty requirement says so.
        operation["security"] = [{"key": []}, {}]
    if endpoint.body is not None:
        content = {endpoint.body.media: {"schema": endpoint.body.schema}}
        operation["requestBody"] = {
            "description": endpoint.body.words,
            "required": endpoint.body.required,
            "content": content,
        }
    return operation


def _operation_id(endpoint: Endpoint[Any]) -> str:
    words = endpoint.path.replace("{", "by/").replace("}", "").replace(".", "/").split("/")
    return "_".join([endpoint.method.lower(), *(word for word in words if word)])


def _declared(declared: Mapping[str, Parameter], place: str) -> Iterable[dict[str, Any]]:
    for name, parameter in declared.items():
        yield {
            "name": name,
            "in": place,
            "required": place == "path",
            "description": parameter_words(parameter),
            "schema": parameter.kind.schema(),
        }


def _query_parameters(endpoint: Endpoint[Any]) -> Iterable[dict[str, Any]]:
    defaults = defaults_of(endpoint.query)
    for name, parameter in parameters_of(endpoint.query).items():
        schema: Schema = parameter.kind.schema()
        if has_default(parameter, defaults[name]):
            schema["default"] = defaults[name]
        yield {
            "name": name,
            "in": "query",
            "required": False,
            "description": parameter_words(parameter),
            "schema": schema,
        }


def has_default(parameter: Parameter, default: Any) -> bool:
    """Whether a default is one a caller could have sent: not "none", and not an end of time in µs."""
    return default not in (None, "") and parameter.kind.schema().get("type") in (
        ("string",) if isinstance(default, str) else ("integer",)
    )


def parameter_words(parameter: Parameter) -> str:
    """Return what is said of a parameter: words, unit, and what it cannot be given with."""
    unit = f" Unit: {parameter.unit}." if parameter.unit else ""
    rivals = f" Not with {', '.join(parameter.not_with)}." if parameter.not_with else ""
    after = f" After {parameter.after}." if parameter.after else ""
    return f"{parameter.words}{after}{rivals}{unit}"


def _responses(endpoint: Endpoint[Any]) -> dict[str, Any]:
    responses = {str(status): _answered(answers) for status, answers in sorted(endpoint.answers.items())}
    by_status: dict[str, list[str]] = {}
    for code in problems_of(endpoint):
        by_status.setdefault(str(PROBLEMS[code].status), []).append(code)
    for status, codes in by_status.items():
        words = "\n".join(f"- `{code}`: {PROBLEMS[code].cause} {PROBLEMS[code].remedy}" for code in codes)
        refused: dict[str, Any] = {
            "description": words,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in ("429", "503"):
            refused["headers"] = RETRY
        known = responses.setdefault(status, {"description": "", "content": {}, "headers": {}})
        known["description"] = f"{known['description']}\n{words}".strip()
        known["content"] = {**known.get("content", {}), **refused["content"]}
        known["headers"] = {**known.get("headers", {}), **refused.get("headers", {})}
    return {
        status: {name: part for name, part in response.items() if part}
        for status, response in responses.items()
    }


def _answered(answers: Sequence[Answer]) -> dict[str, Any]:
    headers = {name: words for answer in answers for name, words in answer.headers.items()}
    return {
        "description": " ".join(answer.words for answer in answers),
        "content": {answer.media: {"schema": answer.schema} for answer in answers if answer.media},
        "headers": {
            name: {"description": words, "schema": {"type": "string"}} for name, words in headers.items()
        },
    }
