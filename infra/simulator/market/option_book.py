"""Option chains of the simulated world: a real day's from its files, made up for synthetic symbols, none of others.

Nothing is read before somebody asks for options, and only a few days are held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from threading import Lock

from infra.simulator.market.made_options import made_up_legs
from infra.simulator.market.model import Listing
from infra.simulator.market.option_files import FiledOptions, option_days, read_option_day
from infra.simulator.market.option_legs import SimulatedLeg, ends_at, leg_order
from infra.simulator.market.view import MarketView

CACHED_OPTION_DAYS = 2  # symbol-days of about 12 MB
CACHED_CHAINS = 4  # of about 2 MB


@dataclass(frozen=True, kw_only=True)
class OptionBook:
    """All option chains there are; `root` is the directory of real data, None where there is none."""

    seed: int = 0
    root: Path | None = None
    _reading: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @lru_cache(maxsize=CACHED_CHAINS)  # noqa: B019 - books are few, and equal ones have equal chains
    def legs(self, view: MarketView, listing: Listing, now: int) -> Sequence[SimulatedLeg]:
        """Return the contracts listed at market time `now` (µs) in the order of a chain; none of a symbol without options.

        A contract is listed until the close of its last session. Takes a second where a day must be read: keep it off the event loop.
        While the clock stands, at the end of the data or where it was stopped, a chain is made once for all its pages.
        """
        calendar = view.calendar(listing)
        if listing.synthetic:
            return tuple(made_up_legs(self.seed, view, listing, now))
        found = self._newest(listing.symbol, calendar.date_of(now))
        if found is None:
            return ()
        day, path = found
        # Read once however many ask for it at the same time.
        with self._reading:
            filed = _cached_day(path, listing.symbol, day)
        ends = {expiry: ends_at(calendar, expiry) for expiry in {each.expiry for each in filed.styles}}
        listed = (filed.leg(each, now) for each in filed.styles if now < ends[each.expiry])
        legs = tuple(sorted((leg for leg in listed if leg is not None), key=leg_order))
        begun = view.sessions_before(listing, now)
        is_over = bool(begun) and calendar.date_of(begun[0].open) > day
        return tuple(replace(leg, day=None) for leg in legs) if is_over else legs

    def has(self, listing: Listing) -> bool:
        """Whether a symbol has options on some day."""
        return listing.synthetic or (self.root is not None and bool(option_days(self.root, listing.symbol)))

    def _newest(self, symbol: str, today: date) -> tuple[date, Path] | None:
        """Return the newest day with files up to a date, and its file of quotes."""
        days = option_days(self.root, symbol) if self.root is not None else {}
        return max((each for each in days.items() if each[0] <= today), default=None)


@lru_cache(maxsize=CACHED_OPTION_DAYS)
def _cached_day(quotes: Path, symbol: str, day: date) -> FiledOptions:
    return read_option_day(quotes, symbol, day)
