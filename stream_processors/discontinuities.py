"""What a producer could not see, for streams of quotes and trades: the open hours between its last event and its return."""

from __future__ import annotations

from schemas.calendar.sessions import Calendar
from schemas.records import Discontinuity


def unseen_ranges(
    calendar: Calendar, seen_to: int | None, discontinuity: Discontinuity
) -> list[tuple[int, int]]:
    """Return the ranges [from, to) of a stream nobody watched while trades could happen; none where nothing is left.

    `seen_to` is the stream's last event, or the end of the last such range; the later of it and the producer's word
    begins the range. Where neither is known nothing is claimed.
    """
    known = [moment for moment in (seen_to, discontinuity.from_time) if moment is not None]
    if not known or max(known) >= discontinuity.to_time:
        return []
    return calendar.open_ranges(max(known), discontinuity.to_time)
