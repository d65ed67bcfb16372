"""The vocabulary of simulated option chains: contracts as they stood at a moment, and when they end.

Times are µs since the Unix epoch; prices are US dollars a share; sizes count contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from infra.simulator.market.model import Candle
from schemas.calendar.sessions import Calendar
from schemas.calendar.trading_days import TradingSession
from schemas.intervals import DAY_US, EPOCH
from schemas.symbols.occ import STANDARD_MULTIPLIER, OptionContract, Style, root_terms

LONGEST_CLOSURE_DAYS = 11
CLOSE_OF_NO_SESSION = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLeg:
    """One contract at a moment, on `shares` of them; a side or a fact that there is none of is None.

    `day` are the trades of the session `last_time` lies in, as long as no later session has begun. `open_interest` is the session's before.
    """

    contract: OptionContract
    style: Style = "american"
    shares: int = STANDARD_MULTIPLIER
    bid: float | None = None
    bid_size: int = 0
    ask: float | None = None
    ask_size: int = 0
    quote_time: int | None = None
    last: float | None = None
    last_size: int = 0
    last_time: int | None = None
    day: Candle | None = None
    open_interest: int | None = None

    @property
    def mid(self) -> float | None:
        """Dollars; None where a side is missing."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2


def leg_order(leg: SimulatedLeg) -> tuple[date, str, int, str]:
    """Return what a chain is sorted by: expiry, root, strike, calls before puts."""
    contract = leg.contract
    return contract.expiry, contract.root, contract.strike_mills, contract.right


def days_since_epoch(day: date) -> int:
    """Return a date as whole days since 1970-01-01."""
    return day.toordinal() - EPOCH_ORDINAL


EPOCH_ORDINAL = EPOCH.toordinal()


def last_session(calendar: Calendar, day: date) -> TradingSession | None:
    """Return the last trading day up to a date, that date included; None where there is none in eleven days."""
    for back in range(LONGEST_CLOSURE_DAYS):
        session = calendar.session_on(days_since_epoch(day - timedelta(days=back)) * DAY_US)
        if session is not None:
            return session
    return None


def ends_at(calendar: Calendar, expiry: date, root: str = "") -> int:
    """Return when the contracts of an expiry date end (µs): the close of the last session by then, a half day's too.

    Those of a `root` that settles in the morning end on the open of that session.
    """
    session = last_session(calendar, expiry)
    if session is None:
        return CLOSE_OF_NO_SESSION
    return session.open if root_terms(root).settlement == "am" else session.close
