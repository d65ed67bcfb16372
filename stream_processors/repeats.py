"""Repeated frames of a pushed stream: of occurrences each is kept, and equal ones at one moment are all real.

A repeat is only what cannot be an occurrence. What is remembered of frames outlives the process.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

REMEMBERED_FRAMES = 64  # per connection
MAX_CONNECTIONS = 256  # per partition; a reconnect is a new connection, the one silent longest is forgotten
MAX_CONNECTION_CHARS = 128  # of its name, which is compared


@dataclass(slots=True)
class Frame:
    """A vendor frame as far as a block holds it; `oldest` and `newest` (µs) are stamps of its first trade's symbol.

    `subject` stands for that symbol. `named`: every trade of it carries the vendor's own id.
    """

    sequence: int
    content: int  # hash of its bytes, as the producer gives it
    subject: int
    oldest: int
    newest: int = 0
    trades: int = 0
    named: bool = True

    def add(self, subject: int, stamp: int, *, named: bool, ahead: bool) -> None:
        """Count one more trade of it; what is `ahead` of its time is no newest."""
        self.trades += 1
        self.named &= named
        if subject == self.subject:
            self.oldest = min(self.oldest, stamp)
            self.newest = max(self.newest, 0 if ahead else stamp)


class KnownFrame(NamedTuple):
    """A frame that came: hash of its bytes, whether it repeated another, its first symbol, and the newest stamp of that."""

    content: int
    repeat: bool
    subject: int
    newest: int


class _Connection:
    """The last frames of one connection by sequence, in the order they came."""

    __slots__ = ("_known", "frames")

    def __init__(self) -> None:
        self.frames: OrderedDict[int, KnownFrame] = OrderedDict()
        self._known: Counter[int] = Counter()

    def add(self, sequence: int, frame: KnownFrame) -> None:
        replaced = self.frames.pop(sequence, None)
        self.frames[sequence] = frame
        self._known[frame.content] += 1
        if replaced is None and len(self.frames) > REMEMBERED_FRAMES:
            _, replaced = self.frames.popitem(last=False)
        if replaced is not None:
            self._known[replaced.content] -= 1
            if not self._known[replaced.content]:
                del self._known[replaced.content]

    def repeats(self, frame: Frame, following: Frame | None) -> bool:
        if frame.content not in self._known:
            return False
        if frame.named:
            return True
        order = list(self.frames.values())
        before, after = order[-1].content, None if following is None else following.content
        newest = 0  # of what came since the frame at `place`, and in it
        for place in range(len(order) - 1, -1, -1):
            if order[place].subject == frame.subject:
                newest = max(newest, order[place].newest)
            if order[place].content == frame.content and newest > frame.oldest:
                in_run = (place > 0 and order[place - 1].content == before) or (
                    place + 1 < len(order) and order[place + 1].content == after
                )
                if frame.trades > 1 or in_run:
                    return True
        return False


class Occurrences:
    """Memory of the last frames of each connection of a partition, which tells one sent again from equal trades.

    Vendors send the last frames once more after a resubscription. A frame equal to an earlier one is such a repeat where
    its trades carry equal vendor ids, or where it steps back in time and is no lone trade: it has several, or it stands
    beside the same frame as the earlier one. The first of a run that is cut by the end of its block passes. Equal trades
    of one moment never step back.
    """

    __slots__ = ("_connections",)

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._connections: OrderedDict[str, _Connection] = OrderedDict()

    def repeats(self, connection_id: str, frames: Sequence[Frame]) -> list[bool]:
        """Note the frames of a block, in order, and return for each whether it is a repeat.

        A frame may be split over blocks: its parts share one fate. Without a connection nothing is a repeat: a request's
        answer has no frames.
        """
        if not connection_id:
            return [False] * len(frames)
        connection = self._connection(connection_id[:MAX_CONNECTION_CHARS])
        fates = []
        for place, frame in enumerate(frames):
            seen = connection.frames.get(frame.sequence)
            if seen is not None and seen.content == frame.content:
                fates.append(seen.repeat)
                continue
            following = frames[place + 1] if place + 1 < len(frames) else None
            fates.append(connection.repeats(frame, following))
            kept = KnownFrame(frame.content, fates[-1], frame.subject, frame.newest)
            connection.add(frame.sequence, kept)
        return fates

    def remembered(self) -> Iterator[tuple[str, Mapping[int, KnownFrame]]]:
        """Yield each connection with its frames by sequence, the one silent longest first."""
        for name, connection in self._connections.items():
            yield name, connection.frames

    def restore(self, connection_id: str, frames: Iterable[tuple[int, KnownFrame]]) -> None:
        """Take up a connection that `remembered` gave."""
        connection = self._connection(connection_id)
        for sequence, frame in frames:
            connection.add(sequence, frame)

    def _connection(self, name: str) -> _Connection:
        connection = self._connections.get(name)
        if connection is None:
            connection = self._connections[name] = _Connection()
            if len(self._connections) > MAX_CONNECTIONS:
                self._connections.popitem(last=False)
        self._connections.move_to_end(name)
        return connection
