"""What vendors answered, and whether they are asked at all."""

from __future__ import annotations

import sys

import pytest

from infra.preflight import vendors
from infra.preflight.findings import Checked
from infra.preflight.running import CheckGroup, look
from infra.preflight.vendors import judge_vendors, vendors_group
from infra.runtime.settings import MdsSettings


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
    monkeypatch.setattr(vendors, "COMMAND", ("-c", program))
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
