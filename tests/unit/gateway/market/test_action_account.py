"""What `meta` says of an adjusted answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from analytics.action_choice import choose
from analytics.action_effects import Reason
from analytics.adjustment import ActionSchedule, Adjustment
from gateway.database.versions import BarBasis, BarVersion
from gateway.market.action_account import ActionAccount, lone_basis, without_doubt
from schemas.entries import CorporateAction
from tests.support.bar_versions import a_version
from tests.support.corporate_actions import day, dividend, sessions, split, view

SEVEN = split("2014-06-09", 7.0)
PRICES = sessions({"2014-06-06": (650.0, 645.57), "2014-06-09": (92.69, 93.7), "2014-08-06": (95.0, 94.97)})


def account(*actions: CorporateAction, adjustment: Adjustment = "all", **changes: Any) -> ActionAccount:
    """Return the account of an answer in shares of the end of 2014."""
    choice = choose(actions, view(providers=("acme", "other")), PRICES)
    said: dict[str, Any] = {
        "adjustment": adjustment, "knowledge": "known", "basis": day("2014-12-31"), "told_by": 5, "choice": choice,
        "schedule": ActionSchedule(choice.effects), "sources": frozenset(each.provider for each in actions),
    }  # fmt: skip
    return ActionAccount(**(said | changes))


def at(text: str, *, until: str = "", uncertain: bool = False, **changes: Any) -> BarVersion:
    """Return a bar of a day, or of a stretch of days, that is stored raw."""
    days = day(text), day(until or text)
    return a_version(basis=BarBasis(days=days, shares_of=days, uncertain=uncertain), **changes)


def test_actions_between_the_rows_and_the_basis_are_counted_and_their_source_is_named() -> None:
    """Those of a page, not of the history."""
    told = account(SEVEN, dividend("2014-08-07", 0.47), dividend("2015-02-05", 0.47))

    def of(*bars: BarVersion) -> tuple[int, str | None]:
        meta = told.meta("AAPL", bars)
        return meta["actions_applied"], meta["factor_source"]

    assert of(at("2014-06-06")) == (2, "acme")
    assert of(at("2014-06-09")) == (1, "acme")
    assert of(at("2014-08-07")) == (0, None)
    assert of(at("2014-06-06", until="2014-09-01")) == (2, "acme")
    assert of(at("2015-02-06")) == (0, None)  # its close before is not known
    assert of() == (0, None)


def test_sources_are_mixed_where_several_tell() -> None:
    """Of what is applied."""
    both = account(SEVEN, dividend("2014-08-07", 0.47, provider="other"))

    assert both.meta("AAPL", [at("2014-06-06")])["factor_source"] == "mixed"
    assert both.meta("AAPL", [at("2014-06-09")])["factor_source"] == "other"


def test_what_cannot_be_applied_is_listed_with_its_reason() -> None:
    """And the version it was told in; nothing of it is applied."""
    meta = account(dividend("2014-09-05", 0.5, action_id="d")).meta("AAPL", [at("2014-06-06")])

    assert (meta["actions_applied"], meta["factor_source"]) == (0, None)
    assert meta["unresolved_actions"] == [
        {
            "provider": "acme", "action_id": "d", "type": "cash_dividend", "ex_date": "2014-09-05",
            "known_from": "2021-04-01T12:00:00.000000Z", "amount": 0.5, "currency": "USD", "reason": "close_unknown",
        }
    ]  # fmt: skip


def test_conflicts_are_those_of_what_counts_here() -> None:
    """Who is used, who is not, and what decided."""
    told = account(SEVEN, split("2014-06-10", 6.0, provider="other"))
    (conflict,) = told.meta("AAPL", [at("2014-06-06")])["action_conflicts"]

    assert [each["ratio_to"] for each in conflict["used"]] == [7.0]
    assert [(each["provider"], each["ex_date"]) for each in conflict["others"]] == [("other", "2014-06-10")]
    assert conflict["decided_by"] == "order"
    assert told.meta("AAPL", [at("2014-08-07")])["action_conflicts"] == []


def test_bars_in_doubt_are_listed_by_stretches_and_cite_nothing() -> None:
    """In either order of time, a provider each."""
    doubted = [at("2014-06-06", uncertain=True, event_time=k * 1_000_000) for k in (1, 2)]
    other = at("2014-06-06", uncertain=True, event_time=3_000_000, provider="b")
    bars = [*doubted, other, at("2014-08-07", event_time=4_000_000)]
    forth, back = (account(SEVEN).meta("AAPL", each) for each in (bars, bars[::-1]))

    assert forth["unresolved"] == back["unresolved"][::-1]
    assert [(each["provider"], each["start"][17:19], each["last"][17:19], each["row_count"]) for each in forth["unresolved"]] == [
        ("yahoo", "01", "02", 2), ("b", "03", "03", 1),
    ]  # fmt: skip
    assert {each["code"] for each in forth["unresolved"]} == {"basis_uncertain"}
    assert forth["actions_applied"] == 0
    assert without_doubt(bars) == bars[3:]
    assert without_doubt([a_version()]) == [a_version()]


def test_an_answer_is_final_only_of_what_was_known_from_one_source() -> None:
    """An import adds to what was published; which source is preferred is a matter of configuration."""
    assert account(SEVEN).is_final
    assert account().is_final
    assert not account(SEVEN, knowledge="published").is_final
    assert not account(SEVEN, split("2014-06-09", 7.0, provider="other")).is_final
    assert account(SEVEN).pins == (day("2014-12-31"), 5)


def test_every_reason_is_explained() -> None:
    """What it means, and what can be done."""
    text = (Path(__file__).parents[4] / "docs" / "ACTIONS.md").read_text("utf-8")
    explained = [name for line in re.findall(r"^\| (`[^|]*`) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)]  # fmt: skip

    assert set(get_args(Reason)) <= set(explained)


def test_a_basis_is_of_adjusted_prices_alone() -> None:
    """Of those that are as they are stored nobody chose one."""
    assert [(each.param, each.code) for each in lone_basis({"basis": "", "limit": ""})] == [
        ("basis", "needs_adjustment")
    ]
    assert list(lone_basis({"basis": "", "adjustment": "raw"})) == []
