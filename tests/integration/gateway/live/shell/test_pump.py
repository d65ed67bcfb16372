"""The pump on the real broker: warm before anybody is let in, over what it cannot read, and aware of another log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from gateway.live.feeds import Feed, Feeds
from gateway.live.gap_news import GapNews
from gateway.live.shell import pump as live_pump
from gateway.live.shell.pump import Pump
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.metrics import REGISTRY
from schemas.errors import ConfigurationError
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, PROVIDER_HEALTH, TRADES
from schemas.wire.codec import encode
from tests.conftest import free_port
from tests.support.builders import a_gap, a_health
from tests.support.eventually import eventually
from tests.support.gateway_harness import publish, trades

WITHIN_S = 30.0
SPY = partition_of("SPY", DEFAULT_PARTITIONS)


@dataclass
class Listener:
    """Keeps what the pump tells."""

    feeds: list[Feed] = field(default_factory=list)
    gaps: list[GapNews] = field(default_factory=list)
    routes: list[Mapping[str, Any]] = field(default_factory=list)
    reachable_changes: int = 0
    replaced: int = 0

    def moved(self, feeds: set[Feed], gaps: Sequence[GapNews]) -> None:
        """Keep them."""
        self.feeds += feeds
        self.gaps += gaps

    def routed(self, fields: Mapping[str, Any]) -> None:
        """Keep it."""
        self.routes.append(fields)

    def reachable_changed(self) -> None:
        """Count it."""
        self.reachable_changes += 1

    def log_replaced(self) -> None:
        """Count it."""
        self.replaced += 1


@asynccontextmanager
async def pumping(bootstrap: str, prefix: str) -> AsyncIterator[tuple[Pump, Feeds, Listener]]:
    """Run a pump until the end of the block."""
    feeds = Feeds(DEFAULT_PARTITIONS)
    listener = Listener()
    pump = Pump(bootstrap, prefix, feeds, listener)
    running = asyncio.create_task(pump.run())
    try:
        yield pump, feeds, listener
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.to_thread(pump.close)


@asynccontextmanager
async def publishing(bootstrap: str) -> AsyncIterator[Publisher]:
    """Publish inside."""
    publisher = Publisher(bootstrap, "test", linger_ms=1)
    try:
        yield publisher
    finally:
        publisher.close()


async def ready(pump: Pump) -> None:
    """Return once every partition is warm."""
    await eventually(lambda: pump.ready, within_s=WITHIN_S)


def unreadable() -> float:
    """Return how many records of trades could not be read."""
    return REGISTRY.get_sample_value("mds_ws_unreadable_records_total", {"topic": TRADES}) or 0.0


async def test_what_was_there_before_is_applied_before_anybody_is_let_in(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Otherwise the first client would get an old value for the newest."""
    async with publishing(kafka_bootstrap) as publisher:
        await publish(publisher, topic_prefix, trades("SPY", 0, 500))
        async with pumping(kafka_bootstrap, topic_prefix) as (pump, feeds, listener):
            assert not pump.ready
            await ready(pump)
            newest = feeds.feed("trades", "SPY").latest("best")

            assert newest is not None
            assert (newest.fields["raw_offset"], newest.offset) == (499, 499)
            assert (pump.reachable, listener.reachable_changes) == (True, 1)
            assert pump.document()["warming_partitions"] == 0


