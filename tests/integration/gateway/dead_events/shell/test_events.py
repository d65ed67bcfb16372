"""Dead events over HTTP on a real database: found by cause and one by one, put away once, and never by mistake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.http.access import Access, Key, token_sha256
from infra.runtime.postgres import dead_events as store
from schemas.topics import BARS, JOBS, RAW_BARS, RAW_QUOTES
from tests.support.backfill_jobs import acts, opened
from tests.support.builders import a_bar_event, a_quote_event
from tests.support.dead_letters import DIED, letter, of_event
from tests.support.dead_rows import dead, stands
from tests.support.gateway_rest import Rest, rest

PATH = "/ops/dlq/events"


@pytest.fixture
async def gateway(database: str) -> AsyncIterator[Rest]:
    """A gateway."""
    async with rest(database) as running:
        yield running


async def act(gateway: Rest, deed: str, *, expect: int = 200, **query: Any) -> dict[str, Any]:
    """Do something to dead events and return the answer."""
    status, _, body = await gateway.ask("POST", f"{PATH}/{deed}", params=query)
    assert status == expect, body
    return dict(body)


async def test_what_died_is_found_by_cause_with_remedy_and_example(gateway: Rest, database: str) -> None:
    """The cause that killed last comes first; each with its number, its first and last time, and the newest of it."""
    bars = [
        replace(
            of_event(RAW_BARS, a_bar_event(volume=float(n)), n, message=f"low {n} is above high {n}"),
            dead_time=DIED + n,
        )
        for n in range(1, 13)
    ]
    others = [
        letter(RAW_QUOTES, b"<html>", 20, stage="producer", reason="malformed", message="no JSON"),
        letter(BARS, b"\0\1", 21, stage="sink", message="PostgreSQL refuses the record"),
        letter(JOBS, b'{"job": 1}', 22, stage="producer", message="no such type", symbol="", provider=""),
    ]
    await dead(database, [*bars[:6], *others, *bars[6:]])
    page = await gateway.get(PATH)
    (first, *rest_of) = page["data"]

    assert (first["events"], first["kind"], first["replayable"]) == (12, RAW_BARS, True)
    assert (first["fault"], first["example"]["message"]) == (
        "low … is above high …",
        "low 12 is above high 12",
    )
    assert first["first_time"] < first["last_time"] == first["example"]["dead_time"]
    assert first["example"]["payload"]["value"]["symbol"] == "SPY"
    assert [(row["kind"], row["events"], row["replayable"]) for row in rest_of] == [
        (JOBS, 1, False),
        (BARS, 1, False),
        (RAW_QUOTES, 1, False),
    ]
    assert [row["example"]["payload"]["form"] for row in rest_of] == ["json", "bytes", "text"]
    assert all("discard" in row["remedy"] for row in page["data"])
    for query, found in (
        ({"kind": JOBS}, 1), ({"stage": "producer"}, 2), ({"symbol": "SPY"}, 3), ({"symbol": "KO"}, 0), ({"provider": "yahoo"}, 3),
        ({"state": "discarded"}, 0), ({"since": "2100-01-01T00:00:00Z"}, 0), ({"until": "2100-01-01T00:00:00Z"}, 4),
    ):  # fmt: skip
        assert (await gateway.get(PATH, **query))["meta"]["row_count"] == found, query


async def test_pages_hold_every_row_once_while_others_die(gateway: Rest, database: str) -> None:
    """Of causes, and of the events of one and of all."""
    for cause in range(7):
        await dead(
            database,
            [of_event(RAW_BARS, a_bar_event(), 10 * cause + n, message="x" * cause) for n in range(5)],
        )
    (cause, *_) = [row["cause"] for row in (await gateway.get(PATH))["data"]]
    for number, (path, name, wanted) in enumerate(
        ((PATH, "cause", 7), (f"{PATH}/{cause}", "event_id", 5), (f"{PATH}/all", "event_id", 39))
    ):
        found, page = list[Any](), await gateway.get(path, limit=2)
        while True:
            found += [row[name] for row in page["data"]]
            if page["next_page_token"] is None:
                break
            if len(found) == 2:
                await dead(
                    database,
                    [
                        of_event(RAW_BARS, a_bar_event(), 900 + 2 * number + n, message="y" * n)
                        for n in range(2)
                    ],
                )
            page = await gateway.get(path, limit=2, page_token=page["next_page_token"])
        assert len(found) == len(set(found)) == wanted, path
    token = (await gateway.get(PATH, limit=2))["next_page_token"]
    status, _, problem = await gateway.ask("GET", PATH, params={"limit": 3, "page_token": token})
    assert (status, problem["code"]) == (400, "token_mismatch")
    status, _, problem = await gateway.ask("GET", f"{PATH}/abcdefabcdef")
    assert (status, problem["code"]) == (404, "unknown_dead_event")
    status, _, problem = await gateway.ask("GET", f"{PATH}/replay")
    assert (status, problem["code"]) == (404, "unknown_dead_event")


async def test_events_are_put_away_once_with_who_and_why(gateway: Rest, database: str) -> None:
    """A dry run changes nothing; of twenty who try at once one does it; the oldest go first, as many as asked for."""
    await dead(database, [of_event(RAW_QUOTES, a_quote_event(), n) for n in range(1, 11)])
    ids = list(await stands(database))
    dry = await act(gateway, "discard")
    assert (dry["meta"]["events"], dry["meta"]["discarded"], dry["meta"]["dry_run"]) == (10, 0, True)
    assert await acts(gateway.database) == []

    query = {"event_id": ids[4], "reason": "seen by hand", "dry_run": "false"}
    answers = await asyncio.gather(*(gateway.ask("POST", f"{PATH}/discard", params=query) for _ in range(20)))
    done = [body["meta"]["discarded"] for status, _, body in answers if status == 200]
    lost = [body for status, _, body in answers if status != 200]
    assert sum(done) == 1
    assert {(each["code"], each["state"]) for each in lost} == {("wrong_state", "discarded")}
    assert {each["acted"]["by"] for each in lost} == {"keyless"}

    some = await act(
        gateway, "discard", kind=RAW_QUOTES, reason="the vendor was wrong", dry_run="false", limit=3
    )
    assert [row["event_id"] for row in some["data"]] == ids[:3]
    assert (some["meta"]["discarded"], some["meta"]["more"]) == (3, True)
    now = await stands(database)
    assert [now[each] for each in ids] == ["discarded"] * 3 + ["open", "discarded"] + ["open"] * 5
    rows = (await gateway.get(f"{PATH}/all", state="discarded"))["data"]
    assert {(row["actor"], row["note"]) for row in rows} == {
        ("keyless", "the vendor was wrong"),
        ("keyless", "seen by hand"),
    }
    assert [each[1] for each in await acts(gateway.database)] == ["dead_event.discard"] * 2
    await act(gateway, "replay", event_id=ids[0], expect=409)
    await act(gateway, "replay", event_id=ids[0], dry_run="false", expect=409)


async def test_while_somebody_replays_others_only_look_and_what_was_ended_is_not_claimed(
    gateway: Rest, database: str
) -> None:
    """The lock goes with its connection; of events another has ended meanwhile none is claimed."""
    await dead(database, [of_event(RAW_QUOTES, a_quote_event(), n) for n in range(3)])
    first, second, third = await stands(database)
    holder = await opened(database)
    assert await store.lock(holder)
    busy = await act(gateway, "replay", expect=503, event_id=first, dry_run="false")
    assert (busy["code"], busy["retryable"]) == ("busy", True)
    assert (await act(gateway, "replay"))["meta"]["verdicts"] == {"kept": 1, "repeat": 2}
    await act(gateway, "discard", event_id=first, reason="no use", dry_run="false")

    intents = [store.Intent(dead_id=each, topic=RAW_QUOTES, ended={0: 5}) for each in (first, second)]
    assert await store.claim(holder, intents, actor="ann") == {second}
    assert await store.claim(holder, intents, actor="bob") == set()
    assert await store.discard(holder, [second], actor="bob", reason="mine") == set()
    (left,) = await store.left_behind(holder, limit=9)
    assert (left.event.dead_id, left.event.actor, dict(left.claim.ended)) == (second, "ann", {0: 5})
    assert left.age_s < 60
    assert await store.settle(holder, {second: "gone", third: "never claimed"}, "unknown") == {second}
    await holder.close()
    assert await stands(database) == {first: "discarded", second: "unknown", third: "open"}
    status, _, body = await gateway.ask("POST", f"{PATH}/replay", params={"event_id": second})
    assert (status, body["state"]) == (409, "unknown")
    done = await act(gateway, "discard", event_id=second, reason="nobody knows", dry_run="false")
    assert done["meta"]["discarded"] == 1


async def test_what_is_asked_wrongly_is_named_and_nothing_is_done(gateway: Rest, database: str) -> None:
    """Without a filter, without a reason, of an event that is not there."""
    await dead(database, [of_event(RAW_QUOTES, a_quote_event(), 1)])
    for deed, query, expect, code in (
        ("replay", {"dry_run": "false"}, 422, "needs_filter"),
        ("discard", {"dry_run": "false", "kind": RAW_QUOTES}, 422, "missing_field"),
        ("discard", {"event_id": 10**15 + 1}, 422, "out_of_range"),
        ("replay", {"cause": "all"}, 422, "not_a_cause"),
        ("replay", {"event_id": 10**12, "dry_run": "false"}, 404, "unknown_dead_event"),
        ("discard", {"event_id": 10**12, "reason": "why not", "dry_run": "false"}, 404, "unknown_dead_event"),
    ):
        body = await act(gateway, deed, expect=expect, **query)
        assert code in [each["code"] for each in body["errors"]], (deed, query)
    assert set((await stands(database)).values()) == {"open"}


async def test_a_key_without_the_scope_does_nothing(database: str) -> None:
    """Neither looks nor acts."""
    key = Key(id="ann", sha256=token_sha256("ann's"), scopes=frozenset({"read", "stream", "backfill"}))
    async with rest(database, access=Access([key], required=True)) as gateway:
        for method, path in (
            ("GET", PATH),
            ("GET", f"{PATH}/all"),
            ("POST", f"{PATH}/replay"),
            ("POST", f"{PATH}/discard"),
        ):
            status, _, body = await gateway.ask(method, path, headers={"Authorization": "Bearer ann's"})
            assert (status, body["code"]) == (403, "forbidden")
