"""Jobs of one series, or of several, together: fetched by few requests, each ended by its own stretch, and left at once when they are not ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from producers.backfill.planning import Window
from producers.backfill.shell.job_set import PATIENCE_S, JobSet
from producers.polling.shell.bars_poll import Backfilled
from schemas.backfill import MAX_ATTEMPTS, BackfillJob
from schemas.configuration.backfill import Backfill
from schemas.errors import (
    BudgetExhausted,
    MarketDataError,
    ProviderDeclined,
    ProviderThrottled,
    ProviderUnavailable,
    UnknownSymbol,
)
from schemas.intervals import DAY_US
from schemas.partitions import partition_of
from schemas.streams import StreamId
from tests.support.backfill_world import (
    PARTITIONS,
    YAHOO_SPY,
    Answer,
    Answering,
    NotedLeases,
    PlayedCollection,
    a_job,
    all_minutes,
    at_once,
    minute,
)
from tests.support.played_vendors import virtual_clock
from tests.support.virtual_time import run

DAY = DAY_US // 60_000_000  # minutes


def work(
    jobs: Sequence[BackfillJob], answering: Answering = at_once, **collection: Any
) -> tuple[PlayedCollection, NotedLeases]:
    """Work jobs off, in virtual time where they wait; return what was asked and what became of them."""
    collected, leases = PlayedCollection(answering, **collection), NotedLeases()
    run(JobSet(leases.hold(*jobs), cast(Any, collected), cast(Any, leases)).run())
    return collected, leases


def answers(*given: Answer) -> Answering:
    """Return what answers one after the other."""
    left = list(given)

    async def answer(series: StreamId, window: Window) -> Answer:
        return left.pop(0) if left else all_minutes(series, window)

    return answer


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.runtime.clock.time", virtual_clock())


def states(leases: NotedLeases, jobs: Sequence[BackfillJob]) -> list[tuple[str, int]]:
    return [(leases.ended[job.order.job_id].state, leases.ended[job.order.job_id].rows) for job in jobs]


def test_the_jobs_of_a_week_are_one_request_and_each_has_its_own_end() -> None:
    """A minute nobody has is empty though it was fetched with others; two weeks are two requests."""

    async def answer(series: StreamId, window: Window) -> Answer:
        return all_minutes(series, window, without=(10, 11))

    jobs = [a_job(0, 5), a_job(10, 12), a_job(3, 11), a_job(10 * DAY, 10 * DAY + 1)]
    collected, leases = work(jobs, answer)

    assert states(leases, jobs) == [("done", 5), ("empty", 0), ("done", 7), ("done", 1)]
    assert [each for _, each, _ in collected.asked] == [
        (minute(0), minute(12)),
        (minute(10 * DAY), minute(10 * DAY + 1)),
    ]
    assert collected.told == []


def test_an_outage_lets_what_was_not_fetched_wait_and_ends_what_was() -> None:
    """The first request came, the second failed: only the second job is tried again, and is charged for it."""
    jobs = [a_job(0, 5), a_job(10 * DAY, 10 * DAY + 1)]
    first = all_minutes(YAHOO_SPY, (minute(0), minute(5)))
    _, leases = work(jobs, answers(first, ProviderUnavailable("status 503")))

    assert states(leases, jobs[:1]) == [("done", 5)]
    ((wait_s, reason, counted),) = leases.put.values()
    assert (reason, counted, 7.0 <= wait_s <= 15.0) == ("status 503", True, True)


def test_a_pause_and_our_own_budget_are_waited_for_in_place_and_cost_no_attempt() -> None:
    """One that lasts lets others have their turn; the vendor's own wait is respected."""
    brief = answers(
        ProviderThrottled("yahoo", 30.0),
        BudgetExhausted("yahoo", 20.0, limit="5 a minute", setting="per_minute"),
        ProviderThrottled("yahoo"),
    )
    collected, leases = work([a_job()], brief)
    assert (len(collected.asked), [each.state for each in leases.ended.values()]) == (4, ["done"])

    _, leases = work([a_job(attempts=MAX_ATTEMPTS)], answers(ProviderThrottled("yahoo", 10 * PATIENCE_S)))
    ((wait_s, _, counted),) = leases.put.values()
    assert (wait_s >= 10 * PATIENCE_S, counted, leases.ended) == (True, False, {})


def test_what_is_refused_for_good_is_told_before_the_job_ends_and_asked_elsewhere() -> None:
    """The stretch and the cause; whoever else has the symbol is asked, the preferred one first."""
    job = a_job(2, 9)
    told_first: list[bool] = []

    async def answer(series: StreamId, window: Window) -> Answer:
        return UnknownSymbol("yahoo does not know SPY")

    collected = PlayedCollection(answer, preferred=("yahoo", "finnhub", "alpaca"))
    leases = NotedLeases()
    said = collected.tell_given_up

    async def tell(given: BackfillJob, ending: Any) -> None:
        told_first.append(leases.holds(given))
        await said(given, ending)

    collected.tell_given_up = tell  # type: ignore[method-assign]
    run(JobSet(leases.hold(job), cast(Any, collected), cast(Any, leases)).run())

    (ending,) = leases.ended.values()
    assert (ending.state, ending.cause, ending.given_up) == (
        "unrecoverable",
        "unknown_symbol",
        ((minute(2), minute(9)),),
    )
    assert told_first == [True]
    assert [order.series.provider for order in leases.ordered] == ["finnhub"]


