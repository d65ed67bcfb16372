"""Frames of a socket → what they hold; what cannot be used of them goes to the dead letters, without our key."""

from __future__ import annotations

from collections.abc import Mapping

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.metrics import DEAD_LETTERS_SPARED
from producers.http.shell.body import redacted
from producers.raw.faults import KnownFaults
from producers.raw.shell.topics import RawTopics
from producers.vendors.answers import Frame
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
        for rejected in frame.answer.rejected:
            await self._dead_letter(
                rejected.reason, rejected.message, rejected.symbol, received_time, rejected.payload
            )
        return frame, received_time

    async def _malformed(self, error: MalformedPayload, received_time: WallTime, payload: bytes) -> None:
        """Dead-letter a frame once for each kind of fault; then it is counted."""
        where = self._provider, self._socket.endpoint
        if self._faults.is_new(where, str(error), monotonic_s()):
            await self._dead_letter(error.reason, str(error), "", received_time, payload)
        else:
            DEAD_LETTERS_SPARED.labels(*where).inc()

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
