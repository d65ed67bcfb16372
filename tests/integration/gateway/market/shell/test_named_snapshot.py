"""Bars under several names on a real database: an instrument answers like one, each day under the name of that day."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.http.moments import rfc3339
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS
from tests.support.builders import an_evidence
from tests.support.corporate_actions import split
from tests.support.gateway_rest import rest, rows_of
from tests.support.renamed_shares import (
    CHAIN,
    JUNE,
    NEW,
    OLD,
    WHOLE,
    closes,
    few,
    path,
    rename,
    said,
    under_two_names,
)
from tests.support.split_shares import a_day, moment

YEARS = {"start": "2013-12-01", "end": "2015-01-01"}
DOCUMENT = (Path(__file__).parents[5] / "docs" / "ACTIONS.md").read_text("utf-8").partition("## Renames")[2]
ASKED = re.compile(r"^GET (/stocks/META/history)\?(\S+)$", re.MULTILINE)
ROW = re.compile(r"^\| (\d\S+) \| (\S+) \| (\S+) \|$", re.MULTILINE)


@pytest.mark.parametrize("ex", ["2014-06-11", "2014-06-09"], ids=["midweek", "on_the_day_of_a_split"])
async def test_an_instrument_of_two_names_answers_like_one(database: str, market_data: Path, ex: str) -> None:
    """To the byte of every row, on one page or many: days, weeks, months, backwards, adjusted, of one provider, as a table."""
    asked: list[dict[str, str]] = [
        {}, {"sort": "desc"}, {"interval": "1wk"}, {"interval": "1mo", "adjustment": "split"}, {"adjustment": "all"},
        {"adjustment": "all", "interval": "1wk", "sort": "desc"}, {"adjustment": "raw", "provider": "yahoo"},
        {"revisions": "all", "adjustment": "split"}, {"format": "csv", "adjustment": "all", "knowledge": "published"},
    ]  # fmt: skip
    async with rest(database) as gateway:
        await gateway.store(*under_two_names(market_data, ex))
        for more in asked:
            rows, about, _ = await said(gateway, WHOLE, YEARS | more)
            named, about_named, token = await said(gateway, NEW, YEARS | more)
            assert len(rows) > 10
            assert named == rows, more
            if more.get("format"):
                assert about_named["X-Names"] == f"{OLD}//{ex},{NEW}/{ex}/"
                assert "X-Names" not in about
            else:
                names = [{"symbol": OLD, "from": None, "to": ex}, {"symbol": NEW, "from": ex, "to": None}]
                assert about_named.pop("names") == names
                for each in (about, about_named):
                    del each["symbol"], each["request_id"]
                assert orjson.dumps(about_named) == orjson.dumps(about)
            pages: list[Any] = []
            token = ""
            while token is not None:
                page = {"limit": "37"} | ({"page_token": token} if token else {})
                part, _, token = await said(gateway, NEW, YEARS | more | page)
                pages += part[1:] if pages and more.get("format") else part
            assert pages == rows, more


async def test_each_day_is_of_the_name_of_its_day(database: str) -> None:
    """A chain of three, each of which another company had before or has since; the old ones keep what bears their name."""
    async with rest(database) as gateway:
        await gateway.store(*CHAIN)
        assert await closes(gateway, "XC") == (
            [1.0, 1.0, 2.0, 2.0, 3.0, 3.0],
            ["None XA 2014-06-04", "2014-06-04 XD 2014-06-06", "2014-06-06 XC None"],
        )
        assert await closes(gateway, "XA") == ([1.0, 1.0, 1.0], [])
        assert await closes(gateway, "XD") == (
            [1.0, 1.0, 2.0, 2.0, 2.0],
            ["None XA 2014-06-04", "2014-06-04 XD None"],
        )
        assert await closes(gateway, "XC", names="own") == ([3.0] * 4, [])
        assert await closes(gateway, "XC", start="2014-06-06") == ([3.0, 3.0], [])
        assert await closes(gateway, "XC", start="2014-06-05", end="2014-06-06") == (
            [2.0],
            ["2014-06-04 XD 2014-06-06"],
        )


async def test_facebook_as_the_document_shows_it(database: str) -> None:
    """Each row under its name; before and since, others bear both."""
    ((asked, query),) = ASKED.findall(DOCUMENT)
    rows = ROW.findall(DOCUMENT)
    assert len(rows) == 4
    bars = [a_day(on, float(close), symbol=name) for on, close, name in rows]
    others = [a_day(on, 1.0, symbol={"FB": "META", "META": "FB"}[name]) for on, _, name in rows]
    async with rest(database) as gateway:
        await gateway.store(*bars, *others, rename("FB", "META", "2022-06-09"))
        answer = await gateway.get(asked, **dict(part.split("=") for part in query.split("&")))
        shown = [(row["event_time"][:10], row["close"]) for row in answer["data"]]
        assert shown == [(on, float(close)) for on, close, _ in rows]
        written = orjson.loads(DOCUMENT.partition("```json\n")[2].partition("```")[0])
        assert {"names": answer["meta"]["names"]} == written
        table = {**dict(part.split("=") for part in query.split("&")), "format": "csv"}
        _, headers, _ = await said(gateway, "META", table)
        assert f"X-Names: {headers['X-Names']}" in DOCUMENT


async def test_a_name_that_was_never_collected_hides_nothing(database: str) -> None:
    """What a vendor gives under the new one is shown, of a page as of all; by moments of before it stays so when the old one is filled."""
    before, after = few("XC", "02", "03", price=7.0), few("XC", "05", "06", price=3.0)
    filled = [a_day(f"2014-06-{each}", 1.0, symbol="XA", told="2014-07-10") for each in ("02", "03")]
    then, now = rfc3339(moment("2014-07-09")), rfc3339(moment("2014-07-11"))
    async with rest(database) as gateway:
        await gateway.store(*before, *after, rename("XA", "XC", "2014-06-05"))
        assert await closes(gateway, "XC", as_of=then) == ([7.0, 7.0, 3.0, 3.0], [])
        paged, token = list[float](), ""
        while token is not None:
            page = {"page_token": token} if token else {}
            rows, _, token = await said(gateway, "XC", JUNE | {"limit": "1"} | page)
            paged += [row["close"] for row in rows]
        assert paged == [7.0, 7.0, 3.0, 3.0]
        await gateway.store(*filled)
        assert await closes(gateway, "XC", as_of=then) == ([7.0, 7.0, 3.0, 3.0], [])
        names = ["None XA 2014-06-05", "2014-06-05 XC None"]
        assert await closes(gateway, "XC", as_of=now) == ([1.0, 1.0, 3.0, 3.0], names)
        assert await closes(gateway, "XC", as_of=now, provider="yahoo") == ([1.0, 1.0, 3.0, 3.0], names)
        await gateway.store(
            *[a_day(f"2014-06-{each}", 7.5, symbol="XC", provider="alpaca") for each in ("02", "05")]
        )
        assert await closes(gateway, "XC", as_of=now, provider="alpaca") == ([7.5, 7.5], [])


async def test_gaps_are_those_of_each_name_in_its_days(database: str) -> None:
    """Not the one of the old name after it was given up."""

    def blind(symbol: str, on: str) -> Any:
        span = {"from_time": moment(on, 10), "to_time": moment(on, 10.5), "known_from": moment(on, 11)}
        return an_evidence(stream=f"bars.1m:yahoo:{symbol}", symbol=symbol, **span)

    every = [blind(symbol, f"2014-06-{n}") for symbol in ("XA", "XD", "XC") for n in ("02", "05", "10")]
    async with rest(database) as gateway:
        await gateway.store(*CHAIN, *every)
        answer = await gateway.get(path("XC", "intraday"), **JUNE)
        found = [(each["symbol"], each["from_time"][:10]) for each in answer["meta"]["gaps"]]
        assert found == [("XA", "2014-06-02"), ("XD", "2014-06-05"), ("XC", "2014-06-10")]
        own = await gateway.get(path("XA", "intraday"), **JUNE)
        assert [each["symbol"] for each in own["meta"]["gaps"]] == ["XA"] * 3


async def test_what_sources_leave_open_is_named_and_has_no_bars(database: str) -> None:
    """One source tells of two old names: neither is taken, nor are the new symbol's own bars of before."""
    two = [rename("XA", "XC", "2014-06-05"), rename("XD", "XC", "2014-06-05")]
    async with rest(database) as gateway:
        await gateway.store(*CHAIN[:-2], *two)
        answer = await gateway.get(path("XC"), **JUNE)
        (lost,) = answer["meta"]["unresolved_names"]
        assert rows_of(answer, "close") == [3.0] * 3
        assert "names" not in answer["meta"]
        assert (lost["symbol"], lost["day"], lost["reason"]) == ("XC", "2014-06-05", "several_old_names")
        assert [each["action_id"] for each in lost["told"]] == ["XA:XC", "XD:XC"]
        _, headers, _ = await said(gateway, "XC", JUNE | {"format": "csv"})
        assert headers["X-Unresolved-Names"] == "1"
        after = await gateway.get(path("XC"), **JUNE | {"start": "2014-06-05"})
        assert "unresolved_names" not in after["meta"]


