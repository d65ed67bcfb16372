"""Journals: what the services note about their own work, each declared once, its record field by field.

A record is validated, appended to its table, kept for so long, and shown as statistics over equal stretches of time.
All four follow from the declaration alone. A record's clock is wall time, in integer µs since the Unix epoch, UTC;
every other quantity has its unit in its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_type_hints

from schemas.clocks import WallTime
from schemas.log_buckets import LAST_BUCKET
from schemas.topics import CADENCE, PROVIDER_HEALTH

MAX_NAME_CHARACTERS = 64  # names are index keys
MAX_TEXT_CHARACTERS = 4_000
MAX_TIME_US = 1 << 55
MAX_COUNT = (1 << 31) - 1
MAX_NAMES = 50

HealthChange = Literal["no", "initial", "failover", "failback", "exhausted", "restored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldKind:
    """One kind of field: the type of its column, whether a value is sound, and what to send where it is not."""

    column: str
    is_sound: Callable[[Any], bool]
    remedy: str


def _is_text(value: str, most: int) -> bool:
    return len(value) <= most and "\0" not in value


def _is_object(text: str) -> bool:
    try:
        return _is_text(text, MAX_TEXT_CHARACTERS) and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_amount(value: float) -> bool:
    return isfinite(value) and value >= 0.0


def _is_count(value: int) -> bool:
    return 0 <= value <= MAX_COUNT


def _are_names(values: Sequence[str]) -> bool:
    return len(values) <= MAX_NAMES and all(map(NAME.is_sound, values))


def _are_counts(values: Sequence[int]) -> bool:
    return len(values) <= LAST_BUCKET + 1 and all(map(_is_count, values))


NAME = FieldKind(
    column="text",
    is_sound=lambda value: bool(value) and _is_text(value, MAX_NAME_CHARACTERS),
    remedy=f"send 1 to {MAX_NAME_CHARACTERS} characters without NUL",
)
NAME_OR_NOTHING = FieldKind(
    column="text",
    is_sound=lambda value: _is_text(value, MAX_NAME_CHARACTERS),
    remedy=f"send at most {MAX_NAME_CHARACTERS} characters without NUL",
)
TEXT = FieldKind(
    column="text",
    is_sound=lambda value: _is_text(value, MAX_TEXT_CHARACTERS),
    remedy=f"send at most {MAX_TEXT_CHARACTERS} characters without NUL",
)
JSON_OBJECT = FieldKind(
    column="text",
    is_sound=_is_object,
    remedy=f"send a JSON object of at most {MAX_TEXT_CHARACTERS} characters",
)
TIME = FieldKind(
    column="timestamp with time zone",
    is_sound=lambda value: 0 <= value < MAX_TIME_US,
    remedy="times are µs since 1970",
)
SHARE = FieldKind(
    column="double precision", is_sound=lambda value: 0.0 <= value <= 1.0, remedy="send a number of 0 to 1"
)
AMOUNT = FieldKind(column="double precision", is_sound=_is_amount, remedy="send a finite number, not below 0")
AMOUNT_OR_NOTHING = FieldKind(
    column="double precision",
    is_sound=lambda value: value is None or _is_amount(value),
    remedy="send a finite number, not below 0, or null",
)
COUNT = FieldKind(column="integer", is_sound=_is_count, remedy=f"send a whole number of 0 to {MAX_COUNT}")
COUNTS = FieldKind(
    column="integer[]",
    is_sound=_are_counts,
    remedy=f"send at most {LAST_BUCKET + 1} whole numbers of 0 to {MAX_COUNT}",
)
NAMES = FieldKind(
    column="text[]",
    is_sound=_are_names,
    remedy=f"send at most {MAX_NAMES} names of 1 to {MAX_NAME_CHARACTERS} characters without NUL",
)
FLAG = FieldKind(
    column="boolean", is_sound=lambda value: isinstance(value, bool), remedy="send true or false"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """Health of a provider in a capability, and whether it is the one that serves; `observed_time` is wall time.

    `score` and its parts are in [0, 1]. `changed` says what happened just then: `failover` and `failback` are told by
    the record of the new choice, `exhausted` (nobody is usable) and `restored` by that of the present one.
    """

    capability: Annotated[str, NAME]  # quotes | bars:1m ...
    provider: Annotated[str, NAME]
    score: Annotated[float, SHARE]
    success: Annotated[float, SHARE]
    latency: Annotated[float, SHARE]
    freshness: Annotated[float, SHARE]
    validity: Annotated[float, SHARE]
    breaker: Annotated[str, NAME_OR_NOTHING]  # closed | half_open | open
    usable: Annotated[bool, FLAG]
    chosen: Annotated[bool, FLAG]
    reason: Annotated[str, TEXT]  # of the present choice, in words
    changed: Annotated[HealthChange, NAME] = "no"
    previous: Annotated[str, NAME_OR_NOTHING] = ""  # who served before the provider was chosen
    chosen_since: Annotated[WallTime, TIME]
    last_error: Annotated[str, TEXT] = ""
    budgets: Annotated[str, JSON_OBJECT] = "{}"
    observed_time: Annotated[WallTime, TIME]
    unserved: Annotated[int, COUNT] = 0  # symbols of the capability that nobody gives
    unserved_symbols: Annotated[Sequence[str], NAMES] = ()  # of these, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class CadenceSample:
    """Keeping of one producer to the cadence of a group of streams in [begun_time, ended_time) of wall time.

    `market_s`, `every_s` and `stale_s` are market time; lateness (`error_*_ms`, and by logarithmic bucket of
    schemas/log_buckets.py in `buckets` with `counts`) is wall time.
    """

    replica: Annotated[str, NAME]  # which producer
    generation: Annotated[int, COUNT] = 0  # of the configuration in force at the end; 0 without a file
    capability: Annotated[str, NAME]  # quotes | bars:1m ...
    provider: Annotated[str, NAME]
    tier: Annotated[str, NAME_OR_NOTHING] = ""  # T0 | T1 | T2; "" where none was given
    begun_time: Annotated[WallTime, TIME]
    ended_time: Annotated[WallTime, TIME]
    market_s: Annotated[float, AMOUNT]  # length of the window
    every_s: Annotated[float, AMOUNT]  # planned cadence
    symbols: Annotated[int, COUNT]  # planned
    due: Annotated[int, COUNT]  # polls begun at their time and slots missed
    begun: Annotated[int, COUNT]
    succeeded: Annotated[int, COUNT]
    failed: Annotated[int, COUNT]
    skipped: Annotated[int, COUNT]  # on purpose
    missed: Annotated[int, COUNT]  # slots of the cadence that went by
    symbol_polls: Annotated[int, COUNT]  # symbols in polls that succeeded
    stale_s: Annotated[float, AMOUNT]  # how long the one left out longest has been due
    stale_symbols: Annotated[int, COUNT]  # due for longer than a cadence
    error_p50_ms: Annotated[float | None, AMOUNT_OR_NOTHING] = None  # None without polls
    error_p99_ms: Annotated[float | None, AMOUNT_OR_NOTHING] = None
    error_max_ms: Annotated[float, AMOUNT]
    buckets: Annotated[Sequence[int], COUNTS] = ()
    counts: Annotated[Sequence[int], COUNTS] = ()  # polls in each of `buckets`


@dataclass(frozen=True, kw_only=True)
class Journal:
    """One journal. `series` and `time` together name a record: the same ones again are the same record again."""

    table: str
    topic: str
    record: type[Any]
    series: tuple[str, ...]  # fields that say of what a record speaks; they make its key in the topic
    time: str  # the field by which it is aged, and sorted into stretches of time
    retention_days: float  # of its rows, unless the settings say otherwise
    # Two fields of logarithmic buckets and their counts, whose sums are merged before quantiles are taken.
    histogram: tuple[str, str] | None = None

    @cached_property
    def fields(self) -> Mapping[str, FieldKind]:
        """The kind of each field, in the order of the record; a field's name is its column's."""
        hints = get_type_hints(self.record, include_extras=True)
        return MappingProxyType({name: hint.__metadata__[0] for name, hint in hints.items()})

    @property
    def key(self) -> tuple[str, ...]:
        """The primary key of the table."""
        return (*self.series, self.time)


def key_of(journal: Journal, record: object) -> str:
    """Return a record's key in the topic; its hash is the partition, as a symbol's is."""
    return "|".join(getattr(record, name) for name in journal.series)


HEALTH_JOURNAL = Journal(
    table="provider_health",
    topic=PROVIDER_HEALTH,
    record=ProviderHealth,
    series=("capability", "provider"),
    time="observed_time",
    retention_days=30.0,
)
CADENCE_JOURNAL = Journal(
    table="cadence",
    topic=CADENCE,
    record=CadenceSample,
    series=("capability", "provider", "tier", "replica"),
    time="ended_time",
    retention_days=7.0,
    histogram=("buckets", "counts"),
)
JOURNALS: Mapping[str, Journal] = MappingProxyType(
    {journal.topic: journal for journal in (HEALTH_JOURNAL, CADENCE_JOURNAL)}
)
"""Every journal by its topic."""
