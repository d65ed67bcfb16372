"""Choice of actions: versions, moments, sources that repeat themselves or disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.action_choice import ActionChoice, choose, counting
from analytics.adjustment import ActionSchedule
from schemas.clocks import EventTime
from schemas.entries import ActionState, CorporateAction
from schemas.intervals import DAY_US, HOUR_US
from tests.support.corporate_actions import day, days, dividend, flat, sessions, split, told, view
from tests.support.lines_run import lines_run

SEVEN = sessions({"2014-06-06": (650.0, 645.57), "2014-06-09": (92.69, 93.70)})


def ratios(choice: ActionChoice) -> list[tuple[int, float]]:
    """Return (ex-date, ratio) of what is applied."""
    return [(each.ex, each.ratio) for each in choice.effects if each.reason is None]


def test_the_newest_version_known_by_the_moment_counts() -> None:
    """A corrected ratio is a new version; the old answer stays the old moment's. A cancelled action is none."""
    versions = [
        split("2014-06-09", 6.0, known="2014-04-24", action_id="s"),
        split("2014-06-09", 7.0, known="2014-04-25", action_id="s"),
        split("2014-06-09", 7.0, known="2014-06-20", action_id="s", state="cancelled"),
    ]
    seen = {at: ratios(choose(versions, view(at), sessions())) for at in ("2014-04-24", "2014-04-25", "2014-04-26", "2014-06-21")}  # fmt: skip

    assert seen == {
        "2014-04-24": [],
        "2014-04-25": [(day("2014-06-09"), 6.0)],
        "2014-04-26": [(day("2014-06-09"), 7.0)],
        "2014-06-21": [],
    }


def test_versions_of_one_moment_follow_their_positions() -> None:
    """As in the log."""
    versions = [split("2014-06-09", float(n), known=5, offset=n, action_id="s") for n in (3, 2)]

    assert [each.ratio_to for each in counting(versions, view())] == [3.0]


@pytest.mark.parametrize(
    ("values", "before", "after"),
    [
        pytest.param({"published_at": 5 * HOUR_US}, 5 * HOUR_US - 1, 5 * HOUR_US, id="published"),
        # In June New York is four hours behind.
        pytest.param({"declared_date": day("2014-06-03")}, day("2014-06-04") * DAY_US + 4 * HOUR_US - 2, day("2014-06-04") * DAY_US + 4 * HOUR_US - 1, id="declared"),
        pytest.param({}, day("2014-06-09") * DAY_US + 4 * HOUR_US - 1, day("2014-06-09") * DAY_US + 4 * HOUR_US, id="ex-date"),
    ],
)  # fmt: skip
def test_what_was_published_by_a_moment_is_read_with_what_was_imported_later(
    values: dict[str, EventTime], before: int, after: int
) -> None:
    """At the moment of publication, the end of the day it was declared, or the start of its ex-date."""
    action = split("2014-06-09", 7.0, known="2021-04-01", **values)

    assert counting([action], view(before, knowledge="published")) == []
    assert counting([action], view(after, knowledge="published")) == [action]
    assert counting([action], view(after)) == []


def test_the_same_split_twice_from_one_vendor_is_one() -> None:
    """Under two names, on one day or on two: the day that prices allow."""
    twice = [split("2014-06-09", 7.0, action_id="a"), split("2014-06-09", 7.0, action_id="b")]
    moved = [split("2014-06-09", 7.0, action_id="a"), split("2014-06-10", 7.0, action_id="b")]

    for told_twice in (twice, moved):
        found = choose(told_twice, view(), SEVEN)
        assert ratios(found) == [(day("2014-06-09"), 7.0)]
        assert [each.remark for each in found.notes] == ["told_twice"]


def test_splits_of_one_vendor_that_contradict_each_other_are_unresolved_where_prices_do_not_tell() -> None:
    """With prices the one they allow."""
    both = [split("2014-06-09", 7.0, action_id="a"), split("2014-06-09", 1.0, 7.0, action_id="b")]
    blind, seeing = choose(both, view(), sessions()), choose(both, view(), SEVEN)

    assert {each.reason for each in blind.effects} == {"ratio_contradicted"}
    assert ratios(seeing) == [(day("2014-06-09"), 7.0)]


def test_the_configured_order_decides_between_sources_and_the_conflict_is_told() -> None:
    """Of two splits that prices do not tell apart; a day is enough to disagree on."""
    versions = [split("2014-06-10", 7.0, provider="yahoo"), split("2014-06-09", 7.0, provider="polygon")]
    found = choose(versions, view(providers=("yahoo", "polygon")), sessions())
    (conflict,) = found.conflicts

    assert ratios(found) == [(day("2014-06-10"), 7.0)]
    assert (conflict.decided_by, conflict.others[0].action.provider) == ("order", "polygon")


def test_a_forward_split_told_as_reverse_gives_way_to_one_that_prices_allow() -> None:
    """|ln(92.69·(1/7)/645.57)| = 3.9 against 0.005."""
    versions = [split("2014-06-09", 1.0, 7.0, provider="alpaca"), split("2014-06-09", 7.0, provider="yahoo")]
    found = choose(versions, view(providers=("alpaca", "yahoo")), SEVEN)

    assert ratios(found) == [(day("2014-06-09"), 7.0)]
    assert [each.decided_by for each in found.conflicts] == ["price"]


def test_a_lone_split_that_prices_contradict_is_applied_and_noted() -> None:
    """A price may really have moved so."""
    found = choose([split("2014-06-09", 1.0, 7.0)], view(), SEVEN)

    assert ratios(found) == [(day("2014-06-09"), 1 / 7)]
    assert [each.remark for each in found.notes] == ["price_check_failed"]


