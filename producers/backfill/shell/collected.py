"""The collection as a backfill needs it: who may be asked now, the polls of a series, and the raw topics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from infra.runtime.clock import wall_us
from producers.backfill.endings import Ending, Outages
from producers.backfill.planning import Capacity, Window
from producers.collecting.shell.collector import Collection
from producers.polling.shell.bars_poll import Backfilled, BarsPoll
from producers.polling.shell.bars_together import PastPart
from producers.raw.blocks import Placed, blank_block
from producers.raw.shell.topics import RawTopics
from schemas.answered import AnsweredStretch, answered_hint
from schemas.backfill import BackfillJob
from schemas.clocks import MarketTime
from schemas.configuration.backfill import Backfill
from schemas.errors import MarketDataError
from schemas.partitions import partition_of
from schemas.streams import BAR_STREAM, STREAMS, StreamId

GIVING_UP = "backfill"  # the endpoint of blocks that came from none
RAW_TOPICS = {stream.name: stream.raw_topic for stream in STREAMS}


class Collected:
    """A look at the collection as it stands now; used from one event loop."""

    def __init__(self, collection: Collection, raw: RawTopics, owned: Callable[[], frozenset[int]]) -> None:
        """Look at `collection`; `owned` are the partitions whose symbols it collects."""
        self._collection, self._raw, self._owned = collection, raw, owned
        self.outages = Outages()

    @property
    def settings(self) -> Backfill:
        """The settings in force."""
        configuration = self._collection.configuration
        return Backfill() if configuration is None else configuration.backfill

    @property
    def partitions(self) -> frozenset[int]:
        """Partitions whose symbols are collected here now."""
        return self._owned()

    @property
    def all_partitions(self) -> int:
        """Number of partitions of each topic."""
        return self._raw.partitions

    def owns(self, symbol: str) -> bool:
        """Whether a symbol lies in one of them."""
        return partition_of(symbol, self._raw.partitions) in self._owned()

    @property
    def waiting(self) -> frozenset[str]:
        """Providers that are on and lack something: an operator may give it."""
        return frozenset(self._collection.lacking)

    @property
    def providers(self) -> frozenset[str]:
        """Providers that are asked here."""
        vendors = self._collection.vendors
        return frozenset() if vendors is None else frozenset(vendors.apis)

    def open_to_us(self) -> frozenset[str]:
        """Return the providers of which a request for bars would be sent within a second."""
        vendors = self._collection.vendors
        if vendors is None:
            return frozenset()
        return frozenset(name for name in vendors.apis if vendors.may_ask(name, BAR_STREAM.name, "backfill"))

    def silent_s(self, provider: str) -> float:
        """Return how long ago (s) a provider gave a usable answer where bars are asked for; 0 where it is not asked here."""
        vendors = self._collection.vendors
        if vendors is None or provider not in vendors.apis:
            return 0.0
        return vendors.silent_s(provider, BAR_STREAM.name)

    def poll_of(self, series: StreamId) -> BarsPoll | None:
        """Return the poll of a series of bars, None where it is not collected here."""
        capability = BAR_STREAM.capability(series.interval)
        return self._collection.polls.bars(series.provider, capability, series.symbol)

    def others(self, series: StreamId) -> Sequence[str]:
        """Return all providers that give such bars of the symbol, the preferred one first."""
        configuration = self._collection.configuration
        bars = None if configuration is None else configuration.streams.bars
        if bars is None or series.name != BAR_STREAM.name:
            return ()
        return [each for each in bars.providers if self.poll_of(series._replace(provider=each)) is not None]

    async def fetch(self, poll: BarsPoll, window: Window, job_id: str) -> Backfilled | MarketDataError:
        """Fetch a window and publish it; return what came, or the vendor's error; raises BrokerUnavailable."""
        low, high = MarketTime(window[0]), MarketTime(window[1])
        return await self._collection.attempts.backfill(poll, low, high, job_id)

    def capacity(self, series: StreamId) -> Capacity:
        """Return what one request may hold of a series' provider beside it."""
        vendors = self._collection.vendors
        facts = None if vendors is None else vendors.facts.get(series.provider)
        if facts is None or series.name != BAR_STREAM.name:
            return Capacity()
        able = facts.capabilities
        return Capacity(series=able.bar_symbols_per_request, bars=able.bars_per_page)

    async def fetch_together(
        self, parts: Sequence[tuple[BarsPoll, Window, str]]
    ) -> Sequence[Backfilled | MarketDataError] | MarketDataError:
        """Fetch windows of several series of a provider in one request, each for a job; otherwise like `fetch`."""
        return await self._collection.attempts.backfill_together(
            [
                PastPart(poll=poll, start=MarketTime(low), end=MarketTime(high), job_id=job_id)
                for poll, (low, high), job_id in parts
            ]
        )

    async def tell_given_up(self, job: BackfillJob, ending: Ending) -> None:
        """Publish what of a job's stretch nobody will give; raises BrokerUnavailable."""
        series = job.order.series
        said = [
            AnsweredStretch(
                symbol=series.symbol,
                interval=series.interval,
                from_time=low,
                to_time=high,
                given_up=ending.cause,
            )
            for low, high in ending.given_up
        ]
        if not said:
            return
        blank = blank_block(series.provider, GIVING_UP, wall_us(), job_id=job.order.job_id)
        block = replace(blank, route="backfill", hints=answered_hint(said))
        partition = partition_of(series.symbol, self._raw.partitions)
        await self._raw.publish(RAW_TOPICS[series.name], [Placed(partition=partition, block=block)])
