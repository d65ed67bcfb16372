"""Dead events that come in again: judged, claimed in the database, published, and ended as the log says.

An event is published by whoever made it `replaying`, and then only once: it becomes `replayed` where the broker confirmed
it, and stays `replaying` where nobody knows. Whoever replays next holds the lock, so that nobody publishes meanwhile, and
asks the raw topic: what came from the letter is there, or the event is open again, or the log of that time is gone.
"""

# ruff: noqa: S608 - the only names put into these texts are those of declared streams

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from gateway.dead_events.judging import (
    ENTRY_SEPARATOR,
    Judged,
    Key,
    Piece,
    Said,
    Unpacked,
    asked_for,
    compared,
    judged,
    letter_name,
    records_of,
    unpacked,
)
from gateway.dead_events.shell.letters import Letters
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.postgres import dead_events as store
from infra.runtime.postgres.backfill_acts import note
from infra.runtime.postgres.dead_events import Intent, LeftBehind
from infra.runtime.postgres.errors import Connection
from schemas.clocks import WallTime
from schemas.dead_events import DeadEvent, DeadState
from schemas.deriving import items, own_fields
from schemas.errors import BrokerUnavailable, InvalidRecord
from schemas.identity import stream_id_of
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.streams import STREAMS, Stream

DECIDED_AFTER_S = 30.0  # what was sent is in the log by then, or never will be: a delivery takes 10 s at most
STANDSTILL_S = 10.0  # between claim and publishing: less than what others wait for, without the delivery
WITHIN_US = 10 * MINUTE_US  # of a claim its record was appended, clocks included
SETTLED_AT_ONCE = 1_000
ACT = "dead_event.replay"
SUBJECT = "dead_events"


@dataclass(slots=True, kw_only=True)
class Replayed:
    """Verdicts in order, and where what was published is: topic/partition/offset by event."""

    verdicts: list[Judged] = field(default_factory=list)
    published: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Prepared:
    verdict: Judged
    records: Sequence[tuple[int, bytes]]


class Replaying:
    """Brings dead events in again, of a system with so many partitions."""

    def __init__(self, letters: Letters, partitions: int) -> None:
        """Read and publish through `letters`."""
        self._letters, self._partitions = letters, partitions

    async def judge(self, connection: Connection, events: Sequence[DeadEvent]) -> list[Judged]:
        """Return what would come out of events, in their order; raises BrokerUnavailable."""
        now = wall_us()
        payloads = await self._letters.payloads(events)
        found = await asyncio.to_thread(self._unpacked, events, payloads, now)
        stored = await stored_beside(connection, asked_for(found))
        earlier: dict[Key, tuple[int, Said]] = {}
        return [judged(each, stored, earlier) for each in found]

    async def replay(
        self, connection: Connection, events: Sequence[DeadEvent], *, actor: str, replace: bool
    ) -> Replayed:
        """Publish what comes out of open events, each once; the lock is the caller's. Raises BrokerUnavailable.

        After an error events may stay `replaying`, until `settle` asks the log.
        """
        done = Replayed(verdicts=await self.judge(connection, events))
        wanted = ("kept", "replaces") if replace else ("kept",)
        prepared = await asyncio.to_thread(self._prepared, done, wanted)
        claimed = await self._claim(connection, prepared, actor)
        claimed_s = monotonic_s()
        mine = [each for each in prepared if each.verdict.event.dead_id in claimed]
        outgoing = [
            Outgoing(topic=each.verdict.event.place.topic, partition=partition, value=value)
            for each in mine
            for partition, value in each.records
        ]
        if monotonic_s() - claimed_s > STANDSTILL_S:
            raise BrokerUnavailable(
                "this process stood still after the claim, and others may have decided since"
            )
        if outgoing:
            offsets = iter(await self._letters.publish(outgoing))
            for each in mine:
                topic = each.verdict.event.place.topic
                places = [f"{topic}/{partition}/{next(offsets)}" for partition, _ in each.records]
                done.published[each.verdict.event.dead_id] = " ".join(places)
            async with connection.transaction():
                await store.settle(connection, done.published, "replayed")
        return done

    async def settle(self, connection: Connection) -> int:
        """End what somebody who ended was publishing, as the log says; the lock is the caller's. Return how many."""
        left = [
            each
            for each in await store.left_behind(connection, limit=SETTLED_AT_ONCE)
            if each.age_s >= DECIDED_AFTER_S
        ]
        notes: dict[DeadState, dict[int, str]] = {"replayed": {}, "open": {}, "unknown": {}}
        logs: dict[tuple[str, int, int], Mapping[str, int] | None] = {}
        for each in left:
            state, told = await self._told(each, logs)
            notes[state][each.event.dead_id] = told
        async with connection.transaction():
            for state, these in notes.items():
                if these:
                    await store.settle(connection, these, state)
        return len(left)

    def _unpacked(
        self, events: Sequence[DeadEvent], payloads: Mapping[int, bytes | None], now: WallTime
    ) -> list[Unpacked]:
        return [unpacked(event, payloads[event.dead_id], self._partitions, now) for event in events]

    def _prepared(self, done: Replayed, wanted: Sequence[str]) -> list[_Prepared]:
        now, prepared = wall_us(), []
        for place, verdict in enumerate(done.verdicts):
            if verdict.verdict in wanted:
                try:
                    prepared.append(_Prepared(verdict, records_of(verdict, self._partitions, now)))
                except InvalidRecord as error:
                    done.verdicts[place] = Judged(
                        event=verdict.event,
                        verdict="not_replayable",
                        detail=f"its raw record would be too large: {error}",
                    )
        return prepared

    async def _claim(self, connection: Connection, prepared: Sequence[_Prepared], actor: str) -> set[int]:
        """Intent events, with the row of the audit, before anything of them can be in the log; return which."""
        ends: dict[str, Mapping[int, int]] = {}
        for topic in {each.verdict.event.place.topic for each in prepared}:
            numbers = {
                number
                for each in prepared
                if each.verdict.event.place.topic == topic
                for number, _ in each.records
            }
            ends[topic] = await self._letters.ends(topic, numbers)
        claims = [
            Intent(
                dead_id=each.verdict.event.dead_id,
                topic=each.verdict.event.place.topic,
                ended={number: ends[each.verdict.event.place.topic][number] for number, _ in each.records},
            )
            for each in prepared
        ]
        async with connection.transaction():
            claimed = await store.claim(connection, claims, actor=actor) if claims else set()
            if claimed:
                await note(connection, actor, ACT, SUBJECT, {"event_ids": sorted(claimed)})
        return claimed

    async def _told(
        self, left: LeftBehind, logs: dict[tuple[str, int, int], Mapping[str, int] | None]
    ) -> tuple[DeadState, str]:
        """Return what became of an event; `logs` are those that were read."""
        letter, topic = letter_name(left.event.place), left.claim.topic
        before = WallTime(wall_us() - int(left.age_s * SECOND_US) + WITHIN_US)
        places, gone, missing = list[str](), False, False
        for partition, start in left.claim.ended.items():
            key = topic, partition, start
            if key not in logs:
                logs[key] = await self._letters.brought(topic, partition, start, before)
            brought = logs[key]
            if brought is None:
                gone = True
            elif letter in brought:
                places.append(f"{topic}/{partition}/{brought[letter]}")
            else:
                missing = True
        if not gone and not missing:
            return "replayed", " ".join(places)
        if not gone and not places:
            return "open", "a replay ended before it published this"
        return "unknown", f"the log only tells of {' '.join(places) or 'nothing'}"


