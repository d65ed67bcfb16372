"""Names under which bars are read: which stretch of time is whose, to the microsecond, and what an answer says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.symbol_names import MOST_NAMES, NameChain, NameSpan, UnresolvedName
from gateway.database.versions import Span
from gateway.http.moments import EARLIEST_US, LATEST_US
from gateway.http.pages import MAX_TOKEN_CHARS, Page, open_token, query_hash, seal
from gateway.market.instrument_names import MOST_TOLD, InstrumentNames
from schemas.calendar.sessions import load_calendar
from schemas.clocks import EventTime, KnowledgeTime, WallTime, date_of
from schemas.partitions import partition_of
from schemas.symbols.names import is_symbol
from tests.support.corporate_actions import day, told

XNYS = load_calendar("XNYS")
EVER: Span = (EARLIEST_US, LATEST_US)
WEDNESDAY, MONDAY = day("2014-06-11"), day("2014-06-16")
OWN = InstrumentNames.own("C", XNYS)


def begin(text: str) -> EventTime:
    """Return midnight in New York."""
    return XNYS.day_start(date_of(day(text)))


def names(*spans: NameSpan, unresolved: UnresolvedName | None = None, sources: tuple[str, ...] = ("acme",)) -> InstrumentNames:  # fmt: skip
    """Return names of the bearer of C."""
    chain = NameChain(spans=spans, unresolved=unresolved, sources=frozenset(sources))
    return InstrumentNames.of_chain("C", chain, XNYS, is_known=True)


CHAIN = names(
    NameSpan(symbol="A", end=WEDNESDAY),
    NameSpan(symbol="B", start=WEDNESDAY, end=MONDAY),
    NameSpan(symbol="C", start=MONDAY),
)


def test_a_day_is_of_one_name_from_midnight_at_the_venue() -> None:
    """Every moment has one, and none has two."""
    wednesday, monday = begin("2014-06-11"), begin("2014-06-16")
    whole = [("A", (EARLIEST_US, wednesday)), ("B", (wednesday, monday)), ("C", (monday, LATEST_US))]
    assert CHAIN.parts(EVER, "1m") == CHAIN.parts(EVER, "1d") == whole
    inside = (EventTime(wednesday - 1), EventTime(wednesday + 1))
    assert CHAIN.parts(inside, "1d") == [("A", (inside[0], wednesday)), ("B", (wednesday, inside[1]))]
    assert CHAIN.parts((wednesday, wednesday), "1d") == []
    assert [CHAIN.name_on(each) for each in (WEDNESDAY - 1, WEDNESDAY, MONDAY)] == ["A", "B", "C"]  # type: ignore[arg-type]
    assert OWN.parts(EVER, "1wk") == [("C", EVER)]


def test_a_week_or_month_with_a_rename_inside_is_of_neither_name() -> None:
    """One that begins with the rename is the new one's."""
    weeks = CHAIN.parts(EVER, "1wk")
    assert weeks == [("A", (EARLIEST_US, begin("2014-06-09"))), ("C", (begin("2014-06-16"), LATEST_US))]
    months = CHAIN.parts(EVER, "1mo")
    assert months == [("A", (EARLIEST_US, begin("2014-06-01"))), ("C", (begin("2014-07-01"), LATEST_US))]


def test_an_answer_says_what_it_was_called_where_that_is_not_what_was_asked_for() -> None:
    """Within the range alone; nothing of one's own name."""
    june = (begin("2014-06-01"), begin("2014-06-16"))
    assert CHAIN.meta(june) == {
        "names": [
            {"symbol": "A", "from": None, "to": "2014-06-11"},
            {"symbol": "B", "from": "2014-06-11", "to": "2014-06-16"},
        ]
    }
    assert CHAIN.meta((begin("2014-06-16"), LATEST_US)) == OWN.meta(EVER) == {}
    assert (OWN.is_own, CHAIN.is_own, OWN.pins) == (True, False, ())


def test_what_cannot_be_followed_is_told_where_the_range_reaches_it() -> None:
    """Before it no bar is anybody's."""
    action = told("rename", "2014-06-11", symbol="A", new_symbol="C")
    lost = UnresolvedName(symbol="C", day=WEDNESDAY, reason="several_old_names", told=(action,))
    found = names(NameSpan(symbol="C", start=WEDNESDAY), unresolved=lost)
    assert found.parts(EVER, "1d") == [("C", (begin("2014-06-11"), LATEST_US))]
    assert found.name_on(day("2014-06-10")) == ""
    (said,) = found.meta(EVER)["unresolved_names"]
    assert (said["symbol"], said["day"], said["reason"]) == ("C", "2014-06-11", "several_old_names")
    assert [each["action_id"] for each in said["told"]] == [action.action_id]
    assert found.meta((begin("2014-06-11"), LATEST_US)) == {}


