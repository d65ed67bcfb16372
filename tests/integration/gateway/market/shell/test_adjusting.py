"""Adjusted history on a real database: Apple's splits and dividends, as they were known at any moment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from gateway.http.moments import rfc3339
from infra.runtime.clock import WallMarketClock
from tests.support.corporate_actions import day, dividend, split, told
from tests.support.gateway_rest import Rest, rest, rows_of
from tests.support.split_shares import PATH, a_day, file_actions, moment, real_days

JUNE = {"start": "2014-06-01", "end": "2014-07-01"}
SEVEN = split("2014-06-09", 7.0, known=moment("2014-04-24"), provider="yahoo", action_id="s")
DOCUMENT = Path(__file__).parents[5] / "docs" / "ACTIONS.md"
ROW = re.compile(r"^\| (2014-\S+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", re.MULTILINE)
EXAMPLE = ROW.findall(DOCUMENT.read_text("utf-8"))
ASKED = re.compile(r"^GET (/stocks/AAPL/history)\?(\S+)$", re.MULTILINE)


def rounded(number: float, written: str) -> str:
    """Return a number with as many decimals as one that is written has, and its commas."""
    return f"{number:,.{len(written.partition('.')[2])}f}"


async def closes(gateway: Rest, **query: Any) -> list[float]:
    """Return the closes of an answer."""
    return rows_of(await gateway.get(PATH, **(JUNE | query)), "close")


async def test_apple_as_worked_by_hand(database: str, market_data: Path) -> None:
    """Real days, a real factor file: to the last decimal written, volumes to the share; 35 dividends and two splits of nine years."""
    async with rest(database) as gateway:
        await gateway.store(*real_days(market_data, "2012-08-01", "2021-03-31"), *file_actions(market_data))
        ((path, query),) = ASKED.findall(DOCUMENT.read_text("utf-8"))
        assert len(EXAMPLE) == 6
        for bar, basis, raw, by_split, by_all, volume in EXAMPLE:
            span = {"start": bar, "end": f"{bar}T23:00:00Z", "basis": basis}
            written = dict(part.split("=") for part in query.split("&"))
            assert written.keys() == {*span, "adjustment"}
            row = {
                each: (await gateway.get(path, **span, adjustment=each))["data"][0]
                for each in ("raw", "split", "all")
            }
            assert row["raw"]["close"] == float(raw)
            assert rounded(row["split"]["close"], by_split) == by_split
            assert rounded(row["all"]["close"], by_all) == by_all
            assert [rounded(row[each]["volume"], volume) for each in ("split", "all")] == [volume] * 2
        assert len((await gateway.get(path, **written))["data"]) == 1
        asked = {"start": "2012-08-01", "limit": "10000", "adjustment": "all"}
        meta = (await gateway.get(PATH, **asked))["meta"]
        assert (meta["actions_applied"], meta["unresolved_actions"], meta["action_conflicts"]) == (37, [], [])
        assert (meta["basis"], meta["adjustment"], meta["factor_source"]) == (
            "2021-03-31",
            "all",
            "lean_import",
        )
        assert (await gateway.get(PATH, **asked | {"adjustment": "split"}))["meta"]["actions_applied"] == 2


@pytest.mark.parametrize(
    "more",
    [{}, {"sort": "desc"}, {"interval": "1wk"}, {"knowledge": "published"}, {"format": "csv"}],
    ids=str,
)
async def test_pages_are_the_answer_in_one_piece(
    database: str, market_data: Path, more: Mapping[str, str]
) -> None:
    """Whatever is told meanwhile, of before too: a split that nobody had told of when the first page was answered."""
    query = {"start": "2014-01-01", "end": "2015-01-01", "adjustment": "all", **more}
    begun = moment("2022-06-01")
    async with rest(database) as gateway:
        await gateway.complete_before(begun)
        await gateway.store(*real_days(market_data, "2013-12-30", "2014-12-31"), *file_actions(market_data))
        whole, _, token = await said(gateway, query)
        assert token is None
        pages: list[Any] = []
        token = ""
        while token is not None:
            page, pages_before = {"limit": "10"} | ({"page_token": token} if token else {}), len(pages)
            rows, _, token = await said(gateway, query | page)
            pages += rows[1:] if pages_before and more.get("format") else rows
            known = begun + len(pages)
            late = split("2014-03-03", 2.0, provider="manual", action_id=f"{len(pages)}", known=known, published_at=moment("2014-03-01"))  # fmt: skip
            await gateway.store(late)
            await gateway.complete_before(known + 1)
        assert pages == whole


async def said(gateway: Rest, query: Mapping[str, str]) -> tuple[list[Any], Any, str | None]:
    """Return the rows of an answer, or the lines of a table, what it says of them, and the token of the next page."""
    status, headers, body = await gateway.ask("GET", PATH, params=query)
    assert status == 200, body
    if query.get("format") == "csv":
        return body.splitlines(), headers, headers.get("X-Next-Page-Token")
    return body["data"], body["meta"], body["next_page_token"]


async def test_a_split_counts_from_its_ex_date_and_since_it_was_known(database: str) -> None:
    """On the wall's market the basis is the day of the moment asked about; what was answered before stays."""
    loaded = split("2014-06-09", 7.0, known=moment("2021-04-01"), provider="lean_import", published_at=moment("2014-04-24"))  # fmt: skip
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.store(a_day("2014-06-05", 647.5), a_day("2014-06-06", 644.0), a_day("2014-06-09", 93.0))
        await gateway.store(SEVEN)

        async def at(text: str, hours: float = 20, **more: Any) -> tuple[list[float], int]:
            query = JUNE | {"adjustment": "split", "as_of": rfc3339(moment(text, hours)), **more}
            answer = await gateway.get(PATH, **query)
            assert answer["meta"]["basis"] == more.get("basis", text)
            return rows_of(answer, "close"), answer["meta"]["actions_applied"]

        assert await at("2014-06-06") == ([647.5, 644.0], 0)
        assert await at("2014-06-06", basis="2014-06-09") == ([92.5, 92.0], 1)
        assert await at("2014-06-09", 1) == ([92.5, 92.0], 1)
        assert await at("2014-06-09") == ([92.5, 92.0, 93.0], 1)
        assert await at("2014-06-09", basis="2014-06-06") == ([647.5, 644.0, 651.0], 1)
        await gateway.database.execute("DELETE FROM actions")
        await gateway.store(loaded)
        assert await at("2014-06-09", 21) == ([647.5, 644.0, 93.0], 0)
        assert await at("2014-06-09", 21, knowledge="published") == ([92.5, 92.0, 93.0], 1)
        assert await at("2021-04-02") == ([92.5, 92.0, 93.0], 1)


