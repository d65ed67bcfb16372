"""Each slot of a stream is done once, whoever does it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.polling.slots import Duty, slot_of
from schemas.partitions import partition_of

SYMBOLS = ("SPY", "IBM", "GOOG", "AAPL")


@given(
    st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 10_000), st.booleans()), max_size=60),
    st.sampled_from([1, 7, 60]),
)
def test_no_slot_is_asked_for_twice_and_none_goes_back(
    polls: list[tuple[str, int, bool]], every: int
) -> None:
    """Over any order of polls, some of which fail: what is asked for is open, later than all that was done."""
    duty, done = Duty(4), dict[str, int]()
    for symbol, moment, succeeds in polls:
        slot = slot_of(moment, every_us=every)
        asked = duty.asked("quotes", [symbol], slot)
        assert asked == ((symbol,) if slot > done.get(symbol, -1) else ())
        if asked and succeeds:
            duty.done("quotes", asked, slot)
            done[symbol] = slot


def test_only_swept_partitions_are_asked_for() -> None:
    """The others belong to another replica or to the feed; capabilities count apart."""
    duty = Duty(4)
    mine = partition_of("SPY", 4)
    duty.sweep(frozenset({mine}))

    asked = duty.asked("quotes", SYMBOLS, 60)

    assert asked == tuple(symbol for symbol in SYMBOLS if partition_of(symbol, 4) == mine)
    assert duty.asked("bars:1m", SYMBOLS, 60) == asked


def test_only_what_was_not_swept_before_is_fresh() -> None:
    """Symbols are told by their partitions, whatever was done of them."""
    duty = Duty(4)
    assert duty.sweep(frozenset({0, 1})) == frozenset()
    assert duty.sweep(frozenset({1, 2, 3})) == frozenset({2, 3})
    assert duty.sweep(frozenset()) == frozenset()
    mine = partition_of("IBM", 4)
    assert duty.among(frozenset({mine}), SYMBOLS) == tuple(
        symbol for symbol in SYMBOLS if partition_of(symbol, 4) == mine
    )


def test_what_others_did_is_taken_over_and_what_left_is_forgotten() -> None:
    """A restored slot is closed; a stream that is collected no more takes no memory."""
    duty = Duty(4)
    duty.restore({("quotes", "SPY"): 120, ("quotes", "IBM"): 60})
    duty.restore({("quotes", "SPY"): 60})

    assert duty.asked("quotes", ["SPY", "IBM"], 120) == ("IBM",)
    duty.keep({("quotes", "IBM")})
    assert not duty.is_known("quotes", "SPY")
    assert duty.is_known("quotes", "IBM")
