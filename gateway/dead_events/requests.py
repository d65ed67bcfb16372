"""`/ops/dlq/events`: what may be asked about what died, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from gateway.dead_events.judging import VERDICTS
from gateway.http.columns import (
    ANYTHING,
    FLAG,
    NEXT_PAGE,
    TEXT,
    TIME,
    WHOLE,
    Column,
    by_name,
    envelope,
    or_null,
    record,
    rows,
    words_of,
)
from gateway.http.endpoints import Answer, Endpoint, Parameter, Query, parameter
from gateway.http.parameters import AnyText, Moment, OneOf, ProviderName, SomeOf, SymbolOrSeries, Whole, Word
from gateway.http.problems import FieldError
from schemas.clocks import WallTime
from schemas.dead_events import DEAD_STATES, STAGES, DeadState
from schemas.topics import catalogue

DEFAULT_LISTED, MOST_LISTED = 100, 1_000
DEFAULT_ACTED, MOST_ACTED = 100, 1_000
MOST_REASON_CHARS = 500
OPEN: tuple[DeadState, ...] = ("open",)
KINDS = tuple(topic for topic, each in catalogue().topics.items() if each.kind != "dead")
CAUSE = Word("[0-9a-f]{12}", "not_a_cause", "copy the cause from GET /ops/dlq/events")
REASON = Word(
    rf"\S.{{2,{MOST_REASON_CHARS}}}", "not_a_reason", f"say why in 3 to {MOST_REASON_CHARS} characters"
)
CAUSE_PATH: Mapping[str, Parameter] = {"cause": Parameter(kind=CAUSE, words="A cause, or `all`.")}
ALL_CAUSES = "all"
FILTERS = ("event_id", "cause", "kind", "stage", "symbol", "provider", "since", "until")


@dataclass(frozen=True, kw_only=True)
class Which(Query):
    """The parameters by which dead events are chosen."""

    kind: str | None = parameter(OneOf(KINDS), "Topic they died in, as dlq_depth names it.")
    stage: str | None = parameter(OneOf(STAGES), "Who gave them up; unreadable: what is no dead letter.")
    symbol: str | None = parameter(SymbolOrSeries(), "Of this symbol, or macro series by key.")
    provider: str | None = parameter(ProviderName(needed=True), "Of this provider.")
    since: WallTime | None = parameter(Moment(), "Dead since then, inclusive.", unit="RFC 3339")
    until: WallTime | None = parameter(
        Moment(), "Dead before then, exclusive.", unit="RFC 3339", after="since"
    )


@dataclass(frozen=True, kw_only=True)
class DeadQuery(Which):
    """Query of `GET /ops/dlq/events` and of one cause's events, newest first."""

    reads_first: ClassVar[tuple[str, ...]] = ("state",)

    state: tuple[DeadState, ...] = parameter(
        SomeOf(DEAD_STATES), "How they stand, several with commas between; open without it.", default=OPEN
    )
    limit: int = parameter(Whole(1, MOST_LISTED), "Most rows on a page.", unit="rows", default=DEFAULT_LISTED)
    page_token: str | None = parameter(
        AnyText(), "next_page_token of the page before; every other parameter as it was."
    )


@dataclass(frozen=True, kw_only=True)
class ActQuery(Which):
    """Query of what is done to dead events."""

    reads_first: ClassVar[tuple[str, ...]] = ("event_id", "cause")

    event_id: int | None = parameter(Whole(1, 10**15), "This one alone.")
    cause: str | None = parameter(CAUSE, "Those of this cause.")
    dry_run: str = parameter(OneOf(("true", "false")), "Only look: nothing is done.", default="true")
    limit: int = parameter(
        Whole(1, MOST_ACTED), "Most events, the oldest first.", unit="events", default=DEFAULT_ACTED
    )

    def complaints(self) -> Iterable[FieldError]:
        """Yield that nothing says which events are meant, where something is to be done to them."""
        if self.dry_run == "false" and not any(name in self.given for name in FILTERS):
            detail = f"nothing says which events are meant; give one or more of {' '.join(FILTERS)}"
            yield FieldError(param="cause", code="needs_filter", detail=detail)


@dataclass(frozen=True, kw_only=True)
class ReplayQuery(ActQuery):
    """Query of `POST /ops/dlq/events/replay`."""

    replace: str = parameter(
        OneOf(("true", "false")),
        "Publish also what would take the place of a value that is stored.",
        default="false",
    )


@dataclass(frozen=True, kw_only=True)
class DiscardQuery(ActQuery):
    """Query of `POST /ops/dlq/events/discard`."""

    reason: str = parameter(REASON, "Why, for whoever looks later; needed with dry_run=false.", default="")

    def complaints(self) -> Iterable[FieldError]:
        """Yield that the reason is missing, too."""
        yield from super().complaints()
        if self.dry_run == "false" and not self.reason:
            detail = "reason is missing; say why these events are put away"
            yield FieldError(param="reason", code="missing_field", detail=detail)