def test_partitions_are_those_of_the_names_in_the_range() -> None:
    """Of all of them where nothing is said."""
    places = {name: partition_of(name, 64) for name in "ABC"}
    assert CHAIN.places(64, None) == set(places.values())
    assert CHAIN.places(64, (begin("2014-06-12"), begin("2014-06-16"))) == {places["B"]}


def test_further_pages_have_the_names_of_the_first() -> None:
    """By a token that the longest of them fit into; what is known now decides alone whether they are final."""
    longest = "A" * 32
    assert is_symbol(longest)
    assert not is_symbol(longest + "A")
    spans = [NameSpan(symbol=longest, start=WEDNESDAY, end=MONDAY) for _ in range(MOST_NAMES)]
    many = names(*spans)
    page = Page(as_of=KnowledgeTime(LATEST_US), start=EARLIEST_US, end=LATEST_US, after=(LATEST_US, 2**47, 65_535), pins=(WEDNESDAY, LATEST_US), names=many.pins)  # fmt: skip
    query = query_hash("/", {})
    token = seal(page, query, b"key", WallTime(0))
    assert len(token) <= MAX_TOKEN_CHARS
    assert open_token(token, query, b"key", WallTime(0)) == page
    assert many.pinned(page.names) == many
    assert CHAIN.pinned(page.names).spans == many.spans
    assert (CHAIN.pinned(()).is_own, OWN.pinned(CHAIN.pins).spans) == (True, CHAIN.spans)
    assert [each.is_final for each in (CHAIN, CHAIN.pinned(CHAIN.pins), CHAIN.pinned(()))] == [True, True, False]  # fmt: skip


def test_names_are_final_by_the_word_of_one_source_that_was_known() -> None:
    """The order of several is the configuration's; what was published is told later."""
    chain = NameChain(spans=CHAIN.spans, sources=frozenset({"acme"}))
    assert InstrumentNames.of_chain("C", chain, XNYS, is_known=True).is_final
    assert not InstrumentNames.of_chain("C", chain, XNYS, is_known=False).is_final
    assert not names(*CHAIN.spans, sources=("acme", "other")).is_final
    assert names(NameSpan(symbol="C"), sources=()).is_final


def test_the_days_of_a_name_that_is_not_stored_are_the_next_ones() -> None:
    """The oldest that is left begins as the chain does; the last is always there."""
    a, b, c = CHAIN.spans
    assert CHAIN.of_stored({"A", "B", "C"}) == CHAIN.of_stored({"A", "B"}) == CHAIN
    assert CHAIN.of_stored({"A"}).spans == (a, replace(c, start=WEDNESDAY))
    assert CHAIN.of_stored({"B"}).spans == (replace(b, start=None), c)
    assert CHAIN.of_stored(()).is_own
    begun = names(replace(b, start=WEDNESDAY), c)
    assert begun.of_stored(()).spans == (replace(c, start=WEDNESDAY),)


@pytest.mark.parametrize("interval", ["1m", "1d", "1wk", "1mo"])
def test_a_rename_at_the_end_of_time_is_none_yet(interval: str) -> None:
    """Some sources say 9999-12-31 where they mean never: all there is is of the name before."""
    end = day("9999-12-31")
    never = names(NameSpan(symbol="A", end=end), NameSpan(symbol="C", start=end))
    assert never.parts(EVER, interval) == [("A", EVER)]


def test_of_a_flood_of_contradictions_a_few_are_told() -> None:
    """However many symbols a source says became one."""
    flood = tuple(
        told("rename", "2014-06-11", symbol=f"X{n}", new_symbol="C", action_id=str(n)) for n in range(1_000)
    )
    lost = UnresolvedName(symbol="C", day=WEDNESDAY, reason="several_old_names", told=flood)
    said = names(NameSpan(symbol="C", start=WEDNESDAY), unresolved=lost).meta(EVER)
    assert len(said["unresolved_names"][0]["told"]) == MOST_TOLD
