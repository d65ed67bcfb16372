"""Decides which faults strike: counters and a seeded draw, the same for the same scenario, seed and requests."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist
from zoneinfo import ZoneInfo

from infra.simulator.faults.habits import Delayed, FrozenSymbols, Latency, SocketHabit, SymbolHabit
from infra.simulator.faults.limits import LimitCounts
from infra.simulator.faults.scenario import (
    BarFault,
    ConnectionFault,
    CorrectBars,
    Fault,
    FrameFault,
    LateBars,
    NullBars,
    Rule,
    Scenario,
    When,
)
from infra.simulator.faults.values import MAX_WAIT_S
from infra.simulator.market.model import Candle
from schemas.intervals import MINUTE_US, SECOND_US

Row = tuple[int, Candle | None]
"""A minute's START in µs and its bar; None is a null row."""

PRICE_DECIMALS = 4
NORMAL = NormalDist()
MIN_QUANTILE = 1e-6  # the ends of the distribution are at infinity


class FaultPlan:
    """A scenario in force: remembers how often each rule was looked at and how often it struck."""

    def __init__(self, scenario: Scenario, *, seed: int, begun: int) -> None:
        """Count offsets of `from` and `to` from market time `begun` (µs)."""
        self.scenario = scenario
        self.limits = LimitCounts()
        self._seed = seed
        self._begun = begun
        self._effects = [self._begun_at(rule) for rule in scenario.rules]
        self._seen = [0] * len(scenario.rules)
        self._struck = [0] * len(scenario.rules)

    def request_faults(
        self, vendor: str, endpoint: str, symbols: Collection[str], now: int
    ) -> tuple[Fault, ...]:
        """Return the faults that strike this request (for a socket: its handshake) at market time `now`; counts it."""
        return tuple(
            self._effects[number]
            for number, rule in enumerate(self.scenario.rules)
            if not isinstance(rule.fault, FrameFault | ConnectionFault | SocketHabit)
            and _matches(rule, vendor, endpoint, symbols)
            and self._in_window(rule.when, now)
            and self._strikes(number, rule.when)
        )

    def connection_faults(self, vendor: str, endpoint: str) -> tuple[tuple[ConnectionFault, When], ...]:
        """Return the faults this socket is under, each while `is_active` says so; counts the socket."""
        return tuple(
            (rule.fault, rule.when)
            for number, rule in enumerate(self.scenario.rules)
            if isinstance(rule.fault, ConnectionFault)
            and _matches(rule, vendor, endpoint, ())
            and self._strikes(number, rule.when)
        )

    def frame_faults(
        self, vendor: str, endpoint: str, symbols: Collection[str], now: int
    ) -> tuple[FrameFault, ...]:
        """Return the faults that strike this socket frame at market time `now`; counts it."""
        return tuple(
            rule.fault
            for number, rule in enumerate(self.scenario.rules)
            if isinstance(rule.fault, FrameFault)
            and _matches(rule, vendor, endpoint, symbols)
            and self._in_window(rule.when, now)
            and self._strikes(number, rule.when)
        )

    def is_active(self, when: When, now: int) -> bool:
        """Whether market time `now` lies between the `from` and `to` of a rule."""
        return self._in_window(when, now)

    def socket_habits(self, vendor: str, endpoint: str, now: int) -> tuple[Fault, ...]:
        """Return the habits that shape a socket at market time `now`: its frames and symbols, how late, how many there may be.

        They last: of `when`, only `from` and `to` hold.
        """
        return tuple(
            self._effects[number]
            for number, rule in enumerate(self.scenario.rules)
            if isinstance(rule.fault, SocketHabit | SymbolHabit | Delayed)
            and _matches(rule, vendor, endpoint, ())
            and self._in_window(rule.when, now)
        )

    @property
    def has_frame_faults(self) -> bool:
        """Whether any rule looks at frames: without one, a frame costs nothing here."""
        return any(isinstance(rule.fault, FrameFault) for rule in self.scenario.rules)

    def draw(self, *words: object) -> float:
        """Return a number in [0, 1) that depends on the seed and `words` alone."""
        text = "/".join(str(word) for word in (self._seed, *words))
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64

    def latency_s(self, number: int, latency: Latency) -> float:
        """Return how long the answer to the `number`-th request takes."""
        share = min(max(self.draw("latency", number), MIN_QUANTILE), 1.0 - MIN_QUANTILE)
        spread = math.log(latency.p99_s / latency.p50_s) / NORMAL.inv_cdf(0.99)
        return min(latency.p50_s * math.exp(spread * NORMAL.inv_cdf(share)), MAX_WAIT_S)

    def _begun_at(self, rule: Rule) -> Fault:
        """Return the fault of a rule; where prices freeze, with the market time since when."""
        fault = rule.fault
        if not isinstance(fault, FrozenSymbols):
            return fault
        begun = self._moment(rule.when.from_, self._begun)
        return fault.model_copy(update={"since": self._moment(fault.since, begun)})

    def _in_window(self, when: When, now: int) -> bool:
        return self._moment(when.from_, now) <= now < self._moment(when.to, now + 1)

    def _strikes(self, number: int, when: When) -> bool:
        """Count one occasion of a rule and return whether it strikes."""
        self._seen[number] += 1
        count = self._seen[number] - when.after_requests
        if count < 1 or count % when.every or self._struck[number] == when.limit:
            return False
        if when.probability < 1.0 and self.draw("rule", number, self._seen[number]) >= when.probability:
            return False
        self._struck[number] += 1
        return True

    def _moment(self, moment: int | float | None, default: int) -> int:
        if moment is None:
            return default
        return moment if isinstance(moment, int) else self._begun + int(moment * SECOND_US)


