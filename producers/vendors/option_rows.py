"""Rows of vendors' option contracts, pages of them, and who was asked for what: what every parser of chains gives; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from producers.vendors.answers import ChainRequest, RejectedValue
from producers.vendors.payloads import MAX_FAULT_CHARACTERS
from producers.vendors.values import rejected
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import Day, EventTime
from schemas.errors import InvalidRecord, MalformedPayload, UnknownSymbol
from schemas.symbols.instruments import classify

NOTHING: Mapping[str, Any] = MappingProxyType({})
WITH_OPTIONS = ("equity", "etf", "index", "simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderlyingQuote:
    """Prices of the underlying that stood beside a leg, and the vendor's stamp of them; None where it does not say."""

    price: float | None = None
    bid: float | None = None
    ask: float | None = None
    time: EventTime | None = None


NO_UNDERLYING = UnderlyingQuote()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRow:
    """One contract as the vendor gives it: `given` holds any JSON under the names of Leg's numbers; `entry` is all of it.

    `strike`, `right` (C or P) and `expiry` are what the vendor says beside the name, None where it does not. `counted` is a
    stamp in the session that `volume` is of; without one it is the session of the answer.
    """

    name: object
    entry: object
    given: Mapping[str, object]
    strike: object = None
    right: str | None = None
    expiry: Day | None = None
    quote_time: EventTime | None = None
    last_time: EventTime | None = None
    counted: EventTime | None = None
    currency: str = ""
    is_nonstandard: bool = False
    underlying: UnderlyingQuote = NO_UNDERLYING
    delay_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPage:
    """One page of an answer; `following` leads to the next, empty on the last.

    `rejected` are entries that are no rows; `simulated`: the vendor says that no market made them.
    """

    rows: Sequence[LegRow] = ()
    rejected: Sequence[RejectedValue] = ()
    following: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOrigin:
    """Origin that all slices of one answer share; `filters_strikes`: the vendor left out the strikes not asked for."""

    provider: str
    asked: ChainRequest
    calendar: Calendar
    filters_strikes: bool = False
    simulated: bool = False


def chain_origin(
    provider: str, asked: ChainRequest, *, filters_strikes: bool = False, simulated: bool = False
) -> ChainOrigin:
    """Return what all slices of the answer share; raise UnknownSymbol for a symbol of a kind that has no options.

    The first calendar of a market costs a second of work.
    """
    instrument = classify(asked.symbol)
    if instrument is None or instrument.asset_class not in WITH_OPTIONS:
        kind = "no symbol" if instrument is None else instrument.asset_class
        raise UnknownSymbol(
            f"{asked.symbol} ({kind}) has no listed options; ask for a share, a fund or an index"
        )
    return ChainOrigin(
        provider=provider,
        asked=asked,
        calendar=calendar_of(asked.symbol),
        filters_strikes=filters_strikes,
        simulated=simulated,
    )


def inner(entry: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    """Return an object within an entry, empty where it is missing; raise MalformedPayload where it is something else."""
    given = entry.get(name)
    if given is None:
        return NOTHING
    if not isinstance(given, dict):
        raise MalformedPayload(f"{place}: {name} is {given!r:.40}, which is no object")
    return given


def leg_rows(
    place: str, symbol: str, entries: Iterable[object], read: Callable[[Any], LegRow]
) -> tuple[list[LegRow], list[RejectedValue]]:
    """Return what `read` makes of entries, and those it cannot read, each rejected alone; `place` names the answer."""
    rows: list[LegRow] = []
    refused: list[RejectedValue] = []
    for entry in entries:
        try:
            rows.append(read(entry))
        except (MalformedPayload, InvalidRecord) as error:
            refused.append(rejected(symbol, error, entry))
        except (KeyError, TypeError, AttributeError) as error:
            told = f"{place}: {symbol}: a contract is no object, or lacks {error}"[:MAX_FAULT_CHARACTERS]
            refused.append(rejected(symbol, MalformedPayload(told), entry))
    return rows, refused
