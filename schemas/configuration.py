"""What to collect, from whom and how often: the model of the one YAML file (`MDS_CONFIG`, config/mds.yaml)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    ValidationError,
    WebsocketUrl,
    field_validator,
    model_validator,
)

from schemas.errors import ConfigurationError

DEFAULT_PATH = Path("config/mds.yaml")
MAX_SYMBOLS = 20_000
MAX_PROVIDERS = 8  # of one stream
MAX_FILE_BYTES = 4_194_304  # 4 MiB: 20,000 symbols with room to spare

Stream = Literal["bars", "quotes", "trades"]
STREAMS: tuple[Stream, ...] = ("bars", "quotes", "trades")


def _checked_symbol(symbol: str) -> str:
    if not symbol.isascii() or not symbol.isprintable() or " " in symbol:
        raise ValueError("a symbol is printable ASCII without spaces, such as BRK.B or ^GSPC")
    return symbol


def _as_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value  # YAML reads a bare date as one


def _checked_date(text: str) -> str:
    return date.fromisoformat(text).isoformat()


Provider = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
"""A provider's name; which ones there are is known where they are loaded (entry points), not here."""

Symbol = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_checked_symbol)]
IsoDate = Annotated[str, BeforeValidator(_as_text), AfterValidator(_checked_date)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SymbolEntry(_Part):
    """One symbol, and which of the streams it takes part in."""

    symbol: Symbol
    streams: tuple[Stream, ...] = STREAMS


def _each_provider_once(providers: tuple[Provider, ...]) -> tuple[Provider, ...]:
    if len(set(providers)) != len(providers):
        raise ValueError("a provider is listed twice; list each once, the preferred one first")
    return providers


def _one_provider(value: Any) -> Any:
    """Take `provider: yahoo` for `providers: [yahoo]`."""
    if not isinstance(value, Mapping) or "provider" not in value or "providers" in value:
        return value  # both given: `provider` is then refused as unknown
    return {name: given for name, given in value.items() if name != "provider"} | {
        "providers": [value["provider"]]
    }


ProviderList = Annotated[
    tuple[Provider, ...], Field(min_length=1, max_length=MAX_PROVIDERS), AfterValidator(_each_provider_once)
]


class Routing(_Part):
    """How a provider is chosen among several; seconds of wall time, scores in [0, 1]."""

    margin: float = Field(default=0.2, ge=0.05, le=1.0)  # by which another must be better to be chosen
    floor: float = Field(default=0.3, ge=0.0, le=0.9)  # below it a provider is left at once
    dwell_s: float = Field(default=30.0, ge=0.0, le=3600.0)  # least time between two choices by score
    proof_s: float = Field(default=60.0, ge=0.0, le=86_400.0)  # of health without a fault, before a return
    probe_every_s: float = Field(default=30.0, ge=0.1, le=3600.0)  # of a provider that does not serve
    half_life_s: float = Field(default=10.0, ge=0.1, le=3600.0)  # of what a score remembers


class BarsStream(_Part):
    """Bars: polled `every_s` seconds of market time, from `overlap_s` seconds before what is known already."""

    providers: ProviderList  # in order of preference
    interval: Literal["1m"] = "1m"
    every_s: float = Field(default=60.0, ge=1.0, le=3600.0)
    overlap_s: float = Field(default=300.0, ge=0.0, le=86_400.0)

    _single = model_validator(mode="before")(_one_provider)


class QuotesStream(_Part):
    """Quotes: polled `every_s` seconds of market time."""

    providers: ProviderList  # in order of preference
    every_s: float = Field(default=5.0, ge=0.5, le=3600.0)

    _single = model_validator(mode="before")(_one_provider)


class TradesStream(_Part):
    """Trades: pushed by the vendor over a WebSocket."""

    provider: Provider


class Streams(_Part):
    """What is collected; a stream left out is not."""

    bars: BarsStream | None = None
    quotes: QuotesStream | None = None
    trades: TradesStream | None = None
    routing: Routing = Routing()


EVERYTHING = Streams(
    bars=BarsStream(providers=("yahoo",)),
    quotes=QuotesStream(providers=("yahoo", "finnhub")),
    trades=TradesStream(provider="finnhub"),
)


class ProviderEntry(_Part):
    """One provider; URLs None are the vendor itself, or the simulator where that is the market."""

    enabled: bool = True
    base_url: HttpUrl | None = None
    socket_url: WebsocketUrl | None = None


class Configuration(_Part):
    """The whole file; frozen, so that a reload is a new value. Without `streams` everything is collected."""

    symbols: tuple[SymbolEntry, ...] = Field(min_length=1, max_length=MAX_SYMBOLS)
    streams: Streams = EVERYTHING
    providers: Mapping[Provider, ProviderEntry] = Field(default_factory=dict)
    calendar_closures: Mapping[Literal["XNYS"], tuple[IsoDate, ...]] = Field(default_factory=dict)

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
                raise ValueError(f"symbol {entry.symbol} is listed twice")
            seen.add(entry.symbol)
        return self

    def provider(self, name: str) -> ProviderEntry:
        """Return what the file says of a provider; one it does not mention is enabled, at its own address."""
        return self.providers.get(name, ProviderEntry())

    def symbols_of(self, stream: Stream) -> tuple[str, ...]:
        """Return the symbols that take part in a stream, in the order of the file."""
        return tuple(entry.symbol for entry in self.symbols if stream in entry.streams)


def load_configuration(path: Path | None) -> Configuration:
    """Return the configuration in the file, by default config/mds.yaml; raise ConfigurationError saying where and what."""
    path = DEFAULT_PATH if path is None else path
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(
                f"{path} is larger than {MAX_FILE_BYTES} bytes", remedy="list fewer symbols"
            )
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", remedy="set MDS_CONFIG to your configuration file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text", remedy="save it as UTF-8") from error
    return parse_configuration(text, source=str(path))


def parse_configuration(text: str, *, source: str) -> Configuration:
    """Return the configuration in YAML (or JSON) text; raise ConfigurationError with `source:key` and a remedy."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark is not None else source
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigurationError(f"{place}: {problem}", remedy="mend the YAML") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{source} holds no mapping", remedy="start from config/mds.yaml")
    try:
        return Configuration.model_validate(document)
    except ValidationError as error:
        raise _explained(error, source) from error


def _explained(error: ValidationError, source: str) -> ConfigurationError:
    # A misspelt key also makes the right one missing: say the first, it explains both.
    fault = min(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
    path = list(fault["loc"])
    place = f"{source}: {'.'.join(map(str, path))}" if path else source
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(path)
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = (
            f"did you mean {'.'.join(map(str, [*path[:-1], close[0]]))}?"
            if close
            else f"use one of {', '.join(known)}"
        )
        return ConfigurationError(f"{place} is not a setting", remedy=hint)
    if fault["type"] == "missing":
        return ConfigurationError(f"{place} is missing", remedy="add it; config/mds.yaml is an example")
    given = fault["input"]
    shown = "" if isinstance(given, dict) else f", not {repr(given)[:60]}"
    problem = fault["msg"].removeprefix("Value error, ")
    return ConfigurationError(f"{place}: {problem}{shown}", remedy="set it to a valid value")


def _keys_beside(path: list[Any]) -> list[str]:
    """Return the keys that are known where the last part of `path` was given."""
    model: Any = Configuration
    for part in path[:-1]:
        if isinstance(part, int) or part not in model.model_fields:
            continue  # a place in a list, or a provider's name
        model = _model_in(model.model_fields[str(part)].annotation)
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    """Return the model an annotation such as `BarsStream | None` or `tuple[SymbolEntry, ...]` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)