async def test_what_comes_is_told_of_by_its_feed_and_gaps_by_their_fields(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Whoever watches is woken; a gap goes to whom it hurts."""
    async with (
        publishing(kafka_bootstrap) as publisher,
        pumping(kafka_bootstrap, topic_prefix) as (pump, feeds, listener),
    ):
        await ready(pump)
        await publish(publisher, topic_prefix, [*trades("SPY", 0, 1), a_gap()])
        await eventually(lambda: listener.gaps and len(listener.feeds) > 1, within_s=WITHIN_S)

        assert {feed.channel for feed in listener.feeds} == {"trades", "gaps"}
        assert [news.fields["gap_id"] for news in listener.gaps] == [a_gap().gap_id]
        assert feeds.applied(feeds.feed("trades", "SPY")) == 0


async def test_a_record_nobody_can_read_is_passed_over_and_counted(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """The stream goes on behind it, and its position is past it."""
    before = unreadable()
    topic = topic_prefix + TRADES
    async with (
        publishing(kafka_bootstrap) as publisher,
        pumping(kafka_bootstrap, topic_prefix) as (pump, feeds, _),
    ):
        await ready(pump)
        await publisher.publish([Outgoing(topic=topic, partition=SPY, key=b"SPY", value=b"no trade")])
        await eventually(lambda: feeds.applied_everywhere[TRADES, SPY] == 0, within_s=WITHIN_S)
        await publish(publisher, topic_prefix, trades("SPY", 7, 1))
        await eventually(lambda: feeds.applied_everywhere[TRADES, SPY] == 1, within_s=WITHIN_S)
        newest = feeds.feed("trades", "SPY").latest("best")

    assert newest is not None
    assert newest.fields["raw_offset"] == 7
    assert unreadable() == before + 1


async def test_only_a_change_of_provider_is_told(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Scores come every few seconds; clients want to know who serves them."""
    health = [a_health(), a_health(changed="failover", previous="finnhub"), a_health()]
    records = [
        Outgoing(
            topic=topic_prefix + PROVIDER_HEALTH, partition=0, key=b"k", value=encode(PROVIDER_HEALTH, each)
        )
        for each in health
    ]
    async with (
        publishing(kafka_bootstrap) as publisher,
        pumping(kafka_bootstrap, topic_prefix) as (pump, feeds, listener),
    ):
        await ready(pump)
        await publisher.publish(records)
        await eventually(lambda: feeds.applied_everywhere[PROVIDER_HEALTH, 0] == 2, within_s=WITHIN_S)

    assert [(fields["changed"], fields["previous"]) for fields in listener.routes] == [
        ("failover", "finnhub")
    ]


async def test_a_log_made_again_voids_every_position(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All feeds are forgotten, who watches is told, and the new log is read from its beginning."""
    monkeypatch.setattr(live_pump, "PROBE_EVERY_S", 0.2)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    async with (
        publishing(kafka_bootstrap) as publisher,
        pumping(kafka_bootstrap, topic_prefix) as (pump, feeds, listener),
    ):
        await publish(publisher, topic_prefix, trades("SPY", 0, 5))
        await ready(pump)
        epochs = dict(feeds.epochs)
        (gone,) = admin.delete_topics([topic_prefix + TRADES], operation_timeout=WITHIN_S).values()
        await asyncio.to_thread(gone.result, WITHIN_S)
        await asyncio.to_thread(ensure_topics, kafka_bootstrap, prefix=topic_prefix)
        await eventually(lambda: listener.replaced == 1 and pump.ready, within_s=2 * WITHIN_S)
        known = feeds.find("trades", "SPY")
        async with publishing(kafka_bootstrap) as anew:
            await publish(anew, topic_prefix, trades("SPY", 9, 1))
        await eventually(lambda: feeds.applied_everywhere[TRADES, SPY] == 0, within_s=WITHIN_S)

        assert known is None or known.latest("best") is None
        assert feeds.epochs[TRADES] != epochs[TRADES]


async def test_a_missing_topic_stops_the_start(kafka_bootstrap: str) -> None:
    """Waiting does not help where nobody has made it."""
    pump = Pump(kafka_bootstrap, "absent.", Feeds(DEFAULT_PARTITIONS), Listener())
    with pytest.raises(ConfigurationError, match="mds topics apply"):
        await asyncio.wait_for(pump.run(), WITHIN_S)
    await asyncio.to_thread(pump.close)


async def test_topics_with_another_count_end_the_process(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Going on would look for symbols where they do not live; started again it reads the count that is."""
    pump = Pump(kafka_bootstrap, topic_prefix, Feeds(DEFAULT_PARTITIONS - 1), Listener())
    with pytest.raises(ConfigurationError, match="another number of partitions"):
        await asyncio.wait_for(pump.run(), WITHIN_S)
    await asyncio.to_thread(pump.close)


async def test_a_broker_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway serves its database meanwhile, and says that the log is out of reach."""
    monkeypatch.setattr("gateway.live.shell.log.REQUEST_TIMEOUT_S", 0.3)
    async with pumping(f"127.0.0.1:{free_port()}", "") as (pump, _, listener):
        await asyncio.sleep(0)
        assert (pump.ready, pump.reachable, listener.reachable_changes) == (False, False, 0)
        assert not pump.document()["broker_reachable"]
