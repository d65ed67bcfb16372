"""Entries and feeds for tests of what a client is sent."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.live.feeds import RING_BYTES, Feed, Feeds
from gateway.live.ring import Entry
from schemas.partitions import TopicPartition, partition_of
from schemas.streams import OPTION_STREAM
from schemas.topics import QUOTES, TRADES
from tests.support.builders import NINE_THIRTY, a_quote, a_slice, a_trade

PARTITIONS = 4
PLACE = partition_of("SPY", PARTITIONS)


def an_entry(
    offset: int,
    previous: int = -1,
    *,
    provider: str = "finnhub",
    shadow: bool = False,
    item: tuple[str | int, ...] = (),
) -> Entry:
    """Return an entry whose body is `[offset,{}]`."""
    body = b"[%d,{}]" % offset
    return Entry(offset, previous, previous, provider, shadow, offset, offset, body, item)


def empty_feeds(
    start: int = 0,
    *,
    budget_bytes: int = 10_000_000,
    ring_messages: int = 1_000,
    ring_bytes: int = RING_BYTES,
) -> Feeds:
    """Return feeds whose partitions all begin at `start`."""
    feeds = Feeds(PARTITIONS, budget_bytes=budget_bytes, ring_messages=ring_messages, ring_bytes=ring_bytes)
    for topic in ("quotes.v1", "trades.v1", "bars.v1", "gaps.v1", "evidence.v1", "options.v1"):
        for partition in range(PARTITIONS):
            feeds.begin(TopicPartition(topic, partition), start)
        feeds.epochs = {**feeds.epochs, topic: "log.4"}
    return feeds


def apply_trade(
    feeds: Feeds, offset: int, *, provider: str = "finnhub", route: str = "primary", conditions: str = ""
) -> Feed:
    """Apply one SPY trade at `offset`."""
    trade = a_trade(
        provider=provider, route=route, conditions=conditions, raw_offset=offset, event_time=offset
    )
    fields = asdict(trade)
    feed = feeds.apply(TopicPartition(TRADES, PLACE), offset, offset, fields)
    assert feed is not None
    return feed


def apply_quote(feeds: Feeds, offset: int) -> Feed:
    """Apply one SPY quote at `offset`."""
    feed = feeds.apply(
        TopicPartition(QUOTES, PLACE), offset, offset, asdict(a_quote(raw_offset=offset, event_time=offset))
    )
    assert feed is not None
    return feed


def apply_slice(feeds: Feeds, offset: int, expiry: int = 16_026, **changes: Any) -> Feed:
    """Apply one slice of SPY's chain at `offset`, stamped as long after 09:30 as that is."""
    given = {"event_time": NINE_THIRTY + offset, "raw_offset": offset, "expiry": expiry} | changes
    feed = feeds.apply(TopicPartition(OPTION_STREAM.topic, PLACE), offset, offset, asdict(a_slice(**given)))
    assert feed is not None
    return feed


class UnreadPast:
    """A past of which nothing was read."""

    number = 0

    def find(self, _: TopicPartition, __: int, *, asked: int) -> None:
        """Return no block."""
        del asked
