"""What the client makes of messages; its life on a network is tested against a real gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mds_client import Event, Gap, Hole, Problem, Record, Recovered, Refusal, Slow, Snapshot, State
from mds_client.conversation import Conversation, Mismatch, Position

SPY = "trades:best:SPY"
OK = {"stream": SPY, "ok": True, "sub": 3, "epoch": "e", "offset": 9}


def heard(
    *messages: dict[str, Any],
    resume: dict[str, Position] | None = None,
    on_gap: Callable[[Gap], None] | None = None,
) -> tuple[Conversation, list[Event]]:
    """Return a conversation that has heard `messages`, and what it told."""
    market = Conversation(resume, on_gap)
    market.want(SPY)
    return market, [event for message in messages for event in market.take(message)]


def results(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return an answer to subscribe."""
    return {"t": "subscribed", "results": list(entries)}


def test_records_come_once_and_move_the_position() -> None:
    """A repeat is dropped, the conflated count is passed on."""
    data = {"t": "d", "sub": 3, "prev": 9, "m": [[10, {"price": 1.0}], [12, {"price": 2.0}]]}
    market, events = heard(results(OK), data, data, {**data, "prev": 12, "m": [[15, {}]], "conf": {"n": 2}})
    assert [(event.offset, event.conflated) for event in events if isinstance(event, Record)] == [
        (10, 0),
        (12, 0),
        (15, 2),
    ]
    assert market.positions() == {SPY: ("e", 15)}


def test_the_position_moves_only_once_the_record_was_dealt_with() -> None:
    """A loop that dies inside a record gets it again."""
    market, _ = heard(results(OK))
    records = market.take({"t": "d", "sub": 3, "prev": 9, "m": [[10, {}], [11, {}]]})
    next(records)
    assert market.positions()[SPY] == ("e", 9)
    next(records)
    assert market.positions()[SPY] == ("e", 10)


def test_a_hole_ends_the_connection() -> None:
    """Coming back with the position is what heals it."""
    market, _ = heard(results(OK))
    with pytest.raises(Hole):
        list(market.take({"t": "d", "sub": 3, "prev": 10, "m": [[11, {}]]}))
    assert market.item(SPY)["from"] == {"epoch": "e", "offset": 9}


def test_a_kept_position_is_what_is_asked_for() -> None:
    """Positions of an earlier run win over the start given."""
    market, events = heard(
        results({**OK, "offset": 40}),
        {"t": "recovered", "sub": 3, "ok": True, "from": 5, "to": 60, "count": 0, "source": "memory"},
        {"t": "hb", "now": 1, "subs": [[3, 70]]},
        resume={SPY: ("e", 5)},
    )
    assert events == [Recovered(stream=SPY, ok=True, count=0, source="memory")]
    assert market.positions() == {SPY: ("e", 70)}


def test_a_refused_resume_begins_anew_at_the_snapshot() -> None:
    """Another epoch: the old offsets are void even where they are larger."""
    market, events = heard(
        results({**OK, "epoch": "new"}),
        {"t": "recovered", "sub": 3, "ok": False, "reason": "epoch_changed", "floor_offset": 1},
        {
            "t": "snapshot",
            "sub": 3,
            "epoch": "new",
            "offset": 4,
            "reason": "recovery",
            "data": [[4, {"price": 1.0}]],
        },
        resume={SPY: ("old", 900)},
    )
    assert events == [
        Recovered(stream=SPY, ok=False, reason="epoch_changed"),
        Snapshot(stream=SPY, offset=4, records=[{"price": 1.0}], reason="recovery"),
    ]
    assert market.positions() == {SPY: ("new", 4)}


def test_gaps_and_refusals_are_told() -> None:
    """A temporary refusal is asked for again; a gap reaches the callback."""
    noted: list[Gap] = []
    error = {"code": 131, "slug": "overloaded", "message": "later", "temporary": True}
    market, events = heard(
        results(OK, {"stream": "quotes:best:SPY", "ok": False, "error": error}),
        {"t": "gap", "sub": 3, "gap_id": "g"},
        on_gap=noted.append,
    )
    assert events[0] == Refusal(stream="quotes:best:SPY", code=131, message="later", temporary=True)
    assert noted == events[1:]
    assert market.refused == {"quotes:best:SPY"}


def test_an_unknown_message_is_ignored() -> None:
    """A newer server still serves an older client."""
    _, events = heard({"t": "fashion"}, {"t": "d", "sub": 99, "prev": 0, "m": [[1, {}]]})
    assert events == []


def test_a_failover_names_the_streams_it_concerns() -> None:
    """What is not about a subscription concerns none by name."""
    failover = {"t": "state", "subs": [3, 99], "code": "failover", "data": "ok", "provider": "finnhub"}
    _, events = heard(results(OK), failover, {"t": "state", "code": "log_unreachable", "data": "suspect"})

    first, second = [event for event in events if isinstance(event, State)]
    assert (first.streams, first.code, first.fields["provider"]) == ([SPY], "failover", "finnhub")
    assert (second.streams, second.data) == ([], "suspect")


