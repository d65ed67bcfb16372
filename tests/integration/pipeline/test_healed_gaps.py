"""A gap that a backfill heals, as its subscribers hear of it: from the log, through a real sink, to a client of a gateway."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from mds_client import Gap, MarketData, Snapshot

from infra.runtime.kafka.publisher import Publisher
from schemas.identity import gap_id
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.gap_stories import STREAM, minute, told
from tests.support.gateway_harness import gateway, listening, publish
from tests.support.sink_records import query, sink_process

WITHIN_S = 30.0
BARS = "bars.1m:best:SPY"
OPENED = [("gap", "open")]


async def test_what_a_backfill_makes_of_a_gap_reaches_its_subscribers(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """Three blind stretches: one is filled, one has nothing in it, one is given up; each is told by its id, open and ended.

    Bars that are stored one after another cut the filled one into parts, each told as it stands, and all of it in the end.
    """
    blind = [
        told("blind", 1, 4, 10),
        told("blind", 20, 22, 30, index=51),
        told("blind", 40, 41, 50, index=52),
    ]
    ids = [gap_id(STREAM, each.from_time) for each in blind]
    heard: list[Gap] = []

    def states(number: int) -> list[tuple[str, str]]:
        return [
            (gap.fields["t"], gap.fields["status"])
            for gap in heard
            if gap.stream == BARS and gap.fields["gap_id"] == ids[number]
        ]

    def says(number: int, state: str) -> bool:
        """Whether all of a gap was told as ended so, in whichever parts."""
        fields = [gap.fields for gap in heard if gap.stream == BARS]
        low = blind[number].from_time
        for each in sorted(
            (f["from"], f["to"]) for f in fields if (f["t"], f["status"]) == ("gap_fill", state)
        ):
            low = each[1] if each[0] <= low < each[1] else low
        return low == blind[number].to_time

    publisher = Publisher(kafka_bootstrap, "test-canonical")

    async def tell(*records: Any) -> None:
        await publish(publisher, topic_prefix, records)

    async def stored(*wanted: str) -> None:
        async def is_so() -> bool:
            rows = await query(database, "SELECT state FROM v_gaps ORDER BY from_time")
            return [row["state"] for row in rows] == [*wanted]

        await eventually(is_so, within_s=WITHIN_S, what=f"the ledger says {wanted}")

    with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):
        await tell(told("collected", 0, None, 1), minute(0, 1))
        async with gateway(kafka_bootstrap, topic_prefix) as running:
            market = MarketData(running.url, on_gap=heard.append)
            await market.subscribe(BARS)
            async with listening(market) as listened:
                await eventually(lambda: len(listened.of(Snapshot)) == 1, within_s=WITHIN_S)
                await tell(minute(60, 61), *blind)
                await stored("open", "open", "open")
                await eventually(lambda: [states(n) for n in range(3)] == [OPENED] * 3, within_s=WITHIN_S)
                await tell(*(minute(n, 70 + n, route="backfill") for n in (3, 1, 2)))
                await tell(told("empty", 20, 22, 80), told("unrecoverable", 40, 41, 81))
                ended = ("filled", "empty", "unrecoverable")
                await stored(*ended)
                for number, state in enumerate(ended):
                    await eventually(partial(says, number, state), within_s=WITHIN_S)
                    assert {gap.fields["from"] for gap in heard if gap.fields["gap_id"] == ids[number]} == {
                        blind[number].from_time
                    }
    await asyncio.to_thread(publisher.close)
