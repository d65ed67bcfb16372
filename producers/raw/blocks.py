"""Events → raw blocks: one per response and partition, or what a stream brought in at most 50 ms or 500 events.

Within a partition the vendor's order is kept, also across the blocks one response is split into.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from schemas.answered import ANSWERED, AnsweredStretch, answered_hint
from schemas.clocks import WallTime
from schemas.partitions import partition_of
from schemas.records import Discontinuity, Event, RawBlock
from schemas.wire.codec import encode_value

T = TypeVar("T")

MAX_BLOCK_BYTES = 921_600  # 900 KiB: below the 1 MiB a consumer accepts, with room for a wrong guess
MAX_BLOCK_EVENTS = 5_000  # of a response; beyond it encoding would hold up the loop
MAX_STREAM_EVENTS = 500
MAX_STREAM_S = 0.05
MAX_BLOCK_DISCONTINUITIES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A block and the partition its symbols live in."""

    partition: int
    block: RawBlock


def place(
    blank: RawBlock, events: Sequence[Event], partitions: int, discontinuities: Sequence[Discontinuity] = ()
) -> list[Placed]:
    """Return `events` and `discontinuities` as blocks like `blank`, by partition, discontinuities first."""
    news: dict[int, list[Event]] = {}
    for event in events:
        news.setdefault(partition_of(event["symbol"], partitions), []).append(event)
    holes: dict[int, list[Discontinuity]] = {}
    for hole in discontinuities:
        holes.setdefault(partition_of(hole.symbol, partitions), []).append(hole)
    placed: list[Placed] = []
    for partition in sorted({*news, *holes}):
        blocks = [
            replace(blank, discontinuities=tuple(some), events=())
            for some in _chunks(holes.get(partition, []), MAX_BLOCK_DISCONTINUITIES)
        ] + [
            replace(blank, discontinuities=(), events=some)
            for some in _chunks(news.get(partition, []), MAX_BLOCK_EVENTS)
        ]
        placed += [Placed(partition=partition, block=block) for block in blocks]
    return placed


def answering(
    blank: RawBlock, events: Sequence[Event], partitions: int, answered: AnsweredStretch
) -> list[Placed]:
    """Return the events of one symbol as blocks, the last of which says for which stretch they are all there is."""
    placed = place(blank, events, partitions)
    if not placed:
        placed = [Placed(partition=partition_of(answered.symbol, partitions), block=blank)]
    last = placed[-1]
    return [*placed[:-1], replace(last, block=replace(last.block, hints=answered_hint([answered])))]


def _chunks(values: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def encoded(topic: str, block: RawBlock) -> list[bytes]:
    """Return the framed bytes of a block, in several records where one would be larger than 900 KiB.

    Raises InvalidRecord where an event does not fit the schema of `topic`.
    """
    data = encode_value(topic, _value(block))
    if len(data) <= MAX_BLOCK_BYTES or len(block.events) < 2:
        return [data]
    middle = len(block.events) // 2
    # What a block answers for as a whole is said where its last event is.
    hints = {name: said for name, said in block.hints.items() if name != ANSWERED}
    head = replace(block, events=block.events[:middle], hints=hints)
    tail = replace(block, events=block.events[middle:], discontinuities=())
    return [*encoded(topic, head), *encoded(topic, tail)]


def _value(block: RawBlock) -> dict[str, object]:
    # dataclasses.asdict would copy every value of every event: ten times the cost of encoding them.
    return {
        "provider": block.provider,
        "endpoint": block.endpoint,
        "route": block.route,
        "job_id": block.job_id,
        "received_time": block.received_time,
        "connection_id": block.connection_id,
        "hints": block.hints,
        "discontinuities": [
            {
                "symbol": hole.symbol,
                "interval": hole.interval,
                "from_time": hole.from_time,
                "to_time": hole.to_time,
                "cause": hole.cause,
            }
            for hole in block.discontinuities
        ],
        "events": block.events,
    }


@dataclass(slots=True)
class _Open:
    blank: RawBlock
    begun_s: float
    discontinuities: tuple[Discontinuity, ...] = ()
    events: list[Event] = field(default_factory=list)


class StreamBatches:
    """Events a stream brought and nobody has taken yet, cut into batches of at most 50 ms or 500 events.

    Bounded by `is_full`: whoever adds asks first. Time is an argument (monotonic seconds).
    """

    def __init__(self, *, max_events: int) -> None:
        """Be full at `max_events` untaken events."""
        self._max_events = max_events
        self._batches: deque[_Open] = deque()
        self.events = 0

    @property
    def is_full(self) -> bool:
        """Whether the reader must wait: it would only buffer what Kafka cannot take."""
        return self.events >= self._max_events

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, blank: RawBlock, events: Sequence[Event], now_s: float) -> None:
        """Append the events of one frame; `blank` says when and where it was received."""
        rest = iter(events)
        while some := list(islice(rest, self._room(blank, now_s))):
            self._batches[-1].events.extend(some)
            # The newest frame's time: a block never claims to have been seen before all of it was.
            self._batches[-1].blank = blank
        self.events += len(events)

    def add_discontinuities(self, blank: RawBlock, holes: Sequence[Discontinuity], now_s: float) -> None:
        """Append what could not be seen, in its place between the events before and after it."""
        if holes:
            self._batches.append(_Open(blank=blank, begun_s=now_s, discontinuities=tuple(holes)))

    def take(self, limit: int, partitions: int) -> list[Placed]:
        """Remove and return the oldest `limit` batches as blocks, in order."""
        placed: list[Placed] = []
        for _ in range(min(limit, len(self._batches))):
            batch = self._batches.popleft()
            self.events -= len(batch.events)
            placed += place(batch.blank, batch.events, partitions, batch.discontinuities)
        return placed

    def _room(self, blank: RawBlock, now_s: float) -> int:
        """Return how many events fit the newest batch, a fresh one if it is closed."""
        newest = self._batches[-1] if self._batches else None
        if (
            newest is None
            or len(newest.events) >= MAX_STREAM_EVENTS
            or now_s - newest.begun_s > MAX_STREAM_S
            or newest.blank.connection_id != blank.connection_id
        ):
            newest = _Open(blank=blank, begun_s=now_s)
            self._batches.append(newest)
        return MAX_STREAM_EVENTS - len(newest.events)


def blank_block(
    provider: str, endpoint: str, received_time: WallTime, *, connection_id: str = "", job_id: str = ""
) -> RawBlock:
    """Return a block that says where it came from and holds nothing yet."""
    return RawBlock(
        provider=provider,
        endpoint=endpoint,
        route="primary",
        received_time=received_time,
        connection_id=connection_id,
        job_id=job_id,
    )
