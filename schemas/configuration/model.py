"""The model of the one YAML file (`MDS_CONFIG`, config/mds.yaml): what to collect, from whom and how often."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    HttpUrl,
    ValidationError,
    WebsocketUrl,
    field_validator,
    model_validator,
)

from schemas.calendar.overlay import CalendarOverlay, overlay_of
from schemas.configuration.backfill import Backfill
from schemas.configuration.faults import EXAMPLE, explained, faults_between
from schemas.configuration.streams import (
    EVERYTHING,
    BarsStream,
    Provider,
    QuotesStream,
    Routing,
    Section,
    Streams,
    Symbol,
    TradesStream,
)
from schemas.configuration.tiers import Tiers
from schemas.errors import ConfigurationError
from schemas.located_yaml import Fault, InvalidConfiguration, Located, read_located, sorted_faults
from schemas.providers.built_in import BUILT_IN
from schemas.providers.facts import ProviderFacts
from schemas.streams import INSTRUMENT_STREAMS, StreamName
from schemas.symbols.venues import CALENDARS
from schemas.universe import MAX_SYMBOLS, Member, Tier

__all__ = [  # the words of the file, from one place
    "EVERYTHING",
    "MAX_SYMBOLS",
    "Backfill",
    "BarsStream",
    "Configuration",
    "Provider",
    "ProviderEntry",
    "ProviderLimits",
    "QuotesStream",
    "RequestLimits",
    "Routing",
    "Streams",
    "SymbolEntry",
    "Tiers",
    "TradesStream",
    "load_configuration",
    "parse_configuration",
    "read_text",
    "text_of",
]

MAX_FILE_BYTES = 4_194_304  # 4 MiB: 20,000 symbols with room to spare
# Written as they are: 005930 and ON are symbols, not a number and a boolean; 13:00 is a time.
VERBATIM = (("symbols", "*"), ("symbols", "*", "symbol"), ("calendar_early_closes", "*", "*"))
FROM_DATABASE = "database"


def _checked_date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("a day is a date that exists; write one such as 2025-01-09") from None


def _checked_clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError("a time of day is HH:MM of the venue's own clock; write one such as 13:00")
    return text


def _checked_calendar(name: str) -> str:
    if name not in CALENDARS:
        raise ValueError(f"no calendar of ours is called so; use one of {' '.join(CALENDARS)}")
    return name


_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
IsoDate = Annotated[str, AfterValidator(_checked_date)]
ClockTime = Annotated[str, AfterValidator(_checked_clock)]
CalendarName = Annotated[str, AfterValidator(_checked_calendar)]


class SymbolEntry(Section):
    """One symbol, how often it is polled, and which of the streams it takes part in."""

    symbol: Symbol = Field(description="The symbol as we name it: AAPL, BRK.B, ^GSPC, BTC-USD.")
    tier: Tier = Field(
        default="T1", description="How often its streams are polled: T0 most, T2 least; see `tiers`."
    )
    streams: tuple[StreamName, ...] = Field(
        default=INSTRUMENT_STREAMS, description="Streams the symbol takes part in; all of them without it."
    )


class RequestLimits(Section):
    """Requests that may start in any second, minute and day, and be under way at once; left out: the vendor's own."""

    per_second: int | None = Field(default=None, ge=1, le=10_000, description="Requests begun in any second.")
    per_minute: int | None = Field(
        default=None, ge=1, le=100_000, description="Requests begun in any minute."
    )
    per_day: int | None = Field(default=None, ge=1, le=100_000_000, description="Requests begun in any day.")
    concurrency: int | None = Field(default=None, ge=1, le=64, description="Requests under way at once.")


class EndpointLimits(RequestLimits):
    """Limits of one endpoint, beside the provider's; `separate`: the vendor counts and throttles it on its own."""

    separate: bool = Field(
        default=False, description="Whether the vendor counts and throttles it on its own."
    )


class BreakerLimits(Section):
    """After `failures` outages in a row the provider is left alone and probed once every `open_s` seconds."""

    failures: int = Field(default=5, ge=1, le=1000, description="Outages in a row that open the breaker.")
    open_s: float = Field(default=15.0, ge=0.1, le=3600.0, description="Time until one probe is let through.")


class ProviderLimits(RequestLimits):
    """Limits of one provider; on the simulator nothing is limited that is not set here."""

    endpoints: Mapping[str, EndpointLimits] = Field(
        default_factory=dict, max_length=32, description="Limits of single endpoints, by our name for them."
    )
    breaker: BreakerLimits = Field(default=BreakerLimits(), description="When the provider is left alone.")


class ProviderEntry(Section):
    """One provider; URLs None are the vendor itself, or the simulator where that is the market."""

    enabled: bool = Field(default=True, description="Whether the vendor is asked at all.")
    base_url: HttpUrl | None = Field(default=None, description="Where its REST interface is.")
    socket_url: WebsocketUrl | None = Field(default=None, description="Where its WebSocket is.")
    limits: ProviderLimits = Field(default=ProviderLimits(), description="How much it is asked.")


