"""What to poll: a value the pollers obey, whoever made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from producers.domain.capabilities import Capabilities
from producers.domain.discontinuity import StreamKey, bars_key, quotes_key, trades_key
from schemas.configuration import Configuration, Provider
from schemas.intervals import SECOND_US


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsTask:
    """Poll bars of one symbol; times in µs."""

    provider: Provider
    symbol: str
    interval: str
    every_us: int
    overlap_us: int

    @property
    def capability(self) -> str:
        """Return what the task needs a provider for, as routing names it."""
        return f"bars:{self.interval}"

    @property
    def streams(self) -> Sequence[tuple[str, str]]:
        """Return (capability, symbol) of what is polled."""
        return ((self.capability, self.symbol),)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotesTask:
    """Poll quotes of some symbols in one request."""

    provider: Provider
    symbols: Sequence[str]
    every_us: int

    @property
    def capability(self) -> str:
        """Return what the task needs a provider for, as routing names it."""
        return "quotes"

    @property
    def streams(self) -> Sequence[tuple[str, str]]:
        """Return (capability, symbol) of all that is polled."""
        return [(self.capability, symbol) for symbol in self.symbols]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesTask:
    """Stream trades of some symbols over one socket."""

    provider: Provider
    symbols: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPlan:
    """All that is polled and streamed; what is polled has a task for every provider that may serve it."""

    bars: Sequence[BarsTask] = ()
    quotes: Sequence[QuotesTask] = ()
    trades: Sequence[TradesTask] = field(default=())

    @property
    def providers(self) -> list[Provider]:
        """Providers with something to do."""
        names = [
            *(bars.provider for bars in self.bars),
            *(quotes.provider for quotes in self.quotes),
            *(trades.provider for trades in self.trades),
        ]
        return sorted(set(names))

    @property
    def routes(self) -> Mapping[str, Sequence[Provider]]:
        """Capabilities that are polled, each with the providers that may serve it, the preferred one first."""
        routes: dict[str, dict[Provider, None]] = {}
        for task in self.polls():
            routes.setdefault(task.capability, {})[task.provider] = None
        return {capability: tuple(providers) for capability, providers in routes.items()}

    def polls(self) -> Iterator[BarsTask | QuotesTask]:
        """Yield all tasks that are polled."""
        yield from self.bars
        yield from self.quotes

    def polled_streams(self) -> Iterator[StreamKey]:
        """Yield the streams that are polled."""
        for bars in self.bars:
            yield bars_key(bars.provider, bars.symbol, bars.interval)
        for quotes in self.quotes:
            yield from (quotes_key(quotes.provider, symbol) for symbol in quotes.symbols)

    def trade_streams(self) -> Iterator[StreamKey]:
        """Yield the streams that come over sockets."""
        for trades in self.trades:
            yield from (trades_key(trades.provider, symbol) for symbol in trades.symbols)


def plan_of(configuration: Configuration, *, usable: Mapping[str, Capabilities]) -> PollPlan:
    """Return what the configuration asks for, as far as its providers are among the `usable` ones."""
    streams = configuration.streams
    bars: list[BarsTask] = []
    quotes: list[QuotesTask] = []
    trades: list[TradesTask] = []
    if streams.bars is not None:
        bars = [
            BarsTask(
                provider=provider,
                symbol=symbol,
                interval=streams.bars.interval,
                every_us=int(streams.bars.every_s * SECOND_US),
                overlap_us=int(streams.bars.overlap_s * SECOND_US),
            )
            for provider in streams.bars.providers
            if provider in usable
            for symbol in configuration.symbols_of("bars")
        ]
    if streams.quotes is not None:
        every_us, names = int(streams.quotes.every_s * SECOND_US), configuration.symbols_of("quotes")
        quotes = [
            QuotesTask(provider=provider, symbols=names[start : start + size], every_us=every_us)
            for provider in streams.quotes.providers
            if provider in usable
            for size in (usable[provider].quotes_per_request,)
            for start in range(0, len(names), size)
        ]
    if (
        streams.trades is not None
        and streams.trades.provider in usable
        and configuration.symbols_of("trades")
    ):
        trades = [TradesTask(provider=streams.trades.provider, symbols=configuration.symbols_of("trades"))]
    return PollPlan(bars=bars, quotes=quotes, trades=trades)
