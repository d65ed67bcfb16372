"""The end of a refresh: each series once."""

from __future__ import annotations

from typing import Any

from gateway.refreshes.outcome import StoredVintages, outcome_row
from gateway.refreshes.refresh_request import RefreshWanted
from schemas.clocks import Day
from schemas.providers.built_in import BUILT_IN
from schemas.records import SymbolOutcome

GDP, CPI, RATE, YIELD = "FRED:GDPC1", "FRED:CPIAUCSL", "ECB:EXR.D.USD.EUR.SP00.A", "UST:10Y"
NEW = {GDP: StoredVintages(count=3, first=Day(16_892), last=Day(16_983))}


def ended(*, full: bool = False, without: tuple[str, ...] = (), **statuses: str) -> dict[str, Any]:
    """Return what is said of a refresh of four series, the last of which nobody answered for."""
    said = {GDP: "done", CPI: "duplicate", RATE: "failed"} | statuses
    outcomes = {
        key: SymbolOutcome(symbol=key, status=status, reason="it was so") for key, status in said.items()
    }  # type: ignore[arg-type]
    wanted = RefreshWanted(keys=(RATE, CPI, GDP, YIELD), full=full)
    return outcome_row(wanted, outcomes, NEW, without, BUILT_IN)


def test_each_series_is_changed_unchanged_or_failed() -> None:
    """What was polled already in between counts as asked for; what nobody answered for says what to look at."""
    row = ended()

    assert row["changed"] == [{"key": GDP, "vintages": 3, "first": "2016-04-01", "last": "2016-07-01"}]
    assert row["unchanged"] == [CPI]
    assert [(each["key"], each["code"]) for each in row["failed"]] == [(RATE, "failed"), (YIELD, "expired")]
    assert row["failed"][0]["detail"] == "it was so"
    assert "GET /health" in row["failed"][1]["detail"]
    assert row["without_vintages"] == []


def test_without_the_key_of_a_source_its_history_cannot_be_had() -> None:
    """News of it are its values of now, which is remarked; of everything there is that is a failure. Yields have no vintages."""
    news, everything = ended(without=(CPI, YIELD)), ended(full=True, without=(CPI, YIELD))

    assert (news["unchanged"], news["without_vintages"]) == ([CPI], [CPI])
    assert everything["unchanged"] == []
    (found,) = [each for each in everything["failed"] if each["key"] == CPI]
    assert (found["code"], "PRODUCERS_FRED_API_KEY" in found["detail"]) == ("provider_disabled", True)
