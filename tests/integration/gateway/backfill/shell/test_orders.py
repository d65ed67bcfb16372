"""Asking for a backfill over HTTP: one job for one wish, whoever asks how often, within the bounds of the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.http.access import Access, Key, token_sha256
from gateway.http.moments import parse_moment
from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres import backfill_work as work
from infra.runtime.postgres.backfill_acts import LOCKED
from schemas.topics import DEFAULT_PARTITIONS
from tests.support.backfill_jobs import DAY, acts, configured, filled, opened
from tests.support.eventually import eventually
from tests.support.gateway_rest import Rest, rest
from tests.support.relay import relay

PATH = "/ops/backfill"
TOKENS = {"ann": "token-of-ann", "bob": "token-of-bob", "reader": "token-of-reader"}


@pytest.fixture
async def gateway(database: str, tmp_path: Path) -> AsyncIterator[Rest]:
    """A gateway that holds to the bounds of the test."""
    async with rest(database, config=configured(tmp_path)) as running:
        yield running


async def ask(gateway: Rest, body: dict[str, Any] = DAY, **headers: str) -> tuple[int, Any, Any]:
    """Ask for a backfill."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateway.ask("POST", PATH, json=body, headers=named)


async def end(gateway: Rest, job_id: str, state: str = "done") -> None:
    """Let a job have ended."""
    statement = "UPDATE backfill_jobs SET state = $2, finished_time = now(), rows = 7 WHERE job_id = $1"
    await gateway.database.execute(statement, job_id, state)


async def test_a_job_is_queued_found_again_and_noted(gateway: Rest) -> None:
    """With the venue's midnights, the preferred provider, the lowest tier and the day's budget of that provider."""
    await gateway.database.execute(
        "INSERT INTO provider_budgets VALUES ('yahoo', '', $1, 12, '{}', NULL, 0, '', now())",
        datetime.now(UTC).date(),
    )
    status, headers, body = await ask(gateway)
    job = body["data"]
    assert (status, headers["Location"]) == (202, f"{PATH}/{job['job_id']}")
    assert (job["start"], job["end"]) == ("2013-10-01T04:00:00.000000Z", "2013-10-02T04:00:00.000000Z")
    assert (job["provider"], job["tier"], job["origin"], job["state"]) == ("yahoo", "T2", "user", "queued")
    assert job["budget"] == {"provider": "yahoo", "used": 12, "cap": 5000}
    assert (job["position"], job["eta_s"]) == (0, None)
    assert await acts(gateway.database) == [("keyless", "backfill.enqueue", job["job_id"])]

    status, headers, found = await gateway.ask("GET", headers["Location"])
    assert (status, headers["Cache-Control"]) == (200, "private, max-age=1")
    assert found["data"] | {"raised_from": None} == job
    status, _, part = await ask(gateway, {**DAY, "start": "2013-10-01T09:00:00Z"})
    assert (status, part["data"]["job_id"]) == (200, job["job_id"])
    await end(gateway, job["job_id"], "empty")
    ended = (await gateway.get(f"{PATH}/{job['job_id']}"))["data"]
    assert (ended["state"], ended["meaning"], ended["eta_s"]) == (
        "empty",
        "the vendor was asked and has none",
        0,
    )
    status, _, anew = await ask(gateway)
    assert (status, anew["data"]["job_id"] != job["job_id"]) == (202, True)
    assert len(await acts(gateway.database)) == 2


@pytest.mark.parametrize("keyed", [False, True])
async def test_of_fifty_equal_requests_at_once_one_makes_a_job(gateway: Rest, keyed: bool) -> None:
    """The others are told of it; with a key and without one."""
    headers = {"Idempotency_Key": "fifty"} if keyed else {}
    answers = await asyncio.gather(*(ask(gateway, **headers) for _ in range(50)))
    assert sorted(status for status, _, _ in answers) == [200] * 49 + [202]
    assert len({body["data"]["job_id"] for _, _, body in answers}) == 1
    assert len(await acts(gateway.database)) == 1
    assert await gateway.database.fetchval("SELECT count(*) FROM backfill_jobs") == 1


