"""The simulator's word about the market it simulates: its symbols, and where its data begins and ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.clocks import MarketTime
from schemas.configuration.model import (
    BarsStream,
    Configuration,
    QuotesStream,
    Streams,
    SymbolEntry,
    TradesStream,
)
from schemas.configuration.streams import ActionsStream, MacroStream, OptionsStream
from schemas.errors import ProviderUnavailable
from schemas.streams import StreamName
from schemas.symbols.instruments import classify

REQUEST_DEADLINE_S = 5.0
# Yahoo tells of actions beside daily bars, and those of decades take the simulator many seconds to make up.
ACTION_PROVIDERS = ("polygon", "alpaca")
OPTION_PROVIDERS = ("polygon", "alpaca")
# A chain has as many contracts as a market has symbols: a few show all there is to see.
SHARES_WITH_CHAINS = 2


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Symbol(_Document):
    symbol: str
    synthetic: bool
    streams: tuple[StreamName, ...]
    options: bool = False


class _Symbols(_Document):
    symbols: tuple[_Symbol, ...]


class _Series(_Document):
    key: str
    synthetic: bool


class _AllSeries(_Document):
    series: tuple[_Series, ...]


class _Clock(_Document):
    start: MarketTime
    end: MarketTime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedVendors:
    """The simulator's offer, `synthetic_symbols` those that no market made, keys of macro series among them; its data is of [`start`, `end`), endless where that is None."""

    configuration: Configuration
    synthetic_symbols: frozenset[str]
    start: MarketTime
    end: MarketTime | None


async def ask_simulator(session: aiohttp.ClientSession, base_url: str) -> SimulatedVendors:
    """Return what the simulator at `base_url` offers; raise ProviderUnavailable where it does not answer."""
    try:
        clock = _Clock.model_validate(await _document(session, f"{base_url}/simulator/clock"))
        offered = _Symbols.model_validate(await _document(session, f"{base_url}/simulator/symbols")).symbols
        series = _AllSeries.model_validate(await _document(session, f"{base_url}/simulator/series")).series
        chains = _with_chains(offered)
        configuration = Configuration(
            symbols=tuple(
                SymbolEntry(symbol=entry.symbol, streams=_streams_of(entry, has_chain=entry.symbol in chains))
                for entry in offered
            ),
            streams=Streams(
                bars=BarsStream(providers=("yahoo", "finnhub")),
                quotes=QuotesStream(providers=("yahoo", "finnhub")),
                trades=TradesStream(provider="finnhub"),
                actions=ActionsStream(providers=ACTION_PROVIDERS),
                options=OptionsStream(providers=OPTION_PROVIDERS) if chains else None,
                macro=MacroStream(keys=tuple(entry.key for entry in series)) if series else None,
            ),
        )
    except (aiohttp.ClientError, OSError, TimeoutError, ValidationError, ValueError) as error:
        raise ProviderUnavailable(
            f"no simulator at {base_url} ({type(error).__name__}); is it running?"
        ) from error
    synthetic = frozenset(entry.symbol for entry in offered if entry.synthetic)
    synthetic |= {entry.key for entry in series if entry.synthetic}
    return SimulatedVendors(
        configuration=configuration, synthetic_symbols=synthetic, start=clock.start, end=clock.end
    )


def _with_chains(offered: Sequence[_Symbol]) -> Collection[str]:
    """Return the symbols whose option chains are collected: the first shares that have any, and every index, whose contracts end otherwise."""
    chains = [entry.symbol for entry in offered if entry.options]
    shares = [symbol for symbol in chains if not _is_index(symbol)]
    return {*shares[:SHARES_WITH_CHAINS], *(symbol for symbol in chains if _is_index(symbol))}


def _is_index(symbol: str) -> bool:
    instrument = classify(symbol)
    return instrument is not None and instrument.asset_class == "index"


def _streams_of(entry: _Symbol, *, has_chain: bool) -> tuple[StreamName, ...]:
    """Return the streams of a symbol: whoever gives its bars tells its actions, of which there may be none.

    Of an index its chain alone: a slice has the price beside it, and outside of New York's hours all else of it would stand still
    in a market that never closes.
    """
    if _is_index(entry.symbol):
        return ("options",) if has_chain else ()
    streams = entry.streams
    if "bars" in streams and "actions" not in streams:
        streams = (*streams, "actions")
    return (*streams, "options") if has_chain else streams


async def _document(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url, timeout=aiohttp.ClientTimeout(total=REQUEST_DEADLINE_S)) as answer:
        answer.raise_for_status()
        return await answer.json()
