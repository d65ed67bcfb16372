"""What was asked for travels in a block's hints, and comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answered import ANSWERED, MAX_ANSWERED, AnsweredStretch, answered_hint, answered_of
from schemas.errors import InvalidRecord

MOMENTS = st.integers(1, 1 << 61)
STRETCHES = st.builds(
    lambda symbol, interval, start, length: AnsweredStretch(
        symbol=symbol, interval=interval, from_time=start, to_time=start + length
    ),
    st.text(max_size=12),
    st.sampled_from(["", "1m", "1d"]),
    MOMENTS,
    st.integers(1, 1 << 60),
)


@given(st.lists(STRETCHES, max_size=5))
def test_what_was_asked_for_comes_back(asked: list[AnsweredStretch]) -> None:
    """Of any spelling; nothing asked for is no hint."""
    hints = answered_hint(asked)

    assert list(answered_of(hints)) == asked
    assert (ANSWERED in hints) == bool(asked)


@pytest.mark.parametrize(
    "text",
    ["", "7", "{}", "[7]", '[["A","1m",1]]', '[["A","1m",1,1]]', '[["A","1m",0,1]]', '[["A","1m",1,1e3]]', '[[1,"",1,2]]', "[" * 4_000],
)  # fmt: skip
def test_a_hint_that_is_none_is_refused_with_the_remedy(text: str) -> None:
    """Nothing of it is believed."""
    with pytest.raises(InvalidRecord, match="microseconds"):
        answered_of({ANSWERED: text})


def test_more_than_a_block_may_answer_for_is_refused() -> None:
    """A hint is bounded before its rows are looked at."""
    one = AnsweredStretch(symbol="A", interval="", from_time=1, to_time=2)

    with pytest.raises(InvalidRecord, match=str(MAX_ANSWERED)):
        answered_of(answered_hint([one] * (MAX_ANSWERED + 1)))