async def test_a_key_stands_for_its_request_also_after_the_job_ended(gateway: Rest) -> None:
    """Another content under it is refused; another key is another request."""
    _, _, first = await ask(gateway, Idempotency_Key="k1")
    await end(gateway, first["data"]["job_id"], "dead")
    status, _, again = await ask(gateway, Idempotency_Key="k1")
    assert (status, again["data"]["job_id"], again["data"]["state"]) == (200, first["data"]["job_id"], "dead")
    status, _, problem = await ask(gateway, {**DAY, "end": "2013-10-03"}, Idempotency_Key="k1")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    status, _, other = await ask(gateway, Idempotency_Key="k2")
    assert (status, other["data"]["state"]) == (202, "queued")
    status, _, joined = await ask(gateway, Idempotency_Key="k3")
    assert (status, joined["data"]["job_id"]) == (200, other["data"]["job_id"])
    await end(gateway, other["data"]["job_id"])
    assert (await ask(gateway, Idempotency_Key="k3"))[2]["data"]["job_id"] == other["data"]["job_id"]
    await gateway.database.execute("DELETE FROM backfill_jobs")
    assert (await ask(gateway, Idempotency_Key="k1"))[0] == 202, "what was purged is asked for anew"
    status, _, problem = await ask(gateway, Idempotency_Key="two words")
    assert (status, problem["errors"][0]["param"]) == (422, "Idempotency-Key")


async def test_a_full_tier_refuses_and_says_when_to_come_again(gateway: Rest) -> None:
    """Its bound holds when many come at once; another tier has room."""
    bodies = [
        {**DAY, "priority": "T0", "start": f"2013-09-{day:02}", "end": f"2013-09-{day + 1:02}"}
        for day in range(8, 20)
    ]
    answers = await asyncio.gather(*(ask(gateway, body) for body in bodies))
    assert sorted(status for status, _, _ in answers) == [202] * 3 + [429] * 9
    _, headers, problem = next(each for each in answers if each[0] == 429)
    assert (problem["code"], headers["Retry-After"], problem["cap"]) == ("backfill_cap", "60", 3)
    assert problem["reset_time"] and problem["errors"][0]["param"] == "priority"
    assert (await ask(gateway, {**DAY, "priority": "T1"}))[0] == 202
    await gateway.database.execute("UPDATE backfill_jobs SET state = 'done', finished_time = now()")
    assert (await ask(gateway, bodies[5]))[0] == 202


async def test_a_more_urgent_request_raises_the_job_that_is_there(gateway: Rest, database: str) -> None:
    """At once while it waits, which its place shows; where it runs by its next claim. Nothing lowers it."""
    first = {**DAY, "start": "2013-09-20", "end": "2013-09-21", "priority": "T1"}
    (_, _, older), (_, _, job) = await ask(gateway, first), await ask(gateway)
    name = job["data"]["job_id"]
    assert (job["data"]["tier"], job["data"]["position"]) == ("T2", 1)
    part = {**DAY, "start": "2013-10-01T09:00:00Z"}
    expected = [("T0", "T0", "T2", 0), ("T0", "T0", None, 0), ("T1", "T0", None, 0)]
    for asked, tier, raised_from, position in expected:
        status, _, body = await ask(gateway, {**part, "priority": asked})
        found = body["data"]
        assert (status, found["job_id"]) == (200, name)
        assert (found["tier"], found["raised_from"], found["position"]) == (tier, raised_from, position)
    assert (await gateway.get(f"{PATH}/{name}"))["data"]["tier"] == "T0"
    assert ("keyless", "backfill.raise", name) in await acts(gateway.database)

    worker = await opened(database)
    claim = partial(queue.claim, worker, range(DEFAULT_PARTITIONS), by="rank", owner="one", lease_s=60.0)
    taken = await claim({"yahoo": 2})
    assert {each.order.job_id for each in taken} == {name, older["data"]["job_id"]}
    _, _, raised = await ask(gateway, {**first, "priority": "T0"})
    assert (raised["data"]["state"], raised["data"]["raised_from"]) == ("running", "T1")
    await work.hand_back(worker, taken, owner="one", wait_s=0.0, reason="left")
    newer = {**DAY, "start": "2013-09-22", "end": "2013-09-23", "priority": "T0"}
    assert (await ask(gateway, newer))[0] == 202
    (again,) = await claim({"yahoo": 1})
    assert again.order.job_id == older["data"]["job_id"], "of one tier the oldest"
    assert again.order.tier == "T0"
    await worker.close()


async def test_a_job_is_not_raised_into_a_tier_that_is_full(gateway: Rest) -> None:
    """It is fetched as it was to be, and the answer shows under which tier."""
    _, _, job = await ask(gateway)
    for day in range(10, 13):
        await ask(gateway, {**DAY, "priority": "T0", "start": f"2013-09-{day}", "end": f"2013-09-{day + 1}"})
    status, _, found = await ask(gateway, {**DAY, "priority": "T0"})
    assert (status, found["data"]["job_id"]) == (200, job["data"]["job_id"])
    assert (found["data"]["tier"], found["data"]["raised_from"]) == ("T2", None)


