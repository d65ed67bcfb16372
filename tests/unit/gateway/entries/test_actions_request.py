"""What may be asked of actions."""

from __future__ import annotations

import pytest

from gateway.entries.actions_request import ACTIONS
from gateway.http.problems import Problem
from schemas.validation import FIRST_DAY, LAST_DAY


def test_without_a_range_every_ex_date_is_meant() -> None:
    """And what is known now of it."""
    ask = ACTIONS.parse([])

    assert (ask.start, ask.end, ask.as_of, ask.knowledge, ask.revisions) == (
        FIRST_DAY,
        LAST_DAY + 1,
        None,
        "known",
        "latest",
    )


def test_a_day_is_a_day_whatever_the_zone() -> None:
    """No clock has a part in it."""
    ask = ACTIONS.parse([("start", "2014-06-09"), ("end", "2014-06-10"), ("types", "split,rights,split")])

    assert (ask.start, ask.end, ask.types) == (16_230, 16_231, ("split", "rights"))


@pytest.mark.parametrize("given", ["2014-06-09T00:00:00Z", "yesterday", "16230", "2014-6-9", ""])
def test_no_day_is_told_with_the_parameters_name(given: str) -> None:
    """A moment is no day."""
    with pytest.raises(Problem) as raised:
        ACTIONS.parse([("start", given)])
    assert [each.param for each in raised.value.errors] == ["start"]