async def test_an_adjusted_answer_has_the_actions_of_all_its_names(database: str) -> None:
    """Of each those of its days: on the day of the rename the new one's."""

    def a_split(symbol: str, ex: str, to: float) -> Any:
        return split(ex, to, symbol=symbol, known=moment("2014-05-01") + int(to))

    actions = [a_split("XD", "2014-06-04", 5.0)]
    others = [a_split("XA", "2014-06-04", 7.0), a_split("XC", "2014-06-05", 7.0)]
    async with rest(database) as gateway:
        await gateway.store(*CHAIN, *actions, *others)
        answer = await gateway.get(path("XC"), **JUNE, adjustment="split")
        assert rows_of(answer, "close") == [0.2, 0.2, 2.0, 2.0, 3.0, 3.0]
        assert answer["meta"]["actions_applied"] == 1
        # The basis lies before the range, in the days of another name.
        late = await gateway.get(
            path("XC"), start="2014-06-06", end="2014-06-07", adjustment="split", basis="2014-06-02"
        )
        assert rows_of(late, "close") == [15.0]


def test_the_names_are_of_different_partitions() -> None:
    """Or the cases above would be of one."""
    assert len({partition_of(each, DEFAULT_PARTITIONS) for each in (OLD, NEW, WHOLE)}) == 3
    assert len({partition_of(each, DEFAULT_PARTITIONS) for each in ("XA", "XD", "XC")}) == 3
