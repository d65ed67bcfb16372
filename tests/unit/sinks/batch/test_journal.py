"""What PostgreSQL would refuse is refused before, one record at a time."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import InvalidRecord
from schemas.topics import PROVIDER_HEALTH
from schemas.wire.codec import encode
from sinks.batch.batch import Part, assemble
from sinks.batch.journal import COLUMNS, check_health, row_of
from tests.support.builders import a_health
from tests.support.received import Message


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"score": float("nan")}, id="no-number"),
        pytest.param({"score": 1.01}, id="above-one"),
        pytest.param({"validity": -0.1}, id="below-zero"),
        pytest.param({"provider": ""}, id="nobody"),
        pytest.param({"capability": "q" * 65}, id="long-name"),
        pytest.param({"last_error": "\0"}, id="nul"),
        pytest.param({"reason": "w" * 4_001}, id="long-reason"),
        pytest.param({"observed_time": 1 << 60}, id="time-out-of-range"),
        pytest.param({"budgets": "{"}, id="no-json"),
        pytest.param({"budgets": "[]"}, id="no-object"),
    ],
)
def test_a_record_that_cannot_be_stored_says_why(change: dict[str, Any]) -> None:
    """Each refusal names the field."""
    with pytest.raises(InvalidRecord, match=next(iter(change))):
        check_health(a_health(**change))


def test_a_bad_record_is_dead_lettered_and_its_neighbours_are_kept() -> None:
    """The position moves over all of them."""
    records = [a_health(), a_health(score=2.0), a_health(provider="finnhub")]
    part = Part(topic=PROVIDER_HEALTH, partition=1, end=4)
    part.records.extend(Message(encode(PROVIDER_HEALTH, record), at) for at, record in enumerate(records))
    part.records.append(Message(b"noise", 3))

    batch, _ = assemble([part])

    assert [record.provider for record in batch.health] == ["yahoo", "finnhub"]
    assert [(refusal.letter.offset, refusal.letter.reason) for refusal in batch.refusals] == [
        (1, "invalid"),
        (3, "malformed"),
    ]
    assert batch.ends == {(PROVIDER_HEALTH, 1): (4, -1)}


def test_a_row_has_a_value_for_every_column() -> None:
    """In the order of the statement."""
    row = dict(zip(COLUMNS, row_of(a_health()), strict=True))

    assert (row["capability"], row["provider"], row["budgets"]) == ("quotes", "yahoo", "{}")
