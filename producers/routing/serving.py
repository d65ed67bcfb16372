"""One capability: health of its providers, the choice among them, and the routes of single symbols; pure.

`now` is market time (µs), `now_s` monotonic seconds. Freshness and validity are judged symbol by symbol, each by its own
calendar, and counted as shares: coins in the universe do not condemn the providers of stocks in the evening.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from producers.routing import score as health_score
from producers.routing.choice import NEVER, Candidate, Choice, Rules, choose
from producers.routing.evidence import AnswerEvidence, Witness, is_judged
from producers.routing.score import CapabilityHealth, Sample, latency_sample
from producers.routing.shares import Marks, RecentShares
from producers.routing.streams import Lack, StreamRoutes
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.errors import MarketDataError, ProviderRefused, ProviderThrottled, UnknownSymbol
from schemas.intervals import SECOND_US

PROBED_SYMBOLS = 3  # the same few, so that what providers say of them can be compared
SUSPECTS_FIRST_S = 300.0  # for so long after one was probed nothing else is
RECENT_S = 60.0  # or two tolerances, where those are longer
MAX_ERROR_CHARACTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Permission of a poll: which symbols to ask for and publish, and which only to see how they are answered.

    What is `anew` was given by nobody: it is asked for whatever was done in its slot.
    """

    serve: Sequence[str] = ()
    probe: Sequence[str] = ()
    anew: Sequence[str] = ()


class ShownMarket(NamedTuple):
    """The newest value of a market that a provider has shown, and how late it declared its feed of it to be."""

    newest: EventTime
    delay_us: int


@dataclass(slots=True)
class RoutedProvider:
    """One provider in one capability."""

    health: CapabilityHealth
    last_error: str = ""
    shares: RecentShares = field(default_factory=RecentShares)
    probed_s: float = NEVER
    suspect_probed_s: float = NEVER
    probed: frozenset[str] = frozenset()
    markets: dict[str, ShownMarket] = field(default_factory=dict)


