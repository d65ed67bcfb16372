"""Facts of a vendor: one pure object that validation, producers, gateway, simulator and documents read.

A vendor we ship has its object in a module of its own beside this one; a plug-in brings its own in its `Provider`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from schemas.errors import InvalidRecord, UnknownSymbol
from schemas.macro_keys import GRAMMAR, is_series_key
from schemas.providers.capabilities import Capabilities
from schemas.providers.spelling import AS_WE_DO, Spelling, classified, shown
from schemas.streams import AdjustmentState
from schemas.symbols.instruments import Instrument, classify
from schemas.symbols.names import is_provider_name

BAN_S = 900.0  # blocks last from minutes to more than a quarter of an hour
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
HTTP_SCHEMES, SOCKET_SCHEMES = ("https://", "http://"), ("wss://", "ws://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests that may start in any second, minute and day, and be under way at once; None: the vendor sets none."""

    per_second: int | None = None
    per_minute: int | None = None
    per_day: int | None = None
    concurrency: int | None = None

    @property
    def unlimited(self) -> bool:
        """Whether nothing is limited."""
        return self == UNLIMITED  # asked several times a request, so not by walking the fields

    def over(self, other: Limits) -> Limits:
        """Return these limits, and where one of them is not set, the other's."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return Limits(**{n: getattr(other, n) if value is None else value for n, value in own.items()})


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingPlan:
    """Limits that a vendor publishes for one of its plans, where they stand and the day (ISO) they were read there."""

    name: str
    limits: Limits
    source: str
    read: str
    says: str = ""  # in words, where the numbers do not say all


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalWords:
    """Phrases by which a vendor says no, in lower case, by what they mean; each stands in a status text or a body."""

    throttled: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    unentitled: tuple[str, ...] = ()
    unknown_symbol: tuple[str, ...] = ()
    too_many_symbols: tuple[str, ...] = ()  # said by a socket of what it does not send
    no_key: tuple[str, ...] = ()  # an answer to a request without a key, whatever its status says
    banned_statuses: tuple[int, ...] = ()
    ban_s: float = BAN_S  # how long a ban in words lasts

    def __add__(self, more: RefusalWords) -> RefusalWords:
        """Return the phrases of both; the ban of the second."""
        names = [each.name for each in fields(self) if each.name != "ban_s"]
        both = {name: (*getattr(self, name), *getattr(more, name)) for name in names}
        return RefusalWords(**both, ban_s=more.ban_s)


# Whoever answers, a server's edge included: each vendor's own phrases come on top of these.
ANY_VENDOR = RefusalWords(
    throttled=("too many requests", "exceeded rate limit"),
    banned=("edge: ", "has been banned", "has been blocked"),
    unentitled=("not entitled", "upgrade your plan"),
    unknown_symbol=("invalid symbol", "symbol not found", "unknown symbol"),
    # Finnhub, beyond 50 symbols of a free key: "Subscribing to too many symbols", as users of it log it; Alpaca's code
    # 405 of its real-time stream (docs.alpaca.markets): "symbol limit exceeded".
    too_many_symbols=("too many symbols", "symbol limit exceeded"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustments:
    """Corporate actions that a vendor has worked into the prices of its bars."""

    intraday: AdjustmentState = "raw"
    daily: AdjustmentState = "raw"

    def of(self, interval: str) -> AdjustmentState:
        """Return the adjustment of bars of an interval."""
        return self.daily if interval == "1d" else self.intraday


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """Seconds of market time in which a vendor still changes a bar that is over: late prints, the closing auction."""

    bars_s: int = 0  # within the day
    days_s: int = 1_800  # after the close: auctions, and prints that are reported after them
    day_has_post: bool = False  # its days take the post-market in


NOTHING_LATE = Settling()  # of bars within the day


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Sentences for the documents: what a vendor's values mean, and what to know before asking it."""

    bars: str = ""  # beside the intervals
    quotes: str = ""
    actions: str = ""
    options: str = ""  # greeks, stamps, open interest and delay of its option chains
    symbols: str = "yes"  # which instruments its list holds
    vwap: str = ""
    bid_and_ask: str = ""
    sizes: str = ""
    quiet_minute: str = "absent"  # a minute without a trade
    delay: str = "none is said"  # how late it is, and which field says so
    coverage: str = ""  # whose trades its feeds hold; as what follows, with the place where it was read
    settling: str = ""  # what is added to a bar, or a day, that is over
    conditions: str = ""  # where those of `unpriced` are from
    terms: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorHabit:
    """Something a vendor does that its format alone does not tell, and where it was seen."""

    says: str
    source: str
    rule: str = ""  # that plays it on the simulator
    handled: str = ""  # what becomes of it here, empty where nothing does yet


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """Everything that is known of a vendor without asking it."""

    name: str  # in the configuration, in records and in metrics
    title: str  # in documents
    capabilities: Capabilities
    base_url: str
    socket_url: str = ""
    credentials: tuple[str, ...] = ()  # environment variables; each may also be a file: <variable>_FILE
    # Of the query, where the vendor takes its key nowhere else; others' keys travel in headers.
    key_parameter: str = ""
    without_key: str = ""  # what it gives without its credentials; empty where that is nothing
    endpoints: tuple[str, ...] = ()  # our names for them, in limits and metrics
    plans: tuple[PricingPlan, ...] = ()  # the first is taken to be yours until limits are configured
    every_plan: Limits = Limits()  # what holds on each of them
    ours: Limits = Limits()  # our own restraint, where the vendor publishes nothing
    endpoint_limits: Mapping[str, Limits] = field(default_factory=dict)
    feeds: tuple[str, ...] = ()  # of one coverage; the first is asked for, the next where the plan lacks it
    delay_s: int = 0  # at most, of an answer that says it is delayed, or only how far it has come
    settling: Settling = NOTHING_LATE
    unpriced: frozenset[str] = frozenset()  # conditions by which a trade is none at the price of its moment
    # By stream (bars, quotes, actions, options), where all that it asks is known: its endpoint, and those asked for that one's sake.
    # Of a stream that is left out every endpoint of the provider may be meant.
    serving: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    adjustments: Adjustments = Adjustments()
    spelling: Spelling = AS_WE_DO
    refusals: RefusalWords = RefusalWords()
    samples: tuple[str, ...] = (
        "SPY",
    )  # symbols it has, for the contract suite; none of who has no securities
    series_samples: tuple[str, ...] = ()  # ... and keys of macro series
    habits: tuple[VendorHabit, ...] = ()
    on_simulator: bool = False  # the simulator speaks its format, under its name
    notes: Notes = Notes()

    @property
    def limits(self) -> Limits:
        """Limits in force until others are configured: every plan's, the first plan's, ours."""
        plan = self.plans[0].limits if self.plans else Limits()
        return self.every_plan.over(plan).over(self.ours)

    @property
    def helpers(self) -> Mapping[str, str]:
        """Endpoints that are asked for another's sake, with that one."""
        return {helper: first for first, *helpers in self.serving.values() for helper in helpers}

    @property
    def words(self) -> RefusalWords:
        """All phrases by which it may refuse."""
        return ANY_VENDOR + self.refusals

    @property
    def keys(self) -> str:
        """Variables of its credentials for a message, empty where it needs none."""
        return " and ".join(self.credentials)

    @property
    def quotes_per_s(self) -> float | None:
        """Quotes it answers a second at most, on whatever plan; None where no such limit is known."""
        per_s = self.every_plan.per_second
        return None if per_s is None else float(per_s * self.capabilities.quotes_per_request)

    def is_priced(self, conditions: str) -> bool:
        """Whether a trade under these conditions, comma separated, was made at the price of its moment."""
        return not conditions or self.unpriced.isdisjoint(conditions.split(","))

    def vendor_symbol(self, symbol: str) -> str:
        """Return what the vendor calls a canonical symbol.

        Raises UnknownSymbol for what is no canonical symbol, and for what the vendor does not carry.
        """
        return self.vendor_name(classified(symbol))

    def vendor_name(self, instrument: Instrument) -> str:
        """Return what the vendor calls an instrument; raise UnknownSymbol for what it does not carry."""
        name = self.spelling.name(instrument)
        if name is None:
            told = f"{self.name} has no name for {instrument.symbol} ({instrument.asset_class})"
            proven = " that is proven" if "-" in instrument.symbol and not instrument.base else ""
            raise UnknownSymbol(f"{told}{proven}; collect it from another provider")
        return name

    def symbol_of(self, name: str) -> str:
        """Return the canonical symbol of a vendor's name; raise InvalidRecord for what it never says."""
        symbol = self.spelling.symbol(name)
        if symbol is None or classify(symbol) is None:
            told = f"{shown(name)} is no symbol of {self.name}"
            raise InvalidRecord(f"{told}; spell it as in its documentation")
        return symbol

    def faults(self) -> list[str]:
        """Return why the facts cannot be used; nothing where they can."""
        return [
            *self._name_faults(),
            *self._capability_faults(),
            *self._limit_faults(),
            *self._spelling_faults(),
        ]

    def _name_faults(self) -> Iterator[str]:
        if not is_provider_name(self.name):
            yield "its name is not two to 32 lower-case letters, digits and underscores"
        if not self.base_url.startswith(HTTP_SCHEMES):
            yield "its base_url is no http address"
        for variable in self.credentials:
            if VARIABLE.fullmatch(variable) is None:
                yield f"credential {variable!r} is no variable's name"
        if not self.credentials and (self.key_parameter or self.without_key):
            yield "key_parameter and without_key speak of credentials, and it names none"

    def _capability_faults(self) -> Iterator[str]:
        yield from self.capabilities.faults()
        if self.capabilities.trades != self.socket_url.startswith(SOCKET_SCHEMES):
            yield "trades need a socket_url that is a WebSocket's address, and only they do"

    def _limit_faults(self) -> Iterator[str]:
        for endpoint in self.endpoint_limits:
            if endpoint not in self.endpoints:
                yield f"limits are given of {endpoint!r}, which is none of its endpoints"
        for stream, endpoints in self.serving.items():
            if not endpoints or not set(endpoints) <= set(self.endpoints):
                yield f"serving {stream!r} names {' '.join(endpoints) or 'none'}; name some of its endpoints"
        for plan in self.plans:
            if not plan.source or ISO_DATE.fullmatch(plan.read) is None:
                yield f"plan {plan.name!r} lacks its source, or the day it was read there"

    def _spelling_faults(self) -> Iterator[str]:
        if self.capabilities.securities and not self.samples:
            yield "it names no sample symbols, so that nothing can be proven of it"
        if self.capabilities.macro != bool(self.series_samples):
            yield "series of macro data need series_samples, and only they do"
        for key in self.series_samples:
            if not is_series_key(key):
                yield f"sample {key!r} is no key of a macro series; {GRAMMAR}"
        for symbol in self.samples:
            try:
                back = self.symbol_of(self.vendor_symbol(symbol))
            except (UnknownSymbol, InvalidRecord) as error:
                yield f"sample {symbol!r}: {error}"
            else:
                if back != symbol:
                    yield f"sample {symbol!r} is spelt back as {back!r}"
