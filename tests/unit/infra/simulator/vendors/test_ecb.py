"""The ECB's face: csvdata with and without history, and its ways to say nothing."""

from __future__ import annotations

import csv

from infra.simulator.market.macro import MacroBook
from infra.simulator.market.macro_synthetic import SYNTHETIC
from infra.simulator.vendors.ecb import data

EURUSD = SYNTHETIC["ECB:EXR.D.USD.EUR.SP00.A"]
NOW = 1_795_363_230_000_000
TOLD = MacroBook(seed=3).vintages(EURUSD.key, NOW)
ALL = {"format": "csvdata"}


def rows(given: dict[str, str]) -> list[dict[str, str]]:
    return list(csv.DictReader(data(EURUSD, TOLD, given).body.decode().splitlines()))


def test_history_has_a_row_for_each_version() -> None:
    """One that was replaced ends when the next begins; without history only what stands is there."""
    history, now = rows({**ALL, "includeHistory": "true"}), rows(ALL)
    replaced = [n for n, row in enumerate(history) if row["VALID_TO"]]

    assert len(history) == len(TOLD)
    assert "VALID_FROM" not in now[0]
    assert [row["OBS_VALUE"] for row in now] == [row["OBS_VALUE"] for row in history if not row["VALID_TO"]]
    assert replaced
    assert all(history[n]["VALID_TO"] == history[n + 1]["VALID_FROM"] for n in replaced)
    assert {(row["KEY"], row["FREQ"], row["CURRENCY"]) for row in history} == {
        ("EXR.D.USD.EUR.SP00.A", "D", "USD")
    }


def test_an_update_is_after_the_moment_asked_for() -> None:
    """Nothing is a 404 with words, or a 304 to who asks by a header."""
    newest = rows({**ALL, "updatedAfter": "2026-11-20T00:00:00+00:00"})
    none = {**ALL, "updatedAfter": "2026-11-21T00:00:00+00:00"}

    assert newest[-1]["TIME_PERIOD"] == "2026-11-20"
    assert all(row["TIME_PERIOD"] >= "2026-11-19" for row in newest)
    assert (data(EURUSD, TOLD, none).status, data(EURUSD, TOLD, none).body) == (404, b"No results found.")
    assert data(EURUSD, TOLD, none, unchanged=True).status == 304
    assert data(EURUSD, TOLD, {}).status == 406
