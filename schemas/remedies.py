"""Remedies for values that a model refuses: each names what may stand there instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTEXTS = {
    "expected": "use one of {}",  # of a literal, an enumeration
    "ge": "set it to {} or more",
    "gt": "set it to more than {}",
    "le": "set it to {} or less",
    "lt": "set it to less than {}",
    "expected_schemes": "write an address that begins with {}",
    "pattern": "write it to match {}",
    "max_length": "give at most {}",
    "min_length": "give at least {}",
}
NUMBERS = {
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
}
FORMS = {
    "bool_parsing": "set it to true or false",
    "bool_type": "set it to true or false",
    "tuple_type": "write a list, such as [a, b]",
    "list_type": "write a list, such as [a, b]",
    "frozen_set_type": "write a list, such as [a, b]",
    "dict_type": "write a mapping, such as {key: value}",
    "model_type": "write a mapping, such as {key: value}",
    "model_attributes_type": "write a mapping, such as {key: value}",
    "string_type": "write text, in quotes where it looks like a number",
    "url_parsing": "write a whole address, such as https://host/path",
    "url_type": "write a whole address, such as https://host/path",
    "ip_any_address": "write an IP address, such as 127.0.0.1",
    "path_type": "write the path of a file",
    "is_instance_of": "leave it out",
    "missing": "add it",
}


def problem_of(error: Mapping[str, Any]) -> str:
    """Return what is wrong by one of pydantic's complaints, without what to do about it."""
    message = str(error["msg"]).removeprefix("Value error, ")
    return message.partition("; ")[0] if error["type"] == "value_error" else message


def remedy_of(error: Mapping[str, Any]) -> str:
    """Return what to write instead of a refused value; `error` is one of pydantic's, with its context.

    Our own checks say it after a semicolon: `a day is a date that exists; write one such as 2025-01-09`.
    """
    kind = str(error["type"])
    if kind == "value_error":
        return str(error["msg"]).partition("; ")[2] or "leave it out to have its default"
    if kind in NUMBERS:
        return f"set it to {NUMBERS[kind]}"
    return _allowed(error.get("ctx", {})) or FORMS.get(kind, "leave it out to have its default")


def _allowed(context: Mapping[str, Any]) -> str:
    """Return what the model allows by the context of a complaint, empty where it does not say."""
    for name, words in CONTEXTS.items():
        if name in context:
            return words.format(_plain(context[name]).replace(" or ", ", ").replace("'", ""))
    return ""


def _plain(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
