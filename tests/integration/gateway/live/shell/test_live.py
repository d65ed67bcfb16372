"""The live topics of a real broker in memory: newest values, who is told of what, and reads of the past."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from gateway.live.shell import pump
from gateway.live.shell.live import LiveStreams
from gateway.live.streams import parse_stream
from infra.runtime.kafka.publisher import Publisher
from schemas.identity import event_id, gap_id
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, TRADES
from tests.support.builders import NINE_THIRTY, a_bar, a_gap, a_health, a_quote, a_trade, an_evidence
from tests.support.eventually import eventually
from tests.support.gateway_harness import publish, trades

WITHIN_S = 30.0
SPY = partition_of("SPY", DEFAULT_PARTITIONS)
STREAM = parse_stream("trades:best:SPY")


@dataclass(eq=False)
class Watching:
    """Keeps what it is told."""

    gaps: list[tuple[int, str]] = field(default_factory=list)
    routes: list[tuple[list[int], str]] = field(default_factory=list)
    states: int = 0
    lost: int = 0

    def arrived(self, number: int) -> None:
        """Nothing of the past is read here."""

    def gap(self, number: int, fields: Mapping[str, Any]) -> None:
        """Keep it."""
        self.gaps.append((number, fields["gap_id"]))

    def routed(self, numbers: Sequence[int], fields: Mapping[str, Any]) -> None:
        """Keep it."""
        self.routes.append((sorted(numbers), fields["provider"]))

    def log_state(self) -> None:
        """Count it."""
        self.states += 1

    def lost_position(self) -> None:
        """Count it."""
        self.lost += 1


@asynccontextmanager
async def living(bootstrap: str, prefix: str) -> AsyncIterator[tuple[LiveStreams, Publisher]]:
    """Yield live streams that are warm, and a publisher."""
    publisher = Publisher(bootstrap, "test", linger_ms=1)
    try:
        async with LiveStreams.open(bootstrap, DEFAULT_PARTITIONS, prefix=prefix) as live:
            await eventually(lambda: live.ready, within_s=WITHIN_S)
            yield live, publisher
    finally:
        publisher.close()


async def test_the_newest_value_is_by_event_time_and_carries_its_place(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Of one provider or of all; a bar of its interval; nothing of what was never seen."""
    newest = a_trade(provider="finnhub", event_time=NINE_THIRTY + 9, raw_offset=1)
    late = a_trade(provider="acme", event_time=NINE_THIRTY, raw_offset=2)
    async with living(kafka_bootstrap, topic_prefix) as (live, publisher):
        await publish(publisher, topic_prefix, [newest, late, a_quote(), a_bar()])
        await eventually(
            lambda: (
                live.latest_bar("SPY", "1m") and live.latest_trade("SPY", "acme") and live.latest_quote("SPY")
            ),
            within_s=WITHIN_S,
        )
        found, of_acme = live.latest_trade("SPY"), live.latest_trade("SPY", "acme")

        assert found is not None
        assert of_acme is not None
        assert (found.record, found.partition, found.offset) == (newest, SPY, 0)
        assert found.event_id == event_id(TRADES, "SPY", newest.event_time, SPY, 1, newest.index)
        assert (of_acme.record, of_acme.offset) == (late, 1)
        assert live.latest_bar("SPY", "5m") is None
        assert live.latest_trade("SPY", "nobody") is None
        assert (live.knows("SPY"), live.knows("NOPE")) == (True, False)
        assert live.document()["feeds"] == 3


