"""A page of history: what is read for it, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analytics.action_choice import ActionChoice
from analytics.adjustment import ActionSchedule
from gateway.database.gap_pages import GapPage
from gateway.database.versions import BarBasis
from gateway.http.moments import parse_moment
from gateway.http.pages import Page
from gateway.http.problems import Problem
from gateway.market.action_account import ActionAccount
from gateway.market.bars_request import HISTORY, bars_request
from gateway.market.history import RECENT_S, Answered, Reading, RecentPages, answered, plan
from gateway.market.history_request import HistoryRequest
from schemas.calendar.sessions import load_calendar
from schemas.clocks import Day
from schemas.intervals import DAY_US, MINUTE_US
from schemas.validation import MAX_AHEAD_US
from tests.support.bar_versions import a_version
from tests.support.builders import NINE_THIRTY, a_gap

XNYS = load_calendar("XNYS")
AS_OF = NINE_THIRTY + 10 * DAY_US
OPEN = GapPage(gaps=[a_gap()])


def ask(**given: str) -> HistoryRequest:
    """Return a request for two days of minutes; the range has both ends."""
    query = {"interval": "1m", "start": "2013-10-07", "end": "2013-10-09"} | given
    return bars_request(HISTORY, "SPY", query.items(), XNYS, NINE_THIRTY)


def page(after: tuple[int, ...], request: HistoryRequest) -> Page:
    """Return a page of a request behind a key."""
    return Page(as_of=AS_OF, start=request.start, end=request.end, after=after)


def said(request: HistoryRequest, **reading: Any) -> Any:
    """Return what is said of a reading of the first page."""
    return answered(request, Reading(plan=plan(request, None, AS_OF, wall_market=True), **reading))


def test_the_first_page_reads_the_whole_range() -> None:
    """Up to what can have been known by then, where the market is the wall clock's."""
    request = ask()
    assert plan(request, None, AS_OF, wall_market=True).span == (request.start, request.end)
    early = plan(request, None, NINE_THIRTY, wall_market=True)
    assert early.span == (request.start, NINE_THIRTY + MAX_AHEAD_US + 1)
    assert early.bounds == (request.start, request.end)
    assert plan(request, None, NINE_THIRTY, wall_market=False).span == (request.start, request.end)
    assert plan(request, None, 0, wall_market=True).span == (request.start, request.start)


def test_what_is_no_longer_kept_is_refused_where_it_was_asked_for_and_said_where_it_was_reached_for() -> None:
    """A start that is named is answered from there or not at all; a period says from when on it has bars."""
    floor = NINE_THIRTY + DAY_US
    named, reached = ask(), bars_request(HISTORY, "SPY", [("period", "max")], XNYS, NINE_THIRTY)

    def kept(request: HistoryRequest, kept_from: int) -> Any:
        wanted = plan(request, None, AS_OF, wall_market=True, kept_from=kept_from)
        return wanted, Reading(plan=wanted)

    with pytest.raises(Problem) as refused:
        answered(named, kept(named, floor)[1])
    assert (refused.value.status, refused.value.code) == (410, "not_kept")
    assert refused.value.extra == {"kept_from": "2013-10-08T13:30:00.000000Z"}
    assert "kept_from" not in answered(named, kept(named, named.start)[1]).meta
    wanted, reading = kept(reached, floor)
    assert wanted.span[0] == floor
    assert answered(reached, reading).meta["kept_from"] == "2013-10-08T13:30:00.000000Z"


@pytest.mark.parametrize(
    ("given", "begin", "end"),
    [({}, 1, None), ({"sort": "desc"}, None, 0), ({"revisions": "all"}, 0, None)],
    ids=["up", "down", "revisions"],
)
def test_the_next_page_begins_behind_the_last_row(
    given: dict[str, str], begin: int | None, end: int | None
) -> None:
    """Of all revisions at the same bar, which may have more; of one direction or the other."""
    request = ask(**given)
    found = plan(request, page((NINE_THIRTY, 7, 0), request), AS_OF, wall_market=True)
    assert found.span == (
        request.start if begin is None else NINE_THIRTY + begin, request.end if end is None else NINE_THIRTY + end,
    )  # fmt: skip
    assert (found.after, found.is_first) == ((NINE_THIRTY, 7, 0), False)


