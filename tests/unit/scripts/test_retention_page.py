"""The page of retention has every topic once, and says of each what is declared."""

from __future__ import annotations

import re

from schemas.topics import catalogue
from scripts.retention_page import retention_page, table_rows

ROW = re.compile(r"^\| `([\w.-]+)` \| ([^|]*) \| ([^|]*) \|", re.MULTILINE)


def test_every_topic_is_listed_once_with_its_time() -> None:
    """What is deleted by age says after how many days, and which setting of the broker that is."""
    declared = {name: topic for name, topic in catalogue().topics.items() if topic.kind != "dead"}
    listed = ROW.findall(retention_page().partition("## Tables")[0])

    assert [name for name, _, _ in listed] == list(declared)
    for name, kept, setting in listed:
        topic = declared[name]
        days = 0 if topic.retention_ms is None else topic.retention_ms // 86_400_000
        assert ("`retention.ms`" in setting) == bool(days), name
        assert ("newest of each key" in kept) == topic.compacted, name
        assert (f"{days:,} day" in kept) if days else ("for ever" in kept), name


def test_a_table_that_a_setting_cuts_names_it() -> None:
    """Streams cut by time, and both journals."""
    said = {name: " ".join(row[1:]) for row in table_rows() for name in re.findall(r"`(\w+)`", row[0])}

    assert '`{"bars": 400}`' in said["bars"] and said["bars"] == said["bars_superseded"]
    assert "30 days `SINKS_PROVIDER_HEALTH_DAYS`" in said["provider_health"]
    assert "7 days `SINKS_CADENCE_DAYS`" in said["cadence"]
    assert "SINKS_KEEP_DAYS" not in said["actions"]
