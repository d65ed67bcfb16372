"""The job feed on the real broker: what is refused, what is done first, done once, taken over, and handed over."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest

from infra.runtime.lifecycle import Health
from producers.jobs.queue import JobQueue
from producers.jobs.shell import feed as job_feed
from producers.polling.slots import Outcome
from schemas.partitions import partition_of
from schemas.records import Job
from schemas.topics import DEFAULT_PARTITIONS, JOBS
from schemas.wire.codec import encode
from tests.conftest import ROOT
from tests.support.eventually import eventually
from tests.support.job_harness import (
    CAPABILITY,
    Recorder,
    a_job,
    a_lease,
    feeding,
    letters,
    now_us,
    results,
    running,
    send,
)
from tests.support.outside_feed import Cadence, jobs_between

SPY = partition_of("SPY", DEFAULT_PARTITIONS)
JOINED_S = 30.0
ROOM = 1_000  # jobs
SECOND = 1_000_000
T = TypeVar("T")


def of(job: Job) -> tuple[int, Job]:
    """Return the job with its partition."""
    return partition_of(job.symbols[0], DEFAULT_PARTITIONS), job


async def test_what_is_no_job_becomes_a_dead_letter_and_harms_no_other(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Bytes, fields, capability, symbols and partition are judged one by one; a good job among them is done."""
    recorder = Recorder(symbols=("SPY",))
    good = a_job()
    bad: list[Job | bytes] = [
        b"no avro",
        b"\0" * 70_000,
        a_job(version=2),
        a_job(capability="bars:7m"),
        a_job(type="cook"),
        a_job(symbols=("not a symbol",)),
        a_job("SPY" if SPY != 0 else "AAPL", symbols=("AAPL", "SPY", "MSFT", "IBM", "QQQ")),
    ]
    async with running(kafka_bootstrap, topic_prefix, recorder) as health:
        await eventually(lambda: recorder.owned, within_s=JOINED_S)
        await send(kafka_bootstrap, topic_prefix, *((SPY, each) for each in bad), (SPY, good))
        await eventually(lambda: recorder.polled, within_s=10)
        refused = await eventually(
            lambda: _when(letters(kafka_bootstrap, topic_prefix), len(bad)), within_s=10, every_s=0.3
        )

        assert health.ready()
    assert [letter.payload for letter in refused] == [
        each if isinstance(each, bytes) else encode(JOBS, each) for each in bad
    ]
    assert [letter.reason for letter in refused] == ["malformed", "malformed", *["invalid"] * 5]
    assert "capability" in refused[3].message
    assert "make one job for each partition" in refused[6].message
    assert [symbol for symbol, _, _ in recorder.polled] == ["SPY"]