async def test_readers_do_not_wait_behind_those_who_wait_for_each_other(gateway: Rest) -> None:
    """Twelve requests wait for one lock, and whoever reads is answered meanwhile; acts on jobs that ended wait with them."""
    held = LOCKED, "T2"
    await gateway.database.execute("SELECT pg_advisory_lock($1, hashtext($2))", *held)
    waiting = [asyncio.create_task(ask(gateway)) for _ in range(12)]
    try:
        blocked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

        async def some_wait() -> bool:
            return bool(await gateway.database.fetchval(blocked))

        await eventually(some_wait, within_s=5)
        listed = asyncio.create_task(gateway.get("/ops/dlq/backfills"))
        async with asyncio.timeout(5):
            for _ in range(8):
                await gateway.get("/gaps")
        assert not any(task.done() for task in (*waiting, listed))
    finally:
        await gateway.database.execute("SELECT pg_advisory_unlock($1, hashtext($2))", *held)
    assert sorted([(await task)[0] for task in waiting]) == [200] * 11 + [202]
    assert (await listed)["data"] == []


async def test_the_estimate_is_of_those_that_ended_in_the_same_line(gateway: Rest) -> None:
    """Ten of its provider and partition in a quarter of an hour, and two before it: 3 × 90 s."""
    _, _, body = await ask(gateway)
    job_id = body["data"]["job_id"]
    await filled(gateway.database, "done", 10, first=100)
    await filled(gateway.database, "done", 5, first=200)
    await filled(gateway.database, "done", 5, first=205)
    await filled(gateway.database, "queued", 2, first=300)
    await gateway.database.execute("UPDATE backfill_jobs SET finished_time = now() WHERE state = 'done'")
    await gateway.database.execute(
        "UPDATE backfill_jobs SET provider = 'yahoo', partition = m.partition FROM "
        "(SELECT partition FROM backfill_jobs WHERE job_id = $1) m WHERE job_id <> $1",
        job_id,
    )
    await gateway.database.execute(
        "UPDATE backfill_jobs SET provider = 'alpaca' WHERE job_id >= lpad(to_hex(205), 16, '0') AND state = 'done'"
    )
    await gateway.database.execute(
        "UPDATE backfill_jobs SET partition = partition + 1 WHERE job_id BETWEEN lpad(to_hex(200), 16, '0') AND lpad(to_hex(204), 16, '0')"
    )
    found = (await gateway.get(f"{PATH}/{job_id}"))["data"]
    assert (found["position"], found["eta_s"]) == (2, 270.0)
    assert found["eta_basis"] == "10 of its provider ended here in the last 15 min"


async def test_what_cannot_be_fetched_is_refused_with_a_remedy(gateway: Rest) -> None:
    """All of it at once, and nothing is queued."""
    gateway.clock.now = parse_moment("2013-10-02T00:00:00Z", None)  # four hours before New York's midnight
    status, _, problem = await ask(
        gateway,
        {"symbol": "QQQ", "interval": "5m", "start": "2013-08-01", "end": "2013-10-02", "source": "alpaca"},
    )
    assert status == 422
    assert [(each["param"], each["code"]) for each in problem["errors"]] == [
        ("symbol", "not_collected"), ("interval", "not_collected"), ("end", "not_over"), ("end", "out_of_range"),
    ]  # fmt: skip
    assert "2013-10-02T00:00:00.000000Z" in problem["errors"][2]["detail"]
    for source, hint in (("polygon", "not asked for bars here"), ("alpaca", "")):
        status, _, problem = await ask(gateway, {**DAY, "end": "2013-10-01T23:00:00Z", "source": source})
        assert status == (422 if hint else 202), problem
        assert not hint or (problem["errors"][0]["code"] == "not_served" and hint in problem["detail"])
    index = {**DAY, "symbol": "^GSPC", "end": "2013-10-01T23:00:00Z"}
    status, _, problem = await ask(gateway, {**index, "source": "alpaca"})
    assert (status, problem["detail"]) == (
        422,
        "source alpaca has no name for ^GSPC; use one of: yahoo, or none",
    )
    assert (await ask(gateway, index))[2]["data"]["provider"] == "yahoo"
    assert await gateway.database.fetchval("SELECT count(*) FROM backfill_jobs") == 2
    for path in (f"{PATH}/0123456789abcdef", f"{PATH}/%00", f"{PATH}/{'x' * 300}"):
        status, _, problem = await gateway.ask("GET", path)
        assert (status, problem["code"]) == (404, "unknown_job")