async def test_only_who_watches_a_stream_is_named_when_it_moves(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """By its own number, once for all that came since anybody asked, until it stops."""
    watching, calls = Watching(), list[int]()
    async with living(kafka_bootstrap, topic_prefix) as (live, publisher):
        live.on_moved(lambda: calls.append(len(calls)))
        feed = live.watch(STREAM, watching, 7)
        live.watch(parse_stream("trades:best:IBM"), watching, 8)
        for number in range(2):
            await publish(publisher, topic_prefix, trades("SPY", number, 1))
        await eventually(lambda: live.feeds.applied(feed) == 1, within_s=WITHIN_S)
        assert calls
        assert (live.take_moved(), live.take_moved()) == ([(watching, 7)], [])
        live.unwatch(STREAM, watching, 7)
        calls.clear()
        await publish(publisher, topic_prefix, trades("SPY", 2, 1))
        await eventually(lambda: live.feeds.applied(feed) == 2, within_s=WITHIN_S)

        assert (calls, live.take_moved()) == ([], [])


async def test_a_gap_is_told_to_who_reads_its_stream_or_the_best_of_all(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Not to a reader of another provider's."""
    gap = a_gap()
    provider, channel = gap.provider, gap.stream.rpartition(":")[0].rpartition(":")[0]
    streams = [f"{channel}:{scope}:{gap.symbol}" for scope in ("best", provider, "nobody")]
    watching = Watching()
    async with living(kafka_bootstrap, topic_prefix) as (live, publisher):
        for number, stream in enumerate(streams):
            live.watch(parse_stream(stream), watching, number)
        await publish(publisher, topic_prefix, [gap])
        await eventually(lambda: watching.gaps, within_s=WITHIN_S)

    assert sorted(watching.gaps) == [(0, gap.gap_id), (1, gap.gap_id)]


async def test_evidence_is_told_at_once_and_the_ledger_does_not_repeat_it(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """A blind stretch to who reads its stream; an absence, which is in no ledger, to who reads the gaps as well."""
    blind = an_evidence(from_time=NINE_THIRTY, to_time=NINE_THIRTY + MINUTE_US)
    ledger = a_gap(gap_id=gap_id(blind.stream, NINE_THIRTY), known_from=blind.known_from)
    begin = NINE_THIRTY + 2 * MINUTE_US
    absent = an_evidence(kind="absent", from_time=begin, to_time=begin + MINUTE_US, index=1)
    watching = Watching()
    async with living(kafka_bootstrap, topic_prefix) as (live, publisher):
        for number, stream in enumerate(("bars.1m:best:SPY", "gaps:yahoo:SPY", "gaps:finnhub:SPY")):
            live.watch(parse_stream(stream), watching, number)
        newer = a_bar(event_time=begin + MINUTE_US)
        await publish(publisher, topic_prefix, [newer, blind, absent])
        await eventually(lambda: len(watching.gaps) == 3, within_s=WITHIN_S)
        await publish(publisher, topic_prefix, [ledger])
        # a record of the stream of gaps
        await eventually(lambda: (watching, 1) in live.take_moved(), within_s=WITHIN_S)
        await publish(publisher, topic_prefix, [a_bar(event_time=begin, raw_offset=9)])
        await eventually(lambda: len(watching.gaps) == 5, within_s=WITHIN_S)

    of_absence = gap_id(absent.stream, begin)
    opened = [(0, ledger.gap_id), (0, of_absence), (1, of_absence)]
    assert sorted(watching.gaps[:3]) == sorted(opened)
    assert sorted(watching.gaps[3:]) == [(0, of_absence), (1, of_absence)]


async def test_another_provider_is_told_once_a_client_with_all_its_streams(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Those of the capability that read the best of all, the one that serves now, or the one before."""
    one, other = Watching(), Watching()
    names = ("best:SPY", "best:IBM", "yahoo:SPY", "finnhub:SPY", "nobody:SPY")
    async with living(kafka_bootstrap, topic_prefix) as (live, _):
        for number, name in enumerate(names):
            live.watch(parse_stream(f"quotes:{name}"), one, number)
        live.watch(STREAM, other, 9)
        live.routed(asdict(a_health(provider="yahoo", previous="finnhub", changed="failover")))

    assert one.routes == [([0, 1, 2, 3], "yahoo")]
    assert other.routes == []


async def test_who_joined_is_told_of_the_log_and_who_left_is_not(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """A replaced log voids what anybody watches."""
    here, gone = Watching(), Watching()
    async with living(kafka_bootstrap, topic_prefix) as (live, _):
        for watcher in (here, gone):
            live.join(watcher)
        live.leave(gone)
        live.watch(STREAM, here, 1)
        live.reachable_changed()
        live.moved({live.feeds.feed(*STREAM.feed)}, [])
        live.log_replaced()
        live.moved({live.feeds.feed(*STREAM.feed)}, [])
        assert live.take_moved() == []

    assert (here.states, here.lost) == (1, 1)
    assert (gone.states, gone.lost) == (0, 0)


async def test_the_ledger_of_gaps_is_known_whole_after_a_start(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is compacted: an open gap stands anywhere in it, far below the tail of which other topics are read."""
    monkeypatch.setattr(pump, "WARM_TAIL", 1)
    gaps = [a_gap(gap_id=f"g{number}", from_time=NINE_THIRTY + number * MINUTE_US) for number in range(5)]
    publisher = Publisher(kafka_bootstrap, "test-canonical")
    await publish(publisher, topic_prefix, [*gaps, *trades("SPY", 0, 5)])
    publisher.close()
    async with living(kafka_bootstrap, topic_prefix) as (live, _):
        ledger = live.feeds.feed("gaps", "SPY")
        assert len(live.feeds.snapshot(ledger, "best")) == 5
        assert len(live.feeds.feed(*STREAM.feed).ring) == 1


async def test_draining_runs_what_was_registered_within_its_time(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """One after another, each told how long it has."""
    told: list[float] = []

    async def drain(within_s: float) -> None:
        told.append(within_s)

    async with living(kafka_bootstrap, topic_prefix) as (live, _):
        live.on_drain(drain)
        live.on_drain(drain)
        await live.drain(2.5)

    assert told == [2.5, 2.5]
