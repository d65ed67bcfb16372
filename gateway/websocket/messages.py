"""Messages the WebSocket server sends of itself: a frozen dataclass each, with one encoder; `answers` has the rest.

A frame is a JSON array of messages; `t` says which one. Members that are None are left out; times are integer
microseconds since the Unix epoch. Member names and their order are published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import orjson

from gateway.http.columns import FLAG, TEXT, TIME, WHOLE, by_name, rows, words_of
from gateway.market.freshness import State as PriceState
from gateway.market.gaps import GAP_COLUMNS
from gateway.websocket.codes import CLOSES
from gateway.websocket.conflation import Chosen
from gateway.websocket.encoding import Message, member, names_of
from schemas.clocks import CanonicalOffset, EventTime, WallTime

SUBPROTOCOL = "mds.v1.json"
HEARTBEAT_EVERY_MS = 5_000
SILENCE_TIMEOUT_MS = 12_500  # a client that heard nothing for so long should reconnect

ROUTE_CODES: Mapping[str, str] = {
    "initial": "provider_chosen",  # a producer began
    "failover": "failover",
    "failback": "failback",
    "exhausted": "provider_down",  # nobody is usable: the stream stays open, its values are suspect
    "restored": "provider_up",
}
# Of the values of one stream, as REST says it of a price; the last two: none was seen yet, and nobody will send one.
FRESHNESS_CODES = (*get_args(PriceState), "no_value", "not_collected")
SUSPECT_CODES = frozenset({"stale", "unknown", "provider_down", "not_collected"})
GAP_CLOSING_STATES = frozenset({"filled", "empty", "unrecoverable"})
US = "µs"
_SUB = "Number of the subscription."
_GAP = {column.name: column for column in GAP_COLUMNS}


def of_gap(column: str, *, name: str = "", always: bool = True) -> Any:
    """Return the member that is a column of the gap ledger; its times are numbers here."""
    declared = _GAP[column]
    if declared.schema is TIME:
        return member(WHOLE, declared.words, unit=US, name=name, always=always)
    return member(declared.schema, declared.words, unit=declared.unit, name=name, always=always)


@dataclass(frozen=True, kw_only=True)
class Welcome(Message):
    """The first message of a connection: what the server speaks and allows."""

    t = "welcome"
    version: int = member(WHOLE, "Of the protocol.")
    protocol: str = member(TEXT, "Subprotocol.")
    now: WallTime = member(WHOLE, "Wall time.", unit=US)
    time_unit: str = member(TEXT, "Unit of every time.")
    auth_required: bool = member(FLAG, "Whether a key is needed.")
    heartbeat: Mapping[str, int] = member(
        by_name(WHOLE), "How often hb comes, and after what silence to leave.", unit="ms"
    )
    limits: Mapping[str, float] = member(by_name({"type": "number"}), "What is allowed.")
    features: Sequence[str] = member(rows(TEXT), "What the server can.")


@dataclass(frozen=True, kw_only=True)
class Disconnect(Message):
    """The last message before the close frame, which has the same code."""

    t = "disconnect"
    code: int = member({"type": "integer", "enum": list(CLOSES)}, "Close code.")
    reason: str = member(TEXT, "Why.")
    reconnect: bool = member(FLAG, "Whether to come back.")
    retry_after_ms: int | None = member(WHOLE, "When.", unit="ms", always=False)
    resume: Sequence[Sequence[str | CanonicalOffset]] = member(
        rows({"type": "array"}), "[stream, epoch, offset] of each stream: give it as from."
    )


@dataclass(frozen=True, kw_only=True)
class Data(Message):
    """Records of one stream, in the order of the log."""

    t = "d"
    sub: int = member(WHOLE, _SUB)
    prev: CanonicalOffset = member(WHOLE, "Offset a client must have covered already to have missed nothing.")
    conf: tuple[int, int] | None = member(
        by_name(WHOLE), "n records, spanning span µs, gave way to the newest.", always=False
    )
    m: Sequence[bytes] = member(rows({"type": "array"}), "[offset, record] of each.")

    def encode(self) -> bytes:
        """Return the bytes: records were encoded once, for every client of the stream."""
        return self.encoded(self.sub, self.prev, self.conf, self.m)

    @staticmethod
    def encoded(sub: int, prev: CanonicalOffset, conf: tuple[int, int] | None, m: Sequence[bytes]) -> bytes:
        """Return the bytes without making a message: more of these are sent than of all others together."""
        conflated = b"" if conf is None else b',"conf":{"n":%d,"span":%d}' % conf
        return b'{"t":"d","sub":%d,"prev":%d%b,"m":[%b]}' % (sub, prev, conflated, b",".join(m))


@dataclass(frozen=True, kw_only=True)
class GreeksOfSlices(Message):
    """Volatilities and greeks of slices the client has, in the order of the log; of each root and expiry those of its newest slice."""

    t = "greeks"
    sub: int = member(WHOLE, _SUB)
    m: Sequence[bytes] = member(
        rows({"type": "array"}), "[offset of the slice, what its quotes imply] of each."
    )


@dataclass(frozen=True, kw_only=True)
class LatestValues(Message):
    """The latest values of a stream, valid at `offset`; an empty one says that nothing came after `floor_offset`."""

    t = "snapshot"
    sub: int = member(WHOLE, _SUB)
    epoch: str = member(TEXT, "Incarnation of the log that offsets belong to.")
    offset: CanonicalOffset = member(WHOLE, "What it is valid at.")
    floor_offset: CanonicalOffset = member(WHOLE, "The server's memory begins after it.")
    reason: str = member(
        TEXT, "subscribe, recovery, failover, or behind: a conflated stream of several items was left behind."
    )
    last: bool = member(FLAG, "Nothing of it follows; else the next part does, valid at the same offset.")
    data: Sequence[bytes] = member(
        rows({"type": "array"}), "[offset, record] of each value; offset -1: derived, no record of the log."
    )

    def encode(self) -> bytes:
        """Return the bytes: records were encoded once, for every client of the stream."""
        head = {
            name: getattr(self, attribute) for attribute, name in names_of(type(self)) if attribute != "data"
        }
        return orjson.dumps({"t": self.t, **head})[:-1] + b',"data":[' + b",".join(self.data) + b"]}"


@dataclass(frozen=True, kw_only=True)
class Recovered(Message):
    """A position was resumed whole, or could not be: then a snapshot follows."""

    t = "recovered"
    sub: int = member(WHOLE, _SUB)
    ok: bool = member(FLAG, "Whether nothing was missed.")
    after: CanonicalOffset | None = member(WHOLE, "Offset resumed from.", name="from", always=False)
    to: CanonicalOffset | None = member(WHOLE, "Offset up to which the stream is whole.", always=False)
    count: int | None = member(WHOLE, "Records replayed.", always=False)
    source: str | None = member(words_of(("memory", "kafka")), "Where they came from.", always=False)
    reason: str | None = member(
        TEXT, "Why not: epoch_changed, expired, too_many or unavailable.", always=False
    )
    floor_offset: CanonicalOffset | None = member(WHOLE, "The server's memory begins after it.", always=False)


@dataclass(frozen=True, kw_only=True)
class GapNotice(Message):
    """A stream has a hole."""

    t = "gap"
    sub: int = member(WHOLE, _SUB)
    gap_id: str = of_gap("gap_id")
    stream: str = of_gap("stream")
    begin: EventTime = of_gap("from_time", name="from")
    to: EventTime = of_gap("to_time")
    expected: int | None = of_gap("expected", always=False)
    cause: str = of_gap("cause")
    confidence: str = of_gap("confidence")
    status: str = of_gap("state")
    generation: int = of_gap("generation")


@dataclass(frozen=True, kw_only=True)
class GapFill(GapNotice):
    """The end of a hole: filled, empty or unrecoverable."""

    t = "gap_fill"


@dataclass(frozen=True, kw_only=True)
class State(Message):
    """The worth of the values of streams: of `subs`, or of all where it names none."""

    t = "state"
    subs: Sequence[int] | None = member(rows(WHOLE), "Subscriptions concerned.", always=False)
    stream: str = member(words_of(("open", "recovering")), "Whether records come.")
    data: str = member(words_of(("ok", "suspect")), "Whether values may be trusted.")
    code: str = member(
        words_of((*ROUTE_CODES.values(), *FRESHNESS_CODES, "log_reachable", "log_unreachable")), "Why."
    )
    capability: str | None = member(TEXT, "What is served.", always=False)
    provider: str | None = member(TEXT, "Who serves since.", always=False)
    previous: str | None = member(TEXT, "Who served before.", always=False)
    reason: str | None = member(TEXT, "Why in words.", always=False)
    since: WallTime | None = member(WHOLE, "Since when.", unit=US, always=False)


@dataclass(frozen=True, kw_only=True)
class Slow(Message):
    """The client falls behind, or has caught up."""

    t = "slow"
    sub: int = member(WHOLE, _SUB)
    queued: int = member(WHOLE, "Records that wait.")
    limit: int = member(WHOLE, "Records the server's memory holds.")
    pct: int = member(WHOLE, "The first of the second.", unit="%")
    action: str = member(words_of(("warn", "catching_up", "cleared")), "What the server does.")


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Message):
    """The server is alive, and quiet streams are whole up to these offsets."""

    t = "hb"
    now: WallTime = member(WHOLE, "Wall time.", unit=US)
    subs: Sequence[Sequence[int | None]] = member(
        rows({"type": "array"}), "[sub, offset, last_event_ts] of each quiet stream; null: none was seen."
    )


def data(sub: int, chosen: Chosen) -> bytes:
    """Return the bytes of the message of the records chosen."""
    conflated = (chosen.conflated, chosen.span_us) if chosen.conflated else None
    return Data.encoded(sub, chosen.previous, conflated, [entry.body for entry in chosen.entries])


def greeks(sub: int, bodies: Sequence[bytes]) -> bytes:
    """Return the bytes of a message of greeks; they were encoded once, for every client of the stream."""
    return b'{"t":"greeks","sub":%d,"m":[%b]}' % (sub, b",".join(bodies))


def disconnect(
    code: int,
    reason: str,
    *,
    retry_after_ms: int | None = None,
    resume: Sequence[tuple[str, str, CanonicalOffset]] = (),
) -> Disconnect:
    """Return the farewell with a code of CLOSES; `resume` says where each stream may go on."""
    reconnect = CLOSES[code].reconnect
    return Disconnect(
        code=code, reason=reason, reconnect=reconnect, retry_after_ms=retry_after_ms, resume=resume
    )


def gap(sub: int, fields: Mapping[str, Any]) -> GapNotice:
    """Return the notice of a gap record: that a stream has a hole, or what became of it."""
    kind = GapFill if fields["state"] in GAP_CLOSING_STATES else GapNotice
    return kind(
        sub=sub,
        gap_id=fields["gap_id"],
        stream=fields["stream"],
        begin=fields["from_time"],
        to=fields["to_time"],
        expected=fields["expected"] or None,
        cause=fields["cause"],
        confidence=fields["confidence"],
        status=fields["state"],
        generation=fields["generation"],
    )


def route(subs: Sequence[int], fields: Mapping[str, Any]) -> State:
    """Return the notice that another provider serves these streams, or that none can and that one can again."""
    return State(
        subs=list(subs),
        stream="open",
        data="suspect" if fields["changed"] == "exhausted" else "ok",
        code=ROUTE_CODES[fields["changed"]],
        capability=fields["capability"],
        provider=fields["provider"],
        previous=fields["previous"] or None,
        reason=fields["reason"],
        since=fields["observed_time"],
    )


def freshness(subs: Sequence[int], code: str) -> State:
    """Return the notice of how fresh the values of these streams are from now on."""
    return State(subs=list(subs), stream="open", data=data_of(code), code=code)


def data_of(code: str) -> str:
    """Return whether values of that worth may be trusted."""
    return "suspect" if code in SUSPECT_CODES else "ok"


def log_state(*, reachable: bool, since: WallTime | None) -> State:
    """Return the notice that the log cannot be read, or can again, `since` when."""
    if reachable:
        return State(stream="open", data="ok", code="log_reachable", since=since)
    return State(stream="recovering", data="suspect", code="log_unreachable", since=since)
