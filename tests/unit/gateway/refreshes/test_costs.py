"""What a refresh costs."""

from __future__ import annotations

from gateway.refreshes.costs import eta_s, exhausted, requests_of
from gateway.refreshes.refresh_request import RefreshWanted
from schemas.macro_keys import ALIASES
from schemas.providers.built_in import BUILT_IN


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