def test_gaps_of_a_page_are_those_of_what_it_covers() -> None:
    """To its last row where another page follows; of minutes too where bars are made of them."""
    request = ask(interval="5m")
    planned = plan(request, None, AS_OF, wall_market=True)
    assert planned.gaps([a_version()], None).intervals == ["5m"]
    derived = planned.gaps([a_version(derived=True)], (NINE_THIRTY,))
    assert (derived.intervals, derived.start, derived.end) == (["5m", "1m"], request.start, NINE_THIRTY + 1)
    down = plan(ask(sort="desc"), None, AS_OF, wall_market=True).gaps([], (NINE_THIRTY,))
    assert (down.start, down.end, down.as_of) == (NINE_THIRTY, request.end, AS_OF)


def test_a_page_says_where_the_next_one_begins() -> None:
    """Within the same bounds and knowledge."""
    request = ask()
    following = said(request, bars=[a_version()], after=(NINE_THIRTY,)).following
    assert following == page((NINE_THIRTY,), request)
    assert said(request, bars=[a_version()]).following is None


def test_only_a_last_page_is_settled() -> None:
    """Its gaps are those known by then, healed or not; the token of any other page expires."""
    request = ask()
    assert said(request, bars=[a_version()], gaps=OPEN).settled
    assert not said(request, bars=[a_version()], after=(NINE_THIRTY,)).settled


def test_rows_name_their_adjustment_only_where_it_differs() -> None:
    """Else meta does, once."""
    alike = said(ask(), bars=[a_version(), a_version(1)])
    mixed = said(ask(), bars=[a_version(), a_version(1, adjustment_state="split")])
    assert (alike.meta["adjustment"], "adjustment" in alike.rows[0]) == ("raw", False)
    assert (mixed.meta["adjustment"], mixed.rows[1]["adjustment"]) == ("mixed", "split")


def test_bars_in_doubt_are_left_out_unless_their_provider_is_named() -> None:
    """Listed either way, and never called adjusted; the next page shares the first one's basis."""
    day = Day(15_985)
    account = ActionAccount(
        adjustment="split", knowledge="known", basis=day, told_by=AS_OF, schedule=ActionSchedule([]),
        choice=ActionChoice(effects=(), conflicts=(), notes=()), sources=frozenset(),
    )  # fmt: skip
    plain = BarBasis(days=(day, day), shares_of=(day, day))
    bars = [
        a_version(basis=plain, adjustment_state="split"),
        a_version(1, basis=replace(plain, uncertain=True), adjustment_state="split"),
    ]
    given = {"adjustment": "split"}
    best, named = (
        said(ask(**given, **more), bars=bars, account=account, after=(NINE_THIRTY,))
        for more in ({}, {"provider": "yahoo"})
    )

    assert [row.get("basis") for row in best.rows] == [None]
    assert [row.get("basis") for row in named.rows] == [None, "uncertain"]
    assert [each["row_count"] for each in best.meta["unresolved"]] == [1]
    assert best.meta["unresolved"] == named.meta["unresolved"]
    assert best.following.pins == (day, AS_OF)
    assert said(ask(**given), account=account).meta["adjustment"] == "split"
    assert "actions_applied" not in said(ask()).meta


def test_rows_name_their_currency_only_where_it_differs() -> None:
    """A series whose scale changes from pence to pounds says so row by row."""
    alike = said(ask(), bars=[a_version(currency="GBp"), a_version(1, currency="GBp")])
    mixed = said(
        ask(), bars=[a_version(currency="GBp"), a_version(1, currency="GBP"), a_version(2, currency="mixed")]
    )
    assert (alike.meta["currency"], "currency" in alike.rows[0]) == ("GBp", False)
    assert (mixed.meta["currency"], [row["currency"] for row in mixed.rows]) == (
        "mixed",
        ["GBp", "GBP", "mixed"],
    )


