"""`GET /stats/slo` with conditions: of a day of all symbols, page by page, and of a symbol's days."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.http.moments import aware
from schemas.clocks import EventTime
from schemas.intervals import MINUTE_US, micros
from tests.support.builders import a_gap
from tests.support.gateway_rest import Rest, rest, rows_of

ADD_SERIES = "INSERT INTO streams SELECT stream_id_of($1, $2, 'yahoo', $3), $1, $2, 'yahoo', $3, 0, '2024-01-01 UTC', $4"
ADD_BITS = "INSERT INTO coverage VALUES (stream_id_of('bars', '1m', 'yahoo', $1), $2, 390, $3, $4)"


def at(*moment: int) -> EventTime:
    """Return a UTC time in µs."""
    return EventTime(micros(datetime(*moment, tzinfo=UTC)))  # type: ignore[misc,arg-type]


NOW = at(2024, 6, 7, 16)  # a Friday, at noon in New York
PRE_OPEN = at(2024, 6, 5, 8)


async def add(
    served: Rest, symbol: str, last_seen: int = NOW, kind: str = "bars", interval: str = "1m"
) -> None:
    """Store a series that began long ago."""
    await served.database.execute(ADD_SERIES, kind, interval, symbol, aware(last_seen))


async def a_market(served: Rest) -> None:
    """Store five symbols, each of another condition on Wednesday."""
    served.clock.now = NOW
    for symbol in ("AAA", "BBB", "CCC", "7203.T"):
        await add(served, symbol)
    await add(served, "DDD", last_seen=at(2024, 6, 4, 19, 59))
    await add(served, "AAA", kind="quotes", interval="")
    stretch = {
        "from_time": at(2024, 6, 5, 14),
        "to_time": at(2024, 6, 5, 14, 10),
        "known_from": at(2024, 6, 5, 15),
    }
    for number, (symbol, state) in enumerate((("BBB", "open"), ("CCC", "filled"))):
        await served.store(
            a_gap(
                symbol=symbol,
                stream=f"bars.1m:yahoo:{symbol}",
                gap_id=f"gap-{number}",
                state=state,
                **stretch,
            )
        )
    await served.database.execute(ADD_BITS, "AAA", aware(PRE_OPEN), b"", b"\x07")


async def conditions(served: Rest, **query: str) -> list[Any]:
    """Return (stream, day, condition) of an answer."""
    answer = await served.get("/stats/slo", **query)
    assert len(answer["data"]) == 5
    return rows_of({"data": answer["conditions"]}, "stream", "day", "condition")


WEDNESDAY = [
    ("bars.1m:yahoo:7203.T", "2024-06-05", "available"),
    ("bars.1m:yahoo:AAA", "2024-06-05", "available"),
    ("quotes:yahoo:AAA", "2024-06-05", "available"),
    ("bars.1m:yahoo:BBB", "2024-06-05", "degraded"),
    ("bars.1m:yahoo:CCC", "2024-06-05", "degraded"),
    ("bars.1m:yahoo:DDD", "2024-06-05", "missing"),
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file that collects the symbols of the market."""
    file = tmp_path / "mds.yaml"
    file.write_text("symbols: [AAA, BBB, CCC, DDD, 7203.T]\nstreams: {bars: {provider: yahoo}}\n", "utf-8")
    return file


async def test_a_day_of_all_symbols(database: str, config: Path) -> None:
    """Whole on one page, in pages of two symbols, of one condition, and of one symbol."""
    async with rest(database, config=config) as served:
        await a_market(served)
        assert await conditions(served, day="2024-06-05") == WEDNESDAY
        paged, token, pages = list[Any](), None, 0
        while pages == 0 or token is not None:
            query = {"day": "2024-06-05", "limit": "2"} | ({} if token is None else {"page_token": token})
            answer = await served.get("/stats/slo", **query)
            paged += rows_of({"data": answer["conditions"]}, "stream", "day", "condition")
            token, pages = answer["next_page_token"], pages + 1
        assert (paged, pages) == (WEDNESDAY, 3)
        assert await conditions(served, day="2024-06-05", condition="missing") == WEDNESDAY[-1:]
        assert await conditions(served, day="2024-06-05", symbol="AAA") == WEDNESDAY[1:3]
        # a day without a session has no condition; one under way is pending, in Tokyo it is over
        assert await conditions(served, day="2024-06-01") == []
        friday = {stream: condition for stream, _, condition in await conditions(served, day="2024-06-07")}
        assert friday["bars.1m:yahoo:AAA"] == "pending"
        assert friday["bars.1m:yahoo:7203.T"] == "available"