async def test_what_is_gained_is_swept_before_it_is_collected(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """So that new polls begin in their places: what is swept later is resumed, all of it at once."""
    recorder = Recorder(symbols=("SPY",))
    async with running(kafka_bootstrap, topic_prefix, recorder):
        await eventually(lambda: len(recorder.owned) == DEFAULT_PARTITIONS, within_s=JOINED_S)

    assert recorder.gained_unswept == set()


async def test_jobs_are_done_by_priority_once_each_and_every_one_has_its_result(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Urgent first; a repeat, a late one, an unknown symbol and a failing vendor are told apart; a restart resumes."""
    seen: Counter[int] = Counter()

    def answer(symbol: str, slot: int) -> Outcome:
        seen[slot] += 1
        if slot == failing.slot:
            return Outcome(status="failed", reason="no vendor answers", retry_after_s=0.1)
        if slot == flaky.slot and seen[slot] == 1:
            return Outcome(status="failed", reason="once", retry_after_s=0.1)
        return Outcome(status="done", events=2)

    recorder = Recorder(symbols=("SPY", "AAPL", "MSFT"), answer=answer)
    async with running(kafka_bootstrap, topic_prefix, recorder):
        await eventually(lambda: recorder.owned, within_s=JOINED_S)
        # Their times begin once somebody is there to do them, however long that takes.
        base, now = now_us() // SECOND * SECOND - 100 * SECOND, now_us()
        later = now + 3 * SECOND  # all of them are there when the first may begin
        jobs = [
            a_job(
                job_id=f"p{priority}",
                priority=priority,
                slot=base + (9 - priority) * SECOND,
                not_before=later,
            )
            for priority in (7, 3, 0, 5)
        ]
        late = a_job(
            job_id="late", created_time=now - 9 * SECOND, deadline=now - SECOND, slot=base + 20 * SECOND
        )
        stranger = a_job("IBM", job_id="stranger")
        failing = a_job("AAPL", job_id="failing", deadline=now + 4 * SECOND)
        flaky = a_job("MSFT", job_id="flaky", slot=base + 30 * SECOND)
        fill = a_job("SPY", job_id="fill", type="backfill", slot=0, start=base, end=base + SECOND)
        sent = [*jobs, late, stranger, failing, flaky, fill, replace(jobs[2], job_id="again", priority=9)]
        await send(kafka_bootstrap, topic_prefix, *map(of, sent))
        found = await eventually(
            lambda: _when(results(kafka_bootstrap, topic_prefix), len(sent)), within_s=60, every_s=0.3
        )
    by_id = {result.job_id: result for result in found}

    # Of one stream a later slot covers the earlier ones: the most urgent is the newest here, the rest is behind it.
    assert {name: by_id[name].status for name in ("p0", "p3", "p5", "p7", "again")} == {
        "p0": "done", "p3": "duplicate", "p5": "duplicate", "p7": "duplicate", "again": "duplicate",
    }  # fmt: skip
    assert {name: by_id[name].status for name in ("late", "stranger", "failing", "flaky", "fill")} == {
        "late": "expired", "stranger": "refused", "failing": "failed", "flaky": "done", "fill": "queued",
    }  # fmt: skip
    assert by_id["flaky"].attempts == 2
    assert by_id["failing"].reason == "no vendor answers"
    assert recorder.backfilled == [("SPY", base, base + SECOND)]

    resumed = Recorder(symbols=recorder.symbols)
    missed = a_job(job_id="missed", slot=base + 40 * SECOND)
    await send(kafka_bootstrap, topic_prefix, of(missed), of(replace(jobs[2], slot=base + 50 * SECOND)))
    async with running(kafka_bootstrap, topic_prefix, resumed):
        await eventually(lambda: resumed.owned, within_s=JOINED_S)
        more = await eventually(
            lambda: _when(results(kafka_bootstrap, topic_prefix), len(sent) + 2), within_s=60, every_s=0.3
        )

    assert [(symbol, slot) for symbol, slot, _ in resumed.polled] == [("SPY", missed.slot)]
    assert Counter(result.status for result in more if result.job_id == "p0") == {"done": 1, "duplicate": 1}


async def test_feed_and_sweeper_hand_over_ten_times_and_more_and_every_slot_is_polled_once(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """The feed dies silently or gives its lease back, and returns; nothing is polled twice, no slot is missing."""
    every, symbols = 100_000, ("SPY", "AAPL", "MSFT")
    partitions = {partition_of(symbol, DEFAULT_PARTITIONS) for symbol in symbols}
    recorder = Recorder(symbols=symbols, every_us=every, takes_s=0.01)
    cadence = [Cadence(capability=CAPABILITY, symbols=symbols, every_us=every)]
    leased = 1.5
    async with (
        running(kafka_bootstrap, topic_prefix, recorder),
        feeding(kafka_bootstrap, topic_prefix) as send_all,
    ):
        await eventually(lambda: swept_up(recorder, every), within_s=JOINED_S)
        for turn in range(5):
            start = now_us() - 5 * every  # a feed asks also for what the sweeper may just have left
            await send_all(*((p, a_lease(leased)) for p in partitions))
            await eventually(lambda: not partitions & recorder.swept, within_s=5, every_s=0.01)
            for _ in range(4):
                end = now_us()
                jobs = jobs_between(
                    cadence, start, end, source="test", created_time=end, lifetime_us=10 * SECOND,
                    partitions=DEFAULT_PARTITIONS,
                )  # fmt: skip
                start = end
                await send_all(*map(of, jobs))
                await asyncio.sleep(every / SECOND)
            if turn % 2:
                await send_all(*((p, a_lease(0.0)) for p in partitions))
            await eventually(lambda: partitions <= recorder.swept, within_s=5, every_s=0.01)
            await eventually(lambda: swept_up(recorder, every), within_s=10, every_s=0.01)
    spy = [SPY in swept for swept in recorder.changes][1:]  # at first nothing is owned
    handed = sum(before != now for before, now in pairwise(spy))

    assert handed >= 10  # more where a busy machine lets a lease run out
    for symbol in symbols:
        slots = [slot for name, slot, _ in recorder.polled if name == symbol]
        assert slots == list(range(slots[0], slots[-1] + every, every))
    by_feed = sum(bool(job_id) for _, _, job_id in recorder.polled)
    assert 0 < by_feed < len(recorder.polled)


def swept_up(recorder: Recorder, every: int) -> bool:
    """Whether the sweeper has no backlog."""
    return all(
        recorder.slots.get((CAPABILITY, symbol), 0) > now_us() - 3 * every for symbol in recorder.symbols
    )


def replica(out: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a replica that writes what it polls to a file."""
    with out.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.job_replica", *arguments],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


async def _when(found: Awaitable[list[T]], count: int) -> list[T] | None:
    """Return the awaited list once it is that long."""
    listed = await found
    assert len(listed) <= count, listed
    return listed if len(listed) == count else None


async def test_two_replicas_share_the_partitions_and_one_takes_over_when_the_other_is_killed(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Each symbol is polled by one of them; after kill -9 the survivor goes on where the results end."""
    every, symbols = 200_000, ("SPY", "AAPL", "MSFT", "IBM", "QQQ", "GE", "T", "F")
    files = {name: tmp_path / name for name in ("one", "two")}

    def polls(name: str) -> list[tuple[str, int]]:
        lines = files[name].read_text("utf-8").splitlines() if files[name].exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines if line[:1].isupper()]

    replicas = {
        name: replica(path, kafka_bootstrap, topic_prefix, name, str(every), ",".join(symbols))
        for name, path in files.items()
    }
    try:
        await eventually(lambda: all(len(polls(name)) > 20 for name in files), within_s=60)
        replicas["one"].kill()
        died = await asyncio.to_thread(lambda: (replicas["one"].wait(), now_us())[1])
        await eventually(
            lambda: {symbol for symbol, slot in polls("two") if slot > died} == set(symbols), within_s=40
        )
    finally:
        for process in replicas.values():
            process.kill()
            process.wait()
    both = Counter([*polls("one"), *polls("two")])
    again = [slot for (_, slot), count in both.items() if count > 1]

    # Only what the killed one had polled and not yet published as done may be polled again.
    assert all(died - 3 * SECOND < slot <= died for slot in again)
    for symbol in symbols:
        slots = sorted({slot for name, slot in both if name == symbol})
        assert slots == list(range(slots[0], slots[-1] + every, every))


async def test_a_replica_without_a_partition_stands_by_and_takes_over(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Five for four partitions: all are ready, one has nothing to do until another one leaves."""
    recorders = [Recorder(symbols=("SPY",)) for _ in range(DEFAULT_PARTITIONS + 1)]
    healths: list[Health] = []

    def shared() -> bool:
        owned = sorted(partition for recorder in recorders for partition in recorder.owned)
        return owned == list(range(DEFAULT_PARTITIONS))

    def states() -> Counter[object]:
        return Counter(health.parts["jobs"].detail.get("state") for health in healths)

    async with AsyncExitStack() as others, AsyncExitStack() as leaving:
        for number, recorder in enumerate(recorders):
            stack = leaving if number == 0 else others
            entered = running(kafka_bootstrap, topic_prefix, recorder, instance=f"r{number}")
            healths.append(await stack.enter_async_context(entered))
        everyone = {"polling": DEFAULT_PARTITIONS, "standby": 1}
        await eventually(lambda: shared() and states() == everyone, within_s=60)
        assert all(health.parts["jobs"].ready for health in healths)
        await leaving.aclose()
        gone, recorders[0] = recorders[0], Recorder(symbols=())
        healths.pop(0)

        await eventually(lambda: shared() and not states()["standby"], within_s=40)

    assert gone.swept <= gone.owned


async def test_a_full_queue_leaves_jobs_in_kafka_and_drops_none(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is read when there is room again; every job has its result."""
    monkeypatch.setattr(job_feed, "JobQueue", lambda: JobQueue(capacity=ROOM))
    symbols = ("SPY", "AAPL", "MSFT", "IBM", "QQQ", "GE", "T", "F")
    ready, base = now_us() + 15 * SECOND, now_us() // SECOND * SECOND - 9_000 * SECOND
    count = ROOM + 400
    jobs = [
        a_job(
            symbols[number % len(symbols)], job_id=f"j{number}", slot=base + number * SECOND // 2,
            not_before=ready, deadline=now_us() + 300 * SECOND,
        )
        for number in range(count)
    ]  # fmt: skip
    recorder = Recorder(symbols=symbols)
    async with running(kafka_bootstrap, topic_prefix, recorder) as health:
        await eventually(lambda: recorder.owned, within_s=JOINED_S)
        await send(kafka_bootstrap, topic_prefix, *map(of, jobs))
        await eventually(lambda: health.parts["jobs"].detail.get("waiting_jobs") == ROOM, within_s=40)
        found = await eventually(
            lambda: _when(results(kafka_bootstrap, topic_prefix), count), within_s=120, every_s=2.0
        )

    assert Counter(result.job_id for result in found) == Counter(job.job_id for job in jobs)
    assert {result.status for result in found} <= {"done", "duplicate"}
