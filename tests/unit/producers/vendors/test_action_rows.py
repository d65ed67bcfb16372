"""Rows of actions become events: one verdict for all vendors, each bad value costs its row and names its field."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import pytest

from producers.vendors.action_rows import ActionRow, action_events, action_origin
from producers.vendors.answers import ActionsRequest, Answer
from schemas.clocks import Day, WallTime, day_of, iso_day
from schemas.deriving import event_fields
from schemas.errors import MalformedPayload
from schemas.intervals import micros
from schemas.streams import ACTION_STREAM
from schemas.validation import check_action

RECEIVED = WallTime(micros(datetime(2014, 6, 4, 15, 0, tzinfo=UTC)))
SPLIT: dict[str, Any] = {"type": "split", "ex_date": "2014-06-09", "ratio": (7, 1)}
PAID: dict[str, Any] = {
    "type": "cash_dividend",
    "ex_date": "2014-05-08",
    "amount": 3.29,
    "currency": "USD",
    "declared_date": "2014-04-23",
    "record_date": "2014-05-12",
    "pay_date": "2014-05-15",
}


def a_row(**values: Any) -> ActionRow:
    """Return a row of Apple's whose entry is its values."""
    return ActionRow(**{"symbol": "AAPL", "entry": values, **values})


def told(
    *rows: ActionRow, first: str = "2014-01-01", last: str = "2014-12-31", provider: str = "x"
) -> Answer:
    """Return what becomes of rows that came on 2014-06-04."""
    days = [day_of(date.fromisoformat(text)) for text in (first, last)]
    asked = ActionsRequest(symbols=["AAPL", "SIM001"], first=days[0], last=days[1])
    origin = action_origin(provider, asked, basis="as_declared", simulated=["SIM001"])
    return action_events(rows, origin, RECEIVED)


def test_a_dividend_is_said_when_it_was_declared() -> None:
    """At the end of that day in New York; every field of the record is there, and it is possible."""
    (event,) = told(a_row(**PAID)).events

    end_of_declared = micros(datetime(2014, 4, 24, 3, 59, 59, 999_999, tzinfo=UTC))
    assert set(event) == {field.name for field in event_fields(ACTION_STREAM)}
    assert (event["event_time"], event["published_at"]) == (end_of_declared, end_of_declared)
    assert (event["published_precision"], event["state"]) == ("date", "confirmed")
    assert (event["amount"], event["currency"], event["amount_basis"]) == (3.29, "USD", "as_declared")
    days = [iso_day(event[name]) for name in ("ex_date", "declared_date", "record_date", "pay_date")]
    assert days == ["2014-05-08", "2014-04-23", "2014-05-12", "2014-05-15"]
    check_action(event, RECEIVED)


def test_what_nobody_dated_is_said_when_it_is_seen() -> None:
    """A split that lies ahead is announced; its numbers are the vendor's."""
    (event,) = told(a_row(**SPLIT)).events

    assert (event["event_time"], event["published_at"], event["published_precision"]) == (
        RECEIVED,
        None,
        "none",
    )
    assert (event["state"], event["ratio_to"], event["ratio_from"]) == ("announced", 7.0, 1.0)
    assert (event["amount"], event["currency"], event["amount_basis"]) == (None, "", "unknown")


@pytest.mark.parametrize(("ex_date", "state"), [("2014-06-04", "confirmed"), ("2014-06-05", "announced")])
def test_the_ex_date_itself_is_confirmed(ex_date: str, state: str) -> None:
    """By the venue's day of the moment the answer came."""
    (event,) = told(a_row(**SPLIT | {"ex_date": ex_date})).events

    assert event["state"] == state


def test_an_action_declared_today_is_said_now_and_not_at_the_end_of_the_day() -> None:
    """No stamp lies ahead of us."""
    (event,) = told(a_row(**PAID | {"declared_date": "2014-06-04"})).events

    assert event["event_time"] == RECEIVED < event["published_at"]


def test_a_day_of_declaration_to_come_is_a_note() -> None:
    """The action counts without it (polygon-io/issues#254)."""
    answer = told(a_row(**PAID | {"declared_date": "2014-11-24"}))

    (event,), (note,) = answer.events, answer.rejected
    assert (event["declared_date"], event["published_at"], event["event_time"]) == (None, None, RECEIVED)
    assert "declared_date 2014-11-24 lies after 2014-06-04" in note.message


def test_what_a_vendor_takes_back_is_cancelled() -> None:
    """Whether it lies ahead or not."""
    (event,) = told(a_row(**SPLIT, is_cancelled=True)).events

    assert event["state"] == "cancelled"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ratio": (0, 1)}, "ratio_to"), ({"ratio": (1, 0)}, "ratio_from"), ({"ratio": (-7, 1)}, "ratio_to"),
        ({"ratio": (math.nan, 1)}, "ratio_to"), ({"ratio": (7, 1e300)}, "ratio_from"), ({"ratio": ("7", 1)}, "ratio_to"),
        ({"ratio": None}, "ratio_to and ratio_from are missing"), ({"ratio": (None, None)}, "ratio_to and ratio_from"),
        ({"ratio": (7, None)}, "ratio_from is missing"), ({"ex_date": None}, "ex_date is missing"),
        ({"ex_date": "soon"}, "ex_date"), ({"record_date": "2014-99-01"}, "record_date"),
        ({"action_id": "x" * 200}, "action_id"), ({"type": "rename", "ratio": None}, "new_symbol is missing"),
        *(
            ({"type": "cash_dividend", "ratio": None, "amount": amount}, "amount")
            for amount in (None, 0, -0.82, math.nan, math.inf, 1e300, "0.82")
        ),
        ({"type": "cash_dividend", "ratio": None, "amount": 1, "currency": "$"}, "currency"),
    ],
)  # fmt: skip
def test_a_bad_value_costs_its_row_and_names_its_field(change: dict[str, Any], field: str) -> None:
    """And nothing else."""
    answer = told(a_row(**PAID), a_row(**SPLIT | change))

    (event,), (refused,) = answer.events, answer.rejected
    assert event["type"] == "cash_dividend"
    assert (refused.symbol, refused.reason) == ("AAPL", "invalid")
    assert field in refused.message


