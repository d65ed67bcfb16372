"""One poll of one provider and what it tells everybody: dead letters, the provider's status, the router."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from infra.runtime import tracing
from infra.runtime.clock import monotonic_s
from infra.runtime.metrics import DEAD_LETTERS_SPARED
from infra.runtime.tracing import Attribute, Span
from producers.http.shell.body import MalformedResponse
from producers.polling.shell.bars_poll import Backfilled, BarsPoll
from producers.polling.shell.bars_together import PastPart, backfill_together
from producers.polling.shell.polls import Polled
from producers.polling.slots import Duty
from producers.raw.faults import KnownFaults
from producers.raw.shell.topics import RawTopics
from producers.routing.shell.router import Router
from producers.routing.shell.status import ProviderStatus
from schemas.clocks import MarketTime
from schemas.errors import (
    BrokerUnavailable,
    MarketDataError,
    ProviderRefused,
    TransientError,
    UnknownSymbol,
)

LOGGED_SYMBOLS = 5

log = logging.getLogger(__name__)


class Poll(Protocol):
    """One task that is polled again and again."""

    provider: str
    capability: str
    routed_as: str  # the name by which its provider is chosen
    topic: str
    symbols: Sequence[str]
    is_behind: bool  # there is more to fetch than the newest
    phase_us: int  # µs, its place within the cadence
    turn: asyncio.Lock  # held while it is served: a job and the local schedule may come at once

    @property
    def task(self) -> Hashable:
        """The task that is polled."""

    @property
    def tier(self) -> str:
        """The tier of its symbols."""

    @property
    def every_us(self) -> int:
        """The cadence, µs of market time."""

    async def poll(self, symbols: Sequence[str], *, probed: Sequence[str] = (), job_id: str = "") -> Polled:
        """Ask for some of its symbols once and publish; what is `probed` is asked for as well and not published."""

    async def probe(self, symbols: Sequence[str]) -> Polled:
        """Ask once, only to see how the provider answers."""

    def first_due(self) -> MarketTime:
        """Return the market time of its first poll."""

    def next_due(self) -> MarketTime:
        """Return the market time of the next poll where this one is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Polls once, and tells what became of it."""

    raw: RawTopics
    status: ProviderStatus
    router: Router
    duty: Duty
    faults: KnownFaults = field(default_factory=KnownFaults)

    async def serve(
        self,
        poll: Poll,
        asked: Callable[[], Sequence[str]],
        slot: MarketTime,
        *,
        probed: Sequence[str] = (),
        job_id: str = "",
    ) -> tuple[Sequence[str], Polled | MarketDataError | None]:
        """Ask for what is `asked` when its turn has come, publish, and mark the slot as done.

        Returns the symbols and what came of them: the vendor's error is told to all who keep account of them, and
        None stands for nothing to ask for. Raises BrokerUnavailable where the publisher is dead: a fresh process
        continues from the cursors.
        """
        async with poll.turn:
            symbols = asked()
            if not symbols:
                return symbols, None
            try:
                with _span(f"poll {poll.capability}", poll, len(symbols), job_id):
                    polled = await poll.poll(symbols, probed=probed, job_id=job_id)
            except BrokerUnavailable:
                raise
            except (TransientError, ProviderRefused, UnknownSymbol, MalformedResponse) as error:
                return symbols, await self._failed(poll, error, (*symbols, *probed))
            self.duty.done(poll.capability, symbols, slot)
            return symbols, self._succeeded(poll, polled)

    async def backfill(
        self, poll: BarsPoll, start: MarketTime, end: MarketTime, job_id: str
    ) -> Backfilled | MarketDataError:
        """Fetch the bars of [start, end) and publish them; return what they are, or the vendor's error; raises like `serve`."""
        try:
            with _span(f"backfill {poll.capability}", poll, len(poll.symbols), job_id):
                return await poll.backfill(start, end, job_id=job_id)
        except BrokerUnavailable:
            raise
        except (TransientError, ProviderRefused, UnknownSymbol, MalformedResponse) as error:
            # The past says nothing of who gives the present: neither status nor router hear of it.
            if isinstance(error, MalformedResponse):
                await self._tell_malformed(poll, error)
            return error

    async def backfill_together(
        self, parts: Sequence[PastPart]
    ) -> Sequence[Backfilled | MarketDataError] | MarketDataError:
        """Fetch past bars of several symbols in one request, like `backfill`; return what became of each, or of all."""
        try:
            first = parts[0]
            with _span(f"backfill {first.poll.capability}", first.poll, len(parts), first.job_id):
                came = await backfill_together(parts, self.raw)
        except BrokerUnavailable:
            raise
        except (TransientError, ProviderRefused, UnknownSymbol, MalformedResponse) as error:
            if isinstance(error, MalformedResponse):
                await self._tell_malformed(parts[0].poll, error)
            return error
        for part, result in zip(parts, came, strict=True):
            if isinstance(result, MalformedResponse):
                await self._tell_malformed(part.poll, result)
        return came

    async def probe(self, poll: Poll, symbols: Sequence[str]) -> Polled | MarketDataError:
        """Ask only to see how the provider answers; otherwise like `serve`."""
        try:
            polled = await poll.probe(symbols)
        except BrokerUnavailable:
            raise
        except (TransientError, ProviderRefused, UnknownSymbol, MalformedResponse) as error:
            return await self._failed(poll, error, symbols)
        return self._succeeded(poll, polled)

    def _succeeded(self, poll: Poll, polled: Polled) -> Polled:
        self.status.succeeded(poll.provider)
        self.router.answered(poll.routed_as, poll.provider, polled.evidence)
        return polled

    async def _failed(self, poll: Poll, error: MarketDataError, symbols: Sequence[str]) -> MarketDataError:
        if isinstance(error, MalformedResponse):
            await self._tell_malformed(poll, error)
        self.status.failed(poll.provider, error)
        self.router.failed(poll.routed_as, poll.provider, error, symbols)
        return error

    async def _tell_malformed(self, poll: Poll, error: MalformedResponse) -> None:
        """Dead-letter an answer that is of no use with its bytes, once for each kind of fault; then it is counted."""
        where = poll.provider, error.endpoint
        if not self.faults.is_new(where, str(error), monotonic_s(), symbols=poll.symbols):
            DEAD_LETTERS_SPARED.labels(*where).inc()
            return
        await self.raw.dead_letter(
            poll.topic,
            reason=error.reason,
            message=str(error),
            provider=poll.provider,
            symbol=poll.symbols[0] if len(poll.symbols) == 1 else "",
            received_time=error.received_time,
            payload=error.payload,
        )


def _span(name: str, poll: Poll, symbols: int, job_id: str) -> Span:
    told: dict[str, Attribute] = {"mds.provider": poll.provider, "mds.symbols": symbols}
    return tracing.span(name, "internal", told | ({"mds.job_id": job_id} if job_id else {}))


def log_failure(poll: Poll, error: MarketDataError) -> None:
    """Say the first failure of a task."""
    log.warning(
        "poll_failed",
        extra={
            "provider": poll.provider,
            "symbols": ",".join(poll.symbols[:LOGGED_SYMBOLS]),
            "error": str(error),
        },
    )
