"""The records everybody speaks of besides market data: frozen, keyword-only, and each says whose time it is.

Fields, types and units are those of the Avro files in `schemas/avro`; a contract test compares them. Quotes, trades and
bars are declared in `schemas.streams`, where the clocks are explained, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from schemas.clocks import CanonicalOffset, EventTime, KnowledgeTime, MarketTime, RawOffset, WallTime
from schemas.fields import US

Route = Literal["primary", "shadow", "backfill"]
Confidence = Literal["proven", "inferred"]
GapState = Literal["open", "filling", "filled", "empty", "unrecoverable"]
EvidenceKind = Literal["collected", "blind", "absent", "empty", "unrecoverable"]

JobType = Literal["poll", "backfill", "lease"]
JobStatus = Literal["queued", "done", "duplicate", "refused", "failed", "expired"]

NO_CANONICAL_OFFSET = CanonicalOffset(-1)
NO_OFFSET, NO_WALL_TIME, NO_MARKET_TIME = RawOffset(-1), WallTime(0), MarketTime(0)

# Why values are missing. Whoever publishes may name others.
MISSING_BARS = "missing_bars"
# Nothing came for so long that nobody can say it was watched.
LONG_SILENCE = "long_silence"
# Another provider of the symbol was asked: nothing is missing of this one.
SERVED_ELSEWHERE = "served_elsewhere"

GAP_STATE_RANK: Mapping[str, int] = {"open": 0, "filling": 1, "filled": 2, "empty": 2, "unrecoverable": 2}

Event = Mapping[str, Any]
"""One parsed vendor event inside a raw block: the fields of QuoteEvent, TradeEvent or BarEvent in the Avro files.