async def test_rows_polled_before_and_after_a_split_agree(database: str) -> None:
    """A provider that adjusts was asked for one day before, for another after it; what nobody adjusted agrees, too."""
    async with rest(database) as gateway:
        await gateway.store(
            SEVEN,
            a_day("2014-06-04", 644.0, adjustment_state="split"),
            a_day("2014-06-05", 92.0, told="2014-06-20", adjustment_state="split"),
            a_day("2014-06-06", 644.0, provider="alpaca"),
            a_day("2014-06-09", 92.0, adjustment_state="split"),
        )
        assert await closes(gateway, adjustment="split") == [92.0] * 4
        assert await closes(gateway, adjustment="raw") == [644.0, 644.0, 644.0, 92.0]
        assert await closes(gateway, adjustment="all", basis="2014-06-06") == [644.0] * 4
        assert await closes(gateway) == [644.0, 92.0, 644.0, 92.0]
        stored = await gateway.get(PATH, **JUNE)
        assert stored["meta"]["adjustment"] == "mixed"
        assert "basis" not in stored["meta"]


async def test_around_a_split_a_basis_is_proven_or_left_open(database: str) -> None:
    """Rebased, not yet, and never seen before: the last is left out, listed, and there for whoever names its provider."""
    async with rest(database) as gateway:
        await gateway.store(
            SEVEN,
            a_day("2014-06-04", 644.0, adjustment_state="split"),
            a_day("2014-06-04", 92.0, told="2014-06-10", adjustment_state="split"),
            a_day("2014-06-05", 637.0, adjustment_state="split", adjusted_through=day("2014-06-05")),
            a_day("2014-06-05", 637.1, told="2014-06-10", version=1, adjustment_state="split"),
            a_day("2014-06-06", 91.0, told="2014-06-10", version=2, adjustment_state="split"),
            a_day("2014-06-09", 92.0, adjustment_state="split"),
        )
        best = await gateway.get(PATH, **JUNE, adjustment="split")
        named = await gateway.get(PATH, **JUNE, adjustment="split", provider="yahoo")
        _, headers, table = await gateway.ask(
            "GET", PATH, params=JUNE | {"adjustment": "split", "format": "csv"}
        )

        assert [round(each, 6) for each in rows_of(best, "close")] == [92.0, round(637.1 / 7, 6), 92.0]
        assert [row.get("basis") for row in named["data"]] == [None, None, "uncertain", None]
        assert named["data"][2]["close"] == 91.0
        assert best["meta"]["unresolved"] == named["meta"]["unresolved"]
        beside = await gateway.get(PATH, **JUNE, adjustment="split", **{"with": "cpi"})
        assert rows_of(beside, "close", "factors") == [
            (each, {"cpi": None}) for each in rows_of(best, "close")
        ]
        assert [(each["code"], each["start"][:10], each["row_count"]) for each in best["meta"]["unresolved"]] == [
            ("basis_uncertain", "2014-06-06", 1)
        ]  # fmt: skip
        assert (headers["X-Unresolved"], headers["X-Unresolved-Actions"], len(table.splitlines())) == (
            "1",
            "0",
            4,
        )
        early = await gateway.get(PATH, **JUNE, adjustment="split", as_of=rfc3339(moment("2014-06-09", 20)))
        assert rows_of(early, "close") == [92.0, 91.0, 92.0]
        every = await gateway.get(PATH, **JUNE, adjustment="split", revisions="all", provider="yahoo")
        assert [round(each, 1) for each in rows_of(every, "close")] == [92.0, 92.0, 91.0, 91.0, 91.0, 92.0]


