"""What may be asked of dead events: every wrong parameter is named, and an act says what it is for."""

from __future__ import annotations

import pytest

from gateway.dead_events.requests import CAUSES, DISCARD, REPLAY, DeadQuery, ReplayQuery
from gateway.http.problems import Problem
from schemas.topics import RAW_BARS


def test_without_parameters_nothing_is_done_and_what_is_open_is_listed() -> None:
    """An act is a dry run unless told otherwise."""
    listed: DeadQuery = CAUSES.parse([])
    replayed: ReplayQuery = REPLAY.parse([])

    assert (listed.state, listed.limit) == (("open",), 100)
    assert (replayed.dry_run, replayed.replace, replayed.limit) == ("true", "false", 100)


def test_filters_are_read() -> None:
    """As dlq_depth and the rows name them."""
    given = {
        "kind": RAW_BARS,
        "stage": "sink",
        "symbol": "BRK.B",
        "provider": "yahoo",
        "cause": "0123456789ab",
        "event_id": "7",
    }
    asked: ReplayQuery = REPLAY.parse([*given.items(), ("dry_run", "false")])

    assert (asked.kind, asked.stage, asked.symbol, asked.cause, asked.event_id) == (
        RAW_BARS,
        "sink",
        "BRK.B",
        "0123456789ab",
        7,
    )


@pytest.mark.parametrize(
    ("endpoint", "query", "codes"),
    [
        (REPLAY, {"dry_run": "false"}, {"needs_filter"}),
        (DISCARD, {"dry_run": "false"}, {"needs_filter", "missing_field"}),
        (DISCARD, {"dry_run": "false", "event_id": "1", "reason": " "}, {"not_a_reason", "missing_field"}),
        (
            REPLAY,
            {"dry_run": "no", "limit": "0", "cause": "x", "event_id": "-1"},
            {"not_a_choice", "out_of_range", "not_a_cause"},
        ),
        (
            CAUSES,
            {"kind": "raw.bars.v1.dead", "state": "gone", "since": "yesterday"},
            {"not_a_choice", "not_a_time"},
        ),
        (CAUSES, {"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"}, {"inverted_range"}),
        (CAUSES, {"topic": "x"}, {"unknown_parameter"}),
    ],
)
def test_what_is_wrong_is_named(endpoint: object, query: dict[str, str], codes: set[str]) -> None:
    """All at once."""
    with pytest.raises(Problem) as caught:
        endpoint.parse(query.items())  # type: ignore[attr-defined]

    assert {error.code for error in caught.value.errors} == codes
