"""What was already done."""

from __future__ import annotations

from dataclasses import replace

from producers.jobs.history import ID_SEEN, SLOT_DONE, JobHistory
from producers.jobs.outcome import result_of
from producers.polling.slots import Outcome
from schemas.jobs import SWEEPER
from schemas.records import Job, JobResult

DONE, FAILED = Outcome(status="done"), Outcome(status="failed")


def a_job(job_id: str = "j", slot: int = 60, *symbols: str, kind: str = "poll") -> Job:
    """Return a poll."""
    return Job(
        version=1, job_id=job_id, type=kind, source="t", created_time=1, deadline=2, capability="quotes",  # type: ignore[arg-type]
        symbols=symbols or ("A", "B"), slot=slot,
    )  # fmt: skip


def result(job: Job, **outcomes: Outcome) -> JobResult:
    """Return what became of a job."""
    return result_of(job, outcomes, instance="one", finished_time=9)


def test_a_done_job_is_not_done_again_by_id_nor_by_slot() -> None:
    """Whoever sends it, and whatever it is called: a later slot covers the earlier ones."""
    history = JobHistory()
    history.note(result(a_job(), A=DONE, B=DONE))

    assert history.repeated(a_job()) == {"A": ID_SEEN, "B": ID_SEEN}
    assert history.repeated(a_job("other", 60)) == {"A": SLOT_DONE, "B": SLOT_DONE}
    assert history.repeated(a_job("earlier", 0, "A", "C")) == {"A": SLOT_DONE}
    assert history.repeated(a_job("later", 120)) == {}


def test_a_failed_job_may_be_sent_again_and_asks_only_for_what_failed() -> None:
    """The sweeper's failed poll and the feed's job for the same slot have one id."""
    history = JobHistory()
    history.note(result(a_job(), A=DONE, B=FAILED))

    assert history.repeated(a_job()) == {"A": SLOT_DONE}


def test_a_late_result_moves_no_slot_back() -> None:
    """Results of two owners may be read in any order."""
    history = JobHistory()
    history.note(result(a_job("new", 120, "A"), A=DONE))
    history.note(result(a_job("old", 60, "A"), A=DONE))

    assert history.slots == {("quotes", "A"): 120}


def test_a_backfill_is_known_by_its_id_alone() -> None:
    """It belongs to no slot."""
    history = JobHistory()
    fill = a_job("fill", 0, "A", kind="backfill")
    history.note(result(fill, A=DONE))

    assert history.repeated(fill) == {"A": ID_SEEN}
    assert history.slots == {}


def test_both_memories_are_bounded_and_forget_the_oldest() -> None:
    """A long life costs no memory."""
    history = JobHistory(max_jobs=2, max_streams=2)
    for number, symbol in enumerate("ABC", 1):
        history.note(result(a_job(symbol, number, symbol), **{symbol: DONE}))

    assert history.repeated(a_job("A", 1, "A")) == {}
    assert history.slots == {("quotes", "B"): 2, ("quotes", "C"): 3}


def test_the_sweepers_polls_are_known_by_their_slots_alone() -> None:
    """Thousands of symbols a minute must not fill the memory of ids; the feed's job of that slot is still a duplicate."""
    history = JobHistory(max_jobs=1)
    mine = a_job("mine", 60, "B")
    history.note(result(mine, B=DONE))
    history.note(result(replace(a_job("swept", 60, "A"), source=SWEEPER), A=DONE))

    assert history.repeated(a_job("swept", 60, "A")) == {"A": SLOT_DONE}
    assert history.repeated(mine) == {"B": ID_SEEN}