async def test_names_of_keys_are_noted_and_scopes_are_held_to(database: str, tmp_path: Path) -> None:
    """A key of one caller stands for nothing of another's."""
    keys = [
        Key(
            id=name,
            sha256=token_sha256(token),
            scopes=frozenset({"read"} if name == "reader" else {"backfill"}),
        )
        for name, token in TOKENS.items()
    ]
    async with rest(database, config=configured(tmp_path), access=Access(keys, required=True)) as gateway:
        bearer = {name: f"Bearer {token}" for name, token in TOKENS.items()}
        assert (await ask(gateway))[0] == 401
        assert (await ask(gateway, Authorization=bearer["reader"]))[0] == 403
        _, _, first = await ask(gateway, Authorization=bearer["ann"], Idempotency_Key="1")
        status, _, second = await ask(
            gateway, {**DAY, "end": "2013-10-03"}, Authorization=bearer["bob"], Idempotency_Key="1"
        )
        assert (status, first["data"]["requested_by"], second["data"]["requested_by"]) == (202, "ann", "bob")
        assert [actor for actor, _, _ in await acts(gateway.database)] == ["ann", "bob"]


async def test_where_nothing_heals_nothing_is_taken(database: str, tmp_path: Path) -> None:
    """Said with the line of the file that would change it; a file that cannot be read is not known."""
    async with rest(database, config=configured(tmp_path, heals=False)) as gateway:
        status, _, problem = await ask(gateway)
        assert (status, problem["code"]) == (403, "backfill_disabled")
        assert "backfill.enabled" in problem["detail"]
    async with rest(database, config=tmp_path / "absent.yaml") as gateway:
        status, headers, problem = await ask(gateway)
        assert (status, problem["code"], headers["Retry-After"]) == (503, "configuration_unknown", "2")


async def test_without_the_database_it_is_said_that_it_is_away(database: str, tmp_path: Path) -> None:
    """To come again, whatever is asked; where an act cannot be noted it is not done, and that is a fault."""
    parts = urlsplit(database)
    async with AsyncExitStack() as link:
        port, _ = await link.enter_async_context(relay(parts.port or 5432))
        dsn = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()
        async with rest(dsn, config=configured(tmp_path)) as gateway:
            found = (await ask(gateway))[2]["data"]["job_id"]
            await gateway.database.execute("ALTER TABLE audit_acts RENAME TO acts_elsewhere")
            assert (await ask(gateway, {**DAY, "end": "2013-10-03"}))[0] == 500
            assert await gateway.database.fetchval("SELECT count(*) FROM backfill_jobs") == 1
            await gateway.database.close()
            await link.aclose()
            for method, path in (
                ("POST", PATH), ("GET", f"{PATH}/{found}"), ("GET", "/ops/dlq/backfills"),
                ("POST", f"/ops/dlq/backfills/requeue/{found}"), ("DELETE", "/ops/dlq/backfills/purge"),
            ):  # fmt: skip
                body = {"json": DAY} if path == PATH else {}
                status, headers, problem = await gateway.ask(method, path, **body)
                assert (status, problem["code"]) == (503, "store_unavailable"), path
                assert headers["Retry-After"]


async def test_symbols_of_the_database_and_of_the_simulator_count_where_they_are_collected(
    database: str, tmp_path: Path
) -> None:
    """A member that was removed is none; of the simulator's offer are the symbols that spoke."""
    path = tmp_path / "mds.yaml"
    path.write_text("universe: database\nstreams: {bars: {provider: yahoo}}\n", "utf-8")
    async with rest(database, config=path) as gateway:
        assert (await ask(gateway))[0] == 422
        insert = "INSERT INTO universe_changes VALUES ($1, 'SPY', $2, $3, '', now(), 'test')"
        await gateway.database.execute(insert, 1, "T0", ["bars"])
        assert (await ask(gateway))[0] == 202
        await gateway.database.execute(insert, 2, None, [])
        assert (await ask(gateway))[2]["errors"][0]["code"] == "not_collected"
    async with rest(database, env={"MDS_MARKET_CLOCK": "simulator"}) as gateway:
        status, _, problem = await ask(gateway, {**DAY, "symbol": "SIM001"})
        assert (status, problem["errors"][0]["param"]) == (422, "symbol")
