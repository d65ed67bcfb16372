"""Dead events in the database: written from the topics of dead letters, looked through, claimed, and ended once.

Each function works in the caller's transaction where there is one. Whoever publishes an event again holds the lock of
`in_hand` on a connection of its own from before the claim until the outcome is written: an event that is `replaying` while
the lock is free is of somebody who ended.
"""

# ruff: noqa: S608 - the only names put into these texts are our own columns and states

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.runtime.postgres.errors import Connection, Record
from schemas.clocks import KnowledgeTime, WallTime
from schemas.dead_events import UNFINISHED, DeadEvent, DeadState, LetterPlace
from schemas.partitions import TopicPartition
from schemas.records import DeadLetter

LOCKED = 0x6D6465  # "mde": class of our advisory locks
FORGOTTEN_AT_ONCE = 1_000

COLUMNS = (
    "topic", "topic_id", "partition", "letter_offset", "dead_time", "cause", "stage", "reason", "fault", "message", "provider", "symbol",
    "origin_partition", "origin_offset", "origin_index", "known_from", "payload", "payload_bytes",
)  # fmt: skip
TYPES = (
    "text", "text", "int", "bigint", "timestamptz", "text", "text", "text", "text", "text", "text", "text", "int", "bigint", "int",
    "timestamptz", "bytea", "int",
)  # fmt: skip
_NAMES = ", ".join(COLUMNS)
_OURS = f"dead_id, {_NAMES}, state, ended_time, actor, note"
STORE = f"""
    INSERT INTO dead_events ({_NAMES}) SELECT {_NAMES} FROM unnest(
        {", ".join(f"${number}::{kind}[]" for number, kind in enumerate(TYPES, start=1))}
    ) t({_NAMES}) ORDER BY dead_time ON CONFLICT (topic, partition, topic_id, letter_offset) DO NOTHING
"""
POSITIONS = "SELECT topic, partition, topic_id, next_offset FROM dead_letter_positions"
MOVE = """
    INSERT INTO dead_letter_positions AS p (topic, partition, topic_id, next_offset)
    SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[])
    ON CONFLICT (topic, partition) DO UPDATE SET topic_id = excluded.topic_id, next_offset = CASE
        WHEN p.topic_id = excluded.topic_id THEN greatest(p.next_offset, excluded.next_offset) ELSE excluded.next_offset END
"""
# $1 topic, $2 partition, $3 topic id, $4 start of the log, $5 at most so many
FORGET = """
    DELETE FROM dead_events WHERE dead_id = ANY (ARRAY(
        SELECT dead_id FROM dead_events WHERE topic = $1 AND partition = $2 AND state <> 'replaying'
            AND (topic_id <> $3 OR letter_offset < $4) LIMIT $5 FOR UPDATE SKIP LOCKED
    ))
"""
DEPTHS = f"SELECT topic, count(*) AS events FROM dead_events WHERE state IN {UNFINISHED} GROUP BY topic"
TRY_LOCK = "SELECT pg_try_advisory_lock($1, 0)"
UNLOCK = "SELECT pg_advisory_unlock($1, 0)"
LEFT_BEHIND = f"""
    SELECT {_OURS}, claim, extract(epoch FROM clock_timestamp() - claimed_time)::float8 AS age_s FROM dead_events
    WHERE state = 'replaying' ORDER BY dead_id LIMIT $1
"""
# $1 ids, $2 claims, $3 actor
CLAIM = """
    UPDATE dead_events d SET state = 'replaying', claimed_time = clock_timestamp(), claim = t.claim::jsonb, actor = $3
    FROM unnest($1::bigint[], $2::text[]) t(dead_id, claim) WHERE d.dead_id = t.dead_id AND d.state = 'open' RETURNING d.dead_id
"""
# $1 ids, $2 notes, $3 state
SETTLE = """
    UPDATE dead_events d SET state = $3, claim = NULL, note = t.note,
        ended_time = CASE WHEN $3 = 'open' THEN NULL ELSE clock_timestamp() END
    FROM unnest($1::bigint[], $2::text[]) t(dead_id, note) WHERE d.dead_id = t.dead_id AND d.state = 'replaying' RETURNING d.dead_id
"""
# $1 ids, $2 actor, $3 why
DISCARD = """
    UPDATE dead_events SET state = 'discarded', actor = $2, note = $3, ended_time = clock_timestamp()
    WHERE dead_id = ANY($1::bigint[]) AND state IN ('open', 'unknown') RETURNING dead_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadFilter:
    """Filter of events; None: all of them. `since` and `until` (exclusive) are times of death, µs."""

    states: tuple[DeadState, ...]
    dead_id: int | None = None
    cause: str | None = None
    topic: str | None = None
    stage: str | None = None
    symbol: str | None = None
    provider: str | None = None
    since: WallTime | None = None
    until: WallTime | None = None

    def where(self, arguments: list[Any]) -> str:
        """Return the condition, whose values are added to the arguments."""
        named = (
            ("dead_id = {}", self.dead_id),
            ("cause = {}", self.cause),
            ("topic = {}", self.topic),
            ("stage = {}", self.stage),
            ("symbol = {}", self.symbol),
            ("provider = {}", self.provider),
            ("dead_time >= {}", self.since),
            ("dead_time < {}", self.until),
        )
        conditions = [f"state IN ({', '.join(repr(state) for state in self.states)})"]
        for text, value in named:
            if value is not None:
                arguments.append(value)
                conditions.append(text.format(f"${len(arguments)}"))
        return " AND ".join(conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadCause:
    """Events that died of one cause: how many, when the first and the last, and the newest of them."""

    count: int
    first: WallTime
    last: WallTime
    example: DeadEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Events of one id that are about to be published: to a raw topic whose partitions `ended` there before."""

    dead_id: int
    topic: str
    ended: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """An event somebody claimed and did not end, `age_s` seconds ago."""

    event: DeadEvent
    claim: Intent
    age_s: float


