"""The watermark is claimed by progress and holds once the sink has passed its offset."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Progress
from schemas.topics import BARS, EVIDENCE, RAW_BARS
from sinks.progress.watermark import MAX_PENDING, Claim, Claims, claim_of


def a_claim(end: int, moment: int, at: int = 0, partition: int = 0) -> Claim:
    """Return a claim on bars."""
    return Claim(partition=(BARS, partition), end_offset=end, complete_before=moment, progress_offset=at)


def test_a_claim_holds_exactly_when_its_offset_is_reached() -> None:
    """One offset short is not enough."""
    claims = Claims().with_new([a_claim(10, 700)])

    assert claims.settled({(BARS, 0): 9})[0] == {}
    complete, left = claims.settled({(BARS, 0): 10})
    assert complete == {(BARS, 0): 700}
    assert left.first_offset(0) is None


def test_a_claim_waits_for_the_evidence_of_its_moment() -> None:
    """Gaps as of a moment follow from it; of a partition's evidence only what its progress speaks of."""
    claims = Claims().with_new([replace(a_claim(10, 700), evidence_end=4)])

    for position in ({(BARS, 0): 10}, {(BARS, 0): 10, (EVIDENCE, 0): 3}, {(BARS, 0): 9, (EVIDENCE, 0): 4}):
        assert claims.settled(position)[0] == {}
    assert claims.settled({(BARS, 0): 10, (EVIDENCE, 0): 4, (EVIDENCE, 1): 0})[0] == {(BARS, 0): 700}
    assert claims.settled(None)[0] == {(BARS, 0): 700}


def test_the_greatest_claim_that_holds_is_taken() -> None:
    """Later claims wait, each in its own partition."""
    claims = Claims().with_new(
        [a_claim(10, 700, 1), a_claim(20, 800, 2), a_claim(30, 900, 3), a_claim(5, 50, 4, 1)]
    )

    complete, left = claims.settled({(BARS, 0): 25, (BARS, 1): 0})

    assert complete == {(BARS, 0): 800}
    assert (left.first_offset(0), left.first_offset(1)) == (3, 4)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_each_step_is_what_the_log_claims(steps: list[tuple[int, int]]) -> None:
    """With offsets and moments rising, the watermark is the newest claim at or below the position, at every position."""
    claims, end, moment, log = Claims(), 0, 0, list[Claim]()
    reached = 0
    for position, (more, later) in enumerate(steps):
        end, moment = end + more, moment + later
        log.append(a_claim(end, moment))
        complete, claims = claims.with_new(log[-1:]).settled({(BARS, 0): position})
        reached = max(reached, complete.get((BARS, 0), 0))
        assert reached == max((c.complete_before for c in log if c.end_offset <= position), default=0)


def test_of_too_many_claims_the_newest_stays() -> None:
    """A sink far behind remembers fewer steps, never the last one."""
    claims = Claims().with_new(a_claim(number, number, number) for number in range(3 * MAX_PENDING))

    assert len(claims.pending[BARS, 0]) <= MAX_PENDING
    assert claims.settled({(BARS, 0): 3 * MAX_PENDING})[0] == {(BARS, 0): 3 * MAX_PENDING - 1}


def test_progress_is_read_as_a_claim_on_the_canonical_partition() -> None:
    """The claim is about what the canonical topic held before the first block of the transaction."""
    progress = Progress(
        raw_topic=RAW_BARS, partition=3, raw_offset=5, known_from=99, canonical_topic=BARS, canonical_end_offset=42,
        processing_version=1, complete_before=97,
    )  # fmt: skip

    assert claim_of(progress, 7) == a_claim(42, 97, 7, 3)
    assert claim_of(replace(progress, complete_before=None), 7) == a_claim(42, 99, 7, 3), (
        "as version 1 means it"
    )