@pytest.mark.parametrize("limit", ["1", "100"])
async def test_revisions_in_one_days_shares_tell_a_rebased_one_from_a_correction(
    database: str, limit: str
) -> None:
    """As they are stored their prices leap, adjusted they do not: which of them corrects nothing is the same, on any page."""
    told = {"adjustment_state": "split"}
    versions = [
        a_day("2014-06-04", 644.0, **told),
        a_day("2014-06-04", 92.0, told="2014-06-20", volume=700.0, **told),
        a_day("2014-06-04", 92.7, told="2014-06-23", volume=700.0, **told),
    ]
    async with rest(database) as gateway:
        await gateway.store(SEVEN, *versions)
        found: dict[str, list[tuple[float, bool]]] = {}
        for adjustment in ("", "split", "raw"):
            rows: list[dict[str, Any]] = []
            more: dict[str, str] = {"adjustment": adjustment, "basis": "2014-06-23"} if adjustment else {}
            while len(rows) < len(versions):
                answer = await gateway.get(PATH, **JUNE, revisions="all", limit=limit, **more)
                rows, more["page_token"] = rows + answer["data"], answer["next_page_token"]
            found[adjustment] = [(round(each["close"], 6), each.get("rebased", False)) for each in rows]

    assert found[""] == [(644.0, False), (92.0, True), (92.7, False)]
    assert found["split"] == [(92.0, False), (92.0, True), (92.7, False)]
    assert found["raw"] == [(644.0, False), (644.0, True), (648.9, False)]


async def test_a_day_in_doubt_hides_no_page(database: str) -> None:
    """A page of nothing but them is empty, and goes on."""
    doubted = [a_day(f"2014-06-{n:02d}", 92.0, told="2014-06-10", version=n, adjustment_state="split") for n in (2, 3, 4, 5, 6)]  # fmt: skip
    async with rest(database) as gateway:
        await gateway.store(SEVEN, *doubted, a_day("2014-06-09", 92.0))
        first = await gateway.get(PATH, **JUNE, adjustment="split", limit="5")
        assert (first["data"], [each["row_count"] for each in first["meta"]["unresolved"]]) == ([], [5])
        second = await gateway.get(PATH, **JUNE, adjustment="split", limit="5", page_token=first["next_page_token"])  # fmt: skip
        assert rows_of(second, "close") == [92.0]


