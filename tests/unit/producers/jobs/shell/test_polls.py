"""Jobs use the polls of the local schedule: once per slot, until nothing lies behind, each symbol with its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from types import SimpleNamespace
from typing import Any, cast

from producers.jobs.shell.polls import JobPolls
from producers.polling.shell.assignment import Polls
from producers.polling.shell.attempts import Attempts
from producers.polling.shell.polls import Polled
from producers.polling.slots import Duty, Outcome
from producers.routing.evidence import AnswerEvidence
from schemas.clocks import MarketTime, WallTime
from schemas.configuration.backfill import Backfill
from schemas.errors import ProviderThrottled, UnknownSymbol
from schemas.records import Job
from tests.support.producer_fakes import RecordingTopics, a_router, a_status

SOUND = AnswerEvidence(latency_s=0.1, asked=(), newest={}, tolerance_us=1, prices={})
SLOT = 60


class _Bars:
    """A stream of bars that lies some polls behind, or fails as told."""

    provider, capability, topic, tier = "yahoo", "bars:1m", "raw.bars.v1", "T1"
    routed_as = capability
    every_us, phase_us = 60, 0
    task: Hashable = None

    def __init__(self, symbol: str, *, behind: int = 0, error: Exception | None = None) -> None:
        self.symbols: Sequence[str] = (symbol,)
        self.behind, self.error = behind, error
        self.is_behind = behind > 0
        self.turn = asyncio.Lock()
        self.polled: list[str] = []

    async def poll(self, symbols: Sequence[str], *, job_id: str = "", **_: object) -> Polled:
        self.polled.append(job_id)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.behind -= 1
        self.is_behind = self.behind >= 0
        return Polled(due_us=0, evidence=SOUND, events=dict.fromkeys(symbols, 2))


def some_work(*bars: _Bars) -> tuple[JobPolls, Duty]:
    duty, raw, router = Duty(4), cast(Any, RecordingTopics()), a_router("yahoo", "finnhub")
    attempts = Attempts(raw=raw, status=a_status("yahoo", "fred"), router=router, duty=duty)
    polls = Polls(raw=raw, router=router, duty=duty)
    polls.by_provider = {
        provider: {
            (poll.capability, poll.symbols[0]): cast(Any, poll) for poll in bars if poll.provider == provider
        }
        for provider in ("yahoo", "finnhub", "fred")
    }
    settings = SimpleNamespace(backfill=Backfill(longest_days=9))
    collector = SimpleNamespace(polls=polls, attempts=attempts, own=None, sweep=None, configuration=settings)
    return JobPolls(cast(Any, collector), queue_it, workers=2), duty


async def queue_it(job: Job, provider: str, settings: Backfill) -> Outcome:
    """Say for whom, and within which bounds."""
    return Outcome(status="queued", reason=f"{job.provider}>{provider} {settings.longest_days}")


def a_backfill(symbol: str, *, provider: str = "") -> Job:
    """Return a backfill of ten minutes."""
    return Job(
        version=1, job_id="job", type="backfill", source="t", created_time=WallTime(1), capability="bars:1m",
        symbols=(symbol,), start=MarketTime(0), end=MarketTime(600), provider=provider,
    )  # fmt: skip


async def polled(work: JobPolls, *symbols: str, slot: int = SLOT, provider: str = "") -> dict[str, Any]:
    found = await work.poll("bars:1m", symbols, slot, provider=provider, job_id="job")
    return {symbol: (outcome.status, outcome.events) for symbol, outcome in found.items()}


async def test_a_slot_is_polled_once_and_a_backlog_to_its_end() -> None:
    """A second job for the slot, and one for an earlier one, find it done."""
    near, far = _Bars("SPY"), _Bars("IBM", behind=2)
    work, _ = some_work(near, far)

    first = await polled(work, "SPY", "IBM")
    again = await polled(work, "SPY", "IBM")
    earlier = await polled(work, "SPY", slot=SLOT - 60)

    assert first == {"SPY": ("done", 2), "IBM": ("done", 6)}
    assert again == {"SPY": ("duplicate", 0), "IBM": ("duplicate", 0)}
    assert earlier == {"SPY": ("duplicate", 0)}
    assert (near.polled, far.polled) == (["job"], ["job"] * 3)


class _Series(_Bars):
    """A macro series, which its own source alone gives."""

    provider, capability, routed_as = "fred", "macro", "macro:fred"


class _Anew(_Series):
    """A macro series that notes what it is asked for anew."""

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol)
        self.starts: list[int] = []

    def ask_from(self, start: MarketTime) -> None:
        self.starts.append(start)


class _Actions(_Bars):
    """Actions of several symbols, asked for together."""

    capability = routed_as = "actions"

    def __init__(self, *symbols: str) -> None:
        super().__init__(symbols[0])
        self.symbols = symbols


async def test_entries_are_polled_for_a_job_by_their_symbols_and_series() -> None:
    """A series of its source, whoever serves anything else; what is not polled is refused."""
    series, actions = _Series("FRED:GDPC1"), _Actions("SPY", "IBM")
    work, duty = some_work(actions, series)
    duty.done("macro", ["FRED:GDPC1"], MarketTime(SLOT - 1))

    of_series = await work.poll(
        "macro", ["FRED:GDPC1", "FRED:DFF"], MarketTime(SLOT), provider="", job_id="job"
    )
    of_symbols = await work.poll("actions", ["IBM", "SPY"], MarketTime(SLOT), provider="yahoo", job_id="job")

    assert {name: outcome.status for name, outcome in of_series.items()} == {
        "FRED:GDPC1": "done", "FRED:DFF": "refused",
    }  # fmt: skip
    assert {name: outcome.status for name, outcome in of_symbols.items()} == {"SPY": "done", "IBM": "done"}
    assert (series.polled, actions.polled) == (["job"], ["job"])


async def test_a_series_is_asked_for_anew_where_a_job_says_so_and_its_slot_is_open() -> None:
    """A job for a slot that was polled asks for nothing, so it leaves no wish behind either."""
    series, bars = _Anew("FRED:GDPC1"), _Bars("SPY")
    work, _ = some_work(series, bars)

    for start, slot in ((0, SLOT), (1, SLOT + 1), (1, SLOT + 1)):
        await work.poll(
            "macro",
            ["FRED:GDPC1"],
            MarketTime(slot),
            provider="",
            job_id="job",
            start=MarketTime(start),
        )

    assert (series.polled, series.starts) == (["job", "job"], [1])


async def test_two_jobs_at_once_for_one_slot_are_one_poll() -> None:
    """The second waits for its turn and then finds nothing to do."""
    bars = _Bars("SPY")
    work, _ = some_work(bars)

    outcomes = await asyncio.gather(*(polled(work, "SPY") for _ in range(5)))

    assert sorted(outcome["SPY"][0] for outcome in outcomes) == ["done"] + ["duplicate"] * 4
    assert len(bars.polled) == 1


async def test_each_symbol_fails_alone_and_its_slot_stays_open() -> None:
    """Throttled with the wait it was told; unknown there and not collected are refused with the reason."""
    work, duty = some_work(
        _Bars("SPY"),
        _Bars("IBM", error=ProviderThrottled("yahoo", 42.0)),
        _Bars("GONE", error=UnknownSymbol("who is GONE?")),
    )

    found = await work.poll("bars:1m", ["SPY", "IBM", "GONE", "NEW"], SLOT, provider="", job_id="job")

    assert {symbol: outcome.status for symbol, outcome in found.items()} == {
        "SPY": "done", "IBM": "failed", "GONE": "refused", "NEW": "refused",
    }  # fmt: skip
    assert found["IBM"].retry_after_s == 42.0
    assert "not collected" in found["NEW"].reason or "are collected" in found["NEW"].reason
    assert duty.is_open("bars:1m", "IBM", SLOT)
    assert not duty.is_open("bars:1m", "SPY", SLOT)


async def test_a_provider_or_capability_nobody_collects_is_refused() -> None:
    """The reason names both; nothing is asked."""
    bars = _Bars("SPY")
    work, _ = some_work(bars)

    assert await polled(work, "SPY", provider="finnhub") == {"SPY": ("refused", 0)}
    other = await work.poll("bars:1d", ["SPY"], SLOT, provider="", job_id="job")
    assert other["SPY"].status == "refused"
    assert bars.polled == []


async def test_a_backfill_is_queued_for_whom_it_names_or_who_is_chosen_and_nobody_is_asked() -> None:
    """The schedule's next poll is not affected by it; what nobody collects is refused."""
    bars = _Bars("SPY")
    work, duty = some_work(bars)

    for provider in ("", "yahoo"):
        assert (await work.backfill(a_backfill("SPY", provider=provider))).reason == f"{provider}>yahoo 9"
    refused = [
        await work.backfill(a_backfill("SPY", provider="finnhub")),
        await work.backfill(a_backfill("NEW")),
    ]
    work._collector.configuration = None  # noqa: SLF001
    refused.append(await work.backfill(a_backfill("SPY")))

    assert [outcome.status for outcome in refused] == ["refused"] * 3
    assert "of NEW are collected from yahoo" in refused[1].reason
    assert bars.polled == []
    assert duty.is_open("bars:1m", "SPY", 0)


async def test_what_is_given_up_is_not_owned_while_its_polls_still_end_and_what_is_gained_not_before_it_is_collected() -> (
    None
):
    """Who works beside the polls sees a partition only while all of its symbols are collected."""
    work, _ = some_work()
    seen: list[frozenset[int]] = []

    async def own(partitions: frozenset[int], slots: object) -> None:
        seen.append(work.owned)

    work._collector.own = own  # type: ignore[method-assign]  # noqa: SLF001
    await work.own(frozenset({0, 1}), {})
    await work.own(frozenset({1, 2}), {})

    assert seen == [frozenset(), frozenset({1})]
    assert work.owned == {1, 2}
