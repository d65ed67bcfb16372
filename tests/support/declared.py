"""What the gateway answers, held against what its endpoints declare."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator

from gateway.features import ENDPOINTS
from gateway.http.endpoints import PROBLEM_JSON, Endpoint
from gateway.http.openapi import openapi, problems_of

OF_NO_ENDPOINT = {"unknown_path", "method_not_allowed"}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the OpenAPI document of the gateway."""
    return openapi(ENDPOINTS, "test")


def endpoint_of(method: str, path: str) -> Endpoint[Any] | None:
    """Return the endpoint a request reaches; a path without variables goes first."""
    wanted = "GET" if method == "HEAD" else method
    for endpoint in sorted(ENDPOINTS, key=lambda each: each.path.count("{")):
        rest = ".+" if endpoint.rest else "[^/]+"  # the one variable of such a path
        pattern = re.sub(r"{\w+}", rest, re.escape(endpoint.path).replace(r"\{", "{").replace(r"\}", "}"))
        if endpoint.method == wanted and re.fullmatch(pattern, path):
            return endpoint
    return None


def check_declared(method: str, path: str, status: int, media: str, body: Any) -> None:
    """Assert that an answer is one its endpoint declares: status, media type, members, or a listed problem."""
    endpoint = endpoint_of(method, path.partition("?")[0])
    if media == PROBLEM_JSON:
        codes = OF_NO_ENDPOINT if endpoint is None else {*problems_of(endpoint), *OF_NO_ENDPOINT}
        assert method == "HEAD" or body["code"] in codes, f"{method} {path} does not declare {body}"
        return
    assert endpoint is not None, f"{method} {path} answers {status} and is not declared"
    operation = document()["paths"][endpoint.path][endpoint.method.lower()]
    assert str(status) in operation["responses"], f"{method} {path} does not declare {status}"
    content = operation["responses"][str(status)].get("content", {})
    assert not content or media in content, f"{method} {path} does not declare {media}"
    if content and "json" in media and method != "HEAD":
        errors = [
            f"{error.json_path}: {error.message}"
            for error in Draft202012Validator(content[media]["schema"]).iter_errors(body)
        ]
        assert not errors, f"{method} {path}: {errors[:3]}"