async def test_time_warner_is_unresolved_and_given_as_it_is(database: str) -> None:
    """71.08 to 68.23 by a spin-off that nothing gives a factor of; once the child's first close is known it is a factor."""
    off = told("spin_off", "2014-06-09", symbol="TWX", child_symbol="TIME", ratio_to=1.0, ratio_from=8.0, known=moment("2014-05-01"))  # fmt: skip
    path = "/stocks/TWX/history"
    async with rest(database) as gateway:
        await gateway.store(
            off, a_day("2014-06-06", 71.08, symbol="TWX"), a_day("2014-06-09", 68.23, symbol="TWX")
        )
        every, by_split = [await gateway.get(path, **JUNE, adjustment=each) for each in ("all", "split")]
        assert rows_of(every, "close") == rows_of(by_split, "close") == [71.08, 68.23]
        assert [(each["type"], each["ex_date"], each["reason"]) for each in every["meta"]["unresolved_actions"]] == [
            ("spin_off", "2014-06-09", "no_factor")
        ]  # fmt: skip
        assert every["meta"]["actions_applied"] == 0
        assert by_split["meta"]["unresolved_actions"] == []
        await gateway.store(a_day("2014-06-09", 23.0, symbol="TIME"))
        known = await gateway.get(path, **JUNE, adjustment="all", limit="9")
        assert rows_of(known, "close") == [pytest.approx(71.08 - 23.0 / 8), 68.23]
        assert known["meta"]["unresolved_actions"] == []


async def test_sources_that_disagree_are_told_and_prices_decide(database: str) -> None:
    """A forward split told as reverse, by who comes first in the alphabet."""
    reverse = split("2014-06-09", 1.0, 7.0, known=moment("2014-05-01"), provider="alpaca", action_id="r")
    async with rest(database) as gateway:
        await gateway.store(a_day("2014-06-06", 644.0), a_day("2014-06-09", 93.0), SEVEN, reverse)
        answer = await gateway.get(PATH, **JUNE, adjustment="split")
        (conflict,) = answer["meta"]["action_conflicts"]
        assert rows_of(answer, "close") == [92.0, 93.0]
        assert (conflict["decided_by"], conflict["used"][0]["action_id"], conflict["others"][0]["action_id"]) == ("price", "s", "r")  # fmt: skip


async def test_an_old_answer_stays_when_a_ratio_is_put_right(database: str) -> None:
    """To the byte, tag and all; the correction counts from when it was told."""
    wrong = split("2014-06-09", 6.0, known=moment("2014-06-01"), provider="yahoo", action_id="s")
    right = split("2014-06-09", 7.0, known=moment("2014-06-20"), provider="yahoo", action_id="s", offset=9)
    query = JUNE | {"adjustment": "all", "as_of": rfc3339(moment("2014-06-15"))}
    async with rest(database) as gateway:
        await gateway.store(a_day("2014-06-06", 642.0), a_day("2014-06-09", 93.0), wrong)
        _, tagged, before = await gateway.ask("GET", PATH, params=query)
        await gateway.store(right)
        # Of another limit, since what was answered last is not looked up again.
        _, again, after = await gateway.ask("GET", PATH, params=query | {"limit": "7"})
        assert rows_of(before, "close") == [107.0, 93.0]
        for answer in (before, after):
            del answer["meta"]["request_id"]
        assert orjson.dumps(after) == orjson.dumps(before)
        assert tagged["ETag"] == again["ETag"]
        assert "immutable" in tagged["Cache-Control"]
        assert rows_of(await gateway.get(PATH, **JUNE, adjustment="all"), "close") == [
            pytest.approx(642.0 / 7),
            93.0,
        ]


