"""The sink's tables: what is stored, what a transaction would change, and the fence in front of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any

from schemas.deriving import content, items
from schemas.errors import Fenced
from schemas.ledger.coverage import Coverage
from schemas.partitions import TopicPartition
from schemas.records import Evidence, Gap
from schemas.streams import BY_TOPIC, StreamId
from sinks.ledger.cursors import Cursor
from tests.model.broker import fields_of
from tests.model.oracle import AHEAD_US, TRADE_CONTENT, Key, Place

EvidenceKey = tuple[str, int, int, int, int]  # stream, from_time, known_from, raw_offset, index


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A canonical record as the database stores it."""

    key: Key
    place: Place
    content: Hashable
    known_from: int
    final: bool
    told: Mapping[str, Any] = field(compare=False, repr=False)  # all that the record says
    live: bool = True  # neither backfilled nor stamped ahead of its record


@lru_cache(maxsize=512)
def version_of(topic: str, value: bytes | None) -> Version:
    """Return a canonical record as the database stores it."""
    fields = fields_of(topic, value)
    stream = BY_TOPIC[topic]
    named = tuple(fields[name] for name in items(stream)) or fields["event_time"]
    ahead = fields["event_time"] > fields["known_from"] + AHEAD_US
    return Version(
        key=(fields["provider"], fields["symbol"], fields.get("interval", ""), named),
        place=(fields["raw_offset"], fields["index"]),
        content=itemgetter(*(content(stream) or TRADE_CONTENT))(fields),
        known_from=fields["known_from"],
        final=fields.get("final", True),
        told=fields,
        live=fields["route"] != "backfill" and not ahead,
    )


def evidence_key(told: Evidence) -> EvidenceKey:
    """Return what no two rows of evidence share."""
    return told.stream, told.from_time, told.known_from, told.raw_offset, told.index


class KeyTaken(Exception):
    """A row written without comparison opens a key that is stored already."""


@dataclass(slots=True)
class Pending:
    """What a transaction would change."""

    rows: dict[str, dict[Place, Version]] = field(default_factory=lambda: defaultdict(dict))  # by topic
    evidence: list[Evidence] = field(default_factory=list)
    gone: list[Gap] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    coverage: dict[StreamId, list[Coverage]] = field(default_factory=dict)
    cursors: dict[StreamId, Cursor | None] = field(default_factory=dict)
    watermarks: dict[TopicPartition, int] = field(default_factory=dict)
    outbox: list[tuple[bytes, bytes]] = field(default_factory=list)
    moves: dict[str, tuple[int, int]] = field(default_factory=dict)  # topic → from, to


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A watermark of a canonical topic, and which rows and evidence known before it were stored when it was published."""

    topic: str
    moment: int
    rows: frozenset[Place]
    evidence: frozenset[EvidenceKey]


@dataclass(slots=True)
class Database:
    """The sink's tables; a transaction applies whole or not at all."""

    rows: dict[str, dict[Place, Version]] = field(default_factory=lambda: defaultdict(dict))
    keys: dict[str, dict[Key, dict[Place, Version]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    # stream → its evidence
    evidence: dict[str, dict[EvidenceKey, Evidence]] = field(default_factory=lambda: defaultdict(dict))
    # stream → gap id → gap
    gaps: dict[str, dict[str, Gap]] = field(default_factory=lambda: defaultdict(dict))
    coverage: dict[StreamId, dict[int, Coverage]] = field(default_factory=lambda: defaultdict(dict))
    cursors: dict[StreamId, Cursor | None] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    watermarks: dict[str, int] = field(default_factory=dict)
    published: list[Published] = field(default_factory=list)
    outbox: list[tuple[bytes, bytes]] = field(default_factory=list)
    epoch: int = 0

    def take_over(self) -> int:
        """Fence the predecessor and return the new epoch."""
        self.epoch += 1
        return self.epoch

    def commit(self, pending: Pending, epoch: int) -> None:
        """Apply a transaction; raise Fenced where a newer owner took over."""
        self.check(pending, epoch)
        for topic, rows in pending.rows.items():
            assert not rows.keys() & self.rows[topic].keys(), "a row is stored twice"
            self.rows[topic].update(rows)
            for place, version in rows.items():
                self.keys[topic][version.key][place] = version
        for told in pending.evidence:
            assert told.to_time is None or told.from_time < told.to_time, f"evidence of nothing: {told}"
            self.evidence[told.stream].setdefault(evidence_key(told), told)
        for gap in (*pending.gone, *pending.gaps):
            self.gaps[gap.stream].pop(gap.gap_id, None)
        for gap in pending.gaps:
            self.gaps[gap.stream][gap.gap_id] = gap
        for series, covered in pending.coverage.items():
            self._cover(series, covered)
        for series, cursor in pending.cursors.items():
            self.cursors[series] = cursor or self.cursors.get(series)
        self.outbox.extend(pending.outbox)
        self.positions.update({topic: end for topic, (_, end) in pending.moves.items()})
        for (topic, _), moment in pending.watermarks.items():
            self.watermarks[topic] = max(moment, self.watermarks.get(topic, moment))
            self.published.append(self._known(topic, self.watermarks[topic]))

    def _cover(self, series: StreamId, covered: Iterable[Coverage]) -> None:
        for row in covered:
            if row.absent | row.empty:
                self.coverage[series][row.start] = row
            else:
                self.coverage[series].pop(row.start, None)

    def _known(self, topic: str, moment: int) -> Published:
        rows = (place for place, row in self.rows[topic].items() if row.known_from < moment)
        told = (
            key
            for stream in streams_of(self.evidence, topic)
            for key, each in self.evidence[stream].items()
            if each.known_from < moment
        )
        return Published(topic=topic, moment=moment, rows=frozenset(rows), evidence=frozenset(told))

    def check(self, pending: Pending, epoch: int) -> None:
        """Raise Fenced unless `epoch` owns the positions and they are where it left them."""
        if epoch != self.epoch or any(
            self.positions.get(t, 0) != start for t, (start, _) in pending.moves.items()
        ):
            raise Fenced("a newer owner took over")


def streams_of(streams: Iterable[str], topic: str) -> list[str]:
    """Return those of these streams that belong to a canonical topic, in order; of whole partitions, too."""
    name = topic.partition(".")[0]
    return sorted(each for each in streams if each.startswith((name, f"raw.{name}.")))
