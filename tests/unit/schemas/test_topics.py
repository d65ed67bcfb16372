"""The catalogue in topics.yaml."""

from __future__ import annotations

import pytest

from schemas.errors import ConfigurationError
from schemas.topics import (
    CANONICAL_TOPICS,
    DAY_MS,
    RAW_TOPICS,
    agreed_partitions,
    canonical_of,
    catalogue,
    checked_prefix,
    dead,
)

WEEK_MS = 7 * DAY_MS


def test_every_topic_has_a_dead_letter_twin_and_none_has_two() -> None:
    """Whatever is consumed can be refused somewhere."""
    topics = catalogue().topics

    assert {dead(name) for name in topics if topics[name].kind != "dead"} == {
        name for name in topics if topics[name].kind == "dead"
    }


def test_raw_and_canonical_topics_pair_up() -> None:
    """One canonical topic per raw topic, with the same partitions."""
    topics = catalogue().topics

    assert tuple(canonical_of(raw) for raw in RAW_TOPICS) == CANONICAL_TOPICS
    for raw in RAW_TOPICS:
        assert topics[raw].fixed_partitions is topics[canonical_of(raw)].fixed_partitions is None


def test_the_longest_prefix_leaves_room_for_every_name() -> None:
    """A broker takes 249 characters."""
    longest = checked_prefix("p" * 200)

    assert max(len(longest + name) for name in catalogue().topics) <= 249
    assert checked_prefix("") == ""


@pytest.mark.parametrize("prefix", ["p" * 201, "trial/", "trial ", "trial.\n", "prüfung."])
def test_what_no_broker_takes_is_no_prefix(prefix: str) -> None:
    """And what one looks like is said."""
    with pytest.raises(ValueError, match="letters, digits, dots"):
        checked_prefix(prefix)


@pytest.mark.parametrize("count", [1, 4, 64])
def test_topics_agree_on_one_count(count: int) -> None:
    """Those with their own count, of another prefix, of others, and absent ones have no say."""
    existing = {f"a.{name}": topic.partitions(count) for name, topic in catalogue().topics.items()}
    others = {"a.theirs": 7, "b.bars.v1": 9, "bars.v1": 11}

    assert agreed_partitions(existing | others, prefix="a.") == count
    del existing["a.gaps.v1"]
    assert agreed_partitions(existing, prefix="a.") == count
    assert agreed_partitions(others, prefix="a.") is None


def test_a_mix_names_topics_counts_and_remedies() -> None:
    """An operator reads at once which ones are wrong, of raw, canonical, dead and other topics alike."""
    with pytest.raises(ConfigurationError, match=r"2: quotes.v1; 3: raw.bars.v1 jobs.v1.*topics move"):
        agreed_partitions({"raw.bars.v1": 3, "quotes.v1": 2, "jobs.v1": 3})
    with pytest.raises(ConfigurationError, match=r"4: bars.v1.dead; 8: bars.v1"):
        agreed_partitions({"bars.v1": 8, "bars.v1.dead": 4})
    with pytest.raises(ConfigurationError, match=r"configuration.v1 has 2 partitions, it must have 1"):
        agreed_partitions({"configuration.v1": 2, "bars.v1": 2})


def test_raw_records_are_kept_at_least_a_week_and_stamped_by_the_broker() -> None:
    """A rebuild needs them, and append time is knowledge time."""
    for raw in RAW_TOPICS:
        topic = catalogue().topics[raw]
        assert topic.retention_ms is not None
        assert topic.retention_ms >= WEEK_MS
        assert topic.config["message.timestamp.type"] == "LogAppendTime"


def test_ledgers_are_compacted() -> None:
    """The newest state of a gap and the newest progress of a partition are never deleted by age."""
    for name in ("gaps.v1", "progress.v1"):
        assert catalogue().topics[name].config["cleanup.policy"] == "compact"


def test_provider_health_keeps_the_newest_of_each_and_forgets_the_rest_in_time() -> None:
    """A reader that starts today learns who serves what; nobody replays last year's scores."""
    topic = catalogue().topics["provider-health.v1"]

    assert topic.config["cleanup.policy"] == "compact,delete"
    assert topic.config["retention.ms"] == str(30 * DAY_MS)