async def test_dividends_are_measured_by_closes_that_are_stored_adjusted(database: str) -> None:
    """Where all a share has is what its provider adjusted: 0.47·4 of 94.97·4, told in 2020's shares; without a close unresolved."""
    paid = dividend("2014-08-07", 3.29, known=moment("2014-07-01"))
    stored = {"adjustment_state": "split", "told": "2014-12-02", "adjusted_through": day("2014-12-01")}
    async with rest(database) as gateway:
        await gateway.store(SEVEN, dividend("2014-05-08", 3.29, known=moment("2014-05-01")), paid)
        await gateway.store(a_day("2014-05-07", 84.617143, **stored), a_day("2014-05-08", 84.0, **stored))
        answer = await gateway.get(
            PATH, start="2014-05-01", end="2014-09-01", adjustment="all", basis="2014-12-31"
        )
        kept = 1 - 3.29 / 592.320001
        assert rows_of(answer, "close") == [pytest.approx(84.617143 * kept), 84.0]
        assert [each["reason"] for each in answer["meta"]["unresolved_actions"]] == ["close_unknown"]
        assert answer["meta"]["actions_applied"] == 1


async def test_what_is_made_of_minutes_is_adjusted_first(database: str) -> None:
    """A day of minutes, one of them of both sides of the split, and a week across it."""
    friday = [a_day("2014-06-06", 644.0, interval="1m", event_time=moment("2014-06-06", 9.5 + k / 60)) for k in range(3)]  # fmt: skip
    monday = [a_day("2014-06-09", 92.0, interval="1m", event_time=moment("2014-06-09", 9.5 + k / 60)) for k in range(3)]  # fmt: skip
    odd = {"event_time": moment("2014-06-09", 4), "session": "pre", "high": 645.57, "open": 645.57}
    async with rest(database) as gateway:
        await gateway.store(SEVEN, *friday, *monday, a_day("2014-06-09", 92.0, interval="1m", **odd))
        days = await gateway.get(PATH, **JUNE, adjustment="split")
        assert rows_of(days, "close", "volume") == [(92.0, 2_100.0), (92.0, 300.0)]
        weeks = await gateway.get(PATH, **JUNE, adjustment="split", interval="1mo")
        assert rows_of(weeks, "open", "close", "volume") == [(92.0, 92.0, 2_400.0)]
        assert (weeks["meta"]["actions_applied"], weeks["data"][0].get("basis")) == (1, None)
        minutes = await gateway.get("/stocks/AAPL/intraday", **JUNE, adjustment="split")
        assert [row.get("basis") for row in minutes["data"]] == [None] * 3 + ["mixed"] + [None] * 3
        assert minutes["data"][3]["high"] == 645.57
        assert minutes["meta"]["adjustment"] == "split"


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ({"basis": "2014-06-09"}, "basis", "needs_adjustment"),
        ({"knowledge": "published"}, "knowledge", "needs_factors"),
        ({"adjustment": "all", "basis": "soon"}, "basis", "not_a_date"),
    ],
    ids=str,
)
async def test_what_is_asked_wrongly_is_named(
    database: str, query: dict[str, str], param: str, code: str
) -> None:
    """The parameter, and what would be right."""
    async with rest(database) as gateway:
        await gateway.store(SEVEN)
        status, _, body = await gateway.ask("GET", PATH, params=query)
        assert status == 422
        assert [(each["param"], each["code"]) for each in body["errors"]] == [(param, code)]


async def test_a_year_costs_as_many_statements_as_a_day(
    database: str, market_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for the actions, one for the closes, the bars; whatever the length and the number of dividends."""
    asked: list[str] = []
    fetch = asyncpg.Connection.fetch

    async def counted(self: Any, query: str, *args: Any, **options: Any) -> Any:
        asked.append(query)
        return await fetch(self, query, *args, **options)

    async with rest(database) as gateway:
        await gateway.store(*real_days(market_data, "2013-06-03", "2014-12-31"), *file_actions(market_data))
        # Renames of all symbols are read once, by whoever asks first.
        await gateway.get(PATH, start="2014-12-29", end="2014-12-30")
        monkeypatch.setattr(asyncpg.Connection, "fetch", counted)
        counts = []
        for start in ("2014-12-30", "2014-07-01", "2013-06-03"):
            asked.clear()
            await gateway.get(PATH, start=start, end="2015-01-01", adjustment="all", basis="2021-03-31")
            counts.append(sum("FROM streams s" in each or "JOIN streams s" in each for each in asked))
        assert counts[0] == counts[1] == counts[2] > 2


def test_days_are_those_of_new_york() -> None:
    """As the cases above write them."""
    assert moment("2014-06-09", 0) == (day("2014-06-09") * 24 + 4) * 3_600_000_000
