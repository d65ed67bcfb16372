"""`mds dlq events`, `replay` and `discard` against a gateway on a real database."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.__main__ import app
from schemas.topics import RAW_BARS
from tests.support.builders import a_bar_event
from tests.support.dead_letters import letter, of_event
from tests.support.dead_rows import dead, stands
from tests.support.gateway_rest import Rest, rest


@pytest.fixture
async def gateway(database: str) -> AsyncIterator[Rest]:
    """A gateway at which two bars died of one cause, and a vendor's answer of another."""
    async with rest(database) as running:
        bars = [of_event(RAW_BARS, a_bar_event(symbol=symbol), n) for n, symbol in enumerate(("SPY", "KO"))]
        await dead(database, [letter(RAW_BARS, b"<html>", 7, stage="producer", message="no JSON"), *bars])
        yield running


async def mds(gateway: Rest, home: Path, *arguments: str, expect: int = 0) -> str:
    """Run the command in this process and return what it prints."""
    env: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("MDS_", "GATEWAY_"))}
    env |= {"MDS_HOME": str(home), "GATEWAY_PORT": gateway.url.rpartition(":")[2]}
    done = await asyncio.to_thread(CliRunner().invoke, app, ["dlq", *arguments], env=env)
    assert done.exit_code == expect, (done.output, done.exception)
    return done.output


async def test_what_died_is_looked_at_judged_and_put_away(
    gateway: Rest, database: str, tmp_path: Path
) -> None:
    """Nothing happens without --yes; where there is nothing the exit code says so."""
    text = await mds(gateway, tmp_path, "events")
    assert "told so" in text
    assert "POST /ops/backfill" in text
    causes = json.loads(await mds(gateway, tmp_path, "events", "--json"))
    assert [row["events"] for row in causes] == [2, 1]
    cause = causes[0]["cause"]
    events = json.loads(await mds(gateway, tmp_path, "events", "--cause", cause, "--json"))
    assert [row["symbol"] for row in events] == ["KO", "SPY"]

    told = await mds(gateway, tmp_path, "replay", "--cause", cause)
    assert "2 kept; nothing was published; --yes publishes" in told
    everything = json.loads(await mds(gateway, tmp_path, "replay", "-n", "2", "--json"))
    assert [row["verdict"] for row in everything["events"]] == ["not_replayable", "kept"]
    assert "run it again" in await mds(gateway, tmp_path, "replay", "-n", "2")

    assert "2 would be discarded" in await mds(
        gateway, tmp_path, "discard", "--cause", cause, "--reason", "of no use"
    )
    assert set((await stands(database)).values()) == {"open"}
    assert "discarded 2" in await mds(
        gateway, tmp_path, "discard", "--cause", cause, "--reason", "of no use", "--yes"
    )
    assert list((await stands(database)).values()) == ["open", "discarded", "discarded"]
    one = str(events[0]["event_id"])
    assert "is discarded by keyless" in await mds(
        gateway, tmp_path, "replay", "--event", one, "--yes", expect=1
    )
    assert "nothing that died" in await mds(gateway, tmp_path, "events", "--state", "replayed", expect=1)
    assert "nothing says which events" in await mds(gateway, tmp_path, "replay", "--yes", expect=2)
