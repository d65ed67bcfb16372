"""Knowledge time of the store: the watermark, the default as_of, and the problems of an as_of that cannot be answered."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.http.moments import LATEST_US, rfc3339
from gateway.http.problems import Problem, about, invalid_field
from schemas.clocks import EventTime, KnowledgeTime, WallTime
from schemas.validation import MAX_AHEAD_US

# A tick moves an idle partition's watermark within about 1.3 s; within 3.3 s where one process owns 64 partitions.
AS_OF_WAIT_S = 4.0
RETRY_AFTER_S = 2


def complete_through(marks: Iterable[KnowledgeTime | None]) -> KnowledgeTime | None:
    """Return the newest as_of that every partition has in full; `marks` are their exclusive complete_before.

    None where one of them has no watermark yet: then nothing is known in full.
    """
    lowest: KnowledgeTime | None = None
    for mark in marks:
        if mark is None:
            return None
        lowest = mark if lowest is None else min(lowest, mark)
    return None if lowest is None else KnowledgeTime(lowest - 1)


def latest_event(as_of: KnowledgeTime, *, wall_market: bool) -> EventTime:
    """Return the newest event_time that can have been known by `as_of`, as processors admit it; spares an old as_of all newer rows.

    On a simulated market (`wall_market` False) event time and knowledge are unrelated.
    """
    return EventTime(min(as_of + MAX_AHEAD_US, LATEST_US)) if wall_market else LATEST_US


def check_not_future(as_of: KnowledgeTime, wall_now: WallTime) -> None:
    """Raise the problem of an as_of later than the clock: nobody knows yet what will be known then."""
    if as_of > wall_now:
        detail = (
            f"as_of {rfc3339(as_of)} is in the future; use one up to {rfc3339(wall_now)}, or leave it out"
        )
        raise invalid_field("as_of", "in_future", detail)


def not_yet_complete(as_of: KnowledgeTime, through: KnowledgeTime | None) -> Problem:
    """Return the problem of an as_of the store has not reached: it is never lowered silently."""
    if through is None:
        detail = "nothing is committed yet for what this asks; come again"
    else:
        detail = f"as_of {rfc3339(as_of)} is not complete yet, {rfc3339(through)} is; come again, or use that"
    return about("as_of", "not_yet_complete", detail, retry_after_s=RETRY_AFTER_S)


def not_kept(param: str, moment: EventTime | KnowledgeTime, kept_from: EventTime) -> Problem:
    """Return the problem of a moment before what is kept: what is left would look like an answer."""
    floor = rfc3339(kept_from)
    detail = (
        f"{param} {rfc3339(moment)} is before {floor}, from when on data are kept; use that or a later one"
    )
    return about(param, "not_kept", detail, kept_from=floor)


def no_watermark() -> Problem:
    """Return the problem of a store that has rows but no statement yet of how complete they are."""
    detail = "the store has not committed a watermark yet; come again, or look at /health"
    return Problem(code="not_ready", detail=detail, retry_after_s=RETRY_AFTER_S)
