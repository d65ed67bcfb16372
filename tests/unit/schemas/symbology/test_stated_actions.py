"""Stated actions: under which name, known since when, and put right by being stated again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, KnowledgeTime, WallTime, day_of
from schemas.intervals import DAY_US
from schemas.symbology.factor_files import parse_factor_file
from schemas.symbology.file_actions import factor_actions, rename_actions
from schemas.symbology.map_files import parse_map_file
from schemas.symbology.stated_actions import file_events, stated_event
from schemas.validation import check_action

NYSE = calendar_of("AAPL")
SPLIT_DAY = day_of(date(2014, 6, 9))
STATED = WallTime(1_764_400_000_000_000)


def test_what_was_not_announced_is_published_when_its_day_began() -> None:
    """New York's; one that was, at the end of the day of declaration."""
    plain = stated_event(
        "AAPL", "split", SPLIT_DAY, calendar=NYSE, stated=STATED, ratio_to=7.0, ratio_from=1.0
    )
    declared = stated_event(
        "AAPL", "split", SPLIT_DAY, calendar=NYSE, stated=STATED, declared=day_of(date(2014, 4, 23))
    )

    begun = NYSE.day_start(date(2014, 6, 9))
    assert (plain["published_at"], plain["event_time"], plain["published_precision"]) == (
        begun,
        begun,
        "scheduled",
    )
    assert (plain["action_id"], plain["state"], plain["ratio_to"]) == ("split:2014-06-09", "confirmed", 7.0)
    assert declared["published_at"] == NYSE.day_start(date(2014, 4, 24)) - 1
    assert declared["published_precision"] == "date"


def test_what_lies_ahead_was_not_published() -> None:
    """It is known since it was stated."""
    ahead = stated_event(
        "AAPL", "split", Day(SPLIT_DAY), calendar=NYSE, stated=WallTime(SPLIT_DAY * DAY_US - DAY_US)
    )

    assert (ahead["published_at"], ahead["state"]) == (None, "announced")
    assert ahead["event_time"] == SPLIT_DAY * DAY_US - DAY_US


def test_the_history_of_real_files_is_told_under_the_names_of_its_days(market_data: Path) -> None:
    """Apple's splits and dividends of 1998 to 2021; a renamed company's under the name it had then."""
    daily = market_data / "equity_daily"
    text = (daily / "factor_files" / "aapl.csv").read_text("ascii")
    events = file_events(
        factor_actions(parse_factor_file(text, source="aapl.csv"), NYSE),
        "AAPL",
        None,
        calendar=NYSE,
        stated=STATED,
    )
    history = parse_map_file("20120518,fb\n20220608,fb\n20501231,meta\n", source="meta.csv")
    (renamed,) = file_events(rename_actions(history, NYSE), "META", history, calendar=NYSE, stated=STATED)

    by_day = {event["ex_date"]: event for event in events if event["type"] == "split"}
    assert (by_day[SPLIT_DAY]["ratio_to"], by_day[SPLIT_DAY]["ratio_from"]) == (7.0, 1.0)
    assert {event["symbol"] for event in events} == {"AAPL"}
    for event in (*events, renamed):
        check_action(event, KnowledgeTime(STATED))
    assert all(event["published_at"] == event["event_time"] for event in events)
    assert (renamed["symbol"], renamed["new_symbol"]) == ("FB", "META")
