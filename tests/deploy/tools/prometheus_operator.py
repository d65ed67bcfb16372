"""Reads objects of the Prometheus Operator and writes of each what its model says, and what of it the model does not know."""

from __future__ import annotations

import json
import sys
from typing import Any

from cloudcoil.models.prometheus_operator import v1
from pydantic import ValidationError


def complaints(each: dict[str, Any]) -> list[str]:
    model = getattr(v1, each["kind"])
    try:
        read = model.model_validate(each)
    except ValidationError as error:
        return [f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
    # models pass over keys that they do not know
    return sorted(places(each) - places(read.model_dump(mode="json", by_alias=True, exclude_none=True)))


def places(given: Any, at: str = "") -> set[str]:
    if isinstance(given, dict):
        return {at}.union(*(places(value, f"{at}.{key}") for key, value in given.items()))
    if isinstance(given, list):
        return {at}.union(*(places(value, f"{at}[{number}]") for number, value in enumerate(given)))
    return {at}


if __name__ == "__main__":
    json.dump([complaints(each) for each in json.load(sys.stdin)], sys.stdout)