def test_meta_tells_what_is_not_shown() -> None:
    """More gaps than are listed, and the moment before which nothing was known."""
    more = GapPage(gaps=[a_gap()], after=(NINE_THIRTY, "g"))
    assert said(ask(), gaps=more).meta["gaps_truncated"]
    assert "gaps_truncated" not in said(ask(), gaps=OPEN).meta
    assert "as_of_floor" not in said(ask(), floor=AS_OF).meta
    assert said(ask(), floor=AS_OF + MINUTE_US).meta["as_of_floor"] == "2013-10-17T13:31:00.000000Z"


def test_an_empty_answer_is_settled_only_where_something_was_known_by_then() -> None:
    """What becomes known later would be named in it; on a later page nothing is."""
    assert said(ask(), floor=AS_OF).settled
    assert not said(ask(), floor=AS_OF + 1).settled
    assert not said(ask(), floor=None).settled
    assert said(ask(), bars=[a_version()]).settled


@pytest.mark.parametrize(
    ("given", "reading", "error"),
    [
        ({"provider": "reuters"}, {"providers": ["yahoo"]}, "unknown_provider"),
        ({"revisions": "all"}, {"intervals": ["1d"], "providers": ["yahoo"]}, "not_stored"),
    ],
)
def test_what_is_not_stored_so_is_refused(given: dict[str, str], reading: dict[str, Any], error: str) -> None:
    """Naming what there is."""
    with pytest.raises(Problem) as problem:
        said(ask(**given), **reading)
    assert problem.value.errors[0].code == error
    assert ("yahoo" if error == "unknown_provider" else "1d") in problem.value.detail


def test_without_a_watermark_there_is_no_answer() -> None:
    """Nobody knows yet how complete it would be."""
    with pytest.raises(Problem) as problem:
        answered(ask(), Reading())
    assert problem.value.code == "not_ready"
    assert parse_moment("2013-10-17T13:30:00Z", None) == AS_OF


def a_page(rows: int) -> Answered:
    """Return a page of so many rows."""
    return Answered(rows=[{} for _ in range(rows)], meta={"gaps": []}, following=None, settled=False)


def test_a_page_is_found_for_a_short_while_and_by_its_own_question() -> None:
    """What no moment pins, such as that bars are no longer kept, is never shown later than that."""
    pages, page = RecentPages(), a_page(1)
    pages.keep("a", page, 10.0)

    assert pages.find("a", 10.0 + RECENT_S) is page
    assert pages.find("a", 10.1 + RECENT_S) is None
    assert pages.find("b", 10.0) is None


def test_all_pages_together_are_bounded_and_the_longest_unasked_go_first() -> None:
    """An empty page counts as well; one that is larger than all may be is not kept, and costs no other its place."""
    pages = RecentPages(most_rows=10)
    for name in "abc":
        pages.keep(name, a_page(2), 0.0)
    assert pages.find("a", 0.0)
    pages.keep("d", a_page(3), 0.0)
    assert [name for name in "abcd" if pages.find(name, 0.0)] == ["a", "d"] or [
        name for name in "abcd" if pages.find(name, 0.0)
    ] == ["a", "c", "d"]
    pages.keep("e", a_page(10), 0.0)
    assert pages.find("e", 0.0) is None
    assert pages.find("d", 0.0)
    for number in range(30):
        pages.keep(number, a_page(0), 0.0)
    assert sum(pages.find(number, 0.0) is not None for number in range(30)) == 10


def test_a_page_that_is_answered_again_counts_once() -> None:
    """Or the bound would be reached by one question asked often."""
    pages = RecentPages(most_rows=10)
    pages.keep("other", a_page(3), 0.0)
    for number in range(20):
        pages.keep("a", a_page(3), float(number) / 10)
    assert pages.find("other", 0.0)
