"""The page about providers is made from their facts, and is up to date."""

from __future__ import annotations

from pathlib import Path

from schemas.providers.built_in import BUILT_IN
from schemas.providers.reference import page

DOCUMENT = Path(__file__).parents[4] / "docs" / "PROVIDERS.md"


def test_the_page_in_the_repository_is_the_one_the_facts_make() -> None:
    """Whoever changes a fact writes the page anew."""
    assert DOCUMENT.read_text("utf-8") == page(), (
        "docs/PROVIDERS.md is stale: write what page() returns to it"
    )


def test_every_fact_a_user_needs_is_told() -> None:
    """Variables, sources of limits, phrases, terms."""
    text = page()

    for facts in BUILT_IN.values():
        told = [facts.name, *facts.credentials, *facts.feeds, facts.notes.terms, *facts.notes.remarks]
        told += [plan.source for plan in facts.plans] + [plan.read for plan in facts.plans]
        told += [*facts.refusals.throttled, *facts.refusals.unentitled]
        told += [text for habit in facts.habits for text in (habit.says, habit.source, habit.handled)]
        told += [facts.notes.delay, facts.notes.coverage, facts.notes.settling, facts.notes.conditions]
        assert [word for word in told if word not in text] == []