def test_what_was_asked_too_fast_is_asked_again_when_the_server_says() -> None:
    """By the id of the command: nothing else is repeated, and it is no event."""
    market, _ = heard()
    market.want("quotes:best:SPY")
    command = market.ask(market.due())
    assert ([item["stream"] for item in command["items"]], market.due()) == ([SPY, "quotes:best:SPY"], ())
    limited = {"t": "error", "code": 130, "slug": "rate_limited", "message": "", "temporary": True}
    events = list(market.take({**limited, "id": command["id"], "retry_after_ms": 250}))
    assert (events, market.ask_again_s) == ([], 0.25)
    assert market.due() == (SPY, "quotes:best:SPY")
    assert market.ask(market.due())["id"] != command["id"]


def test_an_error_is_told_with_the_streams_it_is_about() -> None:
    """One without an id as well, though nobody can say which command it answers."""
    market, _ = heard()
    command = market.ask(market.due())
    error = {"t": "error", "code": 117, "slug": "too_many_items", "message": "no", "temporary": False}
    (about,) = market.take({**error, "id": command["id"]})
    (nameless,) = market.take(error)
    assert about == Problem(streams=(SPY,), code=117, slug="too_many_items", message="no", temporary=False)
    assert isinstance(nameless, Problem)
    assert nameless.streams == ()


def test_another_count_than_ours_ends_the_connection() -> None:
    """A stream that was never begun would be silent for ever."""
    with pytest.raises(Mismatch, match="the server counts 2"):
        heard({**results(OK), "total": 2})


def test_a_stream_that_works_is_not_asked_for_twice_and_one_that_is_left_not_at_all() -> None:
    """A repeat would be refused; what still comes of a stream that is left is nobody's."""
    market, _ = heard(results(OK))
    market.ask(market.due())
    market.want(SPY)
    assert market.due() == ()
    assert market.leave([SPY])["streams"] == [SPY]
    list(market.take({"t": "unsubscribed", "subs": [3], "total": 0}))
    assert list(market.take({"t": "d", "sub": 3, "prev": 9, "m": [[10, {}]]})) == []
    assert (market.due(), market.positions()) == ((), {})


def test_a_loop_that_dies_in_a_snapshot_gets_it_again() -> None:
    """The position moves as the next event is asked for."""
    market, _ = heard(results(OK))
    snapshot = {"t": "snapshot", "sub": 3, "epoch": "f", "offset": 20, "reason": "subscribe", "data": []}
    events = market.take(snapshot)
    next(events)
    assert market.positions() == {SPY: ("e", 9)}
    list(events)
    assert market.positions() == {SPY: ("f", 20)}


def test_falling_behind_is_told() -> None:
    """With what the server does about it."""
    _, events = heard(results(OK), {"t": "slow", "sub": 3, "action": "warn"})
    assert isinstance(events[0], Slow)
    assert (events[0].stream, events[0].action) == (SPY, "warn")


def part(offset: int, *prices: float, last: bool) -> dict[str, Any]:
    """Return a part of a snapshot."""
    data = [[number, {"price": price}] for number, price in enumerate(prices)]
    told = {"t": "snapshot", "sub": 3, "epoch": "f", "offset": offset, "reason": "subscribe"}
    return {**told, "last": last, "data": data}


def test_a_snapshot_in_parts_is_told_once_and_whole() -> None:
    """Until its last part came there is no position: whoever is cut off has it sent again."""
    market, events = heard(results(OK), part(20, 1.0, last=False), part(20, 2.0, 3.0, last=False))
    assert (events, market.positions(), market.item(SPY)) == ([], {}, {"stream": SPY})
    (whole,) = market.take(part(20, last=True))
    prices: list[Any] = [{"price": 1.0}, {"price": 2.0}, {"price": 3.0}]
    assert whole == Snapshot(stream=SPY, offset=20, records=prices, reason="subscribe")
    assert market.positions() == {SPY: ("f", 20)}


def test_parts_of_a_snapshot_that_was_never_finished_are_forgotten() -> None:
    """With the connection, with the subscription, and where the server began another one."""
    market, _ = heard(results(OK), part(20, 1.0, last=False))
    assert [
        event.records for event in market.take(part(30, 2.0, last=True)) if isinstance(event, Snapshot)
    ] == [[{"price": 2.0}]]
    list(market.take(part(40, 1.0, last=False)))
    market.begin()
    list(market.take(results(OK)))
    assert [
        event.records for event in market.take(part(40, 2.0, last=True)) if isinstance(event, Snapshot)
    ] == [[{"price": 2.0}]]
