"""Our share of a vendor's limits: replicas own partitions of the work exclusively, and budgets go with them.

What is lost is given up at once. What is gained is used once a window has passed since what its last owner sent has arrived:
so the replicas together never start more in a window than the vendor allows. Times are µs; nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from schemas.intervals import SECOND_US

# until what the last owner sent has been answered or given up: a deadline of 10 s is the default
UNDER_WAY_US = 15 * SECOND_US
MAX_REMEMBERED = 64  # changes within a window; of more the oldest two become one, of the smaller part


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`owned` partitions `of` all."""

    owned: int
    of: int

    def __post_init__(self) -> None:
        """Refuse what no assignment can be."""
        if not 0 <= self.owned <= self.of or self.of < 1:
            raise ValueError(f"a share is 0 to all of at least one partition, not {self.owned} of {self.of}")

    @property
    def part(self) -> Fraction:
        """The part as an exact number."""
        return Fraction(self.owned, self.of)

    def of_limit(self, limit: int) -> int:
        """Return how many of `limit` are ours, rounded down; at least one where anything is owned, else nothing.

        With fewer allowed than there are replicas, one each is more than the vendor allows: its 429 then lowers all.
        """
        return max(1, limit * self.owned // self.of) if self.owned else 0


WHOLE_SHARE = Share(owned=1, of=1)


class Shares:
    """The share in force, and the smaller ones before it that still bind."""

    def __init__(self, share: Share = WHOLE_SHARE) -> None:
        """Begin with `share`, from which nobody else has used anything."""
        self.now = share
        self._ended: deque[tuple[int, Share]] = deque()

    def change(self, share: Share, now_us: int) -> None:
        """Put another share in force."""
        if share == self.now:
            return
        self._ended.append((now_us, self.now))
        self.now = share
        if len(self._ended) > MAX_REMEMBERED:
            (_, first), (ended, second) = self._ended.popleft(), self._ended.popleft()
            self._ended.appendleft((ended, min(first, second, key=_part)))

    def least(self, now_us: int, length_us: int) -> Share:
        """Return the smallest share whose requests may have arrived within the last `length_us`."""
        if not self._ended:  # as good as always, and asked several times a request
            return self.now
        return min(
            [
                self.now,
                *(share for ended, share in self._ended if ended + UNDER_WAY_US + length_us > now_us),
            ],
            key=_part,
        )


def _part(share: Share) -> Fraction:
    return share.part
