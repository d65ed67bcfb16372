"""Events a client is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a stream; `conflated` older ones gave way to it."""

    stream: str
    offset: int
    fields: Mapping[str, Any]
    conflated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """Volatilities and greeks of the slice at `offset` of an option chain, in lists in the order of its legs.

    They follow their slice, of each root and expiry those of the newest; `event_id` is the slice's.
    """

    stream: str
    offset: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The latest values of a stream, valid at `offset`; forget what you held of it. Empty means: none yet."""

    stream: str
    offset: int
    records: Sequence[Mapping[str, Any]]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A resume ended: `ok` with `count` records since, or not, and a Snapshot follows."""

    stream: str
    ok: bool
    count: int = 0
    source: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The service knows of a hole in its own data, or what became of one."""

    stream: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The worth of the values of `streams` (empty: of all) changed; `data` is ok, or suspect while it lasts.

    Codes of freshness, said of each stream at its begin and when it changes: `live`, `delayed`, `stale`, `halted`, `closed`,
    `unknown` (nobody told the market's hours), `no_value` (none was seen yet), `not_collected` (nobody will send one).
    Codes: `failover` and `failback` (fields `provider`, `previous`, `reason`: another provider serves from now on),
    `provider_chosen` (a producer began), `provider_down` (nobody can serve: values are suspect, the stream stays open),
    `provider_up`, `log_unreachable`, `log_reachable`. Records keep saying which provider each is from.
    """

    streams: Sequence[str]
    code: str
    data: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The server refused one subscription; the others stand. A temporary one is asked for again."""

    stream: str
    code: int
    message: str
    temporary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The server could not do what was asked for `streams` (empty: it does not say which), or a message was refused.

    One that comes of asking too fast is no event: what was asked is asked again, when the server says.
    """

    streams: Sequence[str]
    code: int
    slug: str
    message: str
    temporary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """The server says that `stream` is read too slowly (`action` warn, catching_up), or again fast enough (cleared)."""

    stream: str
    action: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The connection ended, or could not be made, as `reason` says; the next attempt is in `retry_in_s`, None: none."""

    reason: str
    retry_in_s: float | None


class Terminated(Exception):
    """The server will not have this client back: `code` is its close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


Event = Record | Greeks | Snapshot | Recovered | Gap | State | Refusal | Problem | Slow | Disconnected
