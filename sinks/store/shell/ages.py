"""Ages of what is stored, as the metrics show them: computed when scraped, so that silence makes them grow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from infra.runtime import metrics
from infra.runtime.clock import MarketClock, wall_us
from schemas.calendar.sessions import calendars_in_force
from schemas.clocks import EventTime, KnowledgeTime, MarketTime
from schemas.errors import ProviderUnavailable
from schemas.intervals import SECOND_US
from schemas.partitions import TopicPartition
from schemas.streams import StreamId
from sinks.batch.freshness import Freshness, Newest, reached

NOT_YET = MarketTime(2**62)  # the clock of a simulator that was never heard


class StoreAges:
    """Lags of the partitions this process owns, and which of their markets are open; on the loop that is scraped."""

    def __init__(self, market: MarketClock) -> None:
        """Judge freshness on `market`, watermarks on wall time: those are knowledge time."""
        self._market = market
        self._freshness = Freshness()
        self._loading: asyncio.Future[None] | None = None  # of a take-over, which does not wait for it

    def show(self, newest: Newest, watermarks: Mapping[TopicPartition, KnowledgeTime]) -> None:
        """Take in what is stored; what was there before is not taken back."""
        freshness = self._freshness
        freshness.note(newest, self._market.now_us() if self._market.known else NOT_YET)
        for interval in {interval for interval, _ in newest}:
            gauge = metrics.INGESTION_LAG_SECONDS.labels(interval)
            metrics.compute_at_scrape(gauge, partial(self._lag_s, interval))
        for calendar in {calendar for _, calendar in newest}:
            gauge = metrics.SESSION_OPEN.labels(calendar)
            metrics.compute_at_scrape(gauge, partial(self._open, calendar))
        for (topic, partition), complete_before in watermarks.items():
            at = topic, str(partition)
            metrics.WATERMARK_TIMESTAMP_SECONDS.labels(*at).set(complete_before / SECOND_US)
            gauge = metrics.WATERMARK_LAG_SECONDS.labels(*at)
            metrics.compute_at_scrape(gauge, partial(_age_s, complete_before))

    def begin(self, last_seen: Mapping[StreamId, EventTime]) -> None:
        """Take in what was stored before, from the newest event_time of each series, once their calendars are loaded."""
        self._loading = asyncio.ensure_future(self._load(last_seen))

    async def _load(self, last_seen: Mapping[StreamId, EventTime]) -> None:
        self.show(await asyncio.to_thread(reached, last_seen), {})

    def forget(self) -> None:
        """Take back what was said of partitions that are owned no more: their new owner says it."""
        if self._loading is not None:
            self._loading.cancel()
        self._freshness = Freshness()
        for gauge in (
            metrics.WATERMARK_LAG_SECONDS,
            metrics.WATERMARK_TIMESTAMP_SECONDS,
            metrics.INGESTION_LAG_SECONDS,
            metrics.SESSION_OPEN,
        ):
            gauge.clear()

    def _lag_s(self, interval: str) -> float:
        return self._freshness.lag_us(interval, self._now()) / SECOND_US

    def _open(self, calendar: str) -> float:
        return float(calendars_in_force().calendar(calendar).is_open(self._now()))

    def _now(self) -> MarketTime:
        if not self._market.known:
            raise ProviderUnavailable("the simulator has not told its clock yet")
        return self._market.now_us()


def _age_s(moment: KnowledgeTime) -> float:
    return (wall_us() - moment) / SECOND_US
