"""What counts of entries at a moment by when it was published, whenever we were told."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.calendar.sessions import Calendar
from schemas.clocks import KnowledgeTime, date_of
from schemas.entries import CorporateAction


def published_by(
    versions: Sequence[CorporateAction], as_of: KnowledgeTime, calendar: Calendar, *, latest: bool
) -> list[CorporateAction]:
    """Return the versions published by `as_of`, in their order; with `latest` the newest of each action alone.

    One without a time of publication counts from the midnight its ex-date begins with at the venue.
    """
    told = [each for each in versions if _published(each, calendar) <= as_of]
    if not latest:
        return told
    newest = {(each.provider, each.action_id): each for each in sorted(told, key=_position)}
    return [each for each in told if newest[each.provider, each.action_id] is each]


def _position(action: CorporateAction) -> tuple[int, int]:
    return action.raw_offset, action.index


def _published(action: CorporateAction, calendar: Calendar) -> int:
    if action.published_at is not None:
        return action.published_at
    return calendar.day_start(date_of(action.ex_date))
