"""The account of a refresh: its cost, and its end, each series once."""

from __future__ import annotations

from typing import Any

from gateway.refreshes.account import StoredVintages, eta_s, exhausted, outcome_row, requests_of
from gateway.refreshes.refresh_request import RefreshWanted
from schemas.clocks import Day
from schemas.macro_keys import ALIASES
from schemas.providers.built_in import BUILT_IN
from schemas.records import SymbolOutcome

GDP, CPI, RATE, YIELD = "FRED:GDPC1", "FRED:CPIAUCSL", "ECB:EXR.D.USD.EUR.SP00.A", "UST:10Y"
NEW = {GDP: StoredVintages(count=3, first=Day(16_892), last=Day(16_983))}


def wanted(*names: str, full: bool = False) -> RefreshWanted:
    """Return a refresh of series by alias."""
    return RefreshWanted(keys=tuple(sorted(ALIASES[name] for name in names)), full=full)


def test_one_table_a_year_gives_all_yields_and_each_series_of_others_is_asked_for() -> None:
    """Three requests a series of FRED: which days, what it is, the values."""
    assert requests_of(wanted("cpi", "sofr", "ust_10y", "ust_2y", "eurusd"), 2026) == {
        "fred": 6, "treasury": 1, "ecb": 1,
    }  # fmt: skip
    assert requests_of(wanted("ust_10y", "ust_2y", full=True), 2026) == {"treasury": 37}


def test_sources_are_asked_side_by_side_at_their_own_pace() -> None:
    """FRED twice a second."""
    assert eta_s({"fred": 6, "treasury": 1}, BUILT_IN) == 3.0
    assert eta_s({}, BUILT_IN) == 0.0
    assert eta_s({"unheard_of": 4}, BUILT_IN) == 2.0


def test_who_may_not_be_asked_any_more_is_named_with_the_reset() -> None:
    """429 with the cap, and how to raise it."""
    problem = exhausted("fred", 99, 100, "2026-11-30T00:00:00Z", 60)

    assert (problem.status, problem.code, problem.retry_after_s) == (429, "provider_budget", 60)
    assert problem.extra == {"cap": 100, "used": 99, "reset_time": "2026-11-30T00:00:00Z"}
    assert "providers.fred.limits.per_day" in problem.detail


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
