"""The whole of a preflight without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from infra.preflight import checks
from infra.preflight.checks import Preflight
from infra.preflight.findings import verdict
from infra.preflight.running import CheckGroup

WIDTH = 20  # columns of a check's name


def test_checks_have_short_names_that_differ() -> None:
    """They are what a pipeline and a reader refer to."""
    groups = checks.Preflight(env={}, ask_vendors=True)._groups()  # noqa: SLF001
    names = [name for group in groups for name in group.checks]

    assert len(names) == len(set(names))
    assert all(name == name.lower() and len(name) <= WIDTH for name in names)
    assert {"settings", "configuration", "broker-version", "topic-rights", "migrations", "vendors"} <= set(
        names
    )
    known = {"", *names}
    assert all(isinstance(group, CheckGroup) and group.after in known for group in groups)


def test_settings_that_are_refused_are_one_failure_and_nothing_is_guessed(tmp_path: Path) -> None:
    """Without them nobody knows where to look: no default is looked at in their place."""
    found = asyncio.run(Preflight(env={"MDS_KAFKA_PRT": "1", "MDS_HOME": str(tmp_path / "home")}).run())
    first, *others = found

    assert (first.name, first.finding.result) == ("settings", "failed")
    assert first.finding.remedy == "did you mean MDS_KAFKA_PORT?"
    assert {each.finding.result for each in others} == {"unknown"}
    assert verdict(found) == 2
    assert list(tmp_path.iterdir()) == []
