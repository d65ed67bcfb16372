"""Rules of entries, each broken once: what the model would not notice, it would not prove."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.entries import macro
from gateway.entries.shell import history
from schemas.topics import canonical_of
from sinks.columns.avro import Flags
from sinks.ledger.memory import Book
from stream_processors.block import _Run
from stream_processors.versions import Entries
from tests.model import entry_answers
from tests.model.database import Database, Version
from tests.model.entry_answers import EntryQuestion
from tests.model.playing import ENTRIES, ENTRIES_CUT, READ_IN_PAGES, caught, cheap_batches

__all__ = ["cheap_batches"]
pytestmark = pytest.mark.usefixtures("cheap_batches")


def test_the_model_catches_a_memory_that_knows_an_entry_by_its_name_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A correction is lost."""
    tells = Entries.tells
    monkeypatch.setattr(Entries, "tells", lambda entries, name, _: tells(entries, name, b""))
    assert caught(ENTRIES, monkeypatch, "versions lost")


def test_the_model_catches_a_sink_that_takes_a_telling_for_a_new_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However new its moment is: what was read again is stored again."""

    def all_new(_: Book, rows: Any) -> Flags:
        return np.ones(rows.columns.size, np.bool_)

    monkeypatch.setattr(Book, "new_keys", all_new)
    assert caught(ENTRIES, monkeypatch, "")


def test_the_model_catches_a_torn_log_that_ends_where_the_entry_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a source said long ago and is told now says nothing of until when nothing was heard."""
    tell = _Run.tell_truncation

    def by_their_moments(run: Any) -> None:
        told_at, run._told_at = run._told_at, None  # noqa: SLF001 - the rule itself
        tell(run)
        run._told_at = told_at  # noqa: SLF001

    monkeypatch.setattr(_Run, "tell_truncation", by_their_moments)
    assert caught(ENTRIES_CUT, monkeypatch, "evidence")


def test_the_model_catches_an_answer_that_counts_what_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest version there is, whatever moment is asked about."""

    def of_now(database: Database, question: EntryQuestion) -> list[Version]:
        rows = database.rows[canonical_of(question.topic)].values()
        return [row for row in rows if row.key[1] == question.symbol]

    monkeypatch.setattr(entry_answers, "known_versions", of_now)
    assert caught(ENTRIES, monkeypatch, "was answered")


def test_the_model_catches_a_page_that_begins_without_its_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first change of each page would be missing."""
    monkeypatch.setattr(history, "base_days", lambda *_: 0)
    assert macro.base_days("chg", "M") == 31
    assert caught(READ_IN_PAGES, monkeypatch, "by pages of")


def test_the_model_catches_a_page_that_begins_behind_its_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vintages of a period may be on two pages."""
    beyond = history.beyond

    def of_later_periods(found: list[Any], after: Any, place: Any) -> list[Any]:
        return beyond(found, (after[0] + 1,) if after else (), place)

    monkeypatch.setattr(history, "beyond", of_later_periods)
    assert caught(READ_IN_PAGES, monkeypatch, "by pages of")
