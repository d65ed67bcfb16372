"""Symbols of a vendor, printed for a configuration."""

from __future__ import annotations

import subprocess
import sys

import orjson

from tests.support.producer_processes import ROOT, simulator


async def test_symbols_are_printed_for_a_configuration() -> None:
    """`python -m producers symbols polygon` prints one JSON line an instrument; yahoo has no list and says so."""
    async with simulator() as (_, url):
        variables = {"MDS_MARKET_CLOCK": "simulator", "MDS_SIMULATOR_URL": url}

        async def run(*names: str) -> tuple[int, str, str]:
            import asyncio

            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "producers", "symbols", *names,
                cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            out, err = await process.communicate()
            return process.returncode or 0, out.decode(), err.decode()

        code, out, _ = await run("polygon")
        assert code == 0
        assert [orjson.loads(line)["symbol"] for line in out.splitlines()][:2] == ["SIM001", "SIM002"]
        code, _, err = await run("yahoo")
        assert code != 0
        assert "yahoo has no list of symbols" in err
        code, _, err = await run("yaho")
        assert code == 2
        assert "did you mean yahoo?" in err
