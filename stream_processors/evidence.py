"""Evidence of one block: what it says about the completeness of series, numbered in the order it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.clocks import EventTime, KnowledgeTime, RawOffset
from schemas.identity import stream_text
from schemas.records import MISSING_BARS, SERVED_ELSEWHERE, Evidence, EvidenceKind
from schemas.streams import StreamId

PROCESSOR = "processor"
LOG_TRUNCATED = "log_truncated"
MISSING = frozenset({"blind", "absent"})  # kinds that say that something is missing
KIND_OF_CAUSE: Mapping[str, EvidenceKind] = {MISSING_BARS: "absent", SERVED_ELSEWHERE: "collected"}


@dataclass(slots=True, kw_only=True)
class Told:
    """Evidence of the block at `raw_offset`, known from `known_from` (µs)."""

    raw_offset: RawOffset
    known_from: KnowledgeTime
    job_id: str
    evidence: list[Evidence] = field(default_factory=list)
    _begun: dict[StreamId, EventTime] = field(default_factory=dict)

    def of_series(
        self,
        kind: EvidenceKind,
        key: StreamId,
        start: EventTime,
        end: EventTime | None,
        *,
        cause: str = "",
        expected: int = 0,
    ) -> None:
        """Tell of [start, end) of a series; `end` None: from here on."""
        self.evidence.append(
            Evidence(
                kind=kind,
                stream=stream_text(key),
                symbol=key.symbol,
                provider=key.provider,
                interval=key.interval,
                from_time=start,
                to_time=end,
                cause=cause,
                expected=expected,
                detector=PROCESSOR,
                job_id=self.job_id,
                known_from=self.known_from,
                raw_offset=self.raw_offset,
                index=len(self.evidence),
            )
        )

    def missing(
        self, key: StreamId, start: EventTime, end: EventTime, *, cause: str, expected: int = 0
    ) -> None:
        """Tell that values of [start, end) did not come: of any cause without a kind of its own, nobody watched."""
        kind = KIND_OF_CAUSE.get(cause, "blind")
        self.of_series(kind, key, start, end, cause=cause, expected=expected)

    def begin(self, key: StreamId, moment: EventTime) -> None:
        """Note that a series is collected from `moment` (µs) on: a block holds its values in any order."""
        self._begun[key] = min(self._begun.get(key, moment), moment)

    def tell_begun(self) -> Iterable[StreamId]:
        """Tell since when the series noted are collected, and return them."""
        for key, moment in self._begun.items():
            self.of_series("collected", key, moment, None)
        return self._begun

    def of_partition(self, raw_topic: str, partition: int, since: KnowledgeTime) -> None:
        """Tell that records of a raw partition, known from `since` (µs) until now, were deleted unprocessed."""
        self.evidence.append(
            Evidence(
                kind="blind",
                stream=f"{raw_topic}/{partition}",
                symbol="",
                provider="",
                interval="",
                from_time=EventTime(since),
                to_time=EventTime(max(self.known_from, since + 1)),
                cause=LOG_TRUNCATED,
                detector=PROCESSOR,
                known_from=self.known_from,
                raw_offset=self.raw_offset,
                index=len(self.evidence),
            )
        )
