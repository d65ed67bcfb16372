"""Tasks of a plan: what is asked of which provider again and again, or received over its socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from schemas.configuration.streams import Provider
from schemas.streams import (
    ACTION_STREAM,
    BAR_STREAM,
    MACRO_STREAM,
    OPTION_STREAM,
    QUOTE_STREAM,
    TRADE_STREAM,
    Stream,
    StreamId,
)
from schemas.universe import Tier

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
        """Return what the task needs a provider for."""
        return BAR_STREAM.capability(self.interval)

    @property
    def routed_as(self) -> str:
        """Return by which name its provider is chosen."""
        return self.capability

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
class SymbolsTask:
    """Poll what a stream has of some symbols of one tier in one request."""

    of_stream: ClassVar[Stream]

    provider: Provider
    symbols: Sequence[str]
    every_us: int
    tier: Tier = "T1"

    @property
    def capability(self) -> str:
        """Return what the task needs a provider for."""
        return self.of_stream.name

    @property
    def routed_as(self) -> str:
        """Return by which name its provider is chosen."""
        return self.capability

    @property
    def poll_keys(self) -> Sequence[PollKey]:
        """Return all that is polled, whoever is asked."""
        return [(self.capability, symbol) for symbol in self.symbols]

    @property
    def streams(self) -> Sequence[StreamId]:
        """Return the series of the provider that are polled."""
        return [StreamId(self.of_stream.name, "", self.provider, symbol) for symbol in self.symbols]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotesTask(SymbolsTask):
    """Poll quotes of some symbols of one tier in one request."""

    of_stream = QUOTE_STREAM


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
class ActionsTask(SymbolsTask):
    """Poll corporate actions of some symbols in one request, of ex-dates from so many days ago to so many days ahead.

    All are of one tier: what is told once a quarter is wanted no sooner of some.
    """

    of_stream = ACTION_STREAM

    back_days: int
    ahead_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroTask:
    """Poll one macro series at its source, which is asked for no other's."""

    provider: Provider
    series: str
    every_us: int
    scheduled: bool = False  # standard times of releases stand for those nobody tells
    tier: Tier = "T1"

    @property
    def capability(self) -> str:
        """Return what the task needs a provider for."""
        return MACRO_STREAM.name

    @property
    def routed_as(self) -> str:
        """Return by which name its provider is chosen: each source by its own, for none stands in for another."""
        return f"{self.capability}:{self.provider}"

    @property
    def poll_keys(self) -> Sequence[PollKey]:
        """Return what is polled."""
        return ((self.capability, self.series),)

    @property
    def streams(self) -> Sequence[StreamId]:
        """Return the series that is polled."""
        return (StreamId(MACRO_STREAM.name, "", self.provider, self.series),)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionsTask:
    """Poll the option chain of one underlying: expiries of the coming days every time, all of them more seldom; times in µs.

    `is_by_expiry`: the provider is asked for one expiry at a time. Strikes lie within `moneyness` times the underlying's price.
    """

    provider: Provider
    symbol: str
    every_us: int
    near_days: int
    far_every_us: int
    is_by_expiry: bool
    max_expiries: int | None = None
    moneyness: tuple[float, float] | None = None
    tier: Tier = "T1"

    @property
    def capability(self) -> str:
        """Return what the task needs a provider for."""
        return OPTION_STREAM.name

    @property
    def routed_as(self) -> str:
        """Return by which name its provider is chosen."""
        return self.capability

    @property
    def poll_keys(self) -> Sequence[PollKey]:
        """Return what is polled, whoever is asked."""
        return ((self.capability, self.symbol),)

    @property
    def streams(self) -> Sequence[StreamId]:
        """Return the series of the provider that is polled."""
        return (StreamId(OPTION_STREAM.name, "", self.provider, self.symbol),)


PolledTask = BarsTask | QuotesTask | ActionsTask | MacroTask | OptionsTask
"""A task that is asked for again and again."""