class Configuration(Section):
    """The whole file; frozen, so that a reload is a new value. Without `streams` everything is collected."""

    universe: Literal["file", "database"] = Field(
        default="file",
        description="Where the symbols stand: `symbols` of this file, or the database's universe "
        "(`mds universe`), and then `symbols` is left out.",
    )
    symbols: tuple[SymbolEntry, ...] = Field(
        default=(),
        min_length=1,
        max_length=MAX_SYMBOLS,
        description="What is collected: a name, or an entry; required unless `universe` is `database`.",
    )
    streams: Streams = Field(
        default=EVERYTHING, description="Which streams, from whom and how often; without it, all of them."
    )
    tiers: Tiers = Field(default=Tiers(), description="How often each tier is polled.")
    providers: Mapping[Provider, ProviderEntry] = Field(
        default_factory=dict,
        description="The vendors by name, and where they are; one that is not named is enabled where its key is set.",
    )
    backfill: Backfill = Field(default=Backfill(), description="How gaps are filled.")
    calendar_closures: Mapping[CalendarName, tuple[IsoDate, ...]] = Field(
        default_factory=dict,
        max_length=len(CALENDARS),
        description="Days (YYYY-MM-DD) a market was closed that its calendar does not know of, by the calendar's name: "
        f"{' '.join(CALENDARS)}.",
    )
    calendar_early_closes: Mapping[CalendarName, Mapping[IsoDate, ClockTime]] = Field(
        default_factory=dict,
        max_length=len(CALENDARS),
        description="Times (HH:MM, the venue's own) at which a market closed early on days its calendar does not know "
        "of: by the calendar's name, then by day.",
    )

    @field_validator("symbols", mode="before")
    @classmethod
    def _name_alone(cls, symbols: Any) -> Any:
        if not isinstance(symbols, list | tuple):
            return symbols
        return [{"symbol": entry} if isinstance(entry, str) else entry for entry in symbols]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen: set[str] = set()
        for entry in self.symbols:
            if entry.symbol in seen:
                raise ValueError(f"symbol {entry.symbol} is listed twice; remove one of them")
            seen.add(entry.symbol)
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.symbols) == (self.universe == FROM_DATABASE):
            raise ValueError("symbols are listed in the file or kept in the database; choose one of both")
        return self

    def calendar_overlay(self) -> CalendarOverlay:
        """Return what the file adds to the calendars."""
        return overlay_of(self.calendar_closures, self.calendar_early_closes)

    def provider(self, name: str) -> ProviderEntry:
        """Return what the file says of a provider; one it does not mention is enabled, at its own address."""
        return self.providers.get(name, ProviderEntry())

    def named_providers(self) -> frozenset[str]:
        """Return the providers that stand under `providers`, or that some stream names."""
        return frozenset({*self.providers, *self.streams.providers})

    def members(self) -> tuple[Member, ...]:
        """Return the file's symbols as members of a universe, in the order of the file; none with the database's."""
        return tuple(
            Member(symbol=entry.symbol, tier=entry.tier, streams=entry.streams) for entry in self.symbols
        )


def load_configuration(path: Path, *, known: Mapping[str, ProviderFacts] = BUILT_IN) -> Configuration:
    """Return the configuration in the file; raises as `parse_configuration`."""
    return parse_configuration(read_text(path), source=str(path), known=known)


def read_text(path: Path) -> str:
    """Return the text of a configuration file; raise ConfigurationError where it is absent, too large or not text."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}",
            remedy="set MDS_CONFIG to your configuration file; `mds example` prints one",
        ) from error
    return text_of(data, source=str(path))


def text_of(data: bytes, *, source: str) -> str:
    """Return bytes as configuration text; raise ConfigurationError where they are too many or not UTF-8."""
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(
            f"{source} is larger than {MAX_FILE_BYTES} bytes", remedy="list fewer symbols"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{source} is not UTF-8 text", remedy="save it as UTF-8") from error


def parse_configuration(
    text: str, *, source: str, known: Mapping[str, ProviderFacts] = BUILT_IN
) -> Configuration:
    """Return the configuration in YAML (or JSON) text, for whoever has the `known` providers.

    Raises InvalidConfiguration with all that is wrong in it. Processes call it by way of
    `infra.runtime.configuration.reading`, which knows the installed plug-ins.
    """
    if len(text) > MAX_FILE_BYTES:
        raise ConfigurationError(
            f"{source} is larger than {MAX_FILE_BYTES} bytes", remedy="list fewer symbols"
        )
    located = read_located(text, verbatim=VERBATIM)
    faults = list(located.faults)
    configuration = None
    if isinstance(located.value, dict):
        faults += faults_between(located, known)
        configuration = _modelled(located, faults)
    elif not faults:
        faults.append(located.fault((), "holds no mapping", f"list symbols; {EXAMPLE}"))
    if faults or configuration is None:
        raise InvalidConfiguration(source, sorted_faults(faults))
    return configuration


def _modelled(located: Located, faults: list[Fault]) -> Configuration | None:
    """Return the value as the model; where it does not fit, add to `faults` what they do not say already."""
    try:
        return Configuration.model_validate(located.value)
    except ValidationError as error:
        unread = {fault.path for fault in located.faults}
        told = {fault.path for fault in faults} - unread
        for fault in explained(error, located, Configuration):
            is_new = fault.path not in told and not (fault.path in unread and fault.is_of_value)
            if is_new and (fault.path or not faults):
                faults.append(fault)
    return None
