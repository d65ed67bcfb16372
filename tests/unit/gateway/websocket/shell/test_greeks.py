"""Greeks of live chains whose inputs do not come: how they are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, cast

import pytest

from gateway.live.feeds import Feed, Feeds
from gateway.live.newest import NewestRecord
from gateway.live.streams import BEST, OPTION_CHANNEL
from gateway.options.shell.model_queue import ModelQueue
from gateway.websocket.shell.greeks import LiveGreeks
from infra.runtime.clock import WallMarketClock
from schemas.clocks import CanonicalOffset
from schemas.partitions import TopicPartition
from schemas.streams import OPTION_STREAM
from tests.support.option_slices import leg, slice_record

PARTITIONS = 4


class Watched:
    """Streams all of which are watched; how often each feed was looked at is counted."""

    def __init__(self, chains: int) -> None:
        feeds = Feeds(PARTITIONS)
        for partition in range(PARTITIONS):
            feeds.begin(TopicPartition(OPTION_STREAM.topic, partition), 0)
        self.feeds = [feeds.feed(OPTION_CHANNEL, f"SIM{number}") for number in range(chains)]
        self.looks = 0
        for offset, feed in enumerate(self.feeds):
            fields = slice_record([leg(740.0, "C")], symbol=feed.symbol)
            known = NewestRecord(
                fields=fields, partition=feed.partition, offset=CanonicalOffset(offset), body=b""
            )
            feed.note([BEST], known)

    def on_feeds(self, call: Any) -> None:
        """Tell of all of them at once, as where rates stand still and all are watched."""
        call(self.feeds)

    def scopes(self, feed: Feed) -> set[str]:
        """Return the one."""
        del feed
        self.looks += 1
        return {BEST}


class Still:
    """Watermarks of which those of rates never come."""

    def through(self, topics: Iterable[str], partitions: Sequence[int]) -> None:
        """Return none."""


@pytest.mark.parametrize("chains", [500, 1_000, 2_000])
async def test_thousands_of_chains_that_wait_for_rates_hold_up_nobody(chains: int) -> None:
    """Between two looks everything else has its turn, and all are looked at again and again."""
    watched = Watched(chains)
    greeks = LiveGreeks(
        cast("Any", watched), cast("Any", None), cast("Any", Still()), PARTITIONS, ModelQueue(),
        clock=WallMarketClock(), believed=tuple,
    )  # fmt: skip
    running = asyncio.create_task(greeks.run())
    between = list[int]()
    async with asyncio.timeout(60):
        while watched.looks < 3 * chains:
            before = watched.looks
            await asyncio.sleep(0)
            between.append(watched.looks - before)
    running.cancel()
    assert max(between) <= 2
