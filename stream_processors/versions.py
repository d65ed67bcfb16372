"""Whether a value says something new, by the strategy its stream declares.

`slots`: versions of numbered slots, each equal to the current one of its key or not. `latest`: versions of the newest
moment. `entries`: versions of what names itself, whatever the moment they were told at. `occurrences` have no versions (`stream_processors.repeats`).

Content is the Avro bytes of an event: its key, its stamp and all that it says. What is kept of it outlives the process
(`stream_processors.saving`), so nothing here depends on Python's salted hash.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from hashlib import blake2b

from schemas.clocks import EventTime

# Numbers remembered of a series, 8 bytes each: a 24-hour day of minutes and then some, as polls give them again.
PLACES = 64  # saved together
SLOTS = {"1m": 24 * PLACES, "5m": 9 * PLACES, "15m": 5 * PLACES, "30m": 3 * PLACES, "1h": 3 * PLACES}
SLOTS_OF_DAYS = PLACES  # of days and longer
ENTRIES = 4 * PLACES  # what a poll gives again is told within days; a whole history is compared by the sink
WORD_BYTES = 8
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


class Entries(Slots):
    """The current versions of the entries of one series that came last, as digests by places their names hash to.

    Of two names with one place the later is remembered; what is not counts as changed, and the sink compares it.
    """

    __slots__ = ()

    def __init__(self, room: Room) -> None:
        """Remember nothing yet; what is remembered is taken from `room`."""
        super().__init__(1, ENTRIES, room)

    def tells(self, name: bytes, content: bytes) -> bool:
        """Note what is told of the entry `name` and return whether it differs from what is remembered of it."""
        place, value = digest(name) % self._size, digest(name + content)
        if not self.held:
            self._allocate()
        if self._digests[place] == value:
            return False
        self._digests[place] = value
        self.unsaved |= 1 << place // PLACES
        return True


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