class Serving:
    """One capability, its providers in order of preference."""

    def __init__(self) -> None:
        """Know no provider until `plan`."""
        self.entries: dict[str, RoutedProvider] = {}
        self.choice: Choice | None = None
        self.streams = StreamRoutes()
        self._witness = Witness()
        self._recent_s = RECENT_S

    def plan(
        self,
        named: Mapping[str, Collection[str]],
        calendars: Mapping[str, Calendar],
        rules: Rules,
        *,
        half_life_s: float,
        deadline_s: float,
        now_s: float,
    ) -> None:
        """Serve these symbols, by provider, from now on; what is known of a provider's health stays known."""
        self._calendars, self._rules = calendars, rules
        self._half_life_s, self._deadline_s = half_life_s, deadline_s
        self.entries = {
            provider: self.entries.get(provider) or RoutedProvider(health_score.unknown(now_s, half_life_s))
            for provider in named
        }
        for provider, symbols in named.items():
            self.entries[provider].probed = frozenset(list(symbols)[:PROBED_SYMBOLS])
        self.streams.plan(named, rules.proof_s)
        self._witness.keep(self.streams.symbols)

    def decide(self, breaker_of: Callable[[str], str], now_s: float) -> bool:
        """Choose who serves; return whether anything is to be told."""
        before = self.choice
        self.choice = choose(before, list(self.candidates(breaker_of, now_s)), self._rules, now_s)
        if before is not None and self.choice.provider != before.provider:
            self.streams.forgive(self.choice.provider)
            if before.provider in self.entries:
                left = self.entries[before.provider]
                left.shares.clear()  # what follows is judged by itself
                left.suspect_probed_s = now_s
        return self.choice is not before

    def candidates(self, breaker_of: Callable[[str], str], now_s: float) -> Iterator[Candidate]:
        """Yield the providers as they are now."""
        for provider, entry in self.entries.items():
            breaker, since_s = breaker_of(provider), entry.health.sound_since_s
            yield Candidate(
                provider=provider,
                score=health_score.score(entry.health, breaker),
                breaker=breaker,
                sound_s=None if since_s is None else now_s - since_s,
            )

    @property
    def chosen(self) -> str:
        """The provider that serves what has no route of its own."""
        assert self.choice is not None  # noqa: S101 - decided when it was planned
        return self.choice.provider

    @property
    def disputed(self) -> Collection[str]:
        """Symbols whose prices two providers have on two levels, so that one of them is wrong and nothing tells which."""
        return self._witness.disputed

    def provider_of(self, symbol: str) -> str:
        """Return who is asked for a symbol."""
        return self.streams.route(symbol, self.chosen) or self.chosen

    def routes(self) -> Mapping[str, str]:
        """Return who is asked for each symbol; nobody before the first choice."""
        return {} if self.choice is None else self._routed(self.streams.symbols)

    def moved(self, before: Mapping[str, str]) -> Sequence[str]:
        """Return the symbols that are asked of another than `before`, of those that are still routed."""
        return [
            symbol
            for symbol, provider in before.items()
            if symbol in self.streams.symbols and self.provider_of(symbol) != provider
        ]

    def turn(self, provider: str, symbols: Sequence[str], probe_every_s: float, now_s: float) -> Turn:
        """Return what a poll of some symbols may ask `provider` for; what is granted is used."""
        serve, probe, anew = list[str](), list[str](), list[str]()
        for symbol in symbols:
            if self.provider_of(symbol) == provider:
                serve.append(symbol)
            elif self.streams.retries(provider, symbol, self.chosen, now_s):
                (anew if symbol in self.streams.unserved else probe).append(symbol)
        if self.chosen != provider and self._may_probe(provider, symbols, probe_every_s, now_s):
            given = {*serve, *anew}
            probe = [symbol for symbol in symbols if symbol not in given]
        return Turn(serve=(*serve, *anew), probe=tuple(probe), anew=tuple(anew))

    def answered(
        self, provider: str, evidence: AnswerEvidence, now: MarketTime, now_s: float, *, paced: bool
    ) -> Sequence[str]:
        """Take what an answer says; return the symbols whose route it changed."""
        entry = self.entries[provider]
        # A bar that is forming ends ahead, and so does what a clock ahead stamps: nobody else is late for that.
        shown = {symbol: min(end, EventTime(now)) for symbol, end in evidence.newest.items()}
        evidence = replace(evidence, newest=shown)
        self._recent_s = max(RECENT_S, 2 * evidence.tolerance_us / SECOND_US)
        before = self._routed(evidence.asked)
        sound = True
        for symbol, end in evidence.newest.items():
            if (calendar := self._calendars.get(symbol)) is not None:
                known = entry.markets.get(calendar.name, ShownMarket(end, 0))
                late_us = evidence.delays_us.get(symbol, 0)
                entry.markets[calendar.name] = ShownMarket(max(end, known.newest), late_us)
        for symbol in evidence.asked:
            marks, fault = self._judged(provider, symbol, evidence, now, paced=paced)
            newest = evidence.newest.get(symbol)
            self.streams.asked(provider, symbol, now)
            if fault is None:
                self.streams.good(provider, symbol, newest, now_s)
            else:
                behind_us = evidence.tolerance_us if marks.get("fresh") else 0
                self.streams.bad(provider, symbol, fault, newest, now_s, behind_us=behind_us)
            if False in marks.values():
                alone = self.streams.is_alone(provider, symbol)
                sound = sound and alone
                marks = {"success": True} if alone else marks
            entry.shares.note(symbol, marks, now_s, self._recent_s)
            for other in self.streams.behind(symbol, newest, now, evidence.tolerance_us):
                self.entries[other].shares.amend(symbol, "fresh", mark=False)
        sample = self._sample(entry, latency_sample(evidence.latency_s, self._deadline_s), sound=sound)
        entry.health = health_score.answered(entry.health, sample, now_s, self._half_life_s)
        return self.moved(before)

    def failed(
        self, provider: str, symbols: Sequence[str], error: MarketDataError, now_s: float
    ) -> Sequence[str]:
        """Take a failure; return the symbols whose route it changed.

        A symbol unknown there says nothing of the provider, nor does one that nobody else gives while others come.
        """
        entry, before = self.entries[provider], self._routed(symbols)
        fault = _fault_of(error, symbols)
        for symbol in symbols if fault is not None else ():
            self.streams.bad(provider, symbol, fault, None, now_s)  # type: ignore[arg-type]  # not None
        if fault is not Lack.NOT_OFFERED:
            entry.last_error = str(error)[:MAX_ERROR_CHARACTERS]
            told = [symbol for symbol in symbols if not self._is_alone_in_failing(entry, provider, symbol)]
            for symbol in told:
                entry.shares.note(symbol, {"success": False}, now_s, self._recent_s)
            if told or not symbols:
                success = entry.shares.share("success") or 0.0
                entry.health = health_score.failed(entry.health, success, now_s, self._half_life_s)
        return self.moved(before)

    def _is_alone_in_failing(self, entry: RoutedProvider, provider: str, symbol: str) -> bool:
        return bool(entry.shares.share("success")) and self.streams.is_alone(provider, symbol)

    def _judged(
        self, provider: str, symbol: str, evidence: AnswerEvidence, now: MarketTime, *, paced: bool
    ) -> tuple[Marks, Lack | None]:
        """Return what an answer says of one symbol, and what is wrong with it."""
        if symbol in evidence.absent:
            # One it never had is unknown there, which is no lie as long as it has any other.
            had = not self.entries[provider].markets or self.streams.newest(provider, symbol) is not None
            return {"success": True, "honest": False if had and evidence.is_present else None}, Lack.NOTHING
        if symbol in evidence.lies:
            return {"success": True, "honest": False}, Lack.WRONG
        price, fresh, fault = evidence.prices.get(symbol), None, None
        confirmed = None if price is None else self._witness.confirms(provider, symbol, price, now)
        # Without a pace all of the data is now: nothing is ever late.
        calendar = self._calendars.get(symbol)
        if paced and evidence.is_present and calendar is not None:
            fresh, fault = self._age(provider, symbol, evidence, calendar, now)
        honest = None if price is None else True
        if confirmed is False:
            fault = Lack.WRONG
        return {"success": True, "fresh": fresh, "honest": honest, "confirmed": confirmed}, fault

    def _age(
        self, provider: str, symbol: str, evidence: AnswerEvidence, calendar: Calendar, now: MarketTime
    ) -> tuple[bool | None, Lack | None]:
        """Return whether the newest value of a symbol is fresh, None where that cannot be told: it may be quiet.

        What is no later than its feed declares is fresh while no other has newer, which is found out.
        """
        tolerance_us = evidence.tolerance_us
        if not is_judged(calendar, now, tolerance_us):
            return None, None
        shown = [evidence.newest.get(symbol), self.streams.newest(provider, symbol)]
        newest = max((each for each in shown if each is not None), default=None)
        if newest is not None and now - newest <= tolerance_us:
            return True, None
        others = self.streams.newest_of_others(provider, symbol)
        if others is not None and others - (newest or 0) > tolerance_us:
            return False, Lack.STALE
        market = self.entries[provider].markets.get(calendar.name)
        delay_us = evidence.delays_us.get(symbol, 0 if market is None else market.delay_us)
        expected = MarketTime(now - delay_us - tolerance_us)
        if newest is not None and newest >= expected and delay_us:
            return True, Lack.STALE
        is_quiet = market is not None and market.newest >= expected
        return None if is_quiet or not calendar.is_open(expected) else False, Lack.STALE

    def _sample(self, entry: RoutedProvider, latency: float, *, sound: bool) -> Sample:
        success, honest = entry.shares.share("success"), entry.shares.share("honest")
        confirmed = entry.shares.share("confirmed")
        valid = [share for share in (honest, confirmed) if share is not None]
        return Sample(
            success=1.0 if success is None else success,
            latency=latency,
            freshness=entry.shares.share("fresh"),
            validity=min(valid, default=None),
            sound=sound,
        )

    def _may_probe(self, provider: str, symbols: Sequence[str], every_s: float, now_s: float) -> bool:
        entry = self.entries[provider]
        if now_s - entry.probed_s < every_s:
            return False
        suspects = self.streams.suspects(provider)
        if any(symbol in suspects for symbol in symbols):
            entry.suspect_probed_s = now_s
        elif (suspects and now_s - entry.suspect_probed_s < max(SUSPECTS_FIRST_S, every_s)) or not any(
            symbol in entry.probed for symbol in symbols
        ):
            return False
        entry.probed_s = now_s
        return True

    def _routed(self, symbols: Iterable[str]) -> Mapping[str, str]:
        return {symbol: self.provider_of(symbol) for symbol in symbols}


def _fault_of(error: MarketDataError, symbols: Sequence[str]) -> Lack | None:
    """Return what a failure says of each of its symbols; None where it is about the provider as a whole."""
    if isinstance(error, ProviderThrottled):
        return None
    if isinstance(error, UnknownSymbol) and len(symbols) <= 1:
        return Lack.NOT_OFFERED
    return Lack.REFUSED if isinstance(error, ProviderRefused) else Lack.FAILING
