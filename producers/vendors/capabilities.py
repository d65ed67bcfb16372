"""Capabilities of providers, and the check that a configuration asks for nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from schemas.configuration.model import Configuration
from schemas.errors import ConfigurationError

MAX_QUOTES_PER_REQUEST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Data that a provider answers with; what is left out it does not."""

    intervals: tuple[str, ...] = ()  # of bars
    quotes_per_request: int = 0  # symbols in one request; 0 = no quotes
    trades: bool = False  # pushed over a socket
    symbols: bool = False  # a list of all it knows


def check_providers(configuration: Configuration, known: Mapping[str, Capabilities]) -> None:
    """Raise ConfigurationError for a provider nobody knows, or a stream of one that cannot give it."""
    named = [(f"providers.{name}", name) for name in configuration.providers]
    for place, name in [*named, *((place, name) for place, name, _ in _streams(configuration))]:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ConfigurationError(
                f"{place}: no provider is called {name}", remedy=f"{hint}known are {', '.join(sorted(known))}"
            )
    for place, name, what in _streams(configuration):
        if not _gives(known[name], what):
            able = sorted(each for each, capabilities in known.items() if _gives(capabilities, what))
            remedy = f"use {' or '.join(able)}" if able else "leave the stream out"
            raise ConfigurationError(f"{place}: {name} has no {what}", remedy=remedy)
    for name, entry in configuration.providers.items():
        if entry.socket_url is not None and not known[name].trades:
            raise ConfigurationError(
                f"providers.{name}.socket_url: {name} has no socket", remedy="take the line out"
            )


def providers_of_streams(configuration: Configuration) -> frozenset[str]:
    """Return the providers that some stream names."""
    return frozenset(name for _, name, _ in _streams(configuration))


def _streams(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    """Yield (place in the file, provider, what it has to give)."""
    streams = configuration.streams
    if streams.bars is not None:
        for provider in streams.bars.providers:
            for interval in streams.bars.intervals:
                yield "streams.bars.providers", provider, f"{interval} bars"
    if streams.quotes is not None:
        for provider in streams.quotes.providers:
            yield "streams.quotes.providers", provider, "quotes"
    if streams.trades is not None:
        yield "streams.trades.provider", streams.trades.provider, "trades"


def _gives(capabilities: Capabilities, what: str) -> bool:
    interval, _, is_bars = what.rpartition(" ")
    if is_bars == "bars":
        return interval in capabilities.intervals
    return capabilities.trades if what == "trades" else capabilities.quotes_per_request > 0