@cache
def statement_of(stream: Stream) -> str:
    """$1 series, $2 moments, $3 vendors' ids of occurrences or names of entries: the newest value of each."""
    days = {field.name for field in own_fields(stream) if field.kind == "date"}
    read = {
        name: f"(v.{name} - DATE '1970-01-01')" if name in days else f"v.{name}"
        for name in (*compared(stream), *items(stream))
    }
    names = ", ".join(read[name] for name in compared(stream))
    same = "AND v.event_time = t.event_time "
    if stream.versions == "occurrences":
        same += "AND v.trade_id = t.named "
    elif named := items(stream):
        parts = (f"coalesce({read[name]}::text, '')" for name in named)
        same = f"AND concat_ws('{ENTRY_SEPARATOR}', {', '.join(parts)}) = t.named "
    return f"""
    SELECT t.place, x.* FROM unnest($1::bigint[], $2::timestamptz[], $3::text[])
        WITH ORDINALITY t(stream_id, event_time, named, place)
    CROSS JOIN LATERAL (
        SELECT {names} FROM v_{stream.name} v WHERE v.stream_id = t.stream_id {same}
        ORDER BY v.position DESC LIMIT 1
    ) x
    """


async def stored_beside(connection: Connection, pieces: Iterable[Piece]) -> dict[Key, Said]:
    """Return what is stored of the moments of these events, of occurrences by the vendor's id."""
    by_stream: dict[str, list[Piece]] = {}
    for piece in pieces:
        by_stream.setdefault(piece.series.name, []).append(piece)
    found: dict[Key, Said] = {}
    for stream in STREAMS:
        asked = by_stream.get(stream.name)
        if asked:
            rows = await connection.fetch(
                statement_of(stream),
                [stream_id_of(piece.series) for piece in asked],
                [piece.event["event_time"] for piece in asked],
                [piece.entry or piece.event.get("trade_id") for piece in asked],
            )
            found |= {asked[row["place"] - 1].key: tuple(row)[1:] for row in rows}
    return found
