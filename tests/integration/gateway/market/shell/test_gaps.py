"""Gaps as they were known, and cursors, on a real database."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import orjson
import pytest

from gateway.http.moments import rfc3339
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.identity import gap_id, stream_id_of
from schemas.intervals import EPOCH, SECOND_US
from schemas.ledger.coverage import Coverage
from schemas.records import Evidence
from schemas.streams import Bar
from tests.support.builders import NINE_THIRTY, a_gap
from tests.support.gap_stories import MINUTES, STREAM, Story, at, minute, told
from tests.support.gateway_rest import Rest, rest, rows_of

HISTORY = "/stocks/SPY/history"
FIRST_KNOWN = at(1)  # of every story
DAY = {"start": "2013-10-07T13:30:00Z", "end": "2013-10-07T20:00:00Z"}


async def both(gateway: Rest, as_of: int, **query: Any) -> tuple[bytes, Any]:
    """Return the bytes of /gaps and history as of a moment, but for the request's id, and the rows of the first."""
    asked = {**DAY, "as_of": rfc3339(as_of), **query}
    found = []
    for path, given in (("/gaps", {"symbol": "SPY"}), (HISTORY, {"interval": "1m"})):
        status, headers, body = await gateway.ask("GET", path, params={**asked, **given})
        assert status == 200, body
        assert ("immutable" in headers["Cache-Control"]) is (as_of >= FIRST_KNOWN)
        del body["meta"]["request_id"]
        found.append(body)
    assert found[1]["meta"]["gaps"] == [row for row in found[0]["data"] if row["interval"] == "1m"]
    return orjson.dumps(found), found[0]["data"]


async def test_an_answer_as_of_a_moment_shows_what_was_known_then_whenever_it_is_asked(database: str) -> None:
    """Open at first; two of its bars are backfilled, then the rest; then it is found blind anew: T stays as it was."""
    then = at(60)
    async with rest(database) as gateway:
        await gateway.store(told("collected", 0, None, 1), minute(0, 1), minute(6, 10))
        first, rows = await both(gateway, then)
        assert [(row["from_time"], row["to_time"], row["state"]) for row in rows] == [
            (rfc3339(at(1)), rfc3339(at(6)), "open")
        ]
        for later in (
            [minute(number, 120, route="backfill", index=number) for number in (2, 3)],
            [minute(number, 130, route="backfill", index=number) for number in (1, 4, 5)],
            [told("blind", 1, 6, 180)],
        ):
            await gateway.store(*later)
            assert (await both(gateway, then))[0] == first
        for as_of, states in ((125, ["open", "open"]), (135, []), (200, ["filled"])):
            _, rows = await both(gateway, at(as_of))
            assert [row["state"] for row in rows] == states


@pytest.mark.parametrize("seed", range(6))
async def test_no_answer_changes_whatever_comes_later(database: str, seed: int) -> None:
    """Evidence, bars, corrections, backfills and late verdicts at random, asked at many moments, and asked again."""
    story = Story(seed)
    asked: dict[int, bytes] = {}
    async with rest(database) as gateway:
        await gateway.store(*story.bars, *story.evidence)
        for _ in range(60):
            await gateway.store(*story.go_on())
            if story.rng.random() < 0.4:
                moment = at(story.rng.randrange(1, story.now + 1)) + story.rng.choice([-1, 0, 1])
                if moment > at(story.now):
                    continue
                if moment == at(story.now):  # the moment is not over: more may become known in it
                    story.now += 1
                asked[moment], rows = await both(gateway, moment)
                found = [(row["gap_id"], row["state"], row["generation"]) for row in rows]
                assert found == [(gap.gap_id, gap.state, gap.generation) for gap in story.derived(moment)]
        for moment, before in asked.items():
            assert (await both(gateway, moment))[0] == before
    assert len(asked) > 8


@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_pages_are_pinned_and_do_not_shift(database: str, sort: str) -> None:
    """The token carries the moment of the first page; what comes between two pages is in none."""
    async with rest(database) as gateway:
        bars = [minute(number, 400, raw_offset=number) for number in range(0, 380, 2)]
        quote = told("blind", 7, 9, 400, stream="quotes:yahoo:SPY", interval="", index=1)
        await gateway.store(told("collected", 0, None, 400), quote, *bars)
        await gateway.complete_before(at(500))
        asked = {"symbol": "SPY", "sort": sort, "limit": 17}
        whole = await gateway.get("/gaps", symbol="SPY", sort=sort)
        page = await gateway.get("/gaps", **asked)
        assert page["meta"]["as_of"] == whole["meta"]["as_of"] == rfc3339(at(500) - 1)
        found = page["data"]
        while page["next_page_token"] is not None:
            slot = 380 - len(found)
            await gateway.store(minute(slot - slot % 2 + 1, 600, raw_offset=1_000 + slot))
            page = await gateway.get("/gaps", **asked, page_token=page["next_page_token"])
            found += page["data"]
        assert found == whole["data"]
        assert len(found) == 190
        status, _, problem = await gateway.ask(
            "GET", "/gaps", params={"symbol": "SPY", "as_of": rfc3339(at(501))}
        )
        assert (status, problem["code"]) == (503, "not_yet_complete")


