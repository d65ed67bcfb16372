"""Corporate actions on a real database: as they were known at any moment, page by page, whatever came later."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest

from gateway.http.moments import rfc3339
from schemas.entries import CorporateAction
from schemas.intervals import HOUR_US
from tests.support.builders import NINE_THIRTY, an_action
from tests.support.gateway_rest import Rest, rest

PATH = "/stocks/AAPL/actions"
SPLIT_DAY = 16_230  # 2014-06-09
DECLARED_US = 1_398_311_999_999_999  # the end of 2014-04-23 in New York


def told(at_hour: int, **said: Any) -> CorporateAction:
    """Return what was said at an hour of our log."""
    moment = NINE_THIRTY + at_hour * HOUR_US
    known: dict[str, Any] = {"known_from": moment, "received_time": moment, "raw_offset": at_hour, "index": 0}
    return an_action(event_time=moment, **(known | said))


def at(hour: int) -> str:
    """Return the moment of an hour of our log."""
    return rfc3339(NINE_THIRTY + hour * HOUR_US)


async def asked(gateway: Rest, **query: Any) -> list[dict[str, Any]]:
    """Return the rows of an answer."""
    status, _, body = await gateway.ask("GET", PATH, params=query)
    assert status == 200, body
    return list(body["data"])


STORY = (
    told(1, state="announced", ratio_to=7.0, published_at=DECLARED_US, published_precision="date"),
    told(2, action_id="d-1", type="cash_dividend", ratio_to=None, ratio_from=None, amount=0.47, currency="USD", ex_date=16_289),
    told(5, state="confirmed", ratio_to=7.0, published_at=DECLARED_US, published_precision="date"),
    told(6, provider="polygon", action_id="p", ratio_to=7.0),
    told(9, action_id="d-1", type="cash_dividend", state="cancelled", ratio_to=None, ratio_from=None, amount=0.47, ex_date=16_290),
)  # fmt: skip


async def test_an_action_is_what_was_known_of_it_then(database: str) -> None:
    """Announced, confirmed, told by another, moved by a day and taken back: each moment keeps its own answer."""
    async with rest(database) as gateway:
        await gateway.store(*STORY)

        def said(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
            return [(row["ex_date"], row["provider"], row["type"], row["state"]) for row in rows]

        assert said(await asked(gateway, as_of=at(0))) == []
        assert said(await asked(gateway, as_of=at(1))) == [("2014-06-09", "yahoo", "split", "announced")]
        assert said(await asked(gateway, as_of=at(7))) == [
            ("2014-06-09", "polygon", "split", "confirmed"),
            ("2014-06-09", "yahoo", "split", "confirmed"),
            ("2014-08-07", "yahoo", "cash_dividend", "confirmed"),
        ]
        now = await asked(gateway)
        assert said(now)[-1] == ("2014-08-08", "yahoo", "cash_dividend", "cancelled")
        assert (now[1]["ratio_to"], now[1]["ratio_from"], now[1]["declared_date"]) == (7.0, 1.0, None)
        assert now[1]["published_at"] == rfc3339(DECLARED_US)
        assert said(await asked(gateway, provider="polygon")) == said(now)[:1]
        assert said(await asked(gateway, types="cash_dividend,rights")) == said(now)[2:]
        assert said(await asked(gateway, start="2014-06-10", end="2014-08-08")) == []
        assert len(await asked(gateway, revisions="all")) == len(STORY)


async def test_what_was_published_counts_whenever_we_were_told(database: str) -> None:
    """A history that is loaded today is known as of then; without a date of declaration the ex-date's midnight counts."""
    loaded = told(9, ex_date=SPLIT_DAY, published_at=DECLARED_US, published_precision="date")
    plain = told(9, index=1, action_id="plain", ex_date=SPLIT_DAY)
    async with rest(database) as gateway:
        await gateway.store(loaded, plain)
        midnight = 1_402_286_400_000_000  # 2014-06-09 in New York
        for moment, names in (
            (DECLARED_US - 1, []),
            (DECLARED_US, ["split-2014"]),
            (midnight - 1, ["split-2014"]),
            (midnight, ["plain", "split-2014"]),
        ):
            rows = await asked(gateway, as_of=rfc3339(moment), knowledge="published")
            assert [row["action_id"] for row in rows] == names
        assert await asked(gateway, as_of=at(8)) == []


@pytest.mark.parametrize("revisions", ["latest", "all"])
async def test_pages_are_the_answer_in_one_piece_whatever_comes_between(
    database: str, revisions: str
) -> None:
    """Every page says what was known at the first; a page that has been answered stays as it was."""
    random = Random(4)
    many = [
        told(1 + n, action_id=f"a{random.randint(0, 30)}", provider=random.choice(["yahoo", "polygon"]), ex_date=16_000 + random.randint(0, 9), index=n)
        for n in range(60)
    ]  # fmt: skip
    async with rest(database) as gateway:
        await gateway.store(*many)
        whole, pages, token = await asked(gateway, as_of=at(80), revisions=revisions), [], {}
        while True:
            query = {"as_of": at(80), "limit": "7", "revisions": revisions, **token}
            _, _, body = await gateway.ask("GET", PATH, params=query)
            pages += body["data"]
            await gateway.store(told(90 + len(pages), action_id="late", ex_date=16_001))
            if body["next_page_token"] is None:
                break
            token = {"page_token": body["next_page_token"]}
        assert orjson.dumps(pages) == orjson.dumps(whole)
        keys = [(row["ex_date"], row["provider"], row["action_id"]) for row in whole]
        assert keys == sorted(keys)
        assert (len(set(keys)) == len(keys)) is (revisions == "latest")


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ({"start": "2014-13-01"}, "start", "not_a_date"),
        ({"start": "2014-06-09", "end": "2014-06-09"}, "end", "inverted_range"),
        ({"types": "splits"}, "types", "not_a_choice"),
        ({"knowledge": "guessed"}, "knowledge", "not_a_choice"),
        ({"as_of": "2100-01-01T00:00:00Z"}, "as_of", "in_future"),
        ({"adjustment": "all"}, "adjustment", "unknown_parameter"),
    ],
    ids=str,
)
async def test_what_is_asked_wrongly_is_named(
    database: str, query: dict[str, str], param: str, code: str
) -> None:
    """The parameter, and what would be right."""
    async with rest(database) as gateway:
        await gateway.store(*STORY)
        status, _, body = await gateway.ask("GET", PATH, params=query)
        assert status == 422
        assert [(each["param"], each["code"]) for each in body["errors"]] == [(param, code)]


async def test_a_symbol_nobody_knows_is_no_empty_answer(database: str) -> None:
    """One that is known and has no actions is."""
    async with rest(database) as gateway:
        await gateway.store(*STORY)
        assert (await gateway.ask("GET", "/stocks/NOPE/actions"))[0] == 404
