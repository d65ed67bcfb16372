"""A chain as the vendors share it: the contracts with their shares' price beside them, a vendor's own volatilities, filters, pages."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Any

from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import is_empty
from infra.simulator.market.black_prices import YEAR_S, BlackGreeks, black_greeks, implied_vol
from infra.simulator.market.model import Listing
from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.option_legs import SimulatedLeg, ends_at
from infra.simulator.market.view import MarketView
from infra.simulator.vendors.bar_rows import Facts, facts
from schemas.intervals import SECOND_US
from schemas.symbols.occ import STANDARD_MULTIPLIER, OptionContract

COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
}
NAMED_RIGHTS = {"C": "call", "P": "put"}


class WrongFilter(Exception):
    """A filter whose value is none; its only argument is its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChain:
    """Contracts of a symbol at its market time `now` (µs), sorted by expiry, root, strike and right, and the facts of its shares.

    `ends` are the moments (µs) at which contracts of an expiry date and root end.
    """

    listing: Listing
    now: int
    shares: Facts
    legs: Sequence[SimulatedLeg]
    ends: Mapping[tuple[date, str], int]

    def years(self, contract: OptionContract) -> float:
        """Return how long a contract has left; below 0 where it has ended and is still listed."""
        return (self.ends[contract.expiry, contract.root] - self.now) / SECOND_US / YEAR_S

    def vol(self, leg: SimulatedLeg) -> float | None:
        """Return the volatility the vendor reads off the middle of the book, None where there is no such thing."""
        contract, spot = leg.contract, self.spot(leg)
        if leg.mid is None:
            return None
        return implied_vol(
            leg.mid, spot, contract.strike, self.years(contract), is_call=contract.right == "C"
        )

    def greeks(self, leg: SimulatedLeg, vol: float) -> BlackGreeks:
        """Return the vendor's sensitivities at a volatility."""
        contract = leg.contract
        years, is_call = self.years(contract), contract.right == "C"
        return black_greeks(self.spot(leg), contract.strike, years, vol, is_call=is_call)

    def spot(self, leg: SimulatedLeg) -> float:
        """Return the last price of what a hundredth of a contract is on, in dollars."""
        return self.shares.last.close * leg.shares / STANDARD_MULTIPLIER


def shown_chain(
    book: OptionBook, view: MarketView, symbol: str, faults: Sequence[Fault]
) -> ShownChain | None:
    """Return the chain of a symbol as the vendor sees it; None of one unknown, empty or not traded yet.

    One without options has no legs. Where the scenario zeroes quotes, there are neither quotes nor trades.
    """
    listing, shares = view.market.listing(symbol), facts(view, symbol, faults)
    if listing is None or shares is None or is_empty(symbol, faults):
        return None
    now, calendar = view.now(symbol), view.calendar(listing)
    legs = book.legs(view, listing, now)
    if shares.zeroed:
        legs = [
            SimulatedLeg(contract=leg.contract, style=leg.style, shares=leg.shares, quote_time=leg.quote_time)
            for leg in legs
        ]
    slices = {(leg.contract.expiry, leg.contract.root) for leg in legs}
    return ShownChain(
        listing=listing,
        now=now,
        shares=shares,
        legs=legs,
        ends={(expiry, root): ends_at(calendar, expiry, root) for expiry, root in slices},
    )


def filtered(
    legs: Sequence[SimulatedLeg], given: Mapping[str, str], *, joint: str, right_named: str
) -> list[SimulatedLeg]:
    """Return the contracts of the expiration dates, strikes and right asked for; raise WrongFilter.

    `joint` stands between a field and a comparison, as in `strike_price.gte`; `right_named` is the parameter that says call or put.
    """
    kept = list(legs)
    for name, told in (("expiration_date", _expiry), ("strike_price", _strike)):
        for key, compared in {"": operator.eq, **COMPARED}.items():
            parameter = f"{name}{joint}{key}" if key else name
            if parameter in given:
                bound = _bound(parameter, given[parameter], is_day=told is _expiry)
                kept = [leg for leg in kept if compared(told(leg), bound)]
    if right_named in given:
        if given[right_named] not in NAMED_RIGHTS.values():
            raise WrongFilter(right_named)
        kept = [leg for leg in kept if NAMED_RIGHTS[leg.contract.right] == given[right_named]]
    return kept


def _expiry(leg: SimulatedLeg) -> Any:
    return leg.contract.expiry


def _strike(leg: SimulatedLeg) -> Any:
    return leg.contract.strike


def _bound(parameter: str, text: str, *, is_day: bool) -> Any:
    try:
        bound = date.fromisoformat(text) if is_day else float(text)
    except ValueError:
        raise WrongFilter(parameter) from None
    if isinstance(bound, float) and not isfinite(bound):
        raise WrongFilter(parameter)
    return bound
