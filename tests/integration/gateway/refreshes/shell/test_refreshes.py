"""Refreshes as a gateway takes them; with producers that do them: tests/e2e/test_macro_refresh.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.http.access import Access, Key, token_sha256
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.topics import ensure_topics
from schemas.jobs import ALL_VINTAGES, read_job
from schemas.partitions import partition_of
from schemas.records import Job
from schemas.topics import DEFAULT_PARTITIONS, JOBS
from tests.support.backfill_jobs import acts
from tests.support.gateway_rest import Rest, rest

PATH = "/admin/macro/refresh"
GDP, YIELD = "FRED:GDPC1", "UST:10Y"
TEXT = """
symbols: [SPY]
streams: {macro: {keys: [gdp_real, ust_10y]}}
providers: {fred: {limits: {per_day: 5}}}
"""


@asynccontextmanager
async def gateway(
    database: str, folder: Path, bootstrap: str, prefix: str = "", *, access: Access | None = None
) -> AsyncIterator[Rest]:
    """A gateway that collects two series."""
    config = folder / "mds.yaml"
    await asyncio.to_thread(config.write_text, TEXT, "utf-8")
    env = {"MDS_CONFIG": str(config), "MDS_KAFKA": bootstrap, "MDS_TOPIC_PREFIX": prefix}
    async with rest(database, env=env, access=access) as running:
        yield running


async def ask(running: Rest, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
    """Ask for a refresh."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, _, answer = await running.ask("POST", PATH, json=body, headers=named)
    return status, answer


def jobs(bootstrap: str, prefix: str) -> list[Job]:
    """Return all jobs in the log."""
    with LogReader(bootstrap, "test-reader") as reader:
        return [
            read_job(message.value(), partition=partition, partitions=DEFAULT_PARTITIONS)
            for partition in range(DEFAULT_PARTITIONS)
            for message in reader.read(prefix + JOBS, partition, 0)
        ]


async def test_one_refresh_is_begun_by_many_that_ask_at_once(
    database: str, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A job of each partition under one id, a row of one act; news and everything are two refreshes."""
    ensure_topics(kafka_bootstrap, prefix=topic_prefix)
    async with gateway(database, tmp_path, kafka_bootstrap, topic_prefix) as running:
        bodies = [{"keys": ["gdp_real", "ust_10y"]}, {"keys": [YIELD, GDP]}, {}] * 3
        answers = await asyncio.gather(*(ask(running, body) for body in bodies))
        assert {status for status, _ in answers} == {202}
        assert sorted(body["data"]["joined"] for _, body in answers) == [False] + [True] * 8
        (job_id,) = {body["data"]["job_id"] for _, body in answers}
        assert len(await acts(running.database)) == 1
        status, full = await ask(running, {"keys": [GDP], "full": True})
        assert (status, full["data"]["joined"], full["data"]["job_id"] != job_id) == (202, False, True)
    found = await asyncio.to_thread(jobs, kafka_bootstrap, topic_prefix)
    of_news = [job for job in found if job.job_id == job_id]
    assert len(of_news) == len({partition_of(key, DEFAULT_PARTITIONS) for key in (GDP, YIELD)})
    assert sorted(key for job in of_news for key in job.symbols) == [GDP, YIELD]
    assert {(job.type, job.capability, job.source, job.start) for job in of_news} == {
        ("poll", "macro", "gateway", 0)
    }
    (everything,) = [job for job in found if job.job_id != job_id]
    assert (everything.symbols, everything.start) == ((GDP,), ALL_VINTAGES)


async def test_a_broker_that_is_away_leaves_nothing_under_way(database: str, tmp_path: Path) -> None:
    """The act and its loss are noted, and the key of the request is free again."""
    async with gateway(database, tmp_path, "127.0.0.1:9") as running:
        for body in ({"keys": [GDP]}, {"keys": [YIELD]}):
            status, answer = await ask(running, body, Idempotency_Key="k")
            assert (status, answer["code"]) == (503, "broker_unavailable")
        noted = [act for _, act, _ in await acts(running.database)]
        assert noted == ["macro.refresh", "macro.refresh_lost"] * 2


async def test_who_has_asked_as_often_as_a_day_allows_is_told_when_to_come_again(
    database: str, tmp_path: Path
) -> None:
    """Before anything is begun; others of their own provider are asked all the same. It takes the scope admin."""
    keys = [
        Key(id=name, sha256=token_sha256(name), scopes=frozenset(scopes))
        for name, scopes in (("reader", ["read"]), ("boss", ["admin"]))
    ]
    async with gateway(database, tmp_path, "127.0.0.1:9", access=Access(keys, required=True)) as running:
        await running.database.execute(
            "INSERT INTO provider_budgets VALUES ('fred', '', $1, 3, '{}', NULL, 0, '', now())",
            datetime.now(UTC).date(),
        )
        status, answer = await ask(running, {"keys": [GDP]}, Authorization="Bearer boss")
        assert (status, answer["code"], answer["cap"], answer["used"]) == (429, "provider_budget", 5, 3)
        assert answer["reset_time"] > datetime.now(UTC).isoformat()[:19]
        status, answer = await ask(running, {"keys": ["ust_10y"]}, Authorization="Bearer reader")
        assert (status, answer["code"]) == (403, "forbidden")
        assert await acts(running.database) == []
