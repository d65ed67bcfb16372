"""The whole of a preflight without a server, and what vendors answered."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from infra.preflight import checks
from infra.preflight.checks import Preflight, judge_vendors, vendors_group
from infra.preflight.findings import Checked, verdict
from infra.preflight.running import CheckGroup, look
from infra.runtime.settings import MdsSettings

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


def answer(provider: str, result: str) -> dict[str, str]:
    return {"provider": provider, "result": result, "says": f"{result} it is"}


@pytest.mark.parametrize(
    ("answers", "result", "says"),
    [
        pytest.param(None, "ok", "nobody to ask", id="simulator"),
        pytest.param([], "ok", "no vendor", id="none"),
        pytest.param([answer("yahoo", "ok")], "ok", "yahoo: every vendor answers", id="well"),
        pytest.param(
            [answer("yahoo", "unknown"), answer("alpaca", "failed"), answer("fred", "warning")],
            "failed", "alpaca: failed it is", id="the-worst-counts",
        ),
        pytest.param([answer("yahoo", "unknown"), answer("a", "warning")], "unknown", "yahoo: unknown it is", id="silent"),
    ],
)  # fmt: skip
def test_the_worst_answer_counts(answers: list[dict[str, str]] | None, result: str, says: str) -> None:
    """It is named with its reason."""
    finding = judge_vendors(answers)

    assert (finding.result, finding.says.endswith(says) or says in finding.says) == (result, True)


def test_no_vendor_is_asked_unless_that_is_wanted() -> None:
    """It costs of the vendors' budgets."""
    assert vendors_group(MdsSettings(), {}, is_asked=False) == []


async def told(monkeypatch: pytest.MonkeyPatch, program: str) -> Checked:
    """Return what is found where the producers are this program."""
    monkeypatch.setattr(checks, "COMMAND", (sys.executable, "-c", program))
    (group,) = vendors_group(MdsSettings(), {"PATH": sys.prefix}, is_asked=True)
    (found,) = await look([CheckGroup(read=group.read, checks=group.checks, within_s=20.0)], secrets=())
    return found


async def test_the_producers_ask_and_their_lines_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON line a vendor."""
    found = await told(
        monkeypatch, """print('{"provider": "yahoo", "result": "failed", "says": "refused"}')"""
    )

    assert (found.finding.result, found.finding.says) == ("failed", "yahoo: refused")


async def test_producers_that_cannot_ask_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of what they complain of."""
    found = await told(monkeypatch, "import sys; sys.exit('error: no key file')")

    assert found.finding.result == "unknown"
    assert "error: no key file" in found.finding.says
