"""Names of instruments by renames: chains, symbols that are taken over, contradictions, and what is known of them when."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.symbol_names import MOST_NAMES, NameChain, Renames
from schemas.clocks import Day, KnowledgeTime, iso_day
from schemas.entries import CorporateAction
from schemas.intervals import DAY_US
from tests.support.corporate_actions import day, told, view

LATER = KnowledgeTime(day("2100-01-01") * DAY_US)


def rename(old: str, new: str, ex: str | int, **values: Any) -> CorporateAction:
    """Return a rename; its id, and its place in the log, are like no other's of its symbol and day."""
    place = day(ex) if isinstance(ex, str) else ex
    return told(
        "rename",
        ex,
        **({"symbol": old, "new_symbol": new, "action_id": f"{old}:{new}:{ex}", "offset": place} | values),
    )


def chain(
    symbol: str, *actions: CorporateAction, told_by: KnowledgeTime = LATER, begun: str = "", **seen: Any
) -> NameChain:
    """Return the names of the bearer of a symbol, by default with everything known."""
    renames = Renames()
    renames.add(actions)
    until = day(begun) if begun else None
    return renames.chain(
        symbol, view(**({"providers": ("manual", "acme", "other")} | seen)), told_by=told_by, begun=until
    )


def spelt(found: NameChain) -> str:
    """Return names as `A until 2020-01-02, B`."""
    for earlier, later in pairwise(found.spans):
        assert earlier.end == later.start
    assert found.spans[-1].end is None
    first = [] if found.spans[0].start is None else [f"since {iso_day(found.spans[0].start)}"]
    ended = [f"{each.symbol} until {iso_day(each.end)}" for each in found.spans if each.end is not None]
    return ", ".join([*first, *ended, found.spans[-1].symbol])


CHAIN = (rename("A", "B", "2010-03-01"), rename("B", "C", "2020-06-01"))


@pytest.mark.parametrize(
    ("symbol", "actions", "names"),
    [
        ("C", (), "C"),
        ("C", CHAIN, "A until 2010-03-01, B until 2020-06-01, C"),
        # A rename away changes nothing in what a symbol has.
        ("B", CHAIN, "A until 2010-03-01, B"),
        ("A", CHAIN, "A"),
        # There and back.
        ("A", (CHAIN[0], rename("B", "A", "2015-01-05")), "A until 2010-03-01, B until 2015-01-05, A"),
        # A symbol that another company took later, and gave up again.
        ("A", (CHAIN[0], rename("Z", "A", "2012-01-03")), "Z until 2012-01-03, A"),
        ("B", (CHAIN[0], rename("Z", "A", "2012-01-03")), "A until 2010-03-01, B"),
        ("C", (*CHAIN, rename("Z", "B", "2020-06-01")), "A until 2010-03-01, B until 2020-06-01, C"),
        # Of one day: who takes the symbol is not who gives it up, and two may change theirs.
        ("B", (rename("A", "B", "2010-03-01"), rename("B", "C", "2010-03-01")), "A until 2010-03-01, B"),
        ("C", (rename("A", "B", "2010-03-01"), rename("B", "C", "2010-03-01")), "B until 2010-03-01, C"),
        ("A", (rename("A", "B", "2010-03-01"), rename("B", "A", "2010-03-01")), "B until 2010-03-01, A"),
        # What changes nothing is none.
        ("A", (rename("A", "A", "2010-03-01"),), "A"),
    ],
    ids=str,
)  # fmt: skip
def test_names_go_back_from_day_to_day(symbol: str, actions: tuple[CorporateAction, ...], names: str) -> None:
    """Whoever told of them; nothing is left open."""
    found = chain(symbol, *actions)
    assert (spelt(found), found.unresolved) == (names, None)


def test_a_rename_counts_while_it_is_known_and_not_taken_back() -> None:
    """Of each its newest version: put right, moved, cancelled; each from when it was told."""
    versions = (
        rename("FB", "MVRS", "2022-06-09", action_id="x", known="2022-02-01"),
        rename("FB", "META", "2022-06-09", action_id="x", known="2022-05-31", offset=1),
        rename("FB", "META", "2022-06-13", action_id="x", known="2022-06-03", offset=2),
        rename("FB", "META", "2022-06-13", action_id="x", known="2022-06-06", offset=3, state="cancelled"),
    )
    seen = [spelt(chain("META", *versions, as_of=each)) for each in ("2022-05-30", "2022-06-02", "2022-06-05", "2022-06-08")]  # fmt: skip
    assert seen == ["META", "FB until 2022-06-09, META", "FB until 2022-06-13, META", "META"]
    assert spelt(chain("MVRS", *versions, as_of="2022-05-30")) == "FB until 2022-06-09, MVRS"
    assert spelt(chain("MVRS", *versions, as_of="2022-06-02")) == "MVRS"