async def test_an_empty_answer_says_since_when_anything_is_known(database: str) -> None:
    """Before that there is nothing; a symbol nobody heard of is a problem."""
    async with rest(database) as gateway:
        await gateway.store(told("blind", 0, 5, 60))
        early = await gateway.get("/gaps", symbol="SPY", as_of=rfc3339(at(59)))
        assert (early["data"], early["meta"]["as_of_floor"]) == ([], rfc3339(at(60)))
        assert len((await gateway.get("/gaps", symbol="SPY", as_of=rfc3339(at(60))))["data"]) == 1
        status, _, problem = await gateway.ask("GET", "/gaps", params={"symbol": "NOPE"})
        assert (status, problem["code"]) == (404, "unknown_symbol")


async def test_an_answer_that_may_yet_say_since_when_is_not_immutable(database: str) -> None:
    """Empty, of before anything was known: what comes later is named in it. After that an empty one stays as it is."""
    empty = {"start": "2013-10-07T13:00:00Z", "end": "2013-10-07T13:10:00Z"}
    async with rest(database) as gateway:
        await gateway.store(minute(0, 50))
        for as_of, is_immutable in ((20, False), (59, False), (61, True)):
            asked = {**empty, "as_of": rfc3339(at(as_of))}
            if as_of == 61:
                await gateway.store(told("blind", 100, 105, 60), minute(-29, 60))
            for path, given in (("/gaps", {"symbol": "SPY"}), (HISTORY, {"interval": "1m", "session": "extended"})):  # fmt: skip
                status, headers, body = await gateway.ask("GET", path, params={**asked, **given})
                assert (status, body["data"]) == (200, [])
                assert ("immutable" in headers["Cache-Control"]) is is_immutable, (path, body)


async def test_gaps_of_all_symbols_are_the_present(database: str) -> None:
    """Read from what the sink keeps, told as such, never cached; as_of is refused."""
    async with rest(database) as gateway:
        gaps = [
            a_gap(
                gap_id=f"g{number}",
                symbol=f"S{number}",
                stream=f"s{number}",
                from_time=at(number),
                to_time=at(number + 1),
            )
            for number in range(5)
        ]
        await gateway.store(*gaps)
        first = await gateway.get("/gaps", limit=3)
        assert first["meta"] | {"request_id": ""} == {
            "request_id": "", "as_of": None, "row_count": 3, "present": True,
        }  # fmt: skip
        second = await gateway.get("/gaps", limit=3, page_token=first["next_page_token"])
        assert rows_of(first, "gap_id") + rows_of(second, "gap_id") == [f"g{number}" for number in range(5)]
        assert second["next_page_token"] is None
        status, _, problem = await gateway.ask("GET", "/gaps", params={"as_of": rfc3339(at(1))})
        assert (status, problem["errors"][0]["code"]) == (422, "needs_symbol")


@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_a_gap_that_is_fetched_at_this_moment_is_filling(database: str, sort: str) -> None:
    """By whichever job, all of it or a part; what waits, ended, or is of another stream fills nothing."""
    async with rest(database) as gateway:
        gaps = [
            a_gap(gap_id=f"g{n}", symbol="SPY", stream=STREAM, from_time=at(10 * n), to_time=at(10 * n + 5))
            for n in range(5)
        ]
        closed = a_gap(
            gap_id="g5", symbol="SPY", stream=STREAM, from_time=at(50), to_time=at(55), state="empty"
        )
        await gateway.store(*gaps, closed, told("blind", 0, 5, 60))
        jobs = [
            ("running", 0, 5, STREAM), ("running", 12, 33, STREAM), ("queued", 40, 45, STREAM), ("running", 40, 45, STREAM + "X"),
            ("running", 5, 10, STREAM), ("running", 35, 40, STREAM), ("done", 41, 45, STREAM), ("running", 50, 55, STREAM),
        ]  # fmt: skip
        for number, (state, low, high, stream) in enumerate(jobs):
            await gateway.database.execute(
                "INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, source,"
                " state, enqueued_time, leased_until) VALUES ($1, 0, $2, 'yahoo', 'SPY', $3, $4, 'T1', 'user', 5, 'test', $5, now(),"
                " CASE WHEN $5 = 'running' THEN now() END)",
                f"j{number}", stream, *(EPOCH + timedelta(microseconds=at(each)) for each in (low, high)), state,
            )  # fmt: skip
        shown = {each["gap_id"]: each["state"] for each in (await gateway.get("/gaps", sort=sort))["data"]}
        filling = ["g0", "g1", "g2", "g3"]
        assert shown == dict.fromkeys(filling, "filling") | {"g4": "open", "g5": "empty"}
        rows = await gateway.database.fetch("SELECT gap_id, state FROM v_gaps")
        assert {row["gap_id"]: row["state"] for row in rows} == shown

        page = await gateway.get("/gaps", sort=sort, state="filling", limit=3)
        found = rows_of(page, "gap_id")
        page = await gateway.get(
            "/gaps", sort=sort, state="filling", limit=3, page_token=page["next_page_token"]
        )
        assert sorted(found + rows_of(page, "gap_id")) == filling
        assert {each["state"] for each in page["data"]} == {"filling"}
        assert rows_of(await gateway.get("/gaps", sort=sort, state="open"), "gap_id") == ["g4"]
        assert rows_of(await gateway.get("/gaps", sort=sort, state="empty"), "gap_id") == ["g5"]
        pinned = await gateway.get("/gaps", symbol="SPY", as_of=rfc3339(at(60)), sort=sort)
        assert {each["state"] for each in pinned["data"]} == {"open"}