@pytest.mark.parametrize("kind", ["split", "stock_dividend"])
def test_a_ratio_of_one_is_left_out_with_a_note(kind: str) -> None:
    """It changes nothing; of a spin-off it is a share of the child for each."""
    answer = told(a_row(**SPLIT | {"type": kind, "ratio": (1, 1)}))
    (spun,) = told(a_row(**SPLIT | {"type": "spin_off", "ratio": (1, 1), "child_symbol": "TIME"})).events

    assert not answer.events
    assert "of 1:1 changes nothing; it is left out" in answer.rejected[0].message
    assert (spun["ratio_to"], spun["child_symbol"]) == (1.0, "TIME")


def test_an_ex_date_on_a_sunday_is_moved_to_the_next_session_and_noted() -> None:
    """Good Friday too; a market that never closes has no such day."""
    answer = told(*(a_row(**PAID | {"ex_date": day}) for day in ("2014-06-01", "2014-04-18")))
    (simulated,) = told(a_row(**PAID | {"ex_date": "2014-06-01", "symbol": "SIM001"})).events

    assert [iso_day(event["ex_date"]) for event in answer.events] == ["2014-04-21", "2014-06-02"]
    assert "ex_date 2014-06-01 is no trading day" in answer.rejected[0].message
    assert "kept at 2014-06-02" in answer.rejected[0].message
    assert (iso_day(simulated["ex_date"]), simulated["simulated"]) == ("2014-06-01", True)


def test_only_what_was_asked_for_is_told() -> None:
    """Both days are in; a day that was moved out of the window is out."""
    rows = [
        a_row(**PAID | {"ex_date": day}) for day in ("2014-05-07", "2014-05-08", "2014-05-09", "2014-05-10")
    ]
    answer = told(*rows, first="2014-05-08", last="2014-05-09")

    assert [iso_day(event["ex_date"]) for event in answer.events] == ["2014-05-08", "2014-05-09"]
    assert not answer.rejected


def test_the_same_action_twice_is_one() -> None:
    """With an id of the vendor's and without."""
    for row in (a_row(**PAID), a_row(**PAID, action_id="E1")):
        answer = told(row, row)
        assert (len(answer.events), answer.rejected) == (1, [])


def test_an_action_told_twice_and_differently_is_the_later_one() -> None:
    """The earlier is a note."""
    answer = told(a_row(**PAID, action_id="E1"), a_row(**PAID | {"amount": 3.3}, action_id="E1"))

    (event,), (note,) = answer.events, answer.rejected
    assert event["amount"] == 3.3
    assert "E1 is told twice and differently; the later counts" in note.message
    assert b"3.29" in note.payload


def test_an_id_of_ours_names_the_action_and_not_its_values() -> None:
    """A corrected amount is the same action; another provider's, another day's and a second payment are not."""
    (first,) = told(a_row(**PAID)).events
    (corrected,) = told(a_row(**PAID | {"amount": 3.3})).events
    (others,) = told(a_row(**PAID), provider="y").events
    (later,) = told(a_row(**PAID | {"ex_date": "2014-05-09"})).events
    both = told(a_row(**PAID), a_row(**PAID | {"amount": 0.1})).events

    assert first["action_id"] == corrected["action_id"] == both[0]["action_id"] == "484c73699d3ee16dc8d85d7a"
    assert len({each["action_id"] for each in (first, others, later, both[1])}) == 4


def test_two_splits_of_one_day_without_ids_are_one_told_twice() -> None:
    """A day has one split."""
    answer = told(a_row(**SPLIT), a_row(**SPLIT | {"ratio": (4, 1)}))

    assert ([event["ratio_to"] for event in answer.events], len(answer.rejected)) == ([4.0], 1)


def test_where_no_row_can_be_used_it_is_the_format() -> None:
    """Ten of them are enough to tell."""
    bad = a_row(**SPLIT | {"ratio": (0, 0)})

    assert len(told(*[bad] * 9).rejected) == 9
    with pytest.raises(MalformedPayload, match="ratio_to is 0"):
        told(*[bad] * 10)
    assert len(told(*[bad] * 10, a_row(**PAID)).events) == 1


def test_days_are_of_the_venue() -> None:
    """At 02:00 UTC it is the evening before in New York."""
    asked = ActionsRequest(symbols=["AAPL"], first=Day(0), last=Day(30_000))
    origin = action_origin("x", asked, basis="unknown")
    night = WallTime(micros(datetime(2014, 6, 9, 2, 0, tzinfo=UTC)))
    (event,) = action_events([a_row(**SPLIT)], origin, night).events

    assert event["state"] == "announced"
