"""Values no table takes, found before PostgreSQL is asked: each says which field it is and what to send instead."""

from __future__ import annotations

from schemas.errors import InvalidRecord
from schemas.records import Gap, Progress

MAX_TIME_US = 1 << 55  # beyond it the column reader does not follow either
MAX_GAP_TEXT = 500  # characters; names are index keys


def check_gap(gap: Gap) -> None:
    """Raise InvalidRecord where the ledger cannot hold a gap."""
    if not -MAX_TIME_US < gap.from_time < gap.to_time < MAX_TIME_US:
        raise InvalidRecord("the gap has no length, or a time out of range; send from_time < to_time in µs")
    texts = (gap.gap_id, gap.stream, gap.symbol, gap.provider, gap.interval, gap.cause, gap.detector)
    if any(len(text) > MAX_GAP_TEXT or "\0" in text for text in texts):
        raise InvalidRecord(
            f"a text of the gap is longer than {MAX_GAP_TEXT} characters or holds a NUL; shorten it"
        )


def check_progress(progress: Progress) -> None:
    """Raise InvalidRecord where a watermark cannot be what the progress claims."""
    before = progress.complete_before
    if not all(-MAX_TIME_US < moment < MAX_TIME_US for moment in (progress.known_from, before or 0)):
        raise InvalidRecord("a time of the progress is out of range; times are µs since 1970")
