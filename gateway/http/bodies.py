"""Bodies that are one object of texts: their members are declared and read as the parameters of a query are.

What is wrong is named all at once, a member that is missing, repeated or no text, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.http.endpoints import Parameter, Q, defaults_of, parameters_of, parse
from gateway.http.openapi import has_default, parameter_words
from gateway.http.parameters import Schema, unknown
from gateway.http.problems import FieldError, Problem, about, invalid, invalid_field

MOST_UNKNOWN = 20  # members that are told of, each with the name it may have meant: that takes its time
JSON_WORDS: Mapping[type, str] = {bool: "a boolean", int: "a number", float: "a number", list: "a list"}


class _Members(list[tuple[str, Any]]):
    """The members of an object as they stand: a name may come twice."""


def read_body(
    declared: type[Q],
    body: bytes,
    *,
    required: Sequence[str],
    example: str,
    timezone_of: Callable[[Mapping[str, Any]], str],
) -> Q:
    """Return what a body asks; raise the Problem of everything wrong with it.

    `timezone_of` says of the members as given whose midnight a bare date is. A member that is null and not `required` is
    one left out.
    """
    members = _members(body, example)
    errors, pairs = _judged(members, parameters_of(declared), required, example)
    given = {name for name, _ in members}
    errors += [
        FieldError(param=name, code="missing_field", detail=f"{name} is missing; send it: {example}")
        for name in required
        if name not in given
    ]
    try:
        found = parse(declared, pairs, timezone_of(dict(members)))
    except Problem as problem:
        errors += problem.errors
    if errors:
        raise invalid(*errors)
    return found


def body_schema(declared: type[Any], required: Sequence[str]) -> Schema:
    """Return the schema of a body whose members are declared as parameters."""
    defaults, members = defaults_of(declared), dict[str, Schema]()
    for name, parameter in parameters_of(declared).items():
        members[name] = {**parameter.kind.schema(), "description": parameter_words(parameter)}
        if name not in required and has_default(parameter, defaults[name]):
            members[name]["default"] = defaults[name]
    return {
        "type": "object",
        "properties": members,
        "required": [*required],
        "additionalProperties": False,
    }


def _judged(
    members: _Members, known: Mapping[str, Parameter], required: Sequence[str], example: str
) -> tuple[list[FieldError], list[tuple[str, str]]]:
    """Return what is wrong with members whatever they say, and those that are text."""
    errors, pairs, strange = list[FieldError](), list[tuple[str, str]](), 0
    for name, value in members:
        if name not in known:
            strange += 1
            if strange > MOST_UNKNOWN:
                continue
            detail = unknown(name, tuple(known), "no member here")
            errors.append(FieldError(param=name, code="unknown_field", detail=detail))
        elif isinstance(value, str):
            pairs.append((name, value))
        elif value is not None or name in required:
            word = "null" if value is None else JSON_WORDS.get(type(value), "an object")
            detail = f"{name} is {word}; write it as text: {example}"
            errors.append(FieldError(param=name, code="not_text", detail=detail))
    return errors, pairs


def json_object(body: bytes, example: str) -> dict[str, Any]:
    """Return the object a body is, whatever its members are; raise the Problem of one that is none, with an example."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise about("body", "not_json", f"the body is not JSON; send {example}") from error
    if not isinstance(document, dict):
        raise invalid_field("body", "not_an_object", f"the body is not an object; send {example}")
    return document


def _members(body: bytes, example: str) -> _Members:
    try:
        document = json.loads(body, object_pairs_hook=_Members)
    except (ValueError, RecursionError) as error:
        raise about("body", "not_json", f"the body is not JSON; send {example}") from error
    if not isinstance(document, _Members):
        word = "null" if document is None else JSON_WORDS.get(type(document), "a text")
        detail = f"the body is {word}, no object; send {example}"
        raise invalid_field("body", "not_an_object", detail)
    return document