async def positions(connection: Connection) -> dict[TopicPartition, tuple[str, int]]:
    """Return (topic id, next offset) of each partition of letters by the topic they died in."""
    rows = await connection.fetch(POSITIONS)
    return {TopicPartition(row[0], row[1]): (row[2], row[3]) for row in rows}


async def store(
    connection: Connection, events: Sequence[DeadEvent], ends: Mapping[TopicPartition, tuple[str, int]]
) -> None:
    """Store events, each once however often it is read, and how far their topics are read, in one transaction."""
    async with connection.transaction():
        if events:
            await connection.execute(STORE, *zip(*(_row(event) for event in events), strict=True))
        moved = [(topic, number, *end) for (topic, number), end in sorted(ends.items())]
        if moved:
            await connection.execute(MOVE, *zip(*moved, strict=True))


async def forget(connection: Connection, place: TopicPartition, topic_id: str, start_offset: int) -> None:
    """Delete events whose letters are gone: before this offset, where the log starts, or of a topic with another id."""
    deleted = FORGOTTEN_AT_ONCE
    while deleted == FORGOTTEN_AT_ONCE:
        told = await connection.execute(FORGET, *place, topic_id, start_offset, FORGOTTEN_AT_ONCE)
        deleted = int(told.rpartition(" ")[2])


async def depths(connection: Connection) -> dict[str, int]:
    """Return how many events of each topic nobody has ended."""
    return {row["topic"]: row["events"] for row in await connection.fetch(DEPTHS)}


async def causes(
    connection: Connection, which: DeadFilter, *, below_id: int | None, newest_id: int | None, limit: int
) -> list[DeadCause]:
    """Return causes by their newest event, newest first: after that of the page before, up to the one `newest_id` of all."""
    arguments: list[Any] = [limit, below_id, newest_id]
    where = which.where(arguments)
    rows = await connection.fetch(
        f"""
        SELECT {_OURS}, c.events, c.first_time, c.last_time FROM (
            SELECT max(dead_id) AS newest, count(*) AS events, min(dead_time) AS first_time, max(dead_time) AS last_time
            FROM dead_events WHERE {where} AND ($3::bigint IS NULL OR dead_id <= $3) GROUP BY cause
            HAVING $2::bigint IS NULL OR max(dead_id) < $2 ORDER BY 1 DESC LIMIT $1
        ) c JOIN dead_events d ON d.dead_id = c.newest ORDER BY c.newest DESC
        """,
        *arguments,
    )
    return [
        DeadCause(count=row["events"], first=row["first_time"], last=row["last_time"], example=_event(row))
        for row in rows
    ]


