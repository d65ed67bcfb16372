"""Streams that are collected: their providers, bar intervals, and cadences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.errors import UnknownSymbol
from schemas.macro_keys import SeriesKey, series_key
from schemas.symbols.instruments import checked_symbol
from schemas.symbols.names import PROVIDER_NAME

MAX_PROVIDERS = 8  # of one stream
MOST_MONEYNESS = 100.0


BarInterval = Literal["1m", "5m", "1h", "1d"]
BAR_INTERVALS: tuple[BarInterval, ...] = ("1m", "5m", "1h", "1d")


Provider = Annotated[str, Field(pattern=f"^{PROVIDER_NAME.pattern}$")]
"""A provider's name; which ones there are is known where they are loaded (entry points), not here."""

Symbol = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(checked_symbol)]


class Section(BaseModel):
    """A part of the file: frozen, and without a key nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _each_provider_once(providers: tuple[Provider, ...]) -> tuple[Provider, ...]:
    if len(set(providers)) != len(providers):
        raise ValueError("a provider is listed twice; list each once, the preferred one first")
    return providers


def _one_for(name: str, names: str) -> Callable[[Any], Any]:
    """Return what takes `name: one` for `names: [one]`."""

    def listed(value: Any) -> Any:
        if not isinstance(value, Mapping) or name not in value or names in value:
            return value  # both given: the single one is then refused as unknown
        return {key: given for key, given in value.items() if key != name} | {names: [value[name]]}

    return listed


ProviderList = Annotated[
    tuple[Provider, ...], Field(min_length=1, max_length=MAX_PROVIDERS), AfterValidator(_each_provider_once)
]


def _each_interval_once(intervals: tuple[BarInterval, ...]) -> tuple[BarInterval, ...]:
    if len(set(intervals)) != len(intervals):
        raise ValueError("an interval is listed twice; list each once")
    return intervals


IntervalList = Annotated[
    tuple[BarInterval, ...],
    Field(min_length=1, max_length=len(BAR_INTERVALS)),
    AfterValidator(_each_interval_once),
]


class Routing(Section):
    """Rules of the choice among several providers; seconds of wall time, scores in [0, 1]."""

    margin: float = Field(
        default=0.2, ge=0.05, le=1.0, description="By which score another must be better to be chosen."
    )
    floor: float = Field(
        default=0.3, ge=0.0, le=0.9, description="Score below which a provider is left at once."
    )
    dwell_s: float = Field(
        default=30.0, ge=0.0, le=3600.0, description="Least time between two choices by score."
    )
    proof_s: float = Field(
        default=60.0,
        ge=0.0,
        le=86_400.0,
        description="Time without a fault before a preferred provider serves again.",
    )
    probe_every_s: float = Field(
        default=30.0,
        ge=0.1,
        le=3600.0,
        description="Time between two probes of a provider that does not serve.",
    )
    half_life_s: float = Field(
        default=10.0, ge=0.1, le=3600.0, description="Half-life of what a score remembers."
    )


class BarsStream(Section):
    """Bars: polled `every_s` seconds of market time, from `overlap_s` seconds before what is known already."""

    providers: ProviderList = Field(
        description="Who is asked for bars, the preferred one first; `provider: yahoo` is a list of one."
    )
    intervals: IntervalList = Field(
        default=("1m",), description="Lengths of the bars, each once; `interval: 5m` is a list of one."
    )
    every_s: float = Field(
        default=60.0,
        ge=1.0,
        le=3600.0,
        description="Market time between two polls of a symbol of tier T1. Whatever the tier, bars longer than a minute are polled every "
        "fifth of their length at most (five minutes' every minute), and at least hourly.",
    )
    overlap_s: float = Field(
        default=300.0,
        ge=0.0,
        le=86_400.0,
        description="How far before the newest known bar a poll begins, for late and corrected bars; "
        "at least a minute. Whatever it is, two bars of an interval are asked for again.",
    )

    _single = model_validator(mode="before")(_one_for("provider", "providers"))
    _single_interval = model_validator(mode="before")(_one_for("interval", "intervals"))


class QuotesStream(Section):
    """Quotes: polled `every_s` seconds of market time."""

    providers: ProviderList = Field(
        description="Who is asked for quotes, the preferred one first; `provider: yahoo` is a list of one."
    )
    every_s: float = Field(
        default=5.0,
        ge=0.5,
        le=3600.0,
        description="Market time between two polls of a symbol of tier T1.",
    )

    _single = model_validator(mode="before")(_one_for("provider", "providers"))


class TradesStream(Section):
    """Trades: pushed by the vendor over a WebSocket."""

    provider: Provider = Field(description="Who pushes trades.")


class ActionsStream(Section):
    """Corporate actions: asked for `every_s` seconds of market time, from `back_days` ago to `ahead_days` ahead."""

    providers: ProviderList = Field(
        description="Who is asked for corporate actions, the preferred one first; `provider: yahoo` is a list of one."
    )
    every_s: float = Field(default=21_600, ge=1, le=604_800, description="Market time between two polls.")
    back_days: int = Field(
        default=10, ge=0, le=366, description="How many days before today ex-dates are asked for again, for what is told late or "
        "corrected. Of a symbol that is collected for the first time all are asked for.",
    )  # fmt: skip
    ahead_days: int = Field(
        default=90, ge=0, le=366, description="How many days ahead ex-dates are asked for: what is announced."
    )

    _single = model_validator(mode="before")(_one_for("provider", "providers"))


def _checked_series(text: str) -> str:
    try:
        series_key(text)
    except UnknownSymbol as error:
        raise ValueError(f"no macro series is called so; {str(error).partition('; ')[2]}") from None
    return text


def _each_series_once(keys: tuple[str, ...]) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for key in keys:
        series = str(series_key(key))
        if series in seen:
            raise ValueError(f"{key} and {seen[series]} are the same series, {series}; list each once")
        seen[series] = key
    return keys


class MacroStream(Section):
    """Macro series: each is asked for at its own source, which its key names, every `every_s` seconds of market time."""

    keys: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_checked_series)], ...],
        Field(min_length=1, max_length=1_000),
        AfterValidator(_each_series_once),
    ] = Field(
        description="Series by their keys, such as `FRED:GDPC1`, or by their names here, such as `cpi` (`mds macro keys`)."
    )
    every_s: float = Field(default=3_600, ge=1, le=604_800, description="Market time between two polls.")
    release_times: Literal["told", "scheduled"] = Field(
        default="told",
        description="When a vintage counts as published of which FRED tells the day alone: `told`, at the end of that day in New York; "
        "`scheduled`, at the standard time of its release where there is one (08:30 of most), labelled `scheduled`.",
    )


class OptionsStream(Section):
    """Option chains: expiries of the coming `near_days` polled `every_s` seconds of market time, all of them `far_every_s`."""

    providers: ProviderList = Field(
        description="Who is asked for option chains, the preferred one first; `provider: polygon` is a list of one."
    )
    every_s: float = Field(
        default=300.0,
        ge=10.0,
        le=3600.0,
        description="Market time between two polls of a symbol of tier T1, while options are traded and 20 minutes longer.",
    )
    near_days: int = Field(
        default=60, ge=0, le=1_200, description="Days ahead of the expiries that are asked for each time."
    )
    far_every_s: float = Field(
        default=3_600.0,
        ge=10.0,
        le=86_400.0,
        description="Market time between two polls of all expiries there are.",
    )
    max_expiries: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="The nearest so many expiries alone; without it all, but 4 of a vendor that is asked for one expiry at a time.",
    )
    moneyness: tuple[float, float] | None = Field(
        default=None,
        description="Strikes from and to so many times the underlying's price alone, such as `[0.5, 2.0]`, of vendors that take "
        "that; slices say that strikes were left out.",
    )

    _single = model_validator(mode="before")(_one_for("provider", "providers"))

    @field_validator("moneyness")
    @classmethod
    def _holds_the_money(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not 0 < bounds[0] < 1 < bounds[1] <= MOST_MONEYNESS:
            raise ValueError(
                f"it must hold 1, the money: two numbers such as [0.5, 2.0], at most {MOST_MONEYNESS:g}"
            )
        return bounds


class Streams(Section):
    """Streams that are collected; one left out is not."""

    bars: BarsStream | None = Field(default=None, description="Bars, polled.")
    quotes: QuotesStream | None = Field(default=None, description="Quotes, polled.")
    trades: TradesStream | None = Field(default=None, description="Trades, pushed over a WebSocket.")
    actions: ActionsStream | None = Field(default=None, description="Corporate actions, polled.")
    macro: MacroStream | None = Field(default=None, description="Macro series, polled.")
    options: OptionsStream | None = Field(default=None, description="Option chains, polled.")
    routing: Routing = Field(default=Routing(), description="How one of several providers is chosen.")

    @property
    def series(self) -> tuple[SeriesKey, ...]:
        """Return the macro series, aliases resolved."""
        return () if self.macro is None else tuple(map(series_key, self.macro.keys))

    @property
    def providers(self) -> frozenset[Provider]:
        """Return whoever some stream names."""
        polled = (self.bars, self.quotes, self.actions, self.options)
        several = [each.providers for each in polled if each is not None]
        one = () if self.trades is None else (self.trades.provider,)
        return frozenset({*chain(*several), *one, *(key.provider for key in self.series)})


EVERYTHING = Streams(
    bars=BarsStream(providers=("yahoo",)),
    quotes=QuotesStream(providers=("yahoo", "finnhub")),
    trades=TradesStream(provider="finnhub"),
)
