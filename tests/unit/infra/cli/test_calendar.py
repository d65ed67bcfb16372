"""`mds calendar` on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.__main__ import app
from schemas.errors import ConfigurationError

CONFIGURATION = Path(__file__).parents[4] / "config" / "mds.yaml"


def run(*arguments: str, **env: str) -> tuple[int, str, BaseException | None]:
    """Run the command in this process; return (exit code, stdout, what it raised)."""
    ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MDS_")}
    done = CliRunner().invoke(app, ["calendar", *arguments], env={**ours, **env})
    return done.exit_code, done.stdout, done.exception


@pytest.fixture
def closed(tmp_path: Path) -> str:
    """A configuration that closes New York on a Tuesday."""
    path = tmp_path / "mds.yaml"
    closing = '\ncalendar_closures: {XNYS: ["2026-03-10"]}\n'
    kept = [
        line for line in CONFIGURATION.read_text("utf-8").splitlines() if not line.startswith("calendar_")
    ]
    path.write_text("\n".join(kept) + closing, "utf-8")
    return str(path)


def test_a_market_is_told_day_by_day() -> None:
    """Lunch and auction by the venue's clock, and who says that a day is closed; the end is exclusive."""
    code, out, _ = run("7203.T", "--start", "2026-05-01", "--end", "2026-05-07")

    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["2026-05-01", "trading", "library", "09:00-15:31", "11:30-12:30", "15:25-15:31"],
        ["2026-05-02", "weekend", "library", "-", "-", "-"],
        ["2026-05-03", "weekend", "library", "-", "-", "-"],
        *([f"2026-05-0{day}", "holiday", "library", "-", "-", "-"] for day in (4, 5, 6)),
    ]


def test_closures_of_the_configuration_file_are_told_as_such(closed: str) -> None:
    """Of the file that is named, without a system that runs."""
    found = json.loads(
        run("SPY", "--start", "2026-03-10", "--end", "2026-03-11", "--json", MDS_CONFIG=closed)[1]
    )

    assert [(day["date"], day["status"], day["origin"]) for day in found["days"]] == [
        ("2026-03-10", "holiday", "configuration")
    ]
    assert (found["calendar"], found["horizon"]) == ("XNYS", "2037-01-01T00:00:00-05:00")


def test_one_end_gives_the_other_and_none_the_month_from_today() -> None:
    """Thirty days; of an unknown home each is unknown."""
    found = json.loads(run("^NSEI", "--end", "2026-03-31", "--json")[1])
    assert [found["days"][place]["date"] for place in (0, -1)] == ["2026-03-01", "2026-03-30"]
    assert {day["status"] for day in found["days"]} == {"unknown"}
    assert len(json.loads(run("EURUSD=X", "--start", "2026-03-01", "--json")[1])["days"]) == 30
    assert len(json.loads(run("BTC-USD", "--json")[1])["days"]) == 30


@pytest.mark.parametrize(
    "arguments",
    [
        ("spy",),
        ("SPY", "--start", "9999-12-31"),
        ("SPY", "--end", "0001-01-02"),
        ("SPY", "--start", "2026-03-02", "--end", "2026-03-02"),
        ("SPY", "--start", "2025-01-20", "--end", "2026-02-25"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_remedy(arguments: tuple[str, ...]) -> None:
    """`main` makes one sentence and exit 2 of it."""
    _, out, raised = run(*arguments)

    assert out == "" and isinstance(raised, ConfigurationError) and raised.remedy
