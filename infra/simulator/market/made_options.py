"""Made-up option chains of synthetic symbols: a pure function of seed, symbol and what its shares had done by a moment.

Weekly and monthly expiries up to two Januaries ahead, strikes around the month's first price, a smile, spreads that widen away from the
money, sides missing far out, trades spread over the session; of some symbols contracts that were adjusted, beside the others. Nothing depends on what comes after the stamp it carries.

The index has two roots, as SPX and SPXW: its monthly contracts settle on an opening, its weekly ones on a close, and on a third Friday there are both.
Contracts that settle on an opening are last traded in the session before (Cboe, SPX product specification), and keep what was quoted then; they stay listed
until the day is over, for vendors list by expiration date, not by hour (Polygon's and Yahoo's answers name nothing finer; not seen in a recording).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple

from infra.simulator.market.black_prices import YEAR_S, black_price
from infra.simulator.market.model import Candle, Listing
from infra.simulator.market.option_legs import SimulatedLeg, ends_at, last_session, leg_order
from infra.simulator.market.random_walk import generator
from infra.simulator.market.synthetic import SYMBOL_PATTERN
from infra.simulator.market.venues import INDEX_SYMBOL
from infra.simulator.market.view import MarketView
from schemas.calendar.sessions import Calendar
from schemas.calendar.trading_days import TradingSession
from schemas.intervals import DAY_US, EPOCH, SECOND_US
from schemas.symbols.occ import ROOT_CHARS, STANDARD_MULTIPLIER, OptionContract, root_terms, spelled

FRIDAY = 4
WEEKLIES = 6
MONTHLIES = 4
STRIKES_ASIDE = {"weekly": 15, "monthly": 12}  # below and above the middle one
STRIKE_SHARE = {"weekly": 0.015, "monthly": 0.03}  # of the price, from one strike to the next
STRIKE_STEPS = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0)
NEAR, FAR, FARTHEST = 0.04, 0.12, 0.22  # distances from the middle, as logarithms
NEAR_STEP_US, FAR_STEP_US, FARTHEST_STEP_US = SECOND_US, 10 * SECOND_US, 60 * SECOND_US
WITHOUT_ASK = 0.2  # of the contracts farthest out
MIN_LEVEL, MAX_LEVEL = 0.18, 0.55
SLOTS = 26  # of a session; the trades of a slot are told at its end
ADJUSTED_SYMBOLS = 0.2  # of all, whose shares seem to have been joined, ten to one
ADJUSTED_SHARES, ADJUSTED_DIGIT, ADJUSTED_STRIKES = 10, "1", 9
LEAST_YEARS = 60.0 / YEAR_S
MAX_LOTS = 60
FINE_TICK, COARSE_TICK, FINE_BELOW = 0.01, 0.05, 3.0
OF_MORNING, OF_CLOSE = "SIMX", "SIMXW"  # roots of the index


class ListedExpiry(NamedTuple):
    """A date on which contracts expire, and by which rules: as one of the next Fridays, as its month's, or as both."""

    day: date
    is_weekly: bool
    is_monthly: bool


def option_root(symbol: str) -> str | None:
    """Return the root of a synthetic share's contracts, its digits told by letters; None where it would be too long, or the index's.

    A digit at the end of a root says that a contract was adjusted, so there is none in it.
    """
    if SYMBOL_PATTERN.fullmatch(symbol) is None:
        return None
    tail = symbol.removeprefix("SIM").lstrip("0")
    root = "SIM" + "".join(chr(ord("A") + int(char)) if char.isdigit() else char for char in tail)
    return root if len(root) <= ROOT_CHARS and root not in (OF_MORNING, OF_CLOSE) else None


def expiry_dates(calendar: Calendar, now: int) -> list[ListedExpiry]:
    """Return the expiry dates listed at `now` (µs) in order; one without a session moves to the last before."""
    today = calendar.date_of(now)
    friday = today + timedelta(days=(FRIDAY - today.weekday()) % 7)
    weekly = {friday + timedelta(weeks=number) for number in range(WEEKLIES)}
    months = [_third_friday(today.year, today.month + number) for number in range(MONTHLIES + 2)]
    ahead = [day for day in months if day >= today][:MONTHLIES]
    januaries = [_third_friday(today.year + number, 1) for number in (1, 2)]
    monthly = {*ahead, *januaries}
    found: dict[date, ListedExpiry] = {}
    for day in sorted(weekly | monthly):
        session = last_session(calendar, day)
        if session is not None and now < session.close:
            expiry = (EPOCH + timedelta(microseconds=session.day)).date()
            before = found.get(expiry, ListedExpiry(expiry, is_weekly=False, is_monthly=False))
            found[expiry] = ListedExpiry(
                expiry,
                is_weekly=before.is_weekly or day in weekly,
                is_monthly=before.is_monthly or day in monthly,
            )
    return list(found.values())


