"""The REST reference, written from the declarations of the endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.http.endpoints import Endpoint, Parameter, defaults_of, parameters_of
from gateway.http.openapi import ABOUT, has_default, parameter_words, problems_of
from gateway.http.parameters import Schema
from gateway.http.problems import PROBLEMS

WRITTEN = "<!-- Written from the declarations by the generator; change those. -->"


def rest_page(endpoints: Sequence[Endpoint[Any]]) -> str:
    """Return the Markdown page of all endpoints, by topic."""
    parts = [
        "# REST",
        WRITTEN,
        ABOUT,
        "The same as data: `GET /openapi.json`. Problems: [errors](errors.md).",
    ]
    for topic in dict.fromkeys(endpoint.topic for endpoint in endpoints):
        parts.append(f"## {topic}")
        for endpoint in endpoints:
            if endpoint.topic == topic:
                parts += _endpoint(endpoint)
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a bar in a cell is escaped."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *cells))


def members(schema: Schema) -> str:
    """Return the table of an object's members; "" where it has none declared."""
    lines = [
        (
            f"`{name}`",
            type_of(each),
            str(each.get("description", "")),
            "" if name in schema["required"] else "may be absent",
        )
        for name, each in schema.get("properties", {}).items()
    ]
    return table(("Member", "Type", "Meaning", ""), lines) if lines else ""


def type_of(schema: Schema) -> str:
    """Return the type of a value in words."""
    if "anyOf" in schema:
        return " or ".join(type_of(each) for each in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    if "minimum" in schema:
        return f"{schema['minimum']:,} to {schema['maximum']:,}"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {type_of(schema['items'])}" if "items" in schema else "list"
    words = " or ".join([kind] if isinstance(kind, str) else kind)
    return schema["format"] + words.removeprefix("string") if "format" in schema else words


def _endpoint(endpoint: Endpoint[Any]) -> Iterable[str]:
    yield f"### `{endpoint.method} {endpoint.path}`"
    keys = "No key." if endpoint.scope == "public" else f"Scope `{endpoint.scope}`."
    yield f"{endpoint.summary} {keys}"
    if lines := [*_parameters(endpoint)]:
        yield table(("Parameter", "In", "Accepts", "Default", "Meaning"), lines)
    if endpoint.body is not None:
        yield f"Body (`{endpoint.body.media}`): {endpoint.body.words}"
        if found := members(endpoint.body.schema):
            yield found
    yield from _answers(endpoint)
    by_status: dict[int, list[str]] = {}
    for code in problems_of(endpoint):
        by_status.setdefault(PROBLEMS[code].status, []).append(f"`{code}`")
    yield "Problems: " + "; ".join(f"{status} {' '.join(codes)}" for status, codes in by_status.items()) + "."


def _parameters(endpoint: Endpoint[Any]) -> Iterable[Sequence[str]]:
    yield from _declared(endpoint.path_parameters, "path")
    defaults = defaults_of(endpoint.query)
    for name, parameter in parameters_of(endpoint.query).items():
        default = f"`{defaults[name]}`" if has_default(parameter, defaults[name]) else ""
        yield f"`{name}`", "query", type_of(parameter.kind.schema()), default, parameter_words(parameter)
    yield from _declared(endpoint.request_headers, "header")


def _declared(declared: Mapping[str, Parameter], place: str) -> Iterable[Sequence[str]]:
    for name, parameter in declared.items():
        yield f"`{name}`", place, type_of(parameter.kind.schema()), "", parameter_words(parameter)


def _answers(endpoint: Endpoint[Any]) -> Iterable[str]:
    for status, answers in sorted(endpoint.answers.items()):
        for answer in answers:
            media = f" (`{answer.media}`)" if answer.media else ""
            yield f"**{status}**{media}: {answer.words}"
            if answer.headers:
                yield table(
                    ("Header", "Meaning"), ((f"`{name}`", words) for name, words in answer.headers.items())
                )
            yield from _bodies(answer.schema)


def _bodies(schema: Schema) -> Iterable[str]:
    """Yield the tables of an answer: of its rows and its meta where it is an envelope, else of itself."""
    properties = schema.get("properties", {})
    if "data" not in properties:
        if found := members(schema):
            yield found
        return
    for name in ("data", "meta"):
        inner = properties[name]
        inner = inner.get("items") or inner.get("additionalProperties") or inner
        if found := members(inner if isinstance(inner, dict) else {}):
            yield f"`{name}`:"
            yield found
