"""The plan of what to poll: a value the pollers obey, whoever made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain

from producers.plan.tasks import (
    ActionsTask,
    BarsTask,
    MacroTask,
    OptionsTask,
    PolledTask,
    QuotesTask,
    TradesTask,
)
from schemas.configuration.model import Configuration
from schemas.configuration.streams import Provider, Streams
from schemas.configuration.tiers import cadence_us, overlap_us
from schemas.intervals import SECOND_US
from schemas.providers.capabilities import Capabilities
from schemas.streams import (
    INSTRUMENT_STREAMS,
    STREAMS,
    Stream,
    StreamId,
    StreamName,
    refuse_unimplemented,
)
from schemas.universe import TIERS, Member


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPlan:
    """All that is polled and streamed; what is polled has a task for every provider that may serve it."""

    bars: Sequence[BarsTask] = ()
    quotes: Sequence[QuotesTask] = ()
    trades: Sequence[TradesTask] = field(default=())
    actions: Sequence[ActionsTask] = ()
    macro: Sequence[MacroTask] = ()
    options: Sequence[OptionsTask] = ()

    @property
    def providers(self) -> list[Provider]:
        """Providers with something to do."""
        return sorted({task.provider for task in (*self.polls(), *self.trades)})

    @property
    def asked_often(self) -> frozenset[Provider]:
        """Providers that give values, whose answers are never far apart; entries may be asked for every few hours."""
        values: Iterator[BarsTask | QuotesTask | TradesTask] = chain(self.bars, self.quotes, self.trades)
        return frozenset(task.provider for task in values)

    @property
    def named(self) -> Mapping[str, Mapping[Provider, Sequence[str]]]:
        """Names for which providers are chosen, each with those that may serve it, the preferred one first, and their symbols."""
        named: dict[str, dict[Provider, list[str]]] = {}
        for task in self.polls():
            symbols = named.setdefault(task.routed_as, {}).setdefault(task.provider, [])
            symbols += [symbol for _, symbol in task.poll_keys]
        return named

    @property
    def streams(self) -> frozenset[StreamId]:
        """All series that are collected."""
        return frozenset({*self.polled_streams(), *self.trade_streams()})

    @property
    def instruments(self) -> set[str]:
        """All symbols of what is traded: a macro series has no market."""
        return {stream.symbol for stream in self.streams if stream.name in INSTRUMENT_STREAMS}

    def polls(self) -> Iterator[PolledTask]:
        """Yield all tasks that are polled."""
        yield from self.bars
        yield from self.quotes
        yield from self.actions
        yield from self.macro
        yield from self.options

    def polled_streams(self) -> Iterator[StreamId]:
        """Yield the series that are polled."""
        for task in self.polls():
            yield from task.streams

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
        actions=_actions(configuration, usable, members),
        macro=_macro(configuration, usable),
        options=_options(configuration, usable, members),
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


def _actions(
    configuration: Configuration, usable: Mapping[str, Capabilities], members: Sequence[Member]
) -> list[ActionsTask]:
    """Return the requests of each provider: as many symbols as it takes, whatever their tiers."""
    actions = configuration.streams.actions
    if actions is None:
        return []
    names = _symbols(members, "actions")
    return [
        ActionsTask(
            provider=provider,
            symbols=names[start : start + size],
            every_us=int(actions.every_s * SECOND_US),
            back_days=actions.back_days,
            ahead_days=actions.ahead_days,
        )
        for provider in actions.providers
        if provider in usable and not usable[provider].lacking("actions")
        for size in (usable[provider].action_symbols_per_request,)
        for start in range(0, len(names), size)
    ]


def _macro(configuration: Configuration, usable: Mapping[str, Capabilities]) -> list[MacroTask]:
    """Return one task per series, of the provider that its key names."""
    macro = configuration.streams.macro
    if macro is None:
        return []
    return [
        MacroTask(
            provider=key.provider,
            series=str(key),
            every_us=int(macro.every_s * SECOND_US),
            scheduled=macro.release_times == "scheduled",
        )
        for key in configuration.streams.series
        if key.provider in usable
    ]


def _options(
    configuration: Configuration, usable: Mapping[str, Capabilities], members: Sequence[Member]
) -> list[OptionsTask]:
    """Return one task per provider and underlying."""
    options = configuration.streams.options
    if options is None:
        return []
    return [
        OptionsTask(
            provider=provider,
            symbol=member.symbol,
            every_us=int(configuration.tiers.options_every_s(member.tier, options.every_s) * SECOND_US),
            near_days=options.near_days,
            far_every_us=int(options.far_every_s * SECOND_US),
            is_by_expiry=usable[provider].option_chains == "expiries",
            max_expiries=options.max_expiries,
            moneyness=options.moneyness,
            tier=member.tier,
        )
        for provider in options.providers
        if provider in usable and not usable[provider].lacking("options")
        for member in members
        if "options" in member.streams
    ]


def _symbols(members: Sequence[Member], stream: StreamName) -> tuple[str, ...]:
    return tuple(member.symbol for member in members if stream in member.streams)
