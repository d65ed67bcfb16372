"""A producer's job feed as a process that can be killed: prints `symbol slot` for every poll it begins."""

from __future__ import annotations

import asyncio
import sys

from tests.support.job_harness import Recorder, running


async def main(kafka: str, prefix: str, instance: str, every_us: int, symbols: list[str]) -> None:
    """Sweep until killed."""
    recorder = Recorder(
        symbols=symbols, every_us=every_us, takes_s=0.01, told=lambda line: print(line, flush=True)
    )
    async with running(kafka, prefix, recorder, instance=instance):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5].split(",")))