def strikes_around(price: float, *, is_monthly: bool) -> list[float]:
    """Return strikes around a price (dollars), on a grid of round steps, all above 0."""
    kind = "monthly" if is_monthly else "weekly"
    wanted = price * STRIKE_SHARE[kind]
    step = next((each for each in STRIKE_STEPS if each >= wanted), STRIKE_STEPS[-1])
    middle, aside = round(price / step), STRIKES_ASIDE[kind]
    return [number * step for number in range(max(1, middle - aside), middle + aside + 1)]


def made_up_legs(seed: int, view: MarketView, listing: Listing, now: int) -> Sequence[SimulatedLeg]:
    """Return the chain of a synthetic symbol at `now` (µs); none before its first whole month, or of one that has no options."""
    root = OF_CLOSE if listing.symbol == INDEX_SYMBOL else option_root(listing.symbol)
    sessions = view.sessions_before(listing, now)
    if root is None or not sessions:
        return ()
    chain = _MadeUpChain(seed=seed, view=view, listing=listing, now=now, root=root, sessions=sessions)
    return sorted(chain.legs(), key=leg_order)


def volatility_level(seed: int, symbol: str) -> float:
    """Return a symbol's volatility at the money, a year's, of contracts that have long to live."""
    return generator(seed, symbol, "level", 0).uniform(MIN_LEVEL, MAX_LEVEL)


def smile_vol(level: float, spot: float, strike: float, years: float) -> float:
    """Return the volatility a contract is quoted by: higher for short lives and low strikes, and bent; `years` are above 0."""
    level *= 1.0 + 0.15 * math.exp(-8.0 * years)
    away = math.log(strike / spot) / (level * math.sqrt(years))
    away = max(-4.0, min(4.0, away))
    return level * (1.0 - 0.06 * away + 0.015 * away * away)


