"""A sink goes on where PostgreSQL says, or says why it must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sinks.progress.positions import EpochStart, Log, PartitionRefused, Resume, StoredPosition, start_position

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
            StoredPosition(topic_id="one", next_offset=40), Resume(offset=100, lost=True), id="truncated"
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


@pytest.mark.parametrize(
    ("next_offset", "leader_epoch", "expected"),
    [
        pytest.param(150, 3, Resume(offset=140, lost=True), id="stored before the cut"),
        pytest.param(250, 3, Resume(offset=140, lost=True), id="not grown back to where it was stored"),
        pytest.param(150, 7, Resume(offset=150), id="stored of the log as it is"),
        pytest.param(140, 3, Resume(offset=140), id="cut after what was stored"),
        pytest.param(
            90, 3, Resume(offset=100, lost=True), id="truncated before it was stored, and led by another"
        ),
        pytest.param(150, -1, Resume(offset=150), id="an epoch that nobody noted proves nothing"),
    ],
)
def test_a_log_cut_and_grown_again_is_read_from_the_cut(
    next_offset: int, leader_epoch: int, expected: Resume
) -> None:
    """Stored to 150, cut to 140 and grown to 200 under another leader: what is new is read, and a loss is told."""
    log = Log(topic_id="one", start=100, end=200, leader_epoch=7, newer=EpochStart(offset=140, epoch=7))
    stored = StoredPosition(topic_id="one", next_offset=next_offset, leader_epoch=leader_epoch)

    assert start_position("bars.v1/0", stored, log) == expected


def test_another_leader_alone_loses_nothing() -> None:
    """A broker was restarted: no record before the position is newer than what was stored."""
    log = Log(topic_id="one", start=100, end=200, leader_epoch=7)
    stored = StoredPosition(topic_id="one", next_offset=150, leader_epoch=3)

    assert start_position("bars.v1/0", stored, log) == Resume(offset=150)


def test_a_broker_set_back_to_an_older_copy_is_refused() -> None:
    """Its epochs, which never fall, did: where the two logs part, nobody can tell."""
    log = Log(topic_id="one", start=100, end=200, leader_epoch=2)
    stored = StoredPosition(topic_id="one", next_offset=150, leader_epoch=3)
    answer = start_position("bars.v1/0", stored, log)

    assert isinstance(answer, PartitionRefused)
    assert "epoch" in answer.problem and "leader_epoch" in answer.remedy
    assert start_position("bars.v1/0", replace(stored, leader_epoch=-1), log) == Resume(offset=150)