def test_an_older_part_beyond_a_vendors_history_is_given_up_and_the_rest_is_fetched() -> None:
    """One refusal does not end what the vendor still has."""
    job = a_job(0, 20 * DAY)
    collected, leases = work([job], answers(ProviderDeclined("within the last 30 days")))

    (ending,) = leases.ended.values()
    assert (ending.state, ending.rows, ending.given_up) == (
        "done",
        13 * DAY,
        ((minute(0), minute(7 * DAY)),),
    )
    assert [each for each, _ in collected.told] == [job.order.job_id]
    assert (len(collected.asked), leases.ordered) == (3, [])


def test_what_failed_as_often_as_a_job_is_tried_is_dead_and_told() -> None:
    """So that its gap ends; one that killed its workers is not even begun."""
    failing = a_job(attempts=MAX_ATTEMPTS)
    collected, leases = work([failing], answers(ProviderUnavailable("down")))
    assert [(each.state, each.reason) for each in leases.ended.values()] == [("dead", "down")]
    assert len(collected.told) == 1

    collected, leases = work([a_job(attempts=MAX_ATTEMPTS + 1)])
    assert [each.state for each in leases.ended.values()] == ["dead"]
    assert collected.asked == []


@pytest.mark.parametrize("name", ["quotes", "trades"])
def test_the_past_of_quotes_and_trades_has_no_interface(name: Any) -> None:
    """Said at once, with the reason; nobody is asked."""
    collected, leases = work([a_job(series=StreamId(name, "", "yahoo", "SPY"))])

    (ending,) = leases.ended.values()
    assert (ending.state, ending.cause) == ("unrecoverable", "no_interface")
    assert name in ending.reason
    assert (collected.asked, len(collected.told)) == ([], 1)


def test_what_is_not_collected_here_is_given_up_but_not_at_once() -> None:
    """A symbol may just be added: it is tried once more."""
    collected, leases = work([a_job()], preferred=("alpaca",))
    assert (leases.ended, [counted for _, _, counted in leases.put.values()]) == ({}, [True])

    collected, leases = work([a_job(attempts=2)], preferred=("alpaca",))
    (ending,) = leases.ended.values()
    assert (ending.state, ending.cause) == ("unrecoverable", "not_collected")
    assert [order.series.provider for order in leases.ordered] == ["alpaca"]
    assert collected.asked == []


def test_a_gap_that_is_closed_meanwhile_costs_no_request() -> None:
    """What somebody asked for is fetched whether there is a gap or not."""
    leases, collected = NotedLeases(gaps=frozenset()), PlayedCollection()
    jobs = [a_job(0, 5, gap_id="g"), a_job(6, 8, origin="user")]
    run(JobSet(leases.hold(*jobs), cast(Any, collected), cast(Any, leases)).run())

    assert states(leases, jobs) == [("done", 0), ("done", 2)]
    assert [each for _, each, _ in collected.asked] == [(minute(6), minute(8))]


@pytest.mark.parametrize("lost", ["lease", "partition", "switch"])
def test_nothing_more_is_asked_of_what_is_ours_no_more(lost: str) -> None:
    """Whoever has the lease, or the symbol, goes on: two would fetch the same."""
    job, leases = a_job(0, 30 * DAY), NotedLeases()

    async def answer(series: StreamId, window: Window) -> Answer:
        if len(collected.asked) == 2 and lost == "lease":
            leases.held.clear()
        elif len(collected.asked) == 2 and lost == "partition":
            collected.partitions = frozenset()
        elif len(collected.asked) == 2:
            collected.settings = Backfill(enabled=False)
        return all_minutes(series, window)

    collected = PlayedCollection(answer)
    run(JobSet(leases.hold(job), cast(Any, collected), cast(Any, leases)).run())

    assert (len(collected.asked), leases.ended, leases.put) == (2, {}, {})


def test_a_lease_lost_in_a_pause_is_noticed_after_it() -> None:
    """Before anything more is asked."""
    job, leases = a_job(), NotedLeases()

    async def story() -> int:
        collected = PlayedCollection(answers(ProviderThrottled("yahoo", 60.0)))
        working = asyncio.ensure_future(
            JobSet(leases.hold(job), cast(Any, collected), cast(Any, leases)).run()
        )
        await asyncio.sleep(30.0)
        leases.held.clear()
        await working
        return len(collected.asked)

    assert run(story()) == 1


def test_an_answer_of_which_values_were_refused_is_asked_for_again() -> None:
    """They exist; nobody may call the stretch empty."""
    half_read = Backfilled(asked_to=minute(5), is_lacking=True)
    _, leases = work([a_job()], answers(half_read))

    assert (leases.ended, [counted for _, _, counted in leases.put.values()]) == ({}, [True])


