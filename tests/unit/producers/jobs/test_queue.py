"""In which order jobs are done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.jobs.queue import JobOffsets, JobQueue, Queued
from schemas.records import Job


def entry(
    name: str,
    *,
    symbols: str = "",
    priority: int = 5,
    deadline: int = 100,
    ready: int = 0,
    partition: int = 0,
) -> Queued:
    """Return a waiting poll; each letter of `symbols` is one."""
    job = Job(
        version=1, job_id=name, type="poll", source="t", created_time=1, priority=priority, deadline=deadline,
        capability="quotes", symbols=tuple(symbols or name),
    )  # fmt: skip
    return Queued(job=job, partition=partition, offset=0, ready_us=ready)


def drained(queue: JobQueue, now: int) -> list[str]:
    """Return the ids in the order they are taken, each finished before the next."""
    names = []
    while (taken := queue.take(now)) is not None:
        names.append(taken.job.job_id)
        queue.finish(taken)
    return names


def test_priority_goes_first_then_the_deadline_then_arrival() -> None:
    """0 is the most urgent."""
    queue = JobQueue()
    for each in (
        entry("a"),
        entry("b", deadline=50),
        entry("c", priority=0),
        entry("d"),
        entry("e", priority=9),
    ):
        queue.add(each)

    assert drained(queue, 1) == ["c", "b", "a", "d", "e"]


def test_nothing_begins_before_its_time() -> None:
    """Even the most urgent waits for its moment, and overtakes then."""
    queue = JobQueue()
    queue.add(entry("a", priority=0, ready=10))
    queue.add(entry("b"))

    assert drained(queue, 9) == ["b"]
    assert drained(queue, 10) == ["a"]


def test_jobs_of_one_stream_are_done_one_by_one() -> None:
    """Two polls of a symbol at once could both find its slot not yet done."""
    queue = JobQueue()
    for name, symbols in (("1", "ab"), ("2", "bc"), ("3", "c")):
        queue.add(entry(name, symbols=symbols))
    first = queue.take(1)
    third = queue.take(1)

    assert first is not None
    assert third is not None
    assert (first.job.job_id, third.job.job_id, queue.take(1)) == ("1", "3", None)
    queue.finish(first)
    assert queue.take(1) is None  # c is still in hand
    queue.finish(third)
    assert drained(queue, 1) == ["2"]


def test_a_full_queue_says_so_and_clearing_keeps_what_is_in_hand() -> None:
    """Whoever reads stops reading; nothing is dropped for lack of room."""
    queue = JobQueue(capacity=3)
    for name in "abc":
        queue.add(entry(name))
    taken = queue.take(1)

    assert taken is not None
    assert (queue.room, len(queue)) == (0, 3)
    queue.clear({0})
    assert (queue.room, len(queue), queue.take(1)) == (2, 1, None)
    queue.finish(taken)
    assert queue.room == 3


def test_clearing_some_partitions_leaves_the_others_in_their_order() -> None:
    """Early, ready and parked jobs of what was given up go; the rest keeps its turn."""
    queue = JobQueue(capacity=9)
    for name, partition, priority, ready in (
        ("a", 0, 3, 0), ("b", 1, 2, 0), ("c", 0, 1, 9), ("d", 1, 4, 9), ("e", 1, 5, 0), ("f", 0, 5, 0),
    ):  # fmt: skip
        queue.add(entry(name, partition=partition, priority=priority, ready=ready))
    queue.add(entry("parked", symbols="b", partition=0, priority=8))
    queue.add(entry("kept", symbols="b", partition=1, priority=9))
    taken = queue.take(1)
    assert taken is not None
    assert taken.job.job_id == "b"
    assert queue.take(0) is not None  # a; both of b's stream that follow are parked behind it by now

    queue.clear({0})
    assert len(queue) == 5
    queue.finish(taken)

    assert drained(queue, 1) == ["e", "kept"]
    assert drained(queue, 9) == ["d"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", "ab", "bc"]), st.integers(0, 9), st.integers(0, 20)),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_every_job_is_taken_once_and_never_two_of_a_stream_together(
    given_jobs: list[tuple[str, int, int]], random: object
) -> None:
    """Whatever comes in which order, and however long each is in hand."""
    queue, in_hand, done = JobQueue(), list[Queued](), list[str]()
    for number, (symbols, priority, ready) in enumerate(given_jobs):
        queue.add(entry(str(number), symbols=symbols, priority=priority, ready=ready))
    now = 0
    while len(done) < len(given_jobs):
        now += 1
        while (taken := queue.take(now)) is not None:
            busy = {symbol for other in in_hand for symbol in other.job.symbols}
            assert not busy & set(taken.job.symbols)
            assert taken.ready_us <= now
            in_hand.append(taken)
        if in_hand:
            finished = in_hand.pop(random.randrange(len(in_hand)))  # type: ignore[attr-defined]
            queue.finish(finished)
            done.append(finished.job.job_id)
        assert now < 200
    assert sorted(done) == sorted(str(number) for number in range(len(given_jobs)))
    assert len(queue) == 0


def test_a_commit_waits_for_the_oldest_open_job() -> None:
    """Whatever was done behind it is found to be done when it is read again."""
    offsets = JobOffsets()
    offsets.own({0: 5})
    for offset in (5, 6, 9):
        offsets.begin(0, offset)
    offsets.end(0, 9)
    offsets.end(0, 6)

    assert offsets.committable() == {}
    offsets.end(0, 5)
    assert offsets.committable() == {0: 10}
    assert offsets.committable() == {}


def test_a_partition_given_up_is_committed_no_more() -> None:
    """A job that ends late belongs to the next owner."""
    offsets = JobOffsets()
    offsets.own({0: 5, 1: 0})
    offsets.begin(0, 5)
    offsets.begin(1, 0)
    offsets.give_up({0})
    offsets.end(0, 5)
    offsets.end(1, 0)

    assert offsets.committable() == {1: 1}
    offsets.own({0: 5})
    assert offsets.committable() == {}


@given(st.permutations(range(12)))
def test_the_position_is_always_the_oldest_open_offset(order: list[int]) -> None:
    """In whatever order jobs end."""
    offsets, position, left = JobOffsets(), 0, set(range(12))
    offsets.own({3: 0})
    for offset in range(12):
        offsets.begin(3, offset)
    for offset in order:
        offsets.end(3, offset)
        left.discard(offset)
        position = offsets.committable().get(3, position)

        assert position == min(left, default=12)
