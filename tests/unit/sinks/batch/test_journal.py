"""What PostgreSQL would refuse is refused before, one record at a time, in every journal alike."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import InvalidRecord
from schemas.journals import CADENCE_JOURNAL, HEALTH_JOURNAL
from schemas.topics import CADENCE, DEFAULT_PARTITIONS, PROVIDER_HEALTH
from schemas.wire.codec import encode
from sinks.batch.batch import PartitionRecords, assemble
from sinks.batch.journal import check, entry_of
from tests.support.builders import a_cadence_sample, a_health
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
def test_a_record_of_health_that_cannot_be_stored_says_why(change: dict[str, Any]) -> None:
    """Each refusal names the field."""
    with pytest.raises(InvalidRecord, match=next(iter(change))):
        check(HEALTH_JOURNAL, a_health(**change))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"replica": ""}, id="nobody"),
        pytest.param({"market_s": float("inf")}, id="endless"),
        pytest.param({"error_max_ms": float("nan")}, id="no-number"),
        pytest.param({"error_p99_ms": -1.0}, id="early"),
        pytest.param({"due": -1}, id="below-zero"),
        pytest.param({"symbols": 1 << 31}, id="above-integer"),
        pytest.param({"ended_time": -1}, id="before-1970"),
        pytest.param({"buckets": [0] * 162, "counts": [0] * 162}, id="more-than-there-are"),
        pytest.param({"counts": [1, -2, 1]}, id="negative-count"),
        pytest.param({"buckets": [1], "counts": [1, 2]}, id="bucket-without-a-count"),
    ],
)
def test_a_record_of_cadence_that_cannot_be_stored_says_why(change: dict[str, Any]) -> None:
    """Each refusal names the field, in the same words as any journal's."""
    with pytest.raises(InvalidRecord, match=next(iter(change))):
        check(CADENCE_JOURNAL, a_cadence_sample(**change))


def test_a_refusal_shows_no_more_than_a_glance_at_the_value() -> None:
    """Four thousand hostile characters do not become a message of four thousand."""
    with pytest.raises(InvalidRecord) as refused:
        check(HEALTH_JOURNAL, a_health(provider="x" * 4_000))

    assert len(str(refused.value)) < 200


def test_a_bad_record_is_dead_lettered_and_its_neighbours_are_kept() -> None:
    """The position moves over all of them."""
    records = [a_health(), a_health(score=2.0), a_health(provider="finnhub")]
    part = PartitionRecords(topic=PROVIDER_HEALTH, partition=1, partitions=DEFAULT_PARTITIONS, end=4)
    part.records.extend(Message(encode(PROVIDER_HEALTH, record), at) for at, record in enumerate(records))
    part.records.append(Message(b"noise", 3))

    batch, _ = assemble([part])

    assert [entry.row[1] for entry in batch.entries] == ["yahoo", "finnhub"]
    assert [(refusal.letter.offset, refusal.letter.reason) for refusal in batch.refusals] == [
        (1, "invalid"),
        (3, "malformed"),
    ]
    assert batch.ends == {(PROVIDER_HEALTH, 1): (4, -1)}


def test_samples_of_cadence_are_read_from_their_topic() -> None:
    """A batch holds the entries of all journals, and the dead letters of each go to its own twin."""
    part = PartitionRecords(topic=CADENCE, partition=2, partitions=DEFAULT_PARTITIONS, end=2)
    part.records.append(Message(encode(CADENCE, a_cadence_sample()), 0))
    part.records.append(Message(encode(CADENCE, a_cadence_sample(counts=[1])), 1))

    batch, _ = assemble([part])

    (entry,), (refusal,) = batch.entries, batch.refusals
    assert (entry.journal, entry.partition) == (CADENCE_JOURNAL, 2)
    assert (refusal.letter.topic, refusal.letter.offset, refusal.letter.reason) == (CADENCE, 1, "invalid")


def test_a_row_has_a_value_for_every_field() -> None:
    """In the order of the declaration."""
    entry = entry_of(HEALTH_JOURNAL, a_health(), partition=0, origin=None)
    row = dict(zip(HEALTH_JOURNAL.fields, entry.row, strict=True))

    assert (row["capability"], row["provider"], row["budgets"]) == ("quotes", "yahoo", "{}")
