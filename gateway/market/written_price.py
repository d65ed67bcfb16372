"""The body of `price`, written once and given again while nothing passes but time: then only age and completeness are new."""

from __future__ import annotations

import math
from dataclasses import dataclass

import orjson

from gateway.market.freshness import session_until
from gateway.market.price import Composed, Now

_ANEW = ("provisional", "age_ms")  # members that are written for each answer, next to each other


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPrice:
    """An answer as bytes, which hold in [since, until) of market time (µs) at one `speed` of it.

    `head` is all up to the members that are written anew, `tail` all after them to the end of `data`.
    """

    composed: Composed
    since: int
    until: float
    speed: float
    head: bytes
    tail: bytes

    def holds(self, now: Now) -> bool:
        """Whether what is written is what would be written at `now`."""
        return self.since <= now.time < self.until and now.speed == self.speed

    def body(self, now: Now, *, request_id: str, as_of: bytes) -> bytes:
        """Return the body of the answer given at `now`; `as_of` is that member of `meta` as JSON."""
        composed = self.composed
        return b'%b%b,"age_ms":%d%b,"meta":{"request_id":%b,"as_of":%b,"unresolved":[]}}' % (
            self.head,
            b"true" if composed.is_provisional(now) else b"false",
            composed.age_us(now) // 1000,
            self.tail,
            orjson.dumps(request_id),
            as_of,
        )


def write_price(composed: Composed, now: Now) -> WrittenPrice:
    """Write the answer given at `now`."""
    document = composed.document(now)
    names = list(document)
    place = names.index(_ANEW[0])
    if tuple(names[place : place + len(_ANEW)]) != _ANEW:
        raise ValueError(f"{' and '.join(_ANEW)} do not follow each other in {names}")
    before = orjson.dumps({name: document[name] for name in names[:place]})
    after = orjson.dumps({name: document[name] for name in names[place + len(_ANEW) :]})
    return WrittenPrice(
        composed=composed,
        since=now.time,
        until=_changes_after(composed, now),
        speed=now.speed,
        head=b'{"data":%b,"%b":' % (before[:-1], _ANEW[0].encode()),
        tail=b",%b" % after[1:],
    )


def _changes_after(composed: Composed, now: Now) -> float:
    """Return the first moment (µs) after `now` at which state or book may be another; infinity: never."""
    ends = (first + within_us for first, within_us in composed.fresh_within(now))
    # fresh up to and with the end, so that what is fresh now is another from the microsecond after
    stale = (math.floor(end) + 1 for end in ends if math.isfinite(end) and end >= now.time)
    return min(session_until(now.time, composed.calendar), *stale, math.inf)
