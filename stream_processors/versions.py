"""Whether a value says something new, by the strategy its stream declares.

`slots`: versions of numbered slots, each equal to the current one of its key or not. `latest`: versions of the newest
moment. `occurrences`: no versions, each is kept; equal ones at one moment are all real, and a repeat is only what cannot
be an occurrence.

Content is the Avro bytes of an event: its key, its stamp and all that it says. What is kept of it outlives the process
(`stream_processors.saving`), so nothing here depends on Python's salted hash.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from schemas.clocks import EventTime

# Numbers remembered of a series, 8 bytes each: a 24-hour day of minutes and then some, as polls give them again.
PLACES = 64  # saved together
SLOTS = {"1m": 24 * PLACES, "5m": 9 * PLACES, "15m": 5 * PLACES, "30m": 3 * PLACES, "1h": 3 * PLACES}
SLOTS_OF_DAYS = PLACES  # of days and longer
WORD_BYTES = 8
REMEMBERED_FRAMES = 64  # per connection
MAX_CONNECTIONS = 256  # per partition; a reconnect is a new connection, the one silent longest is forgotten
MAX_CONNECTION_CHARS = 128  # of its name, which is compared
NOTHING = 0


def digest(content: bytes) -> int:
    """Return 64 bits that stand for a content in every process; never NOTHING."""
    return (
        int.from_bytes(blake2b(content, digest_size=WORD_BYTES).digest(), "little", signed=True)
        or NOTHING + 1
    )


@dataclass(slots=True)
class Room:
    """Bytes that contents of a partition's series take."""

    used: int = 0


class Slots:
    """The current version of the newest slots of one series, as digests by slot number; nothing is allocated before.

    A digest covers the stamp, so what an older slot left in the place of a newer one equals nothing.
    """

    __slots__ = ("_digests", "_room", "_size", "_slot_us", "newest", "unsaved")

    def __init__(self, slot_us: int, size: int, room: Room) -> None:
        """Remember nothing yet; `size` slots are numbered by `slot_us`, microseconds, and taken from `room`."""
        self._slot_us, self._size, self._room = slot_us, size, room
        self._digests = array("q")
        self.newest = -1
        self.unsaved = 0  # bit n: of the n-th PLACES

    def changes(self, event_time: EventTime, content: bytes) -> bool:
        """Note a value and return whether it differs from the current version of its key.

        One older than what is remembered counts as changed: the sink compares it with what is stored.
        """
        number = event_time // self._slot_us
        if number > self.newest:
            self.newest = number
        elif number <= self.newest - self._size:
            return True
        value = digest(content)
        place = number % self._size
        try:
            if self._digests[place] == value:
                return False
        except IndexError:
            self._allocate()
        self._digests[place] = value
        self.unsaved |= 1 << place // PLACES
        return True

    def forget(self) -> None:
        """Give the contents up; what comes counts as changed, and what was saved of them is to be overwritten."""
        self._room.used -= len(self._digests) * WORD_BYTES
        self._digests = array("q")
        self.unsaved = (1 << self._size // PLACES) - 1

    @property
    def held(self) -> bool:
        """Whether contents are remembered."""
        return bool(self._digests)

    def part(self, places: int) -> bytes:
        """Return the digests of the `places`-th PLACES."""
        if not self._digests:
            return bytes(PLACES * WORD_BYTES)
        return self._digests[places * PLACES : (places + 1) * PLACES].tobytes()

    def restore(self, places: int, part: bytes) -> None:
        """Take up what `part` gave."""
        self.unsaved &= ~(1 << places)
        if (places + 1) * PLACES > self._size or not (self._digests or any(part)):
            return
        if not self._digests:
            self._allocate()
        self._digests[places * PLACES : (places + 1) * PLACES] = array("q", part)

    def _allocate(self) -> None:
        self._digests = array("q", bytes(WORD_BYTES * self._size))
        self._room.used += WORD_BYTES * self._size


class Latest:
    """The newest value of one series; older ones are compared by the sink."""

    __slots__ = ("_content", "newest")

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.newest = -1
        self._content: bytes | int = b""  # or its digest, after a take-over

    def changes(self, event_time: EventTime, content: bytes) -> bool:
        """Note a value and return whether it differs from the current version of its key."""
        if event_time < self.newest:
            return True
        if event_time == self.newest and self._is_current(content):
            return False
        self.newest, self._content = event_time, content
        return True

    def _is_current(self, content: bytes) -> bool:
        return (digest(content) if isinstance(self._content, int) else content) == self._content

    def forget(self) -> None:
        """Give the content up; what comes counts as changed."""
        self._content = NOTHING

    def digest(self) -> int:
        """Return the digest of the content."""
        return self._content if isinstance(self._content, int) else digest(self._content)

    def restore(self, newest: int, content: int) -> None:
        """Take up the newest stamp, µs, and the digest of its content."""
        self.newest, self._content = newest, content


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
