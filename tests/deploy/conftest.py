"""Every set of values, rendered once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.charts import CASES, LEAST, merged, objects, rendered


@pytest.fixture(scope="session")
def charts() -> dict[str, list[dict[str, Any]]]:
    """The objects of each case, by its name."""
    answers = rendered([merged(LEAST, values) for values in CASES.values()])
    assert {
        name: answer["error"] for name, answer in zip(CASES, answers, strict=True) if "error" in answer
    } == {}
    return {name: list(objects(answer["manifests"])) for name, answer in zip(CASES, answers, strict=True)}


@pytest.fixture(params=sorted(CASES))
def chart(request: pytest.FixtureRequest, charts: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The objects of one case."""
    return charts[request.param]