async def events(
    connection: Connection, which: DeadFilter, *, below_id: int | None, limit: int, oldest_first: bool = False
) -> list[DeadEvent]:
    """Return events, newest first: those before `below_id`; or the oldest."""
    arguments: list[Any] = [limit, below_id]
    where, order = which.where(arguments), "ASC" if oldest_first else "DESC"
    rows = await connection.fetch(
        f"""
        SELECT {_OURS} FROM dead_events WHERE {where} AND ($2::bigint IS NULL OR dead_id < $2)
        ORDER BY dead_id {order} LIMIT $1
        """,
        *arguments,
    )
    return [_event(row) for row in rows]


async def lock(connection: Connection) -> bool:
    """Take the lock of who publishes, for the connection, not for its transaction; whether nobody else has it."""
    return bool(await connection.fetchval(TRY_LOCK, LOCKED))


async def unlock(connection: Connection) -> None:
    """Give the lock back."""
    await connection.execute(UNLOCK, LOCKED)


async def left_behind(connection: Connection, *, limit: int) -> list[LeftBehind]:
    """Return events that are being published; with the lock in hand: by somebody who ended."""
    rows = await connection.fetch(LEFT_BEHIND, limit)
    return [LeftBehind(event=_event(row), claim=_claim(row), age_s=row["age_s"]) for row in rows]


async def claim(connection: Connection, claims: Sequence[Intent], *, actor: str) -> set[int]:
    """Make open events `replaying`; return which: another may have ended some meanwhile."""
    texts = [json.dumps({"topic": each.topic, "ended": each.ended}) for each in claims]
    rows = await connection.fetch(CLAIM, [each.dead_id for each in claims], texts, actor)
    return {row["dead_id"] for row in rows}


async def settle(connection: Connection, notes: Mapping[int, str], state: DeadState) -> set[int]:
    """End claims as `replayed` or `unknown`, or open the events again; return which were claimed."""
    rows = await connection.fetch(SETTLE, list(notes), list(notes.values()), state)
    return {row["dead_id"] for row in rows}


async def discard(connection: Connection, ids: Collection[int], *, actor: str, reason: str) -> set[int]:
    """Put events away; return which: another may have ended some meanwhile."""
    return {row["dead_id"] for row in await connection.fetch(DISCARD, list(ids), actor, reason)}


def _row(event: DeadEvent) -> tuple[Any, ...]:
    place, letter = event.place, event.letter
    return (
        place.topic, place.topic_id, place.partition, place.offset, event.dead_time, event.cause, letter.stage, letter.reason,
        event.fault, letter.message, letter.provider, letter.symbol, letter.partition, letter.offset, letter.index,
        letter.known_from, letter.payload, event.payload_bytes,
    )  # fmt: skip


def _event(row: Record) -> DeadEvent:
    letter = DeadLetter(
        stage=row["stage"],
        reason=row["reason"],
        message=row["message"],
        topic=row["topic"],
        partition=row["origin_partition"],
        offset=row["origin_offset"],
        index=row["origin_index"],
        known_from=KnowledgeTime(row["known_from"]),
        provider=row["provider"],
        symbol=row["symbol"],
        payload=row["payload"],
    )
    place = LetterPlace(
        topic=row["topic"], topic_id=row["topic_id"], partition=row["partition"], offset=row["letter_offset"]
    )
    return DeadEvent(
        place=place,
        dead_time=row["dead_time"],
        letter=letter,
        payload_bytes=row["payload_bytes"],
        cause=row["cause"],
        fault=row["fault"],
        dead_id=row["dead_id"],
        state=row["state"],
        ended_time=row["ended_time"],
        actor=row["actor"],
        note=row["note"],
    )


def _claim(row: Record) -> Intent:
    told = json.loads(row["claim"])
    ended = {int(partition): int(offset) for partition, offset in told["ended"].items()}
    return Intent(dead_id=row["dead_id"], topic=told["topic"], ended=ended)