SEVERAL = [StreamId("bars", "1m", "alpaca", symbol) for symbol in ("SPY", "IBM", "F")]


def a_set() -> list[BackfillJob]:
    """Return four jobs of three series."""
    spy, ibm, ford = SEVERAL
    stretches = [(spy, 0, 5), (ibm, 3, 9), (ford, 2, 4), (spy, 8, 12)]
    return [a_job(low, high, series=series) for series, low, high in stretches]


def test_jobs_of_several_series_are_one_request_and_each_has_its_own_end() -> None:
    """Each series has its window in it, in the name of its own job; one that has nothing is empty alone."""

    async def answer(series: StreamId, window: Window) -> Answer:
        return all_minutes(series, window, without=(2, 3) if series.symbol == "F" else ())

    jobs = a_set()
    collected, leases = work(jobs, answer, preferred=("alpaca",))

    (request,) = collected.together
    assert request == [
        (SEVERAL[0], (minute(0), minute(12)), jobs[0].order.job_id),
        (SEVERAL[1], (minute(3), minute(9)), jobs[1].order.job_id),
        (SEVERAL[2], (minute(2), minute(4)), jobs[2].order.job_id),
    ]
    assert states(leases, jobs) == [("done", 5), ("done", 6), ("empty", 0), ("done", 4)]
    assert (collected.asked, leases.put) == ([], {})


def test_one_that_is_refused_and_one_that_fails_cost_themselves_only() -> None:
    """The one is given up and asked elsewhere, the other is tried again; who has theirs has it."""
    wrong: dict[str, Answer] = {"IBM": UnknownSymbol("no IBM"), "F": ProviderUnavailable("half an answer")}

    async def answer(series: StreamId, window: Window) -> Answer:
        return wrong.get(series.symbol) or all_minutes(series, window)

    jobs = a_set()
    _, leases = work(jobs, answer, preferred=("alpaca", "yahoo"))

    assert states(leases, [jobs[0], jobs[3]]) == [("done", 5), ("done", 4)]
    assert [(each.state, each.cause) for each in leases.ended.values() if each.cause] == [
        ("unrecoverable", "unknown_symbol")
    ]
    assert [order.series for order in leases.ordered] == [SEVERAL[1]._replace(provider="yahoo")]
    assert [(name, reason, counted) for name, (_, reason, counted) in leases.put.items()] == [
        (jobs[2].order.job_id, "half an answer", True)
    ]


@pytest.mark.parametrize(
    "error", [ProviderDeclined("400"), UnknownSymbol("someone"), ProviderUnavailable("503")]
)
def test_what_is_refused_for_all_of_them_ends_nobody(error: MarketDataError) -> None:
    """It may mean one of them: each is tried again, with fewer, and counts it; alone the same word is final."""

    async def answer(series: StreamId, window: Window) -> Answer:
        return error

    jobs = a_set()
    _, leases = work(jobs, answer, preferred=("alpaca",))

    assert leases.ended == {}
    assert {(reason, counted) for _, reason, counted in leases.put.values()} == {(str(error), True)}
    assert len(leases.put) == len(jobs)


def test_a_pause_holds_all_of_them_and_counts_for_none() -> None:
    """Then the same request is made again, without what is ours no more."""
    jobs, left = a_set(), [ProviderThrottled("alpaca", 30.0)] * 3

    async def answer(series: StreamId, window: Window) -> Answer:
        if left:
            leases.held.pop(jobs[1].order.job_id, None)
            return left.pop()
        return all_minutes(series, window)

    collected, leases = PlayedCollection(answer, preferred=("alpaca",)), NotedLeases()
    run(JobSet(leases.hold(*jobs), cast(Any, collected), cast(Any, leases)).run())

    assert [[series.symbol for series, _, _ in request] for request in collected.together] == [
        ["SPY", "IBM", "F"],
        ["SPY", "F"],
    ]
    assert states(leases, [jobs[0], jobs[2], jobs[3]]) == [("done", 5), ("done", 2), ("done", 4)]


def test_of_a_set_what_is_not_collected_or_not_wanted_any_more_is_left_out() -> None:
    """A symbol that moved is asked for by who has it; a gap that is closed costs nothing."""
    closed, moved = a_job(10, 12, series=SEVERAL[1], gap_id="g"), partition_of("F", PARTITIONS)
    jobs = [*a_set(), closed]
    collected = PlayedCollection(preferred=("alpaca",), partitions=frozenset(range(PARTITIONS)) - {moved})
    leases = NotedLeases(gaps=frozenset())
    run(JobSet(leases.hold(*jobs), cast(Any, collected), cast(Any, leases)).run())

    (request,) = collected.together
    assert [(series.symbol, window) for series, window, _ in request] == [
        ("SPY", (minute(0), minute(12))),
        ("IBM", (minute(3), minute(9))),
    ]
    assert leases.held == {jobs[2].order.job_id: jobs[2]}
    assert states(leases, [closed, jobs[0], jobs[1]]) == [("done", 0), ("done", 5), ("done", 6)]
