"""`mds jobs` and a running producer."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

from infra.runtime.clock import rfc3339
from schemas.intervals import MINUTE_US
from schemas.topics import RAW_BARS
from tests.support.eventually import eventually
from tests.support.polled_jobs import BARS, WITHIN_S, bars_and_quotes, collected
from tests.support.producer_processes import ROOT, Producer, producer, raw_blocks, simulator


async def _jobs_ready(running: Producer) -> bool:
    return bool((await running.part("jobs")).get("ready"))


async def test_the_command_has_a_running_producer_poll_and_backfill(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """What is collected is polled, and fetched by the queue, in the job's name; what is not is refused with the reason."""
    env = collected(tmp_path, bars_and_quotes(every=3600)) | {"MDS_POSTGRES_DSN": database}
    async with simulator(speed="1") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await eventually(lambda: _jobs_ready(running), within_s=WITHIN_S)
            command = {
                "MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix,
                "MDS_HOME": str(tmp_path / "home"), "MDS_MARKET_CLOCK": "simulator", "MDS_SIMULATOR_URL": url,
            }  # fmt: skip

            async def mds(*arguments: str) -> subprocess.CompletedProcess[str]:
                return await asyncio.to_thread(
                    subprocess.run,
                    [sys.executable, "-m", "infra.cli", "jobs", *arguments],
                    cwd=ROOT,
                    env=command,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )

            begin = simulation.view.clock.now() // MINUTE_US * MINUTE_US - 600 * MINUTE_US
            polled = await mds("submit", "SIM001", "--capability", BARS, "--wait")
            refused = await mds("submit", "SIM999", "--capability", BARS, "--wait")
            filled = await mds(
                "backfill", "SIM001", "--interval", "1m", "--from", rfc3339(begin), "--to",
                rfc3339(begin + 30 * MINUTE_US), "--wait",
            )  # fmt: skip
            for seconds, holder in (("60", "feed"), ("0", "sweeper")):
                told = await mds("lease", "--seconds", seconds)
                assert told.returncode == 0, told.stderr
                await eventually(lambda holder=holder: _decides(running, holder), within_s=WITHIN_S)
            follower = _following(command)
            followed = asyncio.create_task(asyncio.to_thread(_read_until, follower, "followed"))
            later = {
                "type": "poll",
                "capability": BARS,
                "symbols": ["SIM002"],
                "job_id": "followed",
                "slot": begin,
            }
            (tmp_path / "later.jsonl").write_text(json.dumps(later) + "\n", "utf-8")
            assert (await mds("submit", "--file", str(tmp_path / "later.jsonl"))).returncode == 0
            try:
                async with asyncio.timeout(WITHIN_S):
                    last = await followed
                follower.send_signal(signal.SIGINT)
                ended = await asyncio.to_thread(follower.wait, WITHIN_S)
            finally:
                follower.kill()

    assert json.loads(last)["outcomes"][0]["symbol"] == "SIM002"
    assert ended == 0
    assert polled.returncode == 0, polled.stderr + polled.stdout
    assert filled.returncode == 0, filled.stderr + filled.stdout
    assert refused.returncode != 0
    assert "collected" in refused.stdout + refused.stderr
    first, last_of_it = map(json.loads, filled.stdout.splitlines())
    assert (first["status"], last_of_it["status"], last_of_it["outcomes"][0]["events"]) == (
        "queued",
        "done",
        30,
    )
    blocks = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS, "SIM001")
    fetched = [
        event["event_time"]
        for stored in blocks
        if stored.block.route == "backfill" and first["reason"] == f"backfill job {stored.block.job_id}"
        for event in stored.block.events
    ]
    assert fetched == list(range(begin, begin + 30 * MINUTE_US, MINUTE_US))


async def _decides(running: Producer, holder: str) -> bool:
    lease = (await running.part("jobs")).get("lease", {})
    return set(lease.values()) == {holder}


def _following(env: dict[str, str]) -> subprocess.Popen[str]:
    # A shell gives what it runs in the background no SIGINT, and Python keeps that; a user's terminal does not.
    command = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.argv = ['mds', 'jobs', 'results', '--follow']; runpy.run_module('infra.cli', run_name='__main__')"
    )
    return subprocess.Popen(
        [sys.executable, "-c", command], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    )


def _read_until(process: subprocess.Popen[str], job_id: str) -> str:
    assert process.stdout is not None
    return next(line for line in process.stdout if json.loads(line)["job_id"] == job_id)