def test_one_that_is_announced_counts_from_its_day() -> None:
    """Until then the symbol is whoever's it was."""
    announced = rename("FB", "META", "2022-06-09", known="2022-05-31")
    assert [spelt(chain("META", announced, begun=each)) for each in ("2022-06-08", "2022-06-09")] == ["META", "FB until 2022-06-09, META"]  # fmt: skip


def test_what_was_published_counts_though_it_was_told_later() -> None:
    """Known since 2025, published with its ex-date; and only what had been told by the moment given."""
    late = rename("FB", "META", "2022-06-09", known="2025-01-02")
    assert spelt(chain("META", late, as_of="2022-07-01")) == "META"
    published = {"as_of": "2022-07-01", "knowledge": "published"}
    assert spelt(chain("META", late, **published)) == "FB until 2022-06-09, META"
    assert (
        spelt(chain("META", late, told_by=KnowledgeTime(day("2025-01-02") * DAY_US), **published)) == "META"
    )


def test_of_several_sources_the_preferred_one_is_used_whole() -> None:
    """Its day, its name; and an answer that hangs on more than one says who they are."""
    other = rename("FB", "META", "2022-06-10", provider="other")
    acme = rename("FB", "META", "2022-06-09", provider="acme")
    by_hand = rename("FB", "MVRS", "2022-06-08", provider="manual")
    assert spelt(chain("META", other)) == "FB until 2022-06-10, META"
    assert spelt(chain("META", other, acme)) == "FB until 2022-06-09, META"
    assert chain("META", other, acme).sources == {"acme", "other"}
    assert chain("META", acme).sources == {"acme"}
    assert chain("TSLA", acme).sources == frozenset()
    away = chain("META", other, acme, by_hand)
    # Who said that it went elsewhere is a part of why.
    assert (spelt(away), away.sources) == ("META", {"acme", "other", "manual"})
    taken = chain("META", acme, rename("XX", "META", "2022-06-08", provider="other"))
    assert spelt(taken) == "FB until 2022-06-09, META"


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        ((rename("A", "C", "2020-06-01"), rename("B", "C", "2020-06-03")), "several_old_names"),
        ((rename("A", "C", "2020-06-01"), rename("A", "D", "2020-06-03")), "several_new_names"),
    ],
    ids=["two_old", "two_new"],
)
def test_what_one_source_contradicts_ends_the_walk(actions: tuple[CorporateAction, ...], reason: str) -> None:
    """Bars before it are nobody's; the word of a preferred source ends it."""
    found = chain("C", *actions)
    assert found.unresolved is not None
    assert (spelt(found), found.unresolved.reason) == ("since 2020-06-03, C", reason)
    assert {each.action_id for each in found.unresolved.told} == {each.action_id for each in actions}
    better = rename("A", "C", "2020-06-02", provider="manual")
    assert spelt(chain("C", *actions, better)) == "A until 2020-06-02, C"


def test_a_source_that_contradicts_itself_gives_way_to_one_that_does_not() -> None:
    """Though it is preferred; what each of them says makes the answer depend on both."""
    two = rename("A", "C", "2020-06-01"), rename("A", "D", "2020-06-03")
    found = chain("C", *two, rename("A", "C", "2020-06-02", provider="other"))
    assert (spelt(found), found.unresolved) == ("A until 2020-06-02, C", None)
    assert found.sources == {"acme", "other"}


def test_a_chain_is_followed_so_far() -> None:
    """Two symbols that change places every year."""
    swaps = [rename("AB"[n % 2], "BA"[n % 2], f"{2000 + n}-03-01") for n in range(20)]
    found = chain("A", *swaps)
    assert found.unresolved is not None
    assert (found.unresolved.reason, len(found.spans)) == ("too_many_names", MOST_NAMES)
    assert spelt(found).startswith(f"since {2020 - MOST_NAMES}-03-01")


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ABC"), st.sampled_from("ABC"), st.integers(0, 12), st.sampled_from(["acme", "other"])
        ),
        max_size=12,
    )
)  # fmt: skip
def test_whatever_is_told_the_names_are_in_order_and_the_same_in_any_order(
    given_: list[tuple[str, str, int, str]],
) -> None:
    """No cycle, no day of two names; told twice or backwards it is the same."""
    first = day("2020-01-06")
    actions = [rename(old, new, Day(first + n), provider=who, offset=k) for k, (old, new, n, who) in enumerate(given_)]  # fmt: skip
    for symbol in "ABC":
        found = chain(symbol, *actions)
        days = [each.start for each in found.spans[1:]]
        assert days == sorted(set(days), key=lambda each: each or 0)
        assert (found.spans[0].start is None) == (found.unresolved is None)
        assert spelt(found).endswith(symbol)
        assert chain(symbol, *reversed(actions), *actions) == found
