"""`mds backfill` and `mds dlq` against a gateway on a real database."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from gateway.http.access import Access, Key, token_sha256
from infra.cli.__main__ import app
from infra.runtime.metrics import REGISTRY
from tests.conftest import free_port
from tests.support.backfill_jobs import acts, configured, filled, job_id
from tests.support.eventually import eventually
from tests.support.gateway_rest import Rest, rest

STRETCH = ("--start", "2013-10-01", "--end", "2013-10-02")


@dataclass
class Desk:
    """A gateway, and the command of somebody who may ask it."""

    gateway: Rest
    env: dict[str, str]

    async def mds(self, *arguments: str, expect: int = 0, **env: str) -> Result:
        """Run the command in this process and check its exit code."""
        unset = {name: None for name in os.environ if name.startswith(("MDS_", "GATEWAY_"))}
        given = {**unset, **self.env, **env}
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=given)
        assert done.exit_code == expect, (done.output, done.exception)
        return done

    async def json(self, *arguments: str, **options: Any) -> Any:
        """Return what it prints with --json."""
        return json.loads((await self.mds(*arguments, "--json", **options)).stdout)


@asynccontextmanager
async def desk(database: str, folder: Path) -> AsyncIterator[Desk]:
    """Run a gateway that knows one key, ann's."""
    key = Key(id="ann", sha256=token_sha256("ann's token"), scopes=frozenset({"backfill", "dlq"}))
    access = Access([key], required=True)
    async with rest(database, config=configured(folder), access=access) as gateway:
        env = {
            "MDS_HOME": str(folder / "home"), "GATEWAY_PORT": gateway.url.rpartition(":")[2],
            "MDS_API_KEY": "ann's token",
        }  # fmt: skip
        yield Desk(gateway, env)


async def test_a_stretch_is_asked_for_and_waited_for(database: str, tmp_path: Path) -> None:
    """What becomes of it is told as it happens; the exit code says whether it came to a good end."""
    async with desk(database, tmp_path) as at:
        told = await at.mds("backfill", "SPY", *STRETCH, "--tier", "T1")
        assert "bars.1m:yahoo:SPY" in told.stdout and "waits for its turn" in told.stdout
        (found,) = await at.gateway.database.fetch("SELECT job_id, tier, source FROM backfill_jobs")
        assert (found["tier"], found["source"]) == ("T1", "ann") and found["job_id"] in told.stdout
        again = await at.json("backfill", "--interval", "1m", *STRETCH, "SPY")
        assert again["job_id"] == found["job_id"]
        status = await at.json("backfill", "status", found["job_id"])
        assert again == status | {"raised_from": None}

        for state, code in (("done", 0), ("dead", 1)):
            job = await at.json("backfill", "SPY", *STRETCH)
            before = asked()
            waiting = asyncio.create_task(at.mds("backfill", "SPY", *STRETCH, "--wait", expect=code))
            statement = "UPDATE backfill_jobs SET state = $2, finished_time = now(), rows = 390, reason = 'so' WHERE job_id = $1"
            await eventually(lambda before=before: asked() > before, within_s=30)
            await at.gateway.database.execute(statement, job["job_id"], state)
            assert f"{job['job_id']} {state}: " in (await waiting).stdout
            assert "390 rows" in waiting.result().stdout


async def test_what_is_refused_is_said_in_sentences_and_an_exit_code(database: str, tmp_path: Path) -> None:
    """2 where something must be changed, 1 where the answer is no, 3 where nobody answers."""
    async with desk(database, tmp_path) as at:
        wrong = await at.mds(
            "backfill", "SPY", "--start", "2013-10-02", "--end", "x", "--source", "polygon", expect=2
        )
        assert "'x' is not RFC 3339" in wrong.stderr
        two = await at.mds("backfill", "QQQ", *STRETCH, "--interval", "5m", expect=2)
        assert len(two.stderr.splitlines()) == 2
        assert "MDS_API_KEY" in (await at.mds("backfill", "SPY", *STRETCH, expect=2, MDS_API_KEY="")).stderr
        assert "ask for a new one" in (await at.mds("dlq", "backfills", expect=2, MDS_API_KEY="other")).stderr
        assert "there is no job" in (await at.mds("backfill", "status", "x/y", expect=1)).stderr
        absent = await at.mds("dlq", "requeue", "x", expect=3, GATEWAY_PORT=str(free_port()))
        assert "no gateway answers" in absent.stderr


async def test_jobs_that_ended_are_listed_queued_again_and_purged(database: str, tmp_path: Path) -> None:
    """A purge counts first, and deletes with --yes alone, all of them."""
    async with desk(database, tmp_path) as at:
        assert "no job is dead" in (await at.mds("dlq", "backfills", expect=1)).stdout
        await filled(at.gateway.database, "dead", 11_050)
        await filled(at.gateway.database, "done", 3, first=20_000)
        listed = (await at.mds("dlq", "backfills", "-n", "7")).stdout.splitlines()
        assert len(listed) == 9 and job_id(11_049) in listed[1] and "told so" in listed[1]
        assert len(await at.json("dlq", "backfills", "-n", "1500", "--status", "dead,done")) == 1_500
        assert {job["symbol"] for job in await at.json("dlq", "backfills", "--symbol", "S7")} == {"S7"}

        assert (await at.json("dlq", "requeue", job_id(5)))["state"] == "queued"
        assert "only one that is dead" in (await at.mds("dlq", "requeue", job_id(5), expect=1)).stderr
        counted = await at.mds("dlq", "purge", "--older-than", "1d")
        assert "more than 10000 jobs ended before" in counted.stdout and "--yes" in counted.stdout
        assert await at.gateway.database.fetchval("SELECT count(*) FROM backfill_jobs") == 11_053
        purged = await at.mds("dlq", "purge", "--older-than", "1d", "--status", "dead", "--yes")
        assert "deleted: 11049 dead" in purged.stdout
        assert (await at.json("dlq", "purge", "--older-than", "99d", "--status", "done", "--yes"))[
            "deleted"
        ] == {"done": 0}
        assert await at.gateway.database.fetchval("SELECT count(*) FROM backfill_jobs") == 4
        assert {actor for actor, _, _ in await acts(at.gateway.database)} == {"ann"}


def asked() -> float:
    """Return how often a gateway of this process told how a job stands."""
    labels = {"route": "/ops/backfill/{job_id}", "status": "200"}
    return REGISTRY.get_sample_value("mds_http_requests_total", labels) or 0.0
