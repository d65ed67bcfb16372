"""`/ops/dlq/events`: what died, by cause and one by one; in again, or away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from gateway.backfill.shell.orders import actor_of
from gateway.database.shell.snapshot import Snapshots
from gateway.dead_events.requests import (
    ALL_CAUSES,
    CAUSE,
    CAUSES,
    DISCARD,
    EVENTS,
    REPLAY,
    ActQuery,
    DeadQuery,
    DiscardQuery,
    ReplayQuery,
    Which,
)
from gateway.dead_events.shell.letters import Letters
from gateway.dead_events.shell.replaying import SUBJECT, Replayed, Replaying
from gateway.dead_events.showing import cause_row, event_row, judged_row
from gateway.http.moments import ALL_KNOWN, EARLIEST_US, LATEST_US, rfc3339
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.parameters import Complaint
from gateway.http.problems import Problem, about
from gateway.http.shell.answers import Serves, answer
from infra.runtime.clock import wall_us
from infra.runtime.postgres import dead_events as store
from infra.runtime.postgres.backfill_acts import note
from infra.runtime.postgres.dead_events import DeadFilter
from infra.runtime.postgres.errors import Connection
from schemas.dead_events import DEAD_STATE_WORDS, DEAD_STATES, DeadEvent, DeadState
from schemas.errors import BrokerUnavailable

REPLAY_WITHIN_S = 90.0
MOST_BYTES = 33_554_432  # of events that one act holds in memory
RETRY_S = 5
DISCARDABLE: tuple[DeadState, ...] = ("open", "unknown")
REPLAYABLE: tuple[DeadState, ...] = ("open",)
DISCARDED = "dead_event.discard"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterAccess:
    """Access to dead events: the database, and the letters and raw topics behind them."""

    store: Snapshots
    letters: Letters
    partitions: int


class DeadEvents:
    """Answers all four; each act has its row in `audit_acts`."""

    def __init__(self, surroundings: DeadLetterAccess, page_key: bytes) -> None:
        """Sign page tokens by `page_key`."""
        self._around, self._page_key = surroundings, page_key
        self._replaying = Replaying(surroundings.letters, surroundings.partitions)

    async def causes(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/dlq/events: by the newest event, newest first."""
        ask: DeadQuery = CAUSES.parse(request.query.items())
        query = query_hash(request.path, ask.given)
        after, newest = self._after(ask, query) or (None, None)
        async with self._around.store.acting() as connection:
            found = await store.causes(
                connection, _chosen(ask, ask.state), below_id=after, newest_id=newest, limit=ask.limit + 1
            )
        page, token = found[: ask.limit], None
        if len(found) > ask.limit:
            token = self._token((page[-1].example.dead_id, newest or page[0].example.dead_id), query)
        rows = [cause_row(each.example, count=each.count, first=each.first, last=each.last) for each in page]
        return answer(rows, {"row_count": len(rows)}, request, next_page_token=token)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/dlq/events/{cause}."""
        ask: DeadQuery = EVENTS.parse(request.query.items())
        cause = _cause_of(request.match_info["cause"])
        query = query_hash(request.path, ask.given)
        (after,) = self._after(ask, query) or (None,)
        async with self._around.store.acting() as connection:
            found = await store.events(
                connection, _chosen(ask, ask.state, cause), below_id=after, limit=ask.limit + 1
            )
            is_known = bool(found) or await _is_known(connection, cause)
        if not is_known:
            raise _unknown("cause", f"nothing that is kept died of the cause {cause}")
        page = found[: ask.limit]
        token = self._token((page[-1].dead_id,), query) if len(found) > ask.limit else None
        rows = [event_row(event) for event in page]
        return answer(rows, {"row_count": len(rows)}, request, next_page_token=token)

    async def replay(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/dlq/events/replay."""
        ask: ReplayQuery = REPLAY.parse(request.query.items())
        meant, done, settled, broken = _Meant(), Replayed(), 0, None
        is_mine, acts = False, ask.dry_run == "false"
        async with self._around.store.session(within_s=REPLAY_WITHIN_S) as connection:
            is_mine = acts and await store.lock(connection)
            try:
                if is_mine:
                    settled = await self._replaying.settle(connection)
                    meant = await _meant(connection, ask, REPLAYABLE)
                    actor, replace = actor_of(request), ask.replace == "true"
                    done = await self._replaying.replay(connection, meant.right, actor=actor, replace=replace)
                elif not acts:
                    meant = await _meant(connection, ask, REPLAYABLE)
                    done.verdicts = await self._replaying.judge(connection, meant.right)
            except BrokerUnavailable as error:
                broken = error
            if is_mine:
                await store.unlock(connection)
        if acts and not is_mine:
            detail = "somebody else replays dead events now; come again"
            raise Problem(code="busy", detail=detail, retry_after_s=RETRY_S)
        if broken is not None:
            detail = f"{broken}; what is `replaying` is settled by a replay that comes later, as the log says"
            raise Problem(code="broker_unavailable", detail=detail, retry_after_s=RETRY_S)
        _check(meant, ask, REPLAYABLE)
        verdicts = Counter(each.verdict for each in done.verdicts)
        rows = [judged_row(each, done.published.get(each.event.dead_id)) for each in done.verdicts]
        meta = {"verdicts": verdicts, "published": len(done.published), "settled": settled}
        return answer(rows, _meta(ask, meant) | meta, request)

    async def discard(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/dlq/events/discard."""
        ask: DiscardQuery = DISCARD.parse(request.query.items())
        gone = set[int]()
        async with self._around.store.acting() as connection:
            meant = await _meant(connection, ask, DISCARDABLE)
            if ask.dry_run == "false" and meant.right:
                ids, actor = [event.dead_id for event in meant.right], actor_of(request)
                gone = await store.discard(connection, ids, actor=actor, reason=ask.reason)
                if gone:
                    detail = {"reason": ask.reason, "event_ids": sorted(gone)}
                    await note(connection, actor, DISCARDED, SUBJECT, detail)
                elif ask.event_id is not None:  # another was first: say who
                    meant = await _meant(connection, ask, DISCARDABLE)
        _check(meant, ask, DISCARDABLE)
        rows = [
            {"event_id": each.dead_id, "cause": each.cause, "message": each.letter.message}
            for each in meant.right
            if ask.dry_run == "true" or each.dead_id in gone
        ]
        return answer(rows, _meta(ask, meant) | {"discarded": len(gone)}, request)

    def _after(self, ask: DeadQuery, query: str) -> tuple[int, ...] | None:
        if not ask.page_token:
            return None
        return tuple(int(each) for each in open_token(ask.page_token, query, self._page_key, wall_us()).after)

    def _token(self, after: tuple[int, ...], query: str) -> str:
        edge = Page(as_of=ALL_KNOWN, start=EARLIEST_US, end=LATEST_US, after=after)
        return seal(edge, query, self._page_key, wall_us())

    serves: ClassVar[Serves] = ((CAUSES, causes), (EVENTS, events), (REPLAY, replay), (DISCARD, discard))


@dataclass(slots=True)
class _Meant:
    """Events an act is for: `right` ones, and the one that was named and is in a state not for it."""

    right: list[DeadEvent] = field(default_factory=list)
    wrong: DeadEvent | None = None
    has_more: bool = False


async def _meant(connection: Connection, ask: ActQuery, states: Sequence[DeadState]) -> _Meant:
    """Return the events an act is for, the oldest first, as many as asked for and as fit into memory.

    Raises nothing: of a named event that is not there nothing is right, and nothing wrong.
    """
    every = DEAD_STATES if ask.event_id is not None else states
    chosen = _chosen(ask, every, ask.cause, ask.event_id)
    found = await store.events(connection, chosen, below_id=None, limit=ask.limit + 1, oldest_first=True)
    if ask.event_id is not None and found and found[0].state not in states:
        return _Meant(wrong=found[0])
    meant, room = _Meant(), MOST_BYTES
    for event in found[: ask.limit]:
        room -= event.payload_bytes
        if room < 0 and meant.right:
            break
        meant.right.append(event)
    meant.has_more = len(meant.right) < len(found)
    return meant


def _check(meant: _Meant, ask: ActQuery, states: Sequence[DeadState]) -> None:
    """Raise the Problem of an event that was named and is not there, or not in a state for it."""
    event = meant.wrong
    if ask.event_id is None or (event is None and meant.right):
        return
    if event is None:
        raise _unknown("event_id", f"there is no dead event {ask.event_id} that fits the other filters")
    ended = None if event.ended_time is None else rfc3339(event.ended_time)
    by = f" by {event.actor}" if event.actor else ""
    detail = (
        f"dead event {event.dead_id} is {event.state}{by}{f' at {ended}' if ended else ''}: {DEAD_STATE_WORDS[event.state]}; "
        f"only what is {' or '.join(states)} can be taken; see its note"
    )
    acted = {"by": event.actor, "time": ended}
    raise about("event_id", "wrong_state", detail, state=event.state, note=event.note, acted=acted)


def _chosen(
    ask: Which, states: Sequence[DeadState], cause: str | None = None, dead_id: int | None = None
) -> DeadFilter:
    return DeadFilter(
        states=tuple(states),
        dead_id=dead_id,
        cause=cause,
        topic=ask.kind,
        stage=ask.stage,
        symbol=ask.symbol,
        provider=ask.provider,
        since=ask.since,
        until=ask.until,
    )


def _meta(ask: ActQuery, meant: _Meant) -> dict[str, Any]:
    return {"dry_run": ask.dry_run == "true", "events": len(meant.right), "more": meant.has_more}


def _cause_of(text: str) -> str | None:
    if text == ALL_CAUSES:
        return None
    try:
        return CAUSE.read("cause", text, "UTC")
    except Complaint as complaint:
        raise _unknown("cause", f"{complaint}, or write {ALL_CAUSES}") from complaint


async def _is_known(connection: Connection, cause: str | None) -> bool:
    every = DeadFilter(states=DEAD_STATES, cause=cause)
    return cause is None or bool(await store.events(connection, every, below_id=None, limit=1))


def _unknown(param: str, detail: str) -> Problem:
    return about(param, "unknown_dead_event", f"{detail}; see GET /ops/dlq/events")
