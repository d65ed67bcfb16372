"""What a browser is told of pages that may read answers."""

from __future__ import annotations

from gateway.http.cors import is_preflight, preflight_headers, readable

PAGE = "https://desk.example"


def test_a_listed_page_may_read_and_no_other() -> None:
    """It is named, never `*`, and nothing is allowed that a browser would add by itself."""
    told = readable("https://Desk.example", {PAGE})
    assert told["Access-Control-Allow-Origin"] == "https://Desk.example"
    assert told["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "ETag" in told["Access-Control-Expose-Headers"].split(", ")
    assert "Access-Control-Allow-Credentials" not in told
    for other in ("https://evil.example", "null", None):
        assert readable(other, {PAGE}) == {"Cross-Origin-Resource-Policy": "same-origin"}


def test_a_preflight_is_an_options_of_a_page() -> None:
    """An OPTIONS of a program asks something else."""
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    assert is_preflight("OPTIONS", asked)
    assert not is_preflight("GET", asked)
    assert not is_preflight("OPTIONS", {"Origin": PAGE})


def test_a_preflight_says_methods_and_headers() -> None:
    """The key and the key of an order may be sent."""
    told = preflight_headers(PAGE, {"POST", "GET"})
    assert told["Access-Control-Allow-Methods"] == "GET, POST"
    assert {"Authorization", "Idempotency-Key"} <= {*told["Access-Control-Allow-Headers"].split(", ")}
