"""Planning: nothing starves and nothing is begun without room; all that is asked for is covered, by as few requests as can be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.backfill.planning import Capacity, Turns, Window, requests_for, room_of, sets_of
from schemas.backfill import AGED_EVERY, MAX_ATTEMPTS, BackfillJob
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.streams import StreamId
from tests.support.backfill_world import a_job

STEP = 10


def window(low: int, high: int) -> Window:
    return EventTime(low), EventTime(high)


STRETCHES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 120)).map(lambda each: window(each[0], each[0] + each[1])),
    max_size=7,
)
SPANS = st.integers(STEP, 90)


def slots(windows: list[Window]) -> set[int]:
    """Return the slots that windows touch."""
    return {slot for low, high in windows for slot in range(low // STEP, -(-high // STEP))}


@given(STRETCHES, SPANS)
def test_every_stretch_is_covered_by_windows_of_whole_steps_and_no_more_than_may_be(
    stretches: list[Window], span_us: int
) -> None:
    """In order, none of them twice, and each begins with something that is asked for."""
    found = requests_for(stretches, step_us=STEP, span_us=span_us)

    assert slots(found) >= slots(stretches)
    assert found == sorted(found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    for low, high in found:
        assert 0 < high - low <= span_us
        assert low % STEP == high % STEP == 0
        assert {low // STEP, high // STEP - 1} <= slots(stretches)


@given(STRETCHES, SPANS)
def test_they_are_never_more_than_asking_one_by_one(stretches: list[Window], span_us: int) -> None:
    """Together is never worse than alone, in whichever order the stretches are given."""
    alone = sum(len(requests_for([each], step_us=STEP, span_us=span_us)) for each in set(stretches))

    together = requests_for(stretches, step_us=STEP, span_us=span_us)

    assert len(together) <= alone
    assert together == requests_for(stretches[::-1], step_us=STEP, span_us=span_us)


@given(
    st.sets(st.integers(0, 11), max_size=8).map(
        lambda found: [window(s * STEP, (s + 1) * STEP) for s in found]
    ),
    st.integers(1, 6),
)
def test_on_small_inputs_nobody_finds_fewer(stretches: list[Window], steps: int) -> None:
    """All choices of where windows begin were tried."""
    wanted = slots(stretches)
    fewest = next(
        count
        for count in range(13)
        for begins in combinations(range(12), count)
        if wanted <= {slot for begin in begins for slot in range(begin, begin + steps)}
    )

    assert len(requests_for(stretches, step_us=STEP, span_us=steps * STEP + STEP - 1)) == fewest


def test_a_day_of_single_minutes_is_one_request_and_a_year_of_minutes_is_53() -> None:
    """With the week that Yahoo gives at once; a hundred thousand stretches cost no more than sorting them."""
    day = [window(n * 7 * MINUTE_US, n * 7 * MINUTE_US + MINUTE_US) for n in range(200)]
    many = [window(n * HOUR_US, n * HOUR_US + MINUTE_US) for n in range(100_000)]

    assert requests_for(day, step_us=MINUTE_US, span_us=7 * DAY_US) == [window(0, 1394 * MINUTE_US)]
    year = requests_for([window(0, 370 * DAY_US)], step_us=MINUTE_US, span_us=7 * DAY_US)
    assert (len(year), year[-1]) == (53, window(364 * DAY_US, 370 * DAY_US))
    assert len(requests_for(many, step_us=MINUTE_US, span_us=7 * DAY_US)) == 596


def test_there_is_room_where_the_provider_is_open_and_less_is_under_way_than_may_be() -> None:
    """One that is paused, or that nobody asks here, has none; lowered below what is under way it is none, too."""
    assert room_of(4, {"a": 1, "b": 4, "c": 1}, ["a", "b", "d"]) == {"a": 3, "d": 4}
    assert room_of(1, {"a": 3}, ["a"]) == {}


@dataclass
class Queue:
    """Jobs of some providers as the table would serve them: (rank, age) each."""

    jobs: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    served: list[tuple[str, int]] = field(default_factory=list)  # provider, age

    def claim(self, room: dict[str, int], *, by_age: bool) -> dict[str, int]:
        """Take as many jobs of each provider as it has room for."""
        taken = {}
        for provider, most in room.items():
            queued = self.jobs.get(provider, [])
            queued.sort(key=lambda job: job[1] if by_age else job)
            self.served += [(provider, age) for _, age in queued[:most]]
            taken[provider] = len(queued[:most])
            del queued[:most]
        return taken


def serve(turns: Turns, queue: Queue, room: dict[str, int]) -> None:
    """Fill the room once, as the workers do."""
    by_rank = turns.ranked(room)
    turns.begun(queue.claim(by_rank, by_age=False))
    by_age = turns.oldest({name: most - by_rank.get(name, 0) for name, most in room.items()})
    if by_age:
        queue.claim(by_age, by_age=True)
        turns.aged(by_age)


@pytest.mark.parametrize("older", [0, 1, 5])
@pytest.mark.parametrize("room", [1, 3, AGED_EVERY, 3 * AGED_EVERY])
def test_a_job_that_n_older_ones_precede_is_begun_in_time_whatever_comes(older: int, room: int) -> None:
    """At most 8 (n + 1) others before it, though urgent ones never end; every provider counts for itself."""
    turns, queue = Turns(), Queue()
    queue.jobs = {name: [(11, age) for age in range(older + 1)] for name in ("a", "b")}
    for age in range(1_000, 1_000 + 2 * AGED_EVERY * (older + 2)):
        for name in ("a", "b"):
            queue.jobs[name] += [(0, age * 100 + n) for n in range(room)]
        serve(turns, queue, {"a": room, "b": 1 if age % 3 else 0})

    for name in ("a", "b"):
        ages = [age for provider, age in queue.served if provider == name]
        assert ages.index(older) <= AGED_EVERY * (older + 1)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 1 << 16))
def test_room_is_never_exceeded_and_seven_of_eight_go_by_rank(rooms: list[int], seed: int) -> None:
    """However room comes and goes, with enough of both kinds."""
    turns, random, by_rank, by_age = Turns(), Random(seed), 0, 0
    for room in rooms:
        first = turns.ranked({"a": room})
        turns.begun(first)
        by_rank += first.get("a", 0)
        if due := turns.oldest({"a": room - first.get("a", 0)}):
            assert due == {"a": 1}
            turns.aged(due)
            by_age += 1
        assert first.get("a", 0) + len(due) <= room
        if random.random() < 0.1:
            assert turns.oldest({"a": 0}) == {}

    assert by_age * (AGED_EVERY - 1) <= by_rank < (by_age + 1) * AGED_EVERY


ALPACA = StreamId("bars", "1m", "alpaca", "SPY")
PIECES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 300), st.integers(1, 70)), max_size=40)


def a_piece(symbol: int, low: int, length: int = 1, **changes: Any) -> BackfillJob:
    """Return a job of a minute series that waits for its turn."""
    series = ALPACA._replace(symbol=f"S{symbol}")
    return a_job(low, low + length, **({"series": series, "attempts": 0, "state": "queued"} | changes))


@given(PIECES, st.integers(1, 6), st.integers(1, 200))
def test_sets_hold_each_job_once_and_no_more_than_a_request_reaches(
    pieces: list[tuple[int, int, int]], series: int, bars: int
) -> None:
    """Counted as if no minute were quiet; one series alone may be as long as a vendor gives at once."""
    jobs, capacity = [a_piece(*piece) for piece in pieces], Capacity(series=series, bars=bars)

    sets = sets_of(jobs, capacity)

    assert Counter(id(job) for some in sets for job in some) == Counter(map(id, jobs))
    for some in sets:
        names = {job.order.series for job in some}
        low, high = min(job.order.from_time for job in some), max(job.order.to_time for job in some)
        assert len(names) == 1 or len(names) <= series
        assert len(names) == 1 or len(names) * (high - low) <= bars * MINUTE_US
        assert len(some) == 1 or high - low <= 7 * DAY_US
    assert sets == sets_of(jobs[::-1], capacity) or len(set(pieces)) < len(pieces)


@given(st.sets(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 40))
def test_of_single_minutes_nobody_finds_fewer_sets(minutes: set[int], series: int, bars: int) -> None:
    """Each of another series: all divisions into runs were tried, and no other can be better."""
    ordered = sorted(minutes)

    def fits(run: list[int]) -> bool:
        return len(run) == 1 or (len(run) <= series and len(run) * (run[-1] - run[0] + 1) <= bars)

    fewest = {0: 0}
    for end in range(1, len(ordered) + 1):
        fewest[end] = 1 + min(fewest[begin] for begin in range(end) if fits(ordered[begin:end]))

    jobs = [a_piece(number, minute) for number, minute in enumerate(ordered)]
    assert len(sets_of(jobs, Capacity(series=series, bars=bars))) == fewest[len(ordered)]


def test_an_outage_of_all_symbols_is_as_many_requests_as_its_symbols_need() -> None:
    """With the stretches that lie beside it; a long one is alone, and so is each series where a request holds one."""
    outage = [a_piece(number, 100, 20) for number in range(500)]
    around = [a_piece(7, 95, 3), a_piece(8, 121)]
    long = a_piece(9, 0, 8 * 24 * 60)
    capacity = Capacity(series=100, bars=10_000)

    assert sorted(len(some) for some in sets_of([*outage, *around], capacity)) == [100, 100, 100, 101, 101]
    assert [len(some) for some in sets_of([*outage[:150], long], capacity)] == [1, 100, 50]
    assert len(sets_of(outage, Capacity())) == 500


def test_what_failed_is_asked_for_with_fewer_and_soon_alone() -> None:
    """A quarter each time: one whom the others fail with costs them three tries of six; what runs has begun one more."""
    capacity = Capacity(series=100, bars=10_000)
    sizes = [
        max(len(some) for some in sets_of([a_piece(n, 1, attempts=failed) for n in range(100)], capacity))
        for failed in range(MAX_ATTEMPTS)
    ]
    begun = [a_piece(n, 1, attempts=2, state="running") for n in range(30)]

    assert sizes == [100, 25, 6, 1, 1, 1]
    fresh = [a_piece(n, 1) for n in range(30, 60)]
    assert sorted(len(some) for some in sets_of([*begun, *fresh], capacity)) == [5, 25, 30]
