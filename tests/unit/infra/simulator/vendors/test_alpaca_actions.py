"""Alpaca's corporate actions: by the day they are processed, in kinds, in pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.simulator.vendors.alpaca_actions import actions
from tests.support.simulations import SYNTHETIC_NOW, body, frozen_view

YEAR = {"start": "2014-01-01", "end": "2014-12-31"}


def test_kinds_are_lists_of_their_own(market_data: Path) -> None:
    """Apple's split and dividends, Time Warner's spin-off; who is unknown is absent."""
    view = frozen_view(market_data, "2015-01-02T12:00:00Z")
    document = body(actions(view, ("AAPL", "TWX", "NOPE"), YEAR, ()))

    found = document["corporate_actions"]
    assert {kind: len(rows) for kind, rows in found.items()} == {
        "cash_dividends": 4,
        "forward_splits": 1,
        "spin_offs": 1,
    }
    assert (found["forward_splits"][0]["new_rate"], found["forward_splits"][0]["old_rate"]) == (7, 1)
    assert found["spin_offs"][0]["source_symbol"] == "TWX"
    assert document["next_page_token"] is None


def test_a_dividend_is_found_by_the_day_it_is_paid_and_today_is_the_default() -> None:
    """Its ex-date lies three weeks before."""
    view, symbols = frozen_view(None, SYNTHETIC_NOW), tuple(f"SIM{number:03d}" for number in range(1, 21))
    given = {"start": "2026-11-01", "end": "2026-11-30", "limit": "1000"}
    rows = body(actions(view, symbols, given, ()))["corporate_actions"]["cash_dividends"]

    assert rows
    assert all("2026-11-01" <= row["process_date"] == row["payable_date"] <= "2026-11-30" for row in rows)
    assert any(row["ex_date"] < "2026-11-01" for row in rows)
    assert body(actions(view, symbols, {}, ()))["next_page_token"] is None


@pytest.mark.parametrize(
    "given", [{"limit": "1001"}, {"limit": "x"}, {"start": "soon"}, {"page_token": "?"}, {"symbols": "!"}]
)
def test_wrong_parameters_are_refused(given: dict[str, str]) -> None:
    """In the vendor's words."""
    symbols = (given.pop("symbols", "SIM001"),)

    assert "message" in body(actions(frozen_view(None, SYNTHETIC_NOW), symbols, given, ()))
