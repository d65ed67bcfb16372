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
    """Something changed about where `streams` come from (empty: about all); `data` is ok, or suspect while it lasts.

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


class Terminated(Exception):
    """The server will not have this client back: `code` is its close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


Event = Record | Snapshot | Recovered | Gap | State | Refusal
