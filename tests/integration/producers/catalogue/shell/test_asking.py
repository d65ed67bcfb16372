"""Vendors asked once each, as `python -m producers ask` prints it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import orjson

from tests.support.producer_processes import ROOT, break_vendors, simulator

FILE = """
symbols: [SIM001]
streams: {quotes: {providers: [yahoo, finnhub]}, macro: {keys: [cpi]}}
providers: {alpaca: {}}
"""
BAD_KEY = "rules: [{match: {vendor: finnhub}, fault: {type: status, status: 401}}]"


async def asked(url: str, folder: Path, **more: str) -> dict[str, dict[str, str]]:
    """Return what is printed, by provider."""
    (folder / "mds.yaml").write_text(FILE)
    variables = {
        "MDS_MARKET_CLOCK": "simulator",
        "MDS_SIMULATOR_URL": url,
        "MDS_CONFIG": str(folder / "mds.yaml"),
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "producers", "ask",
        cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return {line["provider"]: line for line in map(orjson.loads, out.splitlines())}


async def test_every_enabled_vendor_is_asked_one_question(tmp_path: Path) -> None:
    """A line each."""
    async with simulator() as (_, url):
        found = await asked(url, tmp_path)

    assert {name: line["result"] for name, line in found.items()} == {
        "alpaca": "ok", "finnhub": "ok", "fred": "ok", "yahoo": "ok",
    }  # fmt: skip


async def test_a_vendor_that_refuses_the_key_is_told_from_those_that_answer(tmp_path: Path) -> None:
    """What it says is there, and no key."""
    async with simulator() as (simulation, url):
        break_vendors(simulation, BAD_KEY)
        found = await asked(url, tmp_path, PRODUCERS_FINNHUB_TOKEN="c0ffee-and-milk")

    assert found["finnhub"]["result"] == "failed"
    assert found["yahoo"]["result"] == "ok"
    assert "c0ffee-and-milk" not in str(found)
