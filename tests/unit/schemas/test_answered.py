"""What was asked for travels in a block's hints, and comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answered import (
    ANSWERED,
    GIVEN_UP,
    MAX_ANSWERED,
    MAX_CAUSE_CHARACTERS,
    AnsweredStretch,
    answered_hint,
    answered_of,
)
from schemas.errors import InvalidRecord

MOMENTS = st.integers(1, 1 << 61)
STRETCHES = st.builds(
    lambda symbol, interval, start, length, given_up: AnsweredStretch(
        symbol=symbol, interval=interval, from_time=start, to_time=start + length, given_up=given_up
    ),
    st.text(max_size=12),
    st.sampled_from(["", "1m", "1d"]),
    MOMENTS,
    st.integers(1, 1 << 60),
    st.sampled_from(["", "unknown_symbol", "c" * MAX_CAUSE_CHARACTERS]),
)


@given(st.lists(STRETCHES, max_size=5))
def test_what_was_asked_for_comes_back(asked: list[AnsweredStretch]) -> None:
    """Of any spelling, what is given up behind the rest; nothing asked for is no hint."""
    hints = answered_hint(asked)

    assert list(answered_of(hints)) == sorted(asked, key=lambda each: bool(each.given_up))
    assert (ANSWERED in hints) == any(not each.given_up for each in asked)
    assert (GIVEN_UP in hints) == any(each.given_up for each in asked)


@pytest.mark.parametrize(
    "text",
    ["", "7", "{}", "[7]", '[["A","1m",1]]', '[["A","1m",1,1]]', '[["A","1m",0,1]]', '[["A","1m",1,1e3]]', '[[1,"",1,2]]', "[" * 4_000],
)  # fmt: skip
def test_a_hint_that_is_none_is_refused_with_the_remedy(text: str) -> None:
    """Nothing of it is believed."""
    with pytest.raises(InvalidRecord, match="microseconds"):
        answered_of({ANSWERED: text})


@pytest.mark.parametrize("cause", ["7", '""', '"' + "c" * 61 + '"', "null"])
def test_what_is_given_up_has_a_cause_that_is_a_word(cause: str) -> None:
    """As the stretch itself, it is nothing without it."""
    for row in (f'["A","1m",1,2,{cause}]', '["A","1m",1,2]', '["A","1m",2,2,"refused"]', '["refused"]'):
        with pytest.raises(InvalidRecord, match="given_up"):
            answered_of({GIVEN_UP: f"[{row}]"})


def test_more_than_a_block_may_answer_for_is_refused() -> None:
    """A hint is bounded before its rows are looked at."""
    one = AnsweredStretch(symbol="A", interval="", from_time=1, to_time=2)

    with pytest.raises(InvalidRecord, match=str(MAX_ANSWERED)):
        answered_of(answered_hint([one] * (MAX_ANSWERED + 1)))
