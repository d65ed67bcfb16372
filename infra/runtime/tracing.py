"""Spans of work, and the trace context by which they belong together; where MDS_OTEL is not set they cost nothing.

Whether a trace is sampled follows from its id. So what is derived of a raw block's place, its trace and its span, says in
every process alike whether it is recorded, and each finds the span of a block without having been told of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from random import Random
from types import TracebackType
from typing import Literal, NamedTuple, Self

from infra.runtime.clock import monotonic_s, wall_us
from schemas.clocks import WallTime
from schemas.intervals import SECOND_US

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attribute = str | int | float | bool
NOTHING: Mapping[str, Attribute] = {}
MAX_TEXT_CHARS = 256  # of an attribute; more is cut off
MAX_LINKS = 128
MAX_TRACEPARENT_CHARS = 512
_HALF = 1 << 64
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)


class SpanRef(NamedTuple):
    """A span by its ids, 128 and 64 bits, neither of them 0; `sampled`: it is recorded."""

    trace_id: int
    span_id: int
    sampled: bool

    @property
    def trace(self) -> str:
        """The trace id as it is written."""
        return f"{self.trace_id:032x}"

    @property
    def span(self) -> str:
        """The span id as it is written."""
        return f"{self.span_id:016x}"

    @property
    def traceparent(self) -> str:
        """The value of the header by which it is told (W3C Trace Context)."""
        return f"00-{self.trace}-{self.span}-{int(self.sampled):02x}"


def parse_traceparent(text: str) -> SpanRef | None:
    """Return the span that a `traceparent` header names; None where it is malformed, which is no fault of the request."""
    if len(text) > MAX_TRACEPARENT_CHARS:
        return None
    found = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    trace_id, span_id = int(trace, 16), int(span, 16)
    # Of version 00 there is no more; of a later one what we know of is read, and ff is none.
    if version == "ff" or (more is not None and version == "00") or not (trace_id and span_id):
        return None
    return SpanRef(trace_id, span_id, sampled=bool(int(flags, 16) & 1))


_current: ContextVar[SpanRef | None] = ContextVar("span", default=None)


def current() -> SpanRef | None:
    """Return the span that is under way here, or the caller's trace where nothing is recorded; None: neither."""
    return _current.get()


@dataclass(slots=True)
class _Recording:
    """The taker of finished spans, None where nothing is recorded; a bound on sampled ids; the prefix of topics."""

    take: Callable[[RecordedSpan], None] | None = None
    bound: int = 0
    prefix: str = ""


_recording = _Recording()
_ids = Random()  # noqa: S311 - an id need not be a secret, and the kernel's take five times as long


def record(take: Callable[[RecordedSpan], None] | None, *, ratio: float = 1.0, prefix: str = "") -> None:
    """Give every finished span of a sampled trace to `take` from now on, which must not block; None: record nothing.

    `ratio` is the share of traces that are sampled, of those that begin here; `prefix` is that of the topics.
    """
    _recording.take, _recording.bound, _recording.prefix = take, round(ratio * _HALF), prefix


def is_recording() -> bool:
    """Whether spans are recorded: else what only they need is not worth finding out."""
    return _recording.take is not None


class Span:
    """Work under way, between `with` and its end: current there, so that what begins in it is its child.

    This one is recorded nowhere, and what is said of it is dropped. Without `ref` it is not even current, and costs nothing.
    """

    __slots__ = ("_token", "ref")
    recorded = False

    def __init__(self, ref: SpanRef | None) -> None:
        """Carry a trace that nobody records, or none."""
        self.ref = ref
        self._token: Token[SpanRef | None] | None = None

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        """Say more of it; a text is cut off at 256 characters."""

    def fail(self, error: str) -> None:
        """Mark it as failed, by one of few words: the class of an error, a status."""

    def answered(self, method: str, status: int) -> None:
        """Say that an HTTP request of ours came to a status; 400 and above are a failure."""

    def end(self) -> None:
        """Hand it over, once."""

    def __enter__(self) -> Self:
        if self.ref is not None:
            self._token = _current.set(self.ref)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
            if kind is not None:
                self.fail(kind.__name__)
            self.end()


