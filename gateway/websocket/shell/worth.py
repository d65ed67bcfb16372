"""Worth of streams at this moment, for all clients alike: looked at once a second, however many watch a stream."""

from __future__ import annotations

from collections.abc import Callable

from gateway.live.shell.live import LiveStreams
from gateway.live.streams import BEST, LiveStream
from gateway.websocket.freshness import NO_VALUE, StreamFreshness, freshness
from infra.runtime.clock import MarketClock, WallMarketClock, monotonic_s
from schemas.calendar.sessions import calendars_in_force
from schemas.streams import BY_TOPIC

HOLDS_S = 1.0


class Worth:
    """Says of every stream how fresh it is, whether its providers are down, and whether it is collected at all."""

    def __init__(
        self, live: LiveStreams, clock: MarketClock, is_collected: Callable[[str], bool | None]
    ) -> None:
        """Judge by market time; `is_collected` says of a symbol whether it is configured, None: that is not known."""
        self._live, self._clock, self._is_collected = live, clock, is_collected
        self._judged: dict[LiveStream, StreamFreshness] = {}
        self._wall_market = isinstance(clock, WallMarketClock)
        self._until_s = 0.0

    def of(self, stream: LiveStream) -> StreamFreshness | None:
        """Return the worth of a stream now; None of what does not age with the market: gaps, and entries."""
        declared = BY_TOPIC.get(stream.topic)
        if declared is None or declared.versions == "entries":
            return None
        now_s = monotonic_s()
        if now_s >= self._until_s:
            self._judged.clear()
            self._until_s = now_s + HOLDS_S
        found = self._judged.get(stream)
        if found is None:
            found = self._judged[stream] = self._judge(stream)
        return found

    def _judge(self, stream: LiveStream) -> StreamFreshness:
        book = calendars_in_force()
        # Loading one costs a second: whoever subscribes has it loaded beside the loop.
        calendar = book.calendar_of(stream.symbol) if book.holds(stream.symbol) else None
        found = freshness(
            stream,
            self._live.feeds,
            now=self._clock.now_us(),
            speed=self._clock.speed,
            calendar=calendar,
            wall_market=self._wall_market,
        )
        if stream.scope == BEST and stream.channel in self._live.exhausted:
            return found._replace(code="provider_down")
        if found.code == NO_VALUE and self._is_collected(stream.symbol) is False:
            return found._replace(code="not_collected")
        return found
