"""The yardstick as Faust's own documentation would write it: one send an event, confirmed, at least once.

python -m benchmarks.yardsticks.faust_per_event BOOTSTRAP RAW_TOPIC OUT_TOPIC GROUP
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import faust

from benchmarks.yardsticks.canonical import canonical_quotes, encode_quote


async def main(bootstrap: str, raw_topic: str, out_topic: str, group: str) -> None:
    """Process until killed."""
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / group,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        loop=asyncio.get_running_loop(),
    )
    app.boot_strategy.enable_web = False
    out = app.topic(out_topic, key_serializer="raw", value_serializer="raw", internal=False)
    raw = app.topic(raw_topic, key_serializer="raw", value_serializer="raw", internal=False)

    @app.agent(raw)  # type: ignore[untyped-decorator]
    async def canonicalise(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            known_from = round(message.timestamp * 1_000) * 1_000
            sent = [
                await out.send(
                    key=quote["symbol"].encode(), value=encode_quote(quote), partition=message.partition
                )
                for quote in canonical_quotes(event.value, message.offset, known_from)
            ]
            await asyncio.gather(*sent)

    await app.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
