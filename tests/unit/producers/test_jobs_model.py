"""A model of one partition: replicas, rebalances, crashes and a feed that lapses; every slot is polled, none twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from producers.jobs.history import JobHistory
from producers.jobs.lease import Lease, after, holder
from producers.jobs.outcome import result_of, unfinished
from producers.polling.slots import Outcome
from schemas.jobs import SWEEPER, poll_job_id
from schemas.records import Job, JobResult
from tests.support.outside_feed import Cadence, jobs_between

STREAM = ("bars:1m", "SPY")
LEASE_S = 3.0
CADENCE = [Cadence(capability=STREAM[0], symbols=(STREAM[1],), every_us=1)]
Step = tuple[bool, str]


class Partition:
    """The logs, which outlive everybody, and the one replica that owns the partition, if any."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.jobs: list[tuple[Job, float]] = []
        self.results: list[JobResult] = []
        self.committed = 0
        self.polled: Counter[int] = Counter()
        self.crashed_at: set[int] = set()
        self.owned = False

    def take_over(self, now: float) -> None:
        """Own it with what the logs say."""
        self.owned, self.history, self.lease = True, JobHistory(), Lease()
        for result in self.results:
            self.history.note(result)
        for job, appended in self.jobs:
            self.lease = after(self.lease, job, age_s=now - appended, now_s=now)

    def give_up(self, *, crash: bool) -> None:
        """Leave in order, or lose what the last poll came to before it was published."""
        if self.owned and crash and self.results:
            lost = self.results.pop()
            self.crashed_at.add(lost.slot)
            ids = [job.job_id for job, _ in self.jobs[: self.committed]]
            self.committed = ids.index(lost.job_id) if lost.job_id in ids else self.committed
        self.owned = False

    def work(self, now: int) -> None:
        """Read what is new, do it, and sweep what is due where the feed does not hold the lease."""
        for job, appended in self.jobs[self.committed :]:
            self.lease = after(self.lease, job, age_s=now - appended, now_s=now)
            if job.type == "poll":
                self.do(job)
        self.committed = len(self.jobs)
        while holder(self.lease, now) == "sweeper" and (slot := self.history.slots.get(STREAM, 0) + 1) <= now:
            self.do(
                Job(version=1, job_id=poll_job_id(STREAM[0], [STREAM[1]], slot), type="poll", source=SWEEPER,
                    created_time=1, capability=STREAM[0], symbols=(STREAM[1],), slot=slot)
            )  # fmt: skip

    def do(self, job: Job) -> None:
        """Poll unless it was done, and publish what it came to."""
        outcomes = self.history.repeated(job)
        for symbol in unfinished(job, outcomes):
            self.polled[job.slot] += 1
            outcomes[symbol] = Outcome(status="done")
        result = result_of(job, outcomes, instance="one", finished_time=1)
        self.history.note(result)
        self.results.append(result)


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["work", "work", "work", "rebalance", "crash", "nobody"])),
        min_size=1,
        max_size=40,
    )
)
def test_every_slot_is_polled_while_anyone_lives_and_twice_only_around_a_crash(steps: list[Step]) -> None:
    """The feed asks for all slots since it last spoke; what it left undone is the sweeper's when its lease lapses."""
    partition, asked = Partition(), 0
    for now, (feed, event) in enumerate([*steps, *[(False, "work")] * 4], 1):
        if feed:
            lease = Job(version=1, job_id="l", type="lease", source="feed", created_time=1, lease_s=LEASE_S)
            partition.jobs.append((lease, float(now)))
            jobs = jobs_between(
                CADENCE, asked + 1, now + 1, source="feed", created_time=1, lifetime_us=9, partitions=4
            )
            partition.jobs += [(job, float(now)) for job in jobs]
            asked = now
        if event in ("rebalance", "crash", "nobody"):
            partition.give_up(crash=event == "crash")
        if event != "nobody":
            if not partition.owned:
                partition.take_over(float(now))
            partition.work(now)

    ends = len(steps) + 4
    twice = {slot for slot, count in partition.polled.items() if count > 1}
    assert twice <= partition.crashed_at
    assert partition.history.slots[STREAM] == ends
    assert set(partition.polled) == set(range(1, ends + 1))
