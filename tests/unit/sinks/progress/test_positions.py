"""A sink goes on where PostgreSQL says, or says why it must not."""

from __future__ import annotations

import pytest

from sinks.progress.positions import Log, PartitionRefused, Resume, StoredPosition, start_position

LOG = Log(topic_id="one", start=100, end=200)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param(StoredPosition(topic_id="one", next_offset=150), Resume(offset=150), id="inside"),
        pytest.param(
            StoredPosition(topic_id="", next_offset=100), Resume(offset=100), id="topic id not known yet"
        ),
        pytest.param(StoredPosition(topic_id="one", next_offset=200), Resume(offset=200), id="at the end"),
        pytest.param(
            StoredPosition(topic_id="one", next_offset=40), Resume(offset=100, lost=(40, 100)), id="truncated"
        ),
    ],
)
def test_where_the_sink_goes_on(stored: StoredPosition, expected: Resume) -> None:
    """Inside the log it goes on there; what the log lost is named."""
    assert start_position("bars.v1/0", stored, LOG) == expected


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(StoredPosition(topic_id="other", next_offset=150), id="another topic"),
        pytest.param(StoredPosition(topic_id="one", next_offset=201), id="beyond the end"),
    ],
)
def test_a_log_that_does_not_fit_is_refused_with_a_remedy(stored: StoredPosition) -> None:
    """Nothing is reset silently."""
    answer = start_position("bars.v1/0", stored, LOG)

    assert isinstance(answer, PartitionRefused)
    assert "bars.v1/0" in answer.problem and answer.remedy