@dataclass(kw_only=True)
class _MadeUpChain:
    """A chain in the making; `sessions` are the begun ones, newest first."""

    seed: int
    view: MarketView
    listing: Listing
    now: int
    root: str
    sessions: Sequence[TradingSession]
    spots: dict[int, float | None] = field(default_factory=dict)

    @cached_property
    def calendar(self) -> Calendar:
        return self.view.calendar(self.listing)

    @cached_property
    def level(self) -> float:
        """Volatility at the money, a year's."""
        return volatility_level(self.seed, self.listing.symbol)

    @cached_property
    def middle(self) -> float | None:
        """The last price before the month: strikes stay where they are until the next."""
        return self.spot(self.calendar.day_start(self.calendar.date_of(self.now).replace(day=1)))

    @cached_property
    def adjusted_root(self) -> str | None:
        """Root of contracts from before the shares were joined; None of most symbols."""
        is_adjusted = generator(self.seed, self.listing.symbol, "joined", 0).random() < ADJUSTED_SYMBOLS
        return self.root + ADJUSTED_DIGIT if is_adjusted and len(self.root) < ROOT_CHARS else None

    def contracts(self, middle: float) -> Iterator[OptionContract]:
        """Yield what is listed at the strikes around a price."""
        listed = self.of_index if self.listing.symbol == INDEX_SYMBOL else self.of_shares
        for expiry in expiry_dates(self.calendar, self.now):
            for root, strike in listed(expiry, middle):
                yield OptionContract(root, expiry.day, "C", round(strike * 1_000))
                yield OptionContract(root, expiry.day, "P", round(strike * 1_000))

    def of_shares(self, expiry: ListedExpiry, middle: float) -> Iterable[tuple[str, float]]:
        """Yield root and strike; of an expiry that has contracts of both roots those of the old one have few strikes."""
        yield from ((self.root, strike) for strike in strikes_around(middle, is_monthly=expiry.is_monthly))
        if expiry.is_monthly and self.adjusted_root is not None:
            old = strikes_around(middle * ADJUSTED_SHARES / STANDARD_MULTIPLIER, is_monthly=True)
            yield from ((self.adjusted_root, strike) for strike in old[:ADJUSTED_STRIKES])

    def of_index(self, expiry: ListedExpiry, middle: float) -> Iterable[tuple[str, float]]:
        """Yield root and strike: a month's settle on an opening, a week's on a close, and a third Friday may be both."""
        if expiry.is_monthly:
            yield from ((OF_MORNING, strike) for strike in strikes_around(middle, is_monthly=True))
        if expiry.is_weekly:
            yield from ((OF_CLOSE, strike) for strike in strikes_around(middle, is_monthly=False))

    def legs(self) -> Iterator[SimulatedLeg]:
        if self.middle is not None:
            for contract in self.contracts(self.middle):
                yield self.leg(contract, self.middle, ends_at(self.calendar, contract.expiry, contract.root))

    def shares(self, contract: OptionContract) -> int:
        return ADJUSTED_SHARES if contract.root == self.adjusted_root else STANDARD_MULTIPLIER

    def traded(self, ends: int) -> list[TradingSession]:
        """Return the begun sessions in which a contract could be traded, newest first: of one that ends on an open, none from there on."""
        return [session for session in self.sessions if session.close <= ends]

    def leg(self, contract: OptionContract, middle: float, ends: int) -> SimulatedLeg:
        name, shares = spelled(contract), self.shares(contract)
        away = abs(math.log(contract.strike / (middle * shares / STANDARD_MULTIPLIER)))
        until = min(self.now, self.traded(ends)[0].close)
        step = NEAR_STEP_US if away < NEAR else FAR_STEP_US if away < FAR else FARTHEST_STEP_US
        stamp = until - until % step
        mid = self.worth(contract, ends, stamp)
        half = max(FINE_TICK, 0.01 * mid) * (1.0 + 8.0 * away)
        bid, ask = _down(mid - half), _up(mid + half)
        draw = generator(self.seed, name, "book", stamp // step)
        asked = away < FARTHEST or generator(self.seed, name, "sides", 0).random() >= WITHOUT_ASK
        held = self.held(name, away)
        last, size, time, day = self.trades(contract, name, ends, held)
        return SimulatedLeg(
            contract=contract,
            style=root_terms(contract.root).style,
            shares=shares,
            bid=bid if bid >= FINE_TICK else None,
            bid_size=draw.randint(1, MAX_LOTS) if bid >= FINE_TICK else 0,
            ask=ask if asked else None,
            ask_size=draw.randint(1, MAX_LOTS) if asked else 0,
            quote_time=stamp,
            last=last,
            last_size=size,
            last_time=time,
            day=day,
            open_interest=self.interest(name, held),
        )

    def worth(self, contract: OptionContract, ends: int, moment: int) -> float:
        """Return what a contract is worth at a moment (µs), by the smile; where it may be exercised, never less than that would give."""
        whole = self.spot(moment) or self.middle or contract.strike
        spot = whole * self.shares(contract) / STANDARD_MULTIPLIER
        years, is_call = max((ends - moment) / SECOND_US / YEAR_S, LEAST_YEARS), contract.right == "C"
        vol = smile_vol(self.level, spot, contract.strike, years)
        held = black_price(spot, contract.strike, years, vol, is_call=is_call)
        if root_terms(contract.root).style == "european":
            return held
        return max(spot - contract.strike if is_call else contract.strike - spot, 0.0, held)

    def interest(self, name: str, held: float) -> int:
        """Return the contracts open at the end of the session before the newest."""
        day = self.sessions[0].day // DAY_US
        return int(held * generator(self.seed, name, "interest", day).uniform(0.9, 1.1))

    def held(self, name: str, away: float) -> float:
        """Return about how many are open of a contract."""
        scale = math.exp(generator(self.seed, name, "held", 0).uniform(1.0, 9.0))
        return scale * math.exp(-8.0 * away)

    def trades(
        self, contract: OptionContract, name: str, ends: int, held: float
    ) -> tuple[float | None, int, int | None, Candle | None]:
        """Return price, size and time of the last trade, and the day's trades; those of the session before have no day."""
        for session in self.traded(ends)[:2]:
            length = session.close - session.open
            wanted = generator(self.seed, name, "volume", session.day // DAY_US).uniform(-0.1, 0.4)
            total = int(held * max(0.0, wanted))
            done = min(SLOTS, (min(self.now, session.close) - session.open) * SLOTS // length)
            traded = total * done // SLOTS
            if traded:
                first, last = -(-SLOTS // total), -(-traded * SLOTS // total)
                opened_at, closed_at = (session.open + slot * length // SLOTS for slot in (first, last))
                opened, closed = (_traded(self.worth(contract, ends, at)) for at in (opened_at, closed_at))
                size = traded - total * (last - 1) // SLOTS
                return (
                    closed,
                    size,
                    closed_at,
                    _day(opened_at, opened, closed, traded) if session == self.sessions[0] else None,
                )
        return None, 0, None, None

    def spot(self, moment: int) -> float | None:
        """Return the price of the shares at a moment (µs), None before their first trade."""
        if moment not in self.spots:
            summary = self.view.summary(self.listing, moment)
            self.spots[moment] = None if summary is None else summary.span.close
        return self.spots[moment]


def _third_friday(year: int, month: int) -> date:
    """Return the third Friday of a month; a month past December counts on into the next year."""
    first = date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
    return first + timedelta(days=(FRIDAY - first.weekday()) % 7 + 14)


def _day(time: int, opened: float, closed: float, volume: int) -> Candle:
    low, high = min(opened, closed), max(opened, closed)
    return Candle(time=time, open=opened, high=high, low=low, close=closed, volume=volume)


def _tick(price: float) -> float:
    return FINE_TICK if price < FINE_BELOW else COARSE_TICK


def _down(price: float) -> float:
    return round(max(0.0, math.floor(price / _tick(price) + 1e-9) * _tick(price)), 2)


def _up(price: float) -> float:
    return round(math.ceil(price / _tick(price) - 1e-9) * _tick(price), 2)


def _traded(price: float) -> float:
    return max(FINE_TICK, round(price, 2))
