"""Jobs that ended, over HTTP: every one on one page, one queued again by one of many, the old purged in bounded steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.http.access import Access, Key, token_sha256
from infra.runtime.postgres.backfill_acts import PURGED_AT_ONCE
from schemas.backfill import ENDED, STATES
from tests.support.backfill_jobs import DAY, acts, configured, filled, job_id
from tests.support.gateway_rest import Rest, rest

PATH = "/ops/dlq/backfills"


@pytest.fixture
async def gateway(database: str, tmp_path: Path) -> AsyncIterator[Rest]:
    """A gateway that holds to the bounds of the test."""
    async with rest(database, config=configured(tmp_path)) as running:
        yield running


async def counts(gateway: Rest) -> dict[str, int]:
    """Return how many jobs there are by state."""
    rows = await gateway.database.fetch("SELECT state, count(*) AS jobs FROM backfill_jobs GROUP BY state")
    return {row["state"]: row["jobs"] for row in rows}


async def test_pages_hold_every_job_once_newest_first_while_others_end(gateway: Rest) -> None:
    """By default the dead; several states, and one symbol of them; what ends meanwhile is on no further page."""
    await filled(gateway.database, "dead", 130)
    await filled(gateway.database, "unrecoverable", 70, first=130)
    await filled(gateway.database, "done", 50, first=300)
    await gateway.database.execute("UPDATE backfill_jobs SET finished_time = now() - interval '8 days' WHERE job_id < $1", job_id(40))  # fmt: skip
    assert (await gateway.get(PATH))["meta"]["row_count"] == 100
    for status, symbol, wanted in (
        ("dead", None, 130),
        ("unrecoverable,dead", None, 200),
        ("dead,done", "S7", 4),
    ):
        query: dict[str, Any] = {"status": status, "limit": 30} | ({"symbol": symbol} if symbol else {})
        found: list[dict[str, Any]] = []
        page = await gateway.get(PATH, **query)
        while True:
            found += page["data"]
            await filled(gateway.database, "dead", 3, first=1_000 + 10 * len(found) + wanted)
            await gateway.database.execute("UPDATE backfill_jobs SET finished_time = now() WHERE job_id >= $1", job_id(1_000))  # fmt: skip
            if page["next_page_token"] is None:
                break
            page = await gateway.get(PATH, **query, page_token=page["next_page_token"])
        assert len({row["job_id"] for row in found}) == len(found) == wanted
        times = [row["finished_time"] for row in found]
        assert times == sorted(times, reverse=True)
        await gateway.database.execute("DELETE FROM backfill_jobs WHERE job_id >= $1", job_id(1_000))
    token = (await gateway.get(PATH, limit=30))["next_page_token"]
    status, _, problem = await gateway.ask("GET", PATH, params={"limit": 31, "page_token": token})
    assert (status, problem["code"]) == (400, "token_mismatch")


async def test_of_twenty_who_queue_a_job_again_one_succeeds(gateway: Rest) -> None:
    """The others hear how it stands, and who was it when."""
    await filled(gateway.database, "dead", 1)
    answers = await asyncio.gather(*(gateway.ask("POST", f"{PATH}/requeue/{job_id(0)}") for _ in range(20)))
    assert sorted(status for status, _, _ in answers) == [200] + [409] * 19
    (won,) = [body["data"] for status, _, body in answers if status == 200]
    assert (won["state"], won["attempts"], won["reason"], won["finished_time"]) == ("queued", 0, None, None)
    for problem in (body for status, _, body in answers if status == 409):
        assert (problem["code"], problem["state"]) == ("wrong_state", "queued")
        assert problem["acted"]["by"] == "keyless" and problem["acted"]["time"] in problem["detail"]
    assert await acts(gateway.database) == [("keyless", "backfill.requeue", job_id(0))]


async def test_only_what_ended_badly_is_queued_again(gateway: Rest) -> None:
    """Whatever state another job is in it stays so; one whose stretch is under way, or whose tier is full, waits."""
    for number, state in enumerate(state for state in STATES if state not in ("running", "waiting")):
        await filled(gateway.database, state, 1, first=number)
        status, _, body = await gateway.ask("POST", f"{PATH}/requeue/{job_id(number)}")
        assert status == (200 if state in ("dead", "unrecoverable") else 409), state
        if status == 409:
            assert (body["state"], body["acted"]) == (state, None)
    status, _, problem = await gateway.ask("POST", f"{PATH}/requeue/{job_id(99)}")
    assert (status, problem["code"]) == (404, "unknown_job")

    first = (await gateway.ask("POST", "/ops/backfill", json={**DAY, "priority": "T0"}))[2]["data"]["job_id"]
    await gateway.database.execute("UPDATE backfill_jobs SET state = 'dead', finished_time = now() WHERE job_id = $1", first)  # fmt: skip
    again = {**DAY, "priority": "T0", "end": "2013-10-03"}
    assert (await gateway.ask("POST", "/ops/backfill", json=again))[0] == 202
    status, _, problem = await gateway.ask("POST", f"{PATH}/requeue/{first}")
    assert (status, problem["code"]) == (409, "wrong_state") and "already" in problem["detail"]
    await gateway.database.execute("UPDATE backfill_jobs SET state = 'done', finished_time = now() WHERE state = 'queued'")  # fmt: skip
    for day in ("03", "04", "05"):
        body = {**again, "start": f"2013-10-{day}", "end": f"2013-10-{day}T20:00:00Z"}
        assert (await gateway.ask("POST", "/ops/backfill", json=body))[0] == 202
    status, headers, problem = await gateway.ask("POST", f"{PATH}/requeue/{first}")
    assert (status, problem["code"]) == (429, "backfill_cap") and int(headers["Retry-After"]) > 0


async def test_a_purge_counts_first_and_deletes_in_steps_only_what_ended(gateway: Rest) -> None:
    """The oldest first, at most as many as asked for, each step with its act; what is under way is never touched."""
    await filled(gateway.database, "dead", 2_500)
    await filled(gateway.database, "done", 40, first=3_000)
    await filled(gateway.database, "queued", 30, first=4_000)
    await gateway.database.execute("UPDATE backfill_jobs SET finished_time = now() WHERE state = 'dead' AND job_id >= $1", job_id(2_400))  # fmt: skip
    before = await counts(gateway)
    status, _, body = await gateway.ask(
        "DELETE", f"{PATH}/purge", params={"older_than": "7d", "status": "dead,done"}
    )
    assert (status, body["data"]) == (200, {"done": 40, "dead": 2_400})
    assert (body["meta"]["dry_run"], body["meta"]["jobs"], body["meta"]["more"]) == (True, 2_440, False)
    assert await counts(gateway) == before and await acts(gateway.database) == []

    away = {"older_than": "7d", "status": "dead,done", "dry_run": "false"}
    _, _, body = await gateway.ask("DELETE", f"{PATH}/purge", params={**away, "limit": 2_100})
    assert (body["data"], body["meta"]["more"]) == ({"done": 40, "dead": 2_100}, True)
    assert await gateway.database.fetchval("SELECT min(job_id) FROM backfill_jobs WHERE state = 'dead'") == job_id(2_100)  # fmt: skip
    told = await gateway.database.fetch(
        "SELECT subject, detail ->> 'jobs' AS jobs FROM audit_acts ORDER BY act_id"
    )
    assert [(row["subject"], int(row["jobs"])) for row in told] == [
        ("done", 40), ("dead", PURGED_AT_ONCE), ("dead", PURGED_AT_ONCE), ("dead", 100),
    ]  # fmt: skip
    answers = await asyncio.gather(*(gateway.ask("DELETE", f"{PATH}/purge", params=away) for _ in range(4)))
    assert sum(body["meta"]["jobs"] for _, _, body in answers) == 300
    _, _, body = await gateway.ask("DELETE", f"{PATH}/purge", params={"older_than": "1m", "status": ",".join(ENDED), "dry_run": "false"})  # fmt: skip
    assert await counts(gateway) == {"dead": 100, "queued": 30}


async def test_the_scope_of_dead_letters_is_asked_for(database: str, tmp_path: Path) -> None:
    """One that may ask for backfills may not look at what ended, nor the other way round."""
    keys = [
        Key(id=name, sha256=token_sha256(f"token of {name}"), scopes=frozenset({name}))
        for name in ("dlq", "backfill")
    ]
    async with rest(database, config=configured(tmp_path), access=Access(keys, required=True)) as gateway:
        await filled(gateway.database, "dead", 1)
        for name, status in (("backfill", 403), ("dlq", 200)):
            headers = {"Authorization": f"Bearer token of {name}"}
            for method, path in (
                ("GET", PATH),
                ("POST", f"{PATH}/requeue/{job_id(0)}"),
                ("DELETE", f"{PATH}/purge"),
            ):
                assert (await gateway.ask(method, path, headers=headers))[0] == status
            posted = await gateway.ask("POST", "/ops/backfill", json=DAY, headers=headers)
            assert posted[0] == (202 if name == "backfill" else 403)
        assert [actor for actor, _, _ in await acts(gateway.database)] == ["backfill", "dlq"]
