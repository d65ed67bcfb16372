"""Whether a value says something new, by the strategy its stream declares.

`slots`: versions of numbered slots, each equal to the current one of its key or not. `latest`: versions of the newest
moment. `occurrences`: no versions, each is kept; equal ones at one moment are all real, and only a vendor frame whose
bytes equal another of the last REMEMBERED_FRAMES of the same connection is a repeat.

Hashes here live and die with the process (state is rebuilt from the log, never stored), so Python's own hash of the
content serves: a tenth of the cost of a stable one, which would not be salted.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable
from operator import itemgetter

from schemas.clocks import EventTime
from schemas.deriving import content
from schemas.records import Event
from schemas.streams import Stream

SLOTS = 1_536  # numbers remembered per series: a 24-hour day of minutes and then some, 8 bytes each
REMEMBERED_FRAMES = 64  # per connection
MAX_CONNECTIONS = 256  # per partition; a reconnect is a new connection, the one silent longest is forgotten
_EMPTY = 0


def content_of(stream: Stream) -> Callable[[Event], object]:
    """Return what gives the content of a stream's event: what it is compared by."""
    names = content(stream)
    return itemgetter(*names) if names else _nothing


def _nothing(_event: Event) -> object:
    return ()


class Slots:
    """The current version of the newest SLOTS slots of one series, as 64-bit hashes by slot number."""

    __slots__ = ("_hashes", "_newest", "_slot_us")

    def __init__(self, slot_us: int) -> None:
        """Remember nothing yet; slots are numbered by `slot_us`, microseconds."""
        self._slot_us = slot_us
        self._hashes = array("q", bytes(8 * SLOTS))
        self._newest = -1

    def changes(self, event_time: EventTime, content: object) -> bool:
        """Note a value and return whether it differs from the current version of its key.

        One older than what is remembered counts as changed: the sink compares it with what is stored.
        """
        number = event_time // self._slot_us
        ahead = number - self._newest
        if ahead > 0:
            self._advance(number, ahead)
        elif ahead <= -SLOTS:
            return True
        # The time is hashed too: two stamps of one slot are two keys, and the later one takes the place.
        value = hash((event_time, content)) or 1
        place = number % SLOTS
        if self._hashes[place] == value:
            return False
        self._hashes[place] = value
        return True

    def _advance(self, number: int, ahead: int) -> None:
        if ahead >= SLOTS:
            self._hashes = array("q", bytes(8 * SLOTS))
        elif self._newest >= 0:
            for skipped in range(self._newest + 1, number + 1):
                self._hashes[skipped % SLOTS] = _EMPTY
        self._newest = number


class Latest:
    """The newest value of one series; older ones are compared by the sink."""

    __slots__ = ("_content", "_newest")

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._newest = -1
        self._content: object = ()

    def changes(self, event_time: EventTime, content: object) -> bool:
        """Note a value and return whether it differs from the current version of its key."""
        if event_time < self._newest:
            return True
        if event_time == self._newest and content == self._content:
            return False
        self._newest, self._content = event_time, content
        return True


class Occurrences:
    """The last frames of each connection of a partition: sequence, hash, and whether it repeated another."""

    __slots__ = ("_connections",)

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._connections: OrderedDict[str, OrderedDict[int, tuple[int, bool]]] = OrderedDict()

    def repeats(self, connection_id: str, frame_sequence: int, frame_hash: int) -> bool:
        """Note a frame (once or several times: it may be split over blocks) and return whether it is a repeat.

        Without a connection nothing is: a request's answer has no frames.
        """
        if not connection_id:
            return False
        frames = self._connections.get(connection_id)
        if frames is None:
            frames = self._connect(connection_id)
        seen = frames.get(frame_sequence)
        if seen is not None and seen[0] == frame_hash:
            return seen[1]
        repeat = any(known == frame_hash for known, _ in frames.values())
        frames[frame_sequence] = (frame_hash, repeat)
        if len(frames) > REMEMBERED_FRAMES:
            frames.popitem(last=False)
        self._connections.move_to_end(connection_id)
        return repeat

    def _connect(self, connection_id: str) -> OrderedDict[int, tuple[int, bool]]:
        frames: OrderedDict[int, tuple[int, bool]] = OrderedDict()
        self._connections[connection_id] = frames
        if len(self._connections) > MAX_CONNECTIONS:
            self._connections.popitem(last=False)
        return frames
