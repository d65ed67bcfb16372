"""Pages answered of late."""

from __future__ import annotations

from gateway.market.history import Answered
from gateway.market.recent import KEPT_S, RecentPages


def a_page(rows: int) -> Answered:
    """Return a page of so many rows."""
    return Answered(rows=[{} for _ in range(rows)], meta={"gaps": []}, following=None, settled=False)


def test_a_page_is_found_for_a_short_while_and_by_its_own_question() -> None:
    """What no moment pins, such as that bars are no longer kept, is never shown later than that."""
    pages, page = RecentPages(), a_page(1)
    pages.keep("a", page, 10.0)

    assert pages.find("a", 10.0 + KEPT_S) is page
    assert pages.find("a", 10.1 + KEPT_S) is None
    assert pages.find("b", 10.0) is None


def test_all_pages_together_are_bounded_and_the_longest_unasked_go_first() -> None:
    """An empty page counts as well; one that is larger than all may be is not kept, and costs no other its place."""
    pages = RecentPages(most_rows=10)
    for name in "abc":
        pages.keep(name, a_page(2), 0.0)
    assert pages.find("a", 0.0)
    pages.keep("d", a_page(3), 0.0)
    assert [name for name in "abcd" if pages.find(name, 0.0)] == ["a", "d"] or [
        name for name in "abcd" if pages.find(name, 0.0)
    ] == ["a", "c", "d"]
    pages.keep("e", a_page(10), 0.0)
    assert pages.find("e", 0.0) is None
    assert pages.find("d", 0.0)
    for number in range(30):
        pages.keep(number, a_page(0), 0.0)
    assert sum(pages.find(number, 0.0) is not None for number in range(30)) == 10


def test_a_page_that_is_answered_again_counts_once() -> None:
    """Or the bound would be reached by one question asked often."""
    pages = RecentPages(most_rows=10)
    pages.keep("other", a_page(3), 0.0)
    for number in range(20):
        pages.keep("a", a_page(3), float(number) / 10)
    assert pages.find("other", 0.0)