def test_sources_that_agree_are_no_conflict() -> None:
    """One dividend, told as declared and after the splits."""
    versions = [
        dividend("2014-05-08", 3.29),
        dividend("2014-05-08", 0.1175, provider="yahoo", amount_basis="split_adjusted"),
        split("2014-06-09", 7.0),
        split("2020-08-31", 4.0, provider="yahoo"),
    ]
    found = choose(versions, view(providers=("acme", "yahoo")), flat(592.33))

    assert found.conflicts == ()
    assert [each.action.provider for each in found.effects] == ["acme", "acme", "yahoo"]


def test_a_dividend_that_can_be_applied_is_used_before_one_that_cannot() -> None:
    """Whatever the order; where none can, one is unresolved."""
    unknown = dividend("2014-05-08", 3.29, amount_basis="unknown")
    usable = dividend("2014-05-08", 3.29, provider="yahoo")

    assert [each.reason for each in choose([unknown, usable], view(), flat(592.33)).effects] == [None]
    assert [each.reason for each in choose([unknown], view(), flat(592.33)).effects] == ["amount_basis_unknown"]  # fmt: skip


def test_a_split_one_for_one_is_noted_and_a_delisting_changes_no_price() -> None:
    """Neither is applied."""
    found = choose([split("2014-06-09", 1.0), told("delisting", "2014-07-01")], view(), SEVEN)

    assert found.effects == ()
    assert [each.remark for each in found.notes] == ["ratio_of_one"]


def test_an_ex_date_on_a_sunday_is_the_next_trading_day() -> None:
    """And noted; the close before it is Friday's."""
    found = choose([dividend("2014-06-08", 6.4557)], view(), SEVEN)

    assert [(each.ex, each.kept) for each in found.effects] == [(day("2014-06-09"), 0.99)]
    assert [each.remark for each in found.notes] == ["ex_date_moved"]


PROVIDERS = ("acme", "yahoo", "polygon")


@st.composite
def tellings(draw: st.DrawFn) -> list[CorporateAction]:
    """Draw versions of actions of three providers, told at different moments about the same weeks."""
    found = []
    for place in range(draw(st.integers(0, 12))):
        provider = draw(st.sampled_from(PROVIDERS))
        ex = draw(st.integers(16_200, 16_215))
        values = {
            "provider": provider,
            "action_id": f"{provider}{draw(st.integers(0, 3))}",
            "known": draw(st.integers(1, 20)),
            "offset": place,
        }
        if draw(st.booleans()):
            action = split(ex, draw(st.sampled_from([0.0, 1.0, 2.0, 7.0])), **values)
        else:
            action = dividend(ex, draw(st.sampled_from([0.5, 1.0, 200.0])), **values)
        state: ActionState = draw(st.sampled_from(["confirmed", "confirmed", "announced", "cancelled"]))
        found.append(replace(action, state=state))
    return found


@settings(max_examples=150)
@given(versions=tellings(), data=st.data())
def test_the_order_in_which_actions_arrive_does_not_matter(
    versions: list[CorporateAction], data: st.DataObject
) -> None:
    """To anything that is said of them."""
    shuffled = data.draw(st.permutations(versions))
    seen = view(30, providers=PROVIDERS)
    one, other = choose(versions, seen, flat(100.0)), choose(shuffled, seen, flat(100.0))

    assert one == other


@settings(max_examples=150)
@given(versions=tellings(), moment=st.integers(0, 21))
def test_an_answer_does_not_change_when_later_versions_arrive(
    versions: list[CorporateAction], moment: int
) -> None:
    """To the last bit of every factor: what was known by then is all it depends on."""
    then = view(moment, providers=PROVIDERS)
    known = [each for each in versions if each.known_from <= moment]
    bars = np.arange(16_190, 16_225)
    earlier, later = (
        ActionSchedule(choose(each, then, flat(100.0)).effects).factors(bars, bars, target=day("2014-06-01"), adjustment="all")
        for each in (known, versions)
    )  # fmt: skip

    assert choose(known, then, flat(100.0)) == choose(versions, then, flat(100.0))
    assert earlier.prices(bars * 1.0).tobytes() == later.prices(bars * 1.0).tobytes()


def test_the_work_grows_as_the_actions_do() -> None:
    """Lines run for n, 2n and 4n splits and dividends of two providers that repeat and contradict each other."""

    def work(n: int) -> int:
        versions = [
            action
            for k in range(n)
            for action in (
                split(5_000 + 5 * k, 2.0 + k % 3, action_id=f"s{k}"),
                dividend(5_000 + 5 * k, 1.0 + k % 2, provider="yahoo", action_id=f"d{k}"),
                dividend(5_000 + 5 * k, 1.0, action_id=f"d{k}"),
            )
        ]
        return lines_run(lambda: choose(versions, view(), flat(100.0)), "analytics")

    once, twice, four_times = (work(n) for n in (200, 400, 800))
    assert twice < 2.1 * once
    assert four_times < 2.1 * twice


def test_thousands_of_actions_have_finite_factors() -> None:
    """A split a day for ten years, of any ratio: unknown where no double holds the product, never NaN."""
    versions = [split(12_000 + 10 * k, 1000.0 if k % 3 else 7.0, action_id=str(k)) for k in range(1_000)]
    chosen = choose(versions, view(), sessions())
    bars = days("2002-01-01", "2020-01-01", "2025-12-01")

    found = ActionSchedule(chosen.effects).factors(bars, bars, target=day("2026-01-01"), adjustment="all")

    assert len(chosen.effects) == 1_000
    assert np.all(np.isfinite(found.prices(np.full(3, 1e6))))
    assert found.known.tolist() == [False, False, True]