async def test_a_cursor_tells_where_its_stream_is_collected_whichever_came_first(database: str) -> None:
    """Live, and one day backfilled years before it: two ranges, never a hull."""
    old = -3 * 365 * 1_440
    live = [told("collected", 0, None, 1), minute(0, 1), minute(10, 11)]
    backfilled: list[Bar | Evidence] = [
        told("collected", old, old + 60, 500),
        minute(old, 500, route="backfill"),
    ]
    expected = {
        "symbol": "SPY", "interval": "1m", "source": "yahoo", "start_time": rfc3339(at(old)), "last_seen": rfc3339(at(10)),
        "last_contiguous": rfc3339(at(10)),
        "collected": [
            {"from_time": rfc3339(at(old)), "to_time": rfc3339(at(old + 60))},
            {"from_time": rfc3339(at(0)), "to_time": rfc3339(at(10))},
        ],
    }  # fmt: skip
    async with rest(database) as gateway:
        for order in permutations([live, backfilled]):
            await gateway.database.execute("TRUNCATE streams, bars, bars_superseded, gap_evidence")
            for records in order:
                await gateway.store(*records)
            assert (await gateway.get("/ops/cursor/SPY/1m/yahoo"))["data"] == expected
            listed = await gateway.get("/gaps", symbol="SPY", state="open", end=rfc3339(at(-1_440)))
            assert rows_of(listed, "from_time") != []


async def test_a_cursor_leaves_out_what_another_provider_served(database: str) -> None:
    """Of what is collected from here on, and not of what was backfilled there, before or after."""
    elsewhere = told("collected", 3, 9, 5, cause="served_elsewhere")
    records: list[Bar | Evidence] = [told("collected", 0, None, 1), elsewhere, told("collected", 4, 6, 2)]
    async with rest(database) as gateway:
        await gateway.store(*records, minute(0, 1), minute(10, 11))
        found = (await gateway.get("/ops/cursor/SPY/1m/yahoo"))["data"]["collected"]

    assert [(each["from_time"], each["to_time"]) for each in found] == [
        (rfc3339(at(low)), rfc3339(at(high))) for low, high in ((0, 3), (4, 6), (9, 10))
    ]


async def test_a_range_is_whole_to_the_first_thing_missing_in_it(database: str) -> None:
    """A blind gap that is not healed, or a bar that did not come; what lies in an older range is another matter."""
    path = "/ops/cursor/SPY/1m/yahoo"
    slots = session_slots(calendar_of("SPY"), "1m", NINE_THIRTY)
    assert slots is not None
    async with rest(database) as gateway:
        old = told("collected", -3 * 1_440 * 365, -3 * 1_440 * 365 + 60, 1, index=9)
        await gateway.store(told("collected", 0, None, 1), old, minute(0, 1), minute(300, 301))
        await gateway.store(
            _gap(-3 * 1_440 * 365, "open"), _gap(200, "filled"), _gap(220, "unrecoverable"), _gap(250, "open")
        )
        assert (await gateway.get(path))["data"]["last_contiguous"] == rfc3339(at(220))
        number = slots.index_of(at(30))
        assert number is not None
        session = Coverage(start=slots.start, expected=slots.count, absent=1 << number, empty=1)
        await gateway.database.execute(
            "INSERT INTO coverage VALUES ($1, to_timestamp($2), $3, $4, $5)",
            stream_id_of(MINUTES), session.start // SECOND_US, session.expected, *session.packed(),
        )  # fmt: skip
        assert (await gateway.get(path))["data"]["last_contiguous"] == rfc3339(at(30))
        status, _, problem = await gateway.ask("GET", "/ops/cursor/SPY/1m/finnhub")
        assert (status, problem["code"]) == (404, "unknown_cursor")
        assert "1m/yahoo" in problem["detail"]


def _gap(number: int, state: str) -> Any:
    times = {"from_time": at(number), "to_time": at(number + 1)}
    return a_gap(gap_id=gap_id(STREAM, at(number)), stream=STREAM, state=state, **times)