_PAYLOAD = record(
    Column("form", words_of(("json", "record", "text", "bytes")), "How it is shown: bytes in hexadecimal."),
    Column("value", ANYTHING, "Its content; of text and bytes the begin."),
    Column("bytes", WHOLE, "Its length.", "bytes"),
)
_EVENT = (
    Column("event_id", WHOLE, "Its id."),
    Column("cause", TEXT, "What it died of, as an id."),
    Column("state", words_of(DEAD_STATES), "How it stands."),
    Column("meaning", TEXT, "The state in words."),
    Column("kind", TEXT, "Topic it died in."),
    Column("stage", TEXT, "Who gave it up."),
    Column("reason", TEXT, "A stable word for why."),
    Column("message", TEXT, "Why, and what would be right."),
    Column("provider", TEXT, "Whose it was; empty: not said."),
    Column("symbol", TEXT, "Of what; empty: not said."),
    Column("letter", TEXT, "topic/partition/offset of its dead letter."),
    Column(
        "origin",
        or_null(TEXT),
        "topic/partition/offset/index of where it stood; null: in none of our records.",
    ),
    Column("known_from", TIME, "Since when it was known.", "UTC"),
    Column("dead_time", TIME, "When it died.", "UTC"),
    Column("payload", _PAYLOAD, "Its bytes, as far as they are understood."),
    Column("ended_time", or_null(TIME), "When somebody ended it.", "UTC"),
    Column("actor", or_null(TEXT), "Who did, or is about to."),
    Column("note", or_null(TEXT), "Where it was published, or why it was discarded."),
)
EVENT = record(*_EVENT)
CAUSE_ROW = record(
    Column("cause", TEXT, "Its id: GET /ops/dlq/events/{cause} lists its events."),
    Column("kind", TEXT, "Topic they died in."),
    Column("stage", TEXT, "Who gave them up."),
    Column("reason", TEXT, "A stable word for why."),
    Column("fault", TEXT, "Why, without what differs from one to the next."),
    Column("events", WHOLE, "How many.", "events"),
    Column("first_time", TIME, "When the first of them died.", "UTC"),
    Column("last_time", TIME, "When the last of them died.", "UTC"),
    Column("replayable", FLAG, "They may come in again."),
    Column("remedy", TEXT, "What to do about them."),
    Column("example", EVENT, "The newest of them."),
)
JUDGED = record(
    Column("event_id", WHOLE, "Its id."),
    Column("cause", TEXT, "What it died of."),
    Column("verdict", words_of(VERDICTS), "What would come out."),
    Column("detail", TEXT, "The verdict in words, with the reason."),
    Column("records", WHOLE, "Canonical records that come out.", "records"),
    Column("topic", or_null(TEXT), "Topic they come out on; null: none do."),
    Column("record", ANYTHING, "The first of them; null: there is none."),
    Column("stored", ANYTHING, "What is stored in its place; null: nothing."),
    Column(
        "published", or_null(TEXT), "topic/partition/offset of the raw records; null: it was not published."
    ),
)
DISCARDED = record(
    Column("event_id", WHOLE, "Its id."),
    Column("cause", TEXT, "What it died of."),
    Column("message", TEXT, "Why."),
)
_UNAVAILABLE = ("overloaded", "store_unavailable")
_TOKENS = ("token_invalid", "token_mismatch", "token_expired")
_COUNT = Column("row_count", WHOLE, "Rows on this page.", "rows")
_DONE = (
    Column("dry_run", FLAG, "Nothing was done."),
    Column("events", WHOLE, "Events looked at.", "events"),
    Column("more", FLAG, "More such events are there: ask again."),
)
CAUSES = Endpoint(
    method="GET",
    path="/ops/dlq/events",
    scope="dlq",
    topic="Continuity",
    summary="What died, by cause, the cause that killed last first; unless told otherwise what nobody has ended yet.",
    query=DeadQuery,
    answers={
        200: (
            Answer(
                words="A page of causes. What dies meanwhile is counted on none of its next pages.",
                schema=envelope(rows(CAUSE_ROW), _COUNT, members=(NEXT_PAGE,)),
            ),
        )
    },
    problems=(*_TOKENS, *_UNAVAILABLE),
)
EVENTS = Endpoint(
    method="GET",
    path="/ops/dlq/events/{cause}",
    scope="dlq",
    topic="Continuity",
    summary="The events that died of one cause, newest first.",
    query=DeadQuery,
    path_parameters=CAUSE_PATH,
    answers={
        200: (
            Answer(
                words="A page of events. What dies meanwhile is on none of its next pages.",
                schema=envelope(rows(EVENT), _COUNT, members=(NEXT_PAGE,)),
            ),
        )
    },
    problems=("unknown_dead_event", *_TOKENS, *_UNAVAILABLE),
)
REPLAY = Endpoint(
    method="POST",
    path="/ops/dlq/events/replay",
    scope="dlq",
    topic="Continuity",
    summary="Say what would come out if open events came in again; with dry_run=false publish them, each once, as new raw records.",
    query=ReplayQuery,
    answers={
        200: (
            Answer(
                words="Event by event, oldest first. Only what is `kept` is published, and with replace=true what `replaces`.",
                schema=envelope(
                    rows(JUDGED),
                    *_DONE,
                    Column("verdicts", by_name(WHOLE), "Events by verdict."),
                    Column("published", WHOLE, "Events that were published.", "events"),
                    Column(
                        "settled",
                        WHOLE,
                        "Events of somebody who ended before, whose outcome the log told.",
                        "events",
                    ),
                ),
            ),
        )
    },
    problems=("unknown_dead_event", "wrong_state", "broker_unavailable", "busy", *_UNAVAILABLE),
)
DISCARD = Endpoint(
    method="POST",
    path="/ops/dlq/events/discard",
    scope="dlq",
    topic="Continuity",
    summary="Put events away that are open, or whose outcome is unknown; without dry_run=false only list them.",
    query=DiscardQuery,
    answers={
        200: (
            Answer(
                words="The events, oldest first.",
                schema=envelope(
                    rows(DISCARDED),
                    *_DONE,
                    Column("discarded", WHOLE, "Events that were put away.", "events"),
                ),
            ),
        )
    },
    problems=("unknown_dead_event", "wrong_state", *_UNAVAILABLE),
)
