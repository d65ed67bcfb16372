"""How far back logs reach, said for people."""

from __future__ import annotations

from infra.runtime.kafka.kept import Kept, reach

DAY_US = 86_400_000_000


def test_each_topic_says_what_is_kept_and_what_is_deleted() -> None:
    """Whole only from where the partition that lost most begins."""
    lines = reach(
        [
            Kept("raw.bars.v1", 0, 1_000, 5_000, 2 * DAY_US),
            Kept("raw.bars.v1", 1, 0, 10, DAY_US),
            Kept("raw.bars.v1", 2, 500, 600, 3 * DAY_US),
            Kept("raw.quotes.v1", 0, 0, 7, DAY_US),
            Kept("raw.trades.v1", 0, 40, 40, None),
        ]
    )

    assert lines == [
        (
            "raw.bars.v1: 4,110 records since 1970-01-02T00:00:00.000000Z; 1,500 older ones are deleted and not in "
            "it; complete from 1970-01-04T00:00:00.000000Z on"
        ),
        "raw.quotes.v1: 7 records since 1970-01-02T00:00:00.000000Z, nothing was deleted",
        "raw.trades.v1: 0 records; 40 older ones are deleted and not in it",
    ]
