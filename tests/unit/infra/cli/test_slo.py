"""Objectives and conditions in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import typer

from infra.cli import slo
from infra.cli.slo import condition_cells, figure, objective_cells, slo_command

ROW = {
    "objective": "gap_violations", "state": "burning", "value": 0.0042, "target": 0.005, "unit": "share of expected bars",
    "reason": "bars of T0 1m are missing",
    "windows": [{"window": "1h", "burn_rate": 20.0}, {"window": "6h", "burn_rate": None}, {"window": "3d", "burn_rate": 0.84}],
}  # fmt: skip
CONDITION = {
    "stream": "quotes:yahoo:SPY", "day": "2024-06-05", "condition": "available", "expected": None, "stored": None,
    "confirmed_empty": None, "missing": None, "late": 0, "reason": None,
}  # fmt: skip


def test_an_objective_in_words() -> None:
    """Shares as percent; a window that holds nothing burns nothing, which is no 0."""
    assert objective_cells(ROW) == [
        "gap violations", "burning", "0.42 %", "0.5 %", "20.00", "-", "0.84", "bars of T0 1m are missing",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(None, "ms", "-"), (250.0, "ms", "250 ms"), (8_100, "symbols", "8,100 symbols"), (0, "bans", "0 bans")],
)
def test_figures(value: float | None, unit: str, text: str) -> None:
    """With their units."""
    assert figure(value, unit) == text


def test_a_condition_of_what_is_not_counted() -> None:
    """Dashes, and an empty reason."""
    assert condition_cells(CONDITION) == [
        "quotes:yahoo:SPY",
        "2024-06-05",
        "available",
        "-",
        "-",
        "-",
        "-",
        "0",
        "",
    ]


@pytest.mark.parametrize(("state", "code"), [("met", 0), ("no_data", 0), ("burning", 1), ("violated", 1)])
def test_the_exit_code_says_whether_all_is_kept(
    state: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing known is no alarm; all pages of conditions are asked for."""
    pages: list[Mapping[str, Any]] = []

    def answer(_: Any, *__: str, query: Mapping[str, Any]) -> dict[str, Any]:
        pages.append(query)
        token = "next" if len(pages) == 1 else None
        return {"data": [ROW | {"state": state}], "conditions": [CONDITION], "next_page_token": token}

    monkeypatch.setattr(slo, "called", answer)
    if code:
        with pytest.raises(typer.Exit) as caught:
            slo_command(day="2024-06-05")
        assert caught.value.exit_code == code
    else:
        slo_command(day="2024-06-05")

    assert [each.get("page_token") for each in pages] == [None, "next"]
    assert capsys.readouterr().out.count("quotes:yahoo:SPY") == 2
