"""The sink's tables: what is stored, what a transaction would change, and the fence in front of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter

from schemas.deriving import content
from schemas.errors import Fenced
from schemas.partitions import TopicPartition
from schemas.records import Gap
from schemas.streams import BY_TOPIC, StreamId
from sinks.ledger.cursors import Cursor
from tests.model.broker import fields_of
from tests.model.oracle import TRADE_CONTENT, Key, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A canonical record as the database stores it."""

    key: Key
    place: Place
    content: Hashable
    known_from: int
    final: bool


@lru_cache(maxsize=512)
def version_of(topic: str, value: bytes | None) -> Version:
    """Return a canonical record as the database stores it."""
    fields = fields_of(topic, value)
    return Version(
        key=(fields["provider"], fields["symbol"], fields.get("interval", ""), fields["event_time"]),
        place=(fields["raw_offset"], fields["index"]),
        content=itemgetter(*(content(BY_TOPIC[topic]) or TRADE_CONTENT))(fields),
        known_from=fields["known_from"],
        final=fields.get("final", True),
    )


class KeyTaken(Exception):
    """A row written without comparison opens a key that is stored already."""


@dataclass(slots=True)
class Pending:
    """What a transaction would change."""

    rows: dict[str, dict[Place, Version]] = field(default_factory=lambda: defaultdict(dict))  # by topic
    gone: list[Gap] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    cursors: dict[StreamId, Cursor] = field(default_factory=dict)
    watermarks: dict[TopicPartition, int] = field(default_factory=dict)
    outbox: list[Gap] = field(default_factory=list)
    moves: dict[str, tuple[int, int]] = field(default_factory=dict)  # topic → from, to


@dataclass(slots=True)
class Database:
    """The sink's tables; a transaction applies whole or not at all."""

    rows: dict[str, dict[Place, Version]] = field(default_factory=lambda: defaultdict(dict))
    keys: dict[str, dict[Key, dict[Place, Version]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    # stream → gap id → gap
    gaps: dict[str, dict[str, Gap]] = field(default_factory=lambda: defaultdict(dict))
    cursors: dict[StreamId, Cursor] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    watermarks: dict[str, int] = field(default_factory=dict)
    # with what was known before it
    published: list[tuple[str, int, frozenset[Place]]] = field(default_factory=list)
    outbox: list[Gap] = field(default_factory=list)
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
        for gap in pending.gone:
            self.gaps[gap.stream].pop(gap.gap_id, None)
        for gap in pending.gaps:
            self.gaps[gap.stream][gap.gap_id] = gap
        self.cursors.update(pending.cursors)
        self.outbox.extend(pending.outbox)
        self.positions.update({topic: end for topic, (_, end) in pending.moves.items()})
        for (topic, _), moment in pending.watermarks.items():
            self.watermarks[topic] = max(moment, self.watermarks.get(topic, moment))
            known = frozenset(
                p for p, row in self.rows[topic].items() if row.known_from < self.watermarks[topic]
            )
            self.published.append((topic, self.watermarks[topic], known))

    def check(self, pending: Pending, epoch: int) -> None:
        """Raise Fenced unless `epoch` owns the positions and they are where it left them."""
        if epoch != self.epoch or any(
            self.positions.get(t, 0) != start for t, (start, _) in pending.moves.items()
        ):
            raise Fenced("a newer owner took over")