async def test_days_of_a_symbol(database: str, config: Path) -> None:
    """One row a stream and day, with what is behind it; a backfill under way makes a hole pending."""
    async with rest(database, config=config) as served:
        await a_market(served)
        asked = {"symbol": "BBB", "start": "2024-06-01", "end": "2024-06-08"}
        answer = await served.get("/stats/slo", **asked)
        rows = {row["day"]: row for row in answer["conditions"]}
        assert [row["condition"] for row in rows.values()] == [
            "available",
            "available",
            "degraded",
            "available",
            "pending",
        ]
        hole = rows["2024-06-05"]
        assert (hole["expected"], hole["stored"], hole["missing"]) == (390, 380, 10)
        assert (hole["session_start"], hole["session_end"]) == (
            "2024-06-05T13:30:00.000000Z",
            "2024-06-05T20:00:00.000000Z",
        )
        await served.database.execute(
            "INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, source, state,"
            " enqueued_time) VALUES ('j', 0, 'bars.1m:yahoo:BBB', 'yahoo', 'BBB', $1, $2, 'T1', 'gap', 4, 'sink', 'queued', $1)",
            aware(at(2024, 6, 5, 14)), aware(at(2024, 6, 5, 14) + MINUTE_US),
        )  # fmt: skip
        healing = await served.get("/stats/slo", **asked)
        assert [row["condition"] for row in healing["conditions"]][2] == "pending"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"day": "2024-06-09"}, 422, "not_over"),
        ({"day": "2024-13-01"}, 422, "not_a_date"),
        ({"days": "2024-06-05"}, 422, "unknown_parameter"),
        ({"start": "2024-06-05", "end": "2024-06-06"}, 422, "needs_symbol"),
        ({"day": "2024-06-05", "symbol": "ZZZ"}, 404, "unknown_symbol"),
        ({"day": "2024-06-05", "page_token": "forged.token"}, 400, "token_invalid"),
    ],
)
async def test_what_cannot_be_answered(database: str, query: dict[str, str], status: int, code: str) -> None:
    """Each with its word, and the parameter it is about."""
    async with rest(database) as served:
        served.clock.now = NOW
        found, _, problem = await served.ask("GET", "/stats/slo", params=query)

    assert found == status
    assert code in {problem["code"], *(each["code"] for each in problem.get("errors", []))}


async def test_a_token_of_another_question_is_refused(database: str, config: Path) -> None:
    """It says where that one had come."""
    async with rest(database, config=config) as served:
        await a_market(served)
        token = (await served.get("/stats/slo", day="2024-06-05", limit="1"))["next_page_token"]
        status, _, problem = await served.ask(
            "GET", "/stats/slo", params={"day": "2024-06-04", "limit": "1", "page_token": token}
        )

    assert (status, problem["code"]) == (400, "token_mismatch")


async def test_every_statement_of_the_page_about_objectives_runs(database: str, config: Path) -> None:
    """On a database that has something to show; the views are the contract."""
    page = (Path(__file__).parents[5] / "docs" / "concepts" / "objectives.md").read_text("utf-8")
    statements = [part.split("```")[0] for part in page.split("```sql\n")[1:]]
    async with rest(database, config=config) as served:
        await a_market(served)
        await served.database.execute(
            "UPDATE coverage SET absent = '\\x03', start_time = now() - interval '1 day'"
        )
        await served.database.execute(
            "UPDATE gaps SET to_time = now() - interval '1 day' WHERE state = 'open'"
        )
        found = [await served.database.fetch(each) for each in statements]

    assert [len(each) > 0 for each in found] == [True, True, True]
