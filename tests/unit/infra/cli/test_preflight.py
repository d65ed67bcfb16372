"""A preflight on the screen, as JSON, and as an exit code."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import typer

from infra.cli import preflight
from infra.cli.preflight import VERDICTS, document, preflight_command, text
from infra.preflight.findings import Checked, Finding, failed, ok, unknown, warning
from infra.runtime.exit_codes import ExitCode
from schemas.errors import ConfigurationError

FOUND = [
    Checked(name="broker", finding=ok("1 broker at a:1")),
    Checked(name="migrations", finding=failed("not applied: 0026_pre_x", "run `mds migrate pre`")),
    Checked(name="reader-role", finding=warning("no role", "make it")),
]


def test_each_remedy_stands_under_its_finding() -> None:
    """In columns, and under all of it the verdict with its counts."""
    assert text(FOUND, ExitCode.CONFIGURATION).splitlines() == [
        "result   check        finding, and what to do",
        "ok       broker       1 broker at a:1",
        "failed   migrations   not applied: 0026_pre_x",
        "                      → run `mds migrate pre`",
        "warning  reader-role  no role",
        "                      → make it",
        "not ready: 1 ok, 1 warning, 1 failed",
    ]


def test_the_document_has_the_same() -> None:
    """What is well has no remedy."""
    made = document(FOUND, ExitCode.CONFIGURATION)

    assert (made["verdict"], made["exit_code"]) == ("not ready", 2)
    assert made["checks"][0] == {
        "name": "broker",
        "result": "ok",
        "finding": "1 broker at a:1",
        "remedy": None,
    }
    assert made["checks"][1]["remedy"] == "run `mds migrate pre`"


@pytest.mark.parametrize(
    ("finding", "code"),
    [(ok("so"), 0), (warning("so", "do"), 1), (failed("so", "do"), 2), (unknown("so", "do"), 3)],
)
def test_the_exit_code_is_the_verdict(
    finding: Finding, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the command is told reaches the checks."""
    asked: list[dict[str, Any]] = []

    class Told:
        def __init__(self, **given: Any) -> None:
            asked.append(given)

        async def run(self) -> list[Checked]:
            return [Checked(name="one", finding=finding)]

    monkeypatch.setattr(preflight, "Preflight", Told)
    if code:
        with pytest.raises(typer.Exit) as caught:
            preflight_command(kafka_version="4.2.2", gateways=2, ask_vendors=True, json=True)
        assert caught.value.exit_code == code
    else:
        preflight_command(kafka_version="4.2.2", gateways=2, ask_vendors=True, json=True)

    assert orjson.loads(capsys.readouterr().out)["verdict"] == VERDICTS[ExitCode(code)]
    assert (asked[0]["kafka_version"], asked[0]["gateways"], asked[0]["ask_vendors"]) == ("4.2.2", 2, True)


def test_a_version_that_is_none_is_refused_before_anything_is_looked_at() -> None:
    """With how one is written."""
    with pytest.raises(ConfigurationError, match=r"4\.2\.2"):
        preflight_command(kafka_version="latest")
