"""What the file says of backfill: defaults that need no word, and refusals that name the field."""

from __future__ import annotations

import pytest

from schemas.configuration.backfill import Backfill, QueuedJobs
from schemas.configuration.difference import difference
from schemas.configuration.model import parse_configuration
from schemas.located_yaml import InvalidConfiguration
from schemas.universe import TIERS

SYMBOLS = "symbols: [SPY]\n"


def test_without_a_word_gaps_are_filled() -> None:
    """And the more wanted a tier is, the fewer of its jobs may lie about."""
    found = parse_configuration(SYMBOLS, source="test").backfill
    assert found == Backfill() and found.enabled
    caps = [found.queued_jobs.of(tier) for tier in TIERS]
    assert caps == sorted(caps)


def test_each_tier_has_its_own_cap() -> None:
    """By its name."""
    caps = QueuedJobs(T0=3, T1=5, T2=8)
    assert [caps.of(tier) for tier in TIERS] == [3, 5, 8]


def test_a_change_is_shown_by_its_path() -> None:
    """As any other setting."""
    before = parse_configuration(SYMBOLS, source="test")
    after = parse_configuration(SYMBOLS + "backfill: {enabled: false, queued_jobs: {T2: 7}}", source="test")
    assert [each.path for each in difference(before, after).changes] == [
        "backfill.enabled",
        "backfill.queued_jobs.T2",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("backfill: {concurrency: 0}", "concurrency"),
        ("backfill: {concurrency: 65}", "concurrency"),
        ("backfill: {longest_days: 1e9}", "longest_days"),
        ("backfill: {queued_jobs: {T3: 5}}", "T3"),
        ("backfill: {queued_jobs: 5}", "queued_jobs"),
        ("backfill: off", "backfill"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(text: str, told: str) -> None:
    """Whole or not at all."""
    with pytest.raises(InvalidConfiguration) as refused:
        parse_configuration(SYMBOLS + text, source="test")
    assert told in str(refused.value)
