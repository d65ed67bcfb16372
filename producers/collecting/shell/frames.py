"""Frames of a socket → what they hold; what cannot be used of them goes to the dead letters, without our key."""

from __future__ import annotations

from collections.abc import Mapping

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.metrics import DEAD_LETTERS_SPARED
from producers.http.shell.body import redacted
from producers.raw.faults import KnownFaults
from producers.raw.shell.topics import RawTopics
from producers.vendors.answers import Frame
from producers.vendors.bar_rows import MANY_ROWS
from producers.vendors.shell.provider import TradeSocket
from schemas.clocks import WallTime
from schemas.errors import MalformedPayload
from schemas.topics import RAW_TRADES


class FrameReader:
    """Reads the frames of one provider's socket, over however many connections."""

    def __init__(
        self,
        provider: str,
        socket: TradeSocket,
        raw: RawTopics,
        *,
        simulated: frozenset[str],
        secrets: tuple[bytes, ...] = (),
    ) -> None:
        """Parse as `socket` does; `secrets` are struck out of whatever the vendor sends: it may echo a key."""
        self._provider, self._socket, self._raw = provider, socket, raw
        self._simulated, self._secrets = simulated, secrets
        self._faults = KnownFaults()
        self._unusable = 0  # trades since the last one that could be used

    async def read(
        self, payload: bytes, *, sequence: int, asked: Mapping[str, str]
    ) -> tuple[Frame, WallTime] | None:
        """Return what a frame holds and when it was received; None for one that cannot be read."""
        received_time, payload = wall_us(), redacted(payload, self._secrets)
        try:
            frame = self._socket.parse(payload, sequence=sequence, asked=asked, simulated=self._simulated)
        except MalformedPayload as error:
            await self._malformed(error, received_time, payload)
            return None
        await self._rejected(frame, received_time)
        return frame, received_time

    async def _rejected(self, frame: Frame, received_time: WallTime) -> None:
        """Dead-letter each trade that cannot be used; after many of which none can it is the format."""
        if frame.answer.events:
            self._unusable = 0
        for value in frame.answer.rejected:
            if self._unusable < MANY_ROWS or self._is_news(value.message):
                await self._dead_letter(
                    value.reason, value.message, value.symbol, received_time, value.payload
                )
            if not frame.answer.events:
                self._unusable += 1

    async def _malformed(self, error: MalformedPayload, received_time: WallTime, payload: bytes) -> None:
        """Dead-letter a frame once for each kind of fault; then it is counted."""
        if self._is_news(str(error)):
            await self._dead_letter(error.reason, str(error), "", received_time, payload)

    def _is_news(self, fault: str) -> bool:
        """Return whether a fault is the first of its kind; count it where it is not."""
        where = self._provider, self._socket.endpoint
        is_new = self._faults.is_new(where, fault, monotonic_s())
        if not is_new:
            DEAD_LETTERS_SPARED.labels(*where).inc()
        return is_new

    async def _dead_letter(
        self, reason: str, message: str, symbol: str, received_time: WallTime, payload: bytes
    ) -> None:
        await self._raw.dead_letter(
            RAW_TRADES,
            reason=reason,
            message=message,
            provider=self._provider,
            symbol=symbol,
            received_time=received_time,
            payload=payload,
        )
