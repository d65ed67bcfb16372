"""Each symbol counts once, for as long as it was asked for lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.routing.shares import RecentShares

NAMES = st.sampled_from("abcdef")
NOTES = st.lists(st.tuples(NAMES, st.none() | st.booleans(), st.floats(0.0, 40.0)), max_size=60)


def test_a_share_counts_each_symbol_once() -> None:
    """However often one is asked; what cannot be judged counts for nothing."""
    shares = RecentShares()
    for _ in range(9):
        shares.note("bad", {"success": False}, 0.0, 60.0)
    for name in "abc":
        shares.note(name, {"success": True, "fresh": None}, 1.0, 60.0)

    assert (shares.share("success"), shares.share("fresh")) == (0.75, None)
    shares.amend("a", "fresh", mark=False)
    shares.amend("never asked", "fresh", mark=True)
    assert shares.share("fresh") == 0.0
    shares.clear()
    assert shares.share("success") is None


@given(NOTES)
def test_what_was_asked_longer_ago_counts_no_more(notes: list[tuple[str, bool | None, float]]) -> None:
    """The counts are those of the newest note of each symbol within the time, whatever came before."""
    shares, now_s, newest = RecentShares(), 0.0, dict[str, tuple[float, bool | None]]()
    for name, mark, pause_s in notes:
        now_s += pause_s
        shares.note(name, {"honest": mark}, now_s, 60.0)
        newest[name] = now_s, mark
        marks = [each for at_s, each in newest.values() if now_s - at_s <= 60.0 and each is not None]

        assert shares.share("honest") == (sum(marks) / len(marks) if marks else None)
