"""The plan of what to poll: a value the pollers obey, whoever made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

from schemas.configuration.model import Configuration
from schemas.configuration.streams import Provider, Streams, cadence_us, overlap_us
from schemas.intervals import SECOND_US
from schemas.providers.capabilities import Capabilities
from schemas.streams import (
    BAR_STREAM,
    QUOTE_STREAM,
    STREAMS,
    TRADE_STREAM,
    Stream,
    StreamId,
    StreamName,
    refuse_unimplemented,
)
from schemas.universe import TIERS, Member, Tier

PollKey = tuple[str, str]
"""(capability, symbol): what is polled, whoever is asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsTask:
    """Poll bars of one symbol; times in µs."""

    provider: Provider
    symbol: str
    interval: str
    every_us: int
    overlap_us: int
    tier: Tier = "T1"

    @property
    def capability(self) -> str:
        """Return what the task needs a provider for, as routing names it."""
        return BAR_STREAM.capability(self.interval)

    @property
    def poll_keys(self) -> Sequence[PollKey]:
        """Return what is polled, whoever is asked."""
        return ((self.capability, self.symbol),)

    @property
    def stream(self) -> StreamId:
        """Return the series of the provider that is polled."""
        return StreamId(BAR_STREAM.name, self.interval, self.provider, self.symbol)

    @property
    def streams(self) -> Sequence[StreamId]:
        """Return the series of the provider that are polled: this one."""
        return (self.stream,)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotesTask:
    """Poll quotes of some symbols of one tier in one request."""

    provider: Provider
    symbols: Sequence[str]
    every_us: int
    tier: Tier = "T1"

    @property
    def capability(self) -> str:
        """Return what the task needs a provider for, as routing names it."""
        return QUOTE_STREAM.name

    @property
    def poll_keys(self) -> Sequence[PollKey]:
        """Return all that is polled, whoever is asked."""
        return [(self.capability, symbol) for symbol in self.symbols]

    @property
    def streams(self) -> Sequence[StreamId]:
        """Return the series of the provider that are polled."""
        return [StreamId(QUOTE_STREAM.name, "", self.provider, symbol) for symbol in self.symbols]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesTask:
    """Stream trades of some symbols over one socket."""

    provider: Provider
    symbols: Sequence[str]

    @property
    def streams(self) -> Sequence[StreamId]:
        """Return the series that come over the socket."""
        return [StreamId(TRADE_STREAM.name, "", self.provider, symbol) for symbol in self.symbols]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionsTask:
    """Poll corporate actions of some symbols in one request, of ex-dates from so many days ago to so many days ahead."""

    provider: Provider
    symbols: Sequence[str]
    every_us: int
    back_days: int
    ahead_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroTask:
    """Poll one macro series at its source."""

    provider: Provider
    series: str
    every_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPlan:
    """All that is polled and streamed; what is polled has a task for every provider that may serve it."""

    bars: Sequence[BarsTask] = ()
    quotes: Sequence[QuotesTask] = ()
    trades: Sequence[TradesTask] = field(default=())
    actions: Sequence[ActionsTask] = ()
    macro: Sequence[MacroTask] = ()

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
    def named(self) -> Mapping[str, Mapping[Provider, Sequence[str]]]:
        """Capabilities that are polled, each with the providers that may serve it, the preferred one first, and their symbols."""
        named: dict[str, dict[Provider, list[str]]] = {}
        for task in self.polls():
            symbols = named.setdefault(task.capability, {}).setdefault(task.provider, [])
            symbols += [symbol for _, symbol in task.poll_keys]
        return named

    def polls(self) -> Iterator[BarsTask | QuotesTask]:
        """Yield all tasks that are polled."""
        yield from self.bars
        yield from self.quotes

    def polled_streams(self) -> Iterator[StreamId]:
        """Yield the series that are polled."""
        yield from (bars.stream for bars in self.bars)
        for quotes in self.quotes:
            yield from quotes.streams

    def trade_streams(self) -> Iterator[StreamId]:
        """Yield the series that come over sockets."""
        for trades in self.trades:
            yield from trades.streams


def check_implemented(streams: Sequence[Stream] = STREAMS) -> None:
    """Raise ConfigurationError naming each stream that could not be collected, and what it lacks."""
    planned = {field.name for field in fields(PollPlan)}
    missing: dict[str, list[str]] = {stream.name: [] for stream in streams}
    for name, parts in missing.items():
        if name not in Streams.model_fields:
            parts.append("part of the configuration in schemas/configuration/streams.py")
        if name not in planned:
            parts.append("tasks in producers/plan/plan.py")
    refuse_unimplemented("producers", missing)


def plan_of(
    configuration: Configuration,
    *,
    usable: Mapping[str, Capabilities],
    members: Sequence[Member] | None = None,
) -> PollPlan:
    """Return what the configuration asks for of `members`, as far as its providers are among the `usable` ones.

    Without members (None) they are those of the file.
    """
    members = configuration.members() if members is None else members
    trades, trading = configuration.streams.trades, _symbols(members, "trades")
    return PollPlan(
        bars=_bars(configuration, usable, members),
        quotes=_quotes(configuration, usable, members),
        trades=[TradesTask(provider=trades.provider, symbols=trading)]
        if trades is not None and trades.provider in usable and trading
        else [],
    )


def _bars(
    configuration: Configuration, usable: Mapping[str, Capabilities], members: Sequence[Member]
) -> list[BarsTask]:
    """Return one task per provider, interval and symbol: longer bars are polled less often."""
    bars = configuration.streams.bars
    if bars is None:
        return []
    every_s = {tier: configuration.tiers.bars_every_s(tier, bars.every_s) for tier in TIERS}
    return [
        BarsTask(
            provider=provider,
            symbol=member.symbol,
            interval=interval,
            every_us=cadence_us(interval, every_s[member.tier]),
            overlap_us=overlap_us(interval, bars.overlap_s),
            tier=member.tier,
        )
        for provider in bars.providers
        if provider in usable
        for interval in bars.intervals
        for member in members
        if "bars" in member.streams
    ]


def _quotes(
    configuration: Configuration, usable: Mapping[str, Capabilities], members: Sequence[Member]
) -> list[QuotesTask]:
    """Return the requests of each provider: a request holds symbols of one tier, as many as the provider takes."""
    quotes = configuration.streams.quotes
    if quotes is None:
        return []
    return [
        QuotesTask(
            provider=provider,
            symbols=names[start : start + size],
            every_us=int(configuration.tiers.quotes_every_s(tier, quotes.every_s) * SECOND_US),
            tier=tier,
        )
        for provider in quotes.providers
        if provider in usable
        for size in (usable[provider].quotes_per_request,)
        for tier in TIERS
        for names in (_symbols([member for member in members if member.tier == tier], "quotes"),)
        for start in range(0, len(names), size)
    ]


def _symbols(members: Sequence[Member], stream: StreamName) -> tuple[str, ...]:
    return tuple(member.symbol for member in members if stream in member.streams)
