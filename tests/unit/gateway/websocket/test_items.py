"""Items of a subscribe command: where a stream begins, and which may conflate."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.websocket.items import RejectedItem, Since, parse_item, streams_in
from gateway.websocket.subscription import StreamPosition


def subscribed(**item: Any) -> Any:
    """Return what becomes of an item that names one stream."""
    (entry,) = parse_item(item)
    return entry


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ({"t": "subscribe", "items": [{"stream": "a"}, 7, {"channel": "quotes", "symbols": ["A"] * 9}]}, 11),
        ({"t": "subscribe", "items": [{"symbols": []}, {"symbols": "many"}]}, 2),
        ({"t": "subscribe", "items": "many"}, 0),
        ({"t": "ping", "items": [1]}, 0),
        ([], 0),
    ],
)
def test_streams_are_counted_without_being_read(command: Any, count: int) -> None:
    """Whatever they say, each costs."""
    assert streams_in(command) == count


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (None, None),
        ("snapshot", None),
        ("live", "live"),
        ({"epoch": "e", "offset": 7}, StreamPosition(epoch="e", offset=7)),
        ({"epoch": "e", "offset": -1}, StreamPosition(epoch="e", offset=-1)),
        ({"start": 5}, Since(5)),
    ],
)
def test_a_stream_begins_where_the_client_says(start: Any, expected: Any) -> None:
    """Every form of `from` is understood."""
    assert subscribed(stream="quotes:best:SPY", **{"from": start}).start == expected


@pytest.mark.parametrize(
    "start", ["now", 5, [], {}, {"epoch": "e"}, {"epoch": 1, "offset": 1}, {"epoch": "e", "offset": 2**63},
              {"epoch": "e", "offset": True}, {"start": -1}, {"start": "2020"}],
)  # fmt: skip
def test_a_start_that_is_none_is_refused_for_its_item(start: Any) -> None:
    """The item is refused with the forms that would be right."""
    rejected = subscribed(stream="quotes:best:SPY", **{"from": start})
    assert isinstance(rejected, RejectedItem)
    assert rejected.result["error"]["slug"] == "bad_message"


@pytest.mark.parametrize(
    ("stream", "conflate", "expected"),
    [
        ("quotes:best:SPY", None, True),
        ("quotes:best:SPY", {"mode": "none"}, False),
        ("quotes:best:SPY", {"mode": "latest"}, True),
        ("trades:best:SPY", None, False),
        ("bars.1m:best:SPY", {"mode": "none"}, False),
        ("options:best:SPY", None, True),
        ("options:best:SPY", {"mode": "none"}, False),
        ("options:polygon:SPY", {"mode": "latest"}, True),
    ],
)
def test_only_quotes_and_chains_conflate(stream: str, conflate: Any, expected: Any) -> None:
    """They do unless told not to; nothing else ever does."""
    assert subscribed(stream=stream, conflate=conflate).conflate is expected


@pytest.mark.parametrize("stream", ["trades:best:SPY", "bars.1m:best:SPY", "gaps:best:SPY"])
def test_asking_to_conflate_what_never_is_is_refused(stream: str) -> None:
    """The refusal says so."""
    assert (
        "never conflated" in subscribed(stream=stream, conflate={"mode": "latest"}).result["error"]["message"]
    )


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"stream": "options:best:SPY"}, True),
        ({"stream": "options:yahoo:SPY", "greeks": True}, True),
        ({"stream": "options:best:SPY", "greeks": False}, False),
        ({"stream": "quotes:best:SPY"}, False),
        ({"stream": "trades:best:SPY", "greeks": False}, False),
    ],
)
def test_greeks_follow_chains_unless_the_client_wants_none(item: dict[str, Any], expected: bool) -> None:
    """Of no other channel, which may say so."""
    assert subscribed(**item).greeks is expected


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"stream": "quotes:best:SPY", "greeks": True}, "quotes has no greeks"),
        ({"stream": "options:best:SPY", "greeks": "yes"}, "true or false"),
        ({"stream": "options:best:SPY", "greeks": 1}, "true or false"),
    ],
)
def test_greeks_that_cannot_be_are_refused_with_the_remedy(item: dict[str, Any], words: str) -> None:
    """The one item alone."""
    assert words in subscribed(**item).result["error"]["message"]