class RecordedSpan(Span):
    """Work under way that is recorded; an error that leaves it marks it as failed."""

    __slots__ = (
        "_began_s",
        "attributes",
        "began_us",
        "error",
        "kind",
        "links",
        "name",
        "parent",
        "recorded",
        "took_s",
    )
    ref: SpanRef

    def __init__(
        self,
        name: str,
        kind: Kind,
        ref: SpanRef,
        *,
        parent: SpanRef | None = None,
        links: Sequence[SpanRef] = (),
        attributes: Mapping[str, Attribute] = NOTHING,
        began_s: float | None = None,
    ) -> None:
        """Begin now, or at `began_s` (monotonic seconds)."""
        super().__init__(ref)
        self.recorded = True
        self.name, self.kind, self.parent, self.links = name, kind, parent, links
        now_s = monotonic_s()
        self._began_s = now_s if began_s is None else began_s
        self.began_us = WallTime(wall_us() - round((now_s - self._began_s) * SECOND_US))
        self.attributes: dict[str, Attribute] = {}
        self.error, self.took_s = "", 0.0
        self.set(attributes)

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        """Say more of it; a text is cut off at 256 characters."""
        for name, value in attributes.items():
            self.attributes[name] = value[:MAX_TEXT_CHARS] if isinstance(value, str) else value

    def fail(self, error: str) -> None:
        """Mark it as failed, by one of few words: the class of an error, a status."""
        self.error = self.attributes["error.type"] = error

    def answered(self, method: str, status: int) -> None:
        """Say that an HTTP request of ours came to a status; 400 and above are a failure."""
        self.set({"http.request.method": method, "http.response.status_code": status})
        if status >= 400:
            self.fail(str(status))

    def forget(self) -> None:
        """Do not record it after all."""
        self.recorded = False

    def end(self) -> None:
        """Hand it over, once."""
        self.took_s = monotonic_s() - self._began_s
        if self.recorded and _recording.take is not None:
            _recording.take(self)


NO_SPAN = Span(None)


def span(name: str, kind: Kind, attributes: Mapping[str, Attribute] = NOTHING) -> Span:
    """Return a span that begins now: a child of the current one, else the first of a trace of its own."""
    return _below(current(), name, kind, attributes) if is_recording() else NO_SPAN


def request_span(traceparent: str | None) -> Span:
    """Return the span of a request that came with this header, a child of the one it names; its name is still to be given.

    Where nothing is recorded it only carries the caller's trace, into logs and the answer; without the header it is none.
    """
    above = None if traceparent is None else parse_traceparent(traceparent)
    return NO_SPAN if above is None and not is_recording() else _below(above, "request", "server", NOTHING)


def _below(above: SpanRef | None, name: str, kind: Kind, attributes: Mapping[str, Attribute]) -> Span:
    trace_id = _ids.getrandbits(128) if above is None else above.trace_id
    sampled = is_recording() and (_is_sampled(trace_id) if above is None else above.sampled)
    ref = SpanRef(trace_id, _ids.getrandbits(64), sampled)
    return RecordedSpan(name, kind, ref, parent=above, attributes=attributes) if sampled else Span(ref)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Raw blocks of one partition, by offset; the topic is named without prefix."""

    topic: str
    partition: int
    offsets: Iterable[int]

    def sampled(self) -> Iterator[SpanRef]:
        """Yield the spans of their publishing, of those that are recorded; derived of their places.

        The SHA-256 of `topic/partition/offset`, the topic as on the broker, begins with the 16 bytes of the trace id and the
        8 of the span's.
        """
        begun = sha256(f"{_recording.prefix}{self.topic}/{self.partition}/".encode())
        for offset in self.offsets:
            digest = begun.copy()
            digest.update(b"%d" % offset)
            ids = digest.digest()
            trace_id = int.from_bytes(ids[:16])
            if _is_sampled(trace_id):
                yield SpanRef(trace_id, int.from_bytes(ids[16:24]), sampled=True)


def block_published(
    topic: str, partition: int, offset: int, *, began_s: float, attributes: Mapping[str, Attribute]
) -> None:
    """Record that a raw block, begun to be sent at `began_s` (monotonic seconds), was confirmed at its place.

    It begins a trace, and is linked with the span in which it was sent.
    """
    for ref in Blocks(topic, partition, [offset]).sampled():
        sender = current()
        links = (sender,) if sender is not None and sender.sampled else ()
        told = {**at_partition(topic, partition), "messaging.kafka.offset": offset, **attributes}
        RecordedSpan(f"send {topic}", "producer", ref, links=links, attributes=told, began_s=began_s).end()


def span_of_blocks(
    name: str, kind: Kind, blocks: Iterable[Blocks], attributes: Mapping[str, Attribute] = NOTHING
) -> Span:
    """Return the span of work on raw blocks: recorded where one of them is sampled, else none.

    It is in the trace of the first that is, as its child, and linked with all that are, up to 128.
    """
    if not is_recording():
        return NO_SPAN
    refs = list(islice((ref for some in blocks for ref in some.sampled()), MAX_LINKS))
    if not refs:
        return NO_SPAN
    ref = SpanRef(refs[0].trace_id, _ids.getrandbits(64), sampled=True)
    return RecordedSpan(name, kind, ref, parent=refs[0], links=refs, attributes=attributes)


def at_partition(topic: str, partition: int) -> dict[str, Attribute]:
    """Return what names a partition, by the semantic conventions."""
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": f"{_recording.prefix}{topic}",
        "messaging.destination.partition.id": str(partition),
    }


def _is_sampled(trace_id: int) -> bool:
    return trace_id % _HALF < _recording.bound