def _matches(rule: Rule, vendor: str, endpoint: str, symbols: Collection[str]) -> bool:
    wanted = rule.match
    return (
        wanted.vendor in (None, vendor)
        and wanted.endpoint in (None, endpoint)
        and (wanted.symbol is None or wanted.symbol in symbols)
    )


def apply_bar_faults(rows: Sequence[Row], faults: Iterable[Fault], *, now: int, zone: str) -> list[Row]:
    """Return minute rows as the faults leave them; `zone` is where their HH:MM are read."""
    kept = list(rows)
    for fault in faults:
        if isinstance(fault, LateBars):
            hidden_from = now - MINUTE_US - int(fault.by_s * SECOND_US)
            kept = [row for row in kept if row[0] <= hidden_from]
        elif isinstance(fault, CorrectBars):
            kept = [_corrected(row, fault, now=now, zone=zone) for row in kept]
        elif isinstance(fault, NullBars):
            kept = [(time, None) if _is_null(time, fault, zone) else (time, bar) for time, bar in kept]
    return kept


def null_minutes(faults: Iterable[Fault], start: int, end: int, zone: str) -> list[int]:
    """Return the minutes of [start, end) that the faults name, whether or not they have a row."""
    named = {minute for fault in faults if isinstance(fault, NullBars) for minute in fault.minutes}
    if not named:
        return []
    first = start + -start % MINUTE_US
    return [time for time in range(first, end, MINUTE_US) if _clock_time(time, zone) in named]


def changes_bars(faults: Iterable[Fault]) -> bool:
    """Whether any of the faults concerns bars."""
    return any(isinstance(fault, BarFault) for fault in faults)


def _corrected(row: Row, fault: CorrectBars, *, now: int, zone: str) -> Row:
    time, bar = row
    due = time + MINUTE_US + int(fault.after_s * SECOND_US)
    if bar is None or now < due or _clock_time(time, zone) != fault.minute:
        return row
    close = round(bar.close + fault.close_delta, PRICE_DECIMALS)
    corrected = Candle(
        time=bar.time,
        open=bar.open,
        high=max(bar.high, close),
        low=min(bar.low, close),
        close=close,
        volume=bar.volume,
    )
    return time, corrected


def _is_null(time: int, fault: NullBars, zone: str) -> bool:
    if fault.every is not None and time // MINUTE_US % fault.every == 0:
        return True
    return bool(fault.minutes) and _clock_time(time, zone) in fault.minutes


def _clock_time(time: int, zone: str) -> str:
    return datetime.fromtimestamp(time // SECOND_US, _zone(zone)).strftime("%H:%M")


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
