"""The chain of the simulated index from the simulator into the real broker, as `make run` collects it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from infra.simulator.market.venues import INDEX_SYMBOL
from schemas.clocks import date_of
from schemas.streams import OPTION_STREAM
from tests.support.eventually import eventually
from tests.support.producer_processes import producer, raw_events, simulator

OPTIONS = OPTION_STREAM.raw_topic
THIRD_FRIDAY = date(2026, 11, 20)
WITHIN_S = 60.0


def roots_by_day(slices: Sequence[Mapping[str, Any]]) -> dict[date, set[str]]:
    """Return the roots that were told of each expiry."""
    found: dict[date, set[str]] = defaultdict(set)
    for event in slices:
        found[date_of(event["expiry"])].add(event["root"])
    return found


async def told(kafka: str, prefix: str) -> list[dict[str, Any]]:
    """Return the index's slices in the topic."""
    found = await raw_events(kafka, prefix, OPTIONS, INDEX_SYMBOL)
    return [event for event in found if event["symbol"] == INDEX_SYMBOL]


async def test_without_a_configuration_both_roots_of_the_index_are_published(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """On one date, and the weekly one on the others; all marked as simulated, with the index beside them."""
    async with simulator(start="2026-11-19T12:00:00-05:00") as (_, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix):

            async def is_told() -> bool:
                return len(roots_by_day(await told(kafka_bootstrap, topic_prefix))[THIRD_FRIDAY]) == 2

            await eventually(is_told, within_s=WITHIN_S, every_s=0.5)
    slices = await told(kafka_bootstrap, topic_prefix)
    roots = roots_by_day(slices)

    assert roots[THIRD_FRIDAY] == {"SIMX", "SIMXW"}
    assert roots[date(2026, 11, 27)] == {"SIMXW"}
    assert all(event["simulated"] and event["underlying_price"] for event in slices)
    assert not any(event["is_adjusted"] for event in slices)