A mapping, not a class: the processor touches tens of thousands a second and changes none of them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discontinuity:
    """A stretch [from_time, to_time) of one stream that a producer knows it could not see.

    `from_time` is None where the producer does not know when coverage ended; the processor's own
    last event then bounds it.
    """

    symbol: Annotated[str, "whose stream"]
    interval: Annotated[str, "bar interval; empty for quotes and trades"]
    from_time: Annotated[EventTime | None, "last moment covered, as far as the producer knows" + US] = None
    to_time: Annotated[EventTime, "covered again from here on" + US]
    cause: Annotated[str, "producer_down, disconnected, ..."]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBlock:
    """Content of one vendor response, or of at most 50 ms or 500 events of a stream, for one partition.

    The schema of a stream's block is these fields and then its events.
    """

    provider: Annotated[str, "who answered"]
    endpoint: Annotated[str, "which endpoint or socket"]
    route: Annotated[Route, "why it was fetched"]
    job_id: Annotated[str, "job that asked for it; empty for a standing poll"] = ""
    received_time: Annotated[WallTime, "our poller saw the response" + US]
    connection_id: Annotated[str, "socket connection; empty for a request"] = ""
    hints: Annotated[Mapping[str, str], "processing hints; unknown ones are ignored"] = field(
        default_factory=dict
    )
    discontinuities: Annotated[Sequence[Discontinuity], "what the producer knows it could not see"] = ()
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Place of a canonical record in our log: (raw_offset, index) in its raw partition."""

    raw_offset: RawOffset
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Statement of the log on the completeness of one stream over [from_time, to_time); never changed, never taken back.

    `collected`: values are collected there, from here on where `to_time` is None; of a stretch with the cause
    SERVED_ELSEWHERE by another provider, so that "from here on" leaves it out. `blind`: nobody watched, and why.
    `absent`: bars that should have come did not, though watched. `empty`: the vendor was asked again and what is not
    stored there does not exist. `unrecoverable`: it is given up, and why. Gaps follow from it (`schemas.ledger`). A
    stretch that no stream can be named for has `stream` topic/partition, and no symbol.
    """

    kind: EvidenceKind
    stream: str  # channel:provider:symbol
    symbol: str
    provider: str
    interval: str  # "" for quotes and trades
    from_time: EventTime
    to_time: EventTime | None = None
    cause: str = ""  # of what is missing: missing_bars | producer_down | disconnected | log_truncated | ...
    expected: int = 0  # bars missing by the calendar; 0 where that cannot be counted
    detector: str  # processor | producer | sweep | operator
    job_id: str = ""  # of the job that asked again
    known_from: KnowledgeTime
    raw_offset: RawOffset = NO_OFFSET
    index: int = 0  # among the evidence of that block


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """End of the time in which streams of one channel, provider and partition were watched, by symbol.

    The newest record of a group says all of it: what a restart costs begins there.
    """

    channel: str
    provider: str
    until: Mapping[str, MarketTime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A hole [from_time, to_time) in a stream, why, since when known, and what became of it.

    States go forward only: open → filling → filled | empty | unrecoverable. New evidence reopens a gap
    under the next `generation`.
    """

    gap_id: str
    stream: str  # channel:provider:symbol
    symbol: str
    provider: str
    interval: str  # "" for quotes and trades
    from_time: EventTime
    to_time: EventTime
    cause: str  # missing_bars | producer_down | disconnected | log_truncated | sequence
    confidence: Confidence = "inferred"
    state: GapState = "open"
    generation: int = 0
    expected: int = 0  # bars missing by the calendar; 0 where that cannot be counted
    detector: str  # processor | sink | producer | sweep
    known_from: KnowledgeTime
    raw_offset: RawOffset = NO_OFFSET  # of what a sink or a sweep found none
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Raw blocks up to `raw_offset` are processed; committed in the same Kafka transaction as their outputs.

    `canonical_end_offset` is the end of the canonical partition after the previous transaction, so a reader whose
    position has reached it holds every version known strictly before `complete_before`: the `known_from` of this
    transaction's first block, where `known_from` is that of the last. None, as records of version 1 have it: the same.
    `evidence_end_offset` says the same of the evidence partition, of what this raw partition's processing wrote there.
    `raw_topic_id` and `raw_leader_epoch` tell a raw topic made again, or cut and grown again, from the one that was read;
    `calendars` is the fingerprint of the calendars it was judged by.
    """

    raw_topic: str
    partition: int
    raw_offset: RawOffset
    known_from: KnowledgeTime
    canonical_topic: str
    canonical_end_offset: CanonicalOffset
    processing_version: int
    complete_before: KnowledgeTime | None = None
    evidence_end_offset: CanonicalOffset = NO_CANONICAL_OFFSET
    raw_topic_id: str = ""
    raw_leader_epoch: int = -1
    calendars: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing the producers are asked to do; a type uses its own fields, the others keep their defaults.

    `created_time`, `not_before` and `deadline` are wall time; `slot`, `start` and `end` are market time.
    """

    version: int
    job_id: str
    type: JobType
    source: str
    priority: int = 5  # 0 first … 9 last
    created_time: WallTime
    not_before: WallTime = NO_WALL_TIME  # 0: at once
    deadline: WallTime = NO_WALL_TIME  # 0: none
    provider: str = ""  # "" = whoever serves the capability
    capability: str = ""
    symbols: Sequence[str] = ()
    slot: MarketTime = NO_MARKET_TIME
    start: MarketTime = NO_MARKET_TIME
    end: MarketTime = NO_MARKET_TIME
    gap_id: str = ""
    lease_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolOutcome:
    """Outcome of one symbol of a job."""

    symbol: str
    status: JobStatus
    reason: str = ""
    events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """Outcome of a job, or of a poll nobody asked for (source `sweeper`); `finished_time` is wall time."""

    version: int
    job_id: str
    type: JobType
    source: str
    status: JobStatus
    reason: str = ""
    provider: str = ""
    capability: str
    slot: MarketTime = NO_MARKET_TIME
    outcomes: Sequence[SymbolOutcome] = ()
    attempts: int = 0
    instance: str
    finished_time: WallTime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record, or one event of it, that could not be used: why, where, and its bytes."""

    stage: str  # producer | processor | sink
    reason: str
    message: str
    topic: str
    partition: int = -1
    offset: int = -1
    index: int = -1
    known_from: KnowledgeTime
    provider: str = ""
    symbol: str = ""
    key: bytes | None = None
    payload: bytes
