"""Volatilities of past sessions out of a real database: those that answers as of their moments say, whatever is told later, read once and in few steps."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import pytest

from analytics.chain_metrics import volatility_rank
from gateway.database import option_statements
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.http.moments import rfc3339
from gateway.options.history import past_moments
from gateway.options.shell import past_vols
from gateway.options.shell.model_queue import ModelQueue
from gateway.options.shell.past_vols import HistoryAsked, PastVols
from infra.runtime.clock import WallMarketClock
from infra.runtime.postgres import pool as postgres
from schemas.calendar.sessions import calendar_of
from schemas.chain_slices import ChainSlice
from schemas.clocks import KnowledgeTime
from schemas.errors import StoreUnavailable
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.topics import DEFAULT_PARTITIONS
from tests.support.builders import a_quote
from tests.support.gateway_rest import Rest, rest
from tests.support.sink_writers import store
from tests.support.told_chains import OPENED_US, a_chain_slice, a_dividend, quoted_legs, yields

METRICS = "/options/ACME/metrics"
CALENDAR = calendar_of("ACME")
TODAY = date(2015, 12, 30)
MOMENTS = past_moments(CALENDAR, TODAY, KnowledgeTime(2**62), count=9)  # Christmas Eve, a half day, is one
NEAR, FAR, LAST = date(2016, 1, 8), date(2016, 2, 19), date(2016, 4, 15)
MANY = [80.0 + 2.0 * number for number in range(21)]
BELIEVED = ("yahoo",)


class CountedSnapshots(Snapshots):
    """Snapshots that note each statement with how many rows it gave."""

    def __init__(self, pool: Any) -> None:
        """Note nothing yet."""
        super().__init__(pool, concurrent=2)
        self.asked: list[tuple[str, int]] = []
        self.left = 1_000

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Lend one that notes."""
        async with super().snapshot() as taken:
            plain = taken.fetch

            self.left -= 1
            if self.left < 0:
                raise StoreUnavailable("the database is away; come again")

            async def noted(statement: str, *values: Any) -> Any:
                rows = await plain(statement, *values)
                self.asked.append((statement, len(rows)))
                return rows

            taken.fetch = noted  # type: ignore[method-assign,assignment]
            yield taken


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a history however busy the machine is: what is not made in time is another test's."""
    monkeypatch.setattr(past_vols.PastVols.before, "__kwdefaults__", {"within_s": 60.0})


@pytest.fixture
async def counted(database: str) -> AsyncIterator[CountedSnapshots]:
    """Snapshots of the database."""
    async with postgres.pool(database, service="test", size=4) as pool:
        yield CountedSnapshots(pool)


def past(counted: CountedSnapshots) -> PastVols:
    """Return what has read nothing yet."""
    return PastVols(counted, DEFAULT_PARTITIONS, ModelQueue())


def asked(sessions: int = len(MOMENTS), **said: Any) -> HistoryAsked:
    """Return a question about the sessions before the thirtieth."""
    fields: dict[str, Any] = {
        "symbol": "ACME", "provider": None, "believed": BELIEVED, "today": TODAY, "sessions": sessions,
        "as_of": KnowledgeTime(MOMENTS[-1] + HOUR_US),
    }  # fmt: skip
    return HistoryAsked(**(fields | said))


def hours(moment: int) -> float:
    """Return the hour of our log that a moment is."""
    return (moment - OPENED_US) / HOUR_US


def told(
    moment: int,
    place: int,
    expiry: date,
    *,
    before_s: float = 1_900.0,
    strikes: Sequence[float] = MANY,
    dearer: float = 0.0,
    **said: Any,
) -> ChainSlice:
    """Return a slice that became known so long before a session's moment, its stamps a minute older: the default is 100 s before the close."""
    legs = said["legs"] if "legs" in said else quoted_legs(expiry, dearer=dearer, strikes=strikes)
    return a_chain_slice(hours(moment) - before_s / 3600, place, expiry, **said | {"legs": legs})


def a_story() -> list[Any]:
    """Return what was told over nine sessions: each of another kind, and none of the last but one."""
    lacking = {"underlying_bid": None, "underlying_ask": None, "underlying_time": None}
    found: list[Any] = [*yields(0.5, 1, 1.0, date(2015, 12, 11)), a_dividend(0.5, 4, 0.9)]
    for number, moment in enumerate(MOMENTS):
        place, dearer = 100 * (number + 1), 0.07 * number
        if number == 7:
            continue
        chain = [told(moment, place + at, day, dearer=dearer) for at, day in enumerate((NEAR, FAR, LAST))]
        early = [told(moment, place + 10, NEAR, dearer=3.0, before_s=9_000.0)]
        found += chain + early
        if number == 1:
            # told again after the close, with the same stamps and other prices
            found.append(
                told(moment, place + 11, NEAR, dearer=0.4, before_s=60.0, event_time=chain[0].event_time)
            )
        if number == 2:
            found += [
                told(moment, place + 11 + at, day, dearer=0.9, before_s=1_850.0, provider="yahoo")
                for at, day in enumerate((NEAR, FAR))
            ]
        if number == 3:
            adjusted = told(moment, place + 11, date(2016, 1, 15), root="ACME1", is_adjusted=True)
            found += [
                adjusted,
                told(
                    moment, place + 12, FAR, dearer=2.0, before_s=1_800.0, route="shadow", provider="alpaca"
                ),
            ]
        if number == 4:
            # the nearest has quotes on one side alone, and its part is not enough
            bare = [
                leg
                if leg.right == "C"
                else type(leg)(**{name: getattr(leg, name) for name in ("strike", "right")})
                for leg in chain[1].legs
            ]
            found[found.index(chain[1])] = told(moment, place + 1, FAR, legs=bare)
            found += [
                *yields(hours(moment) - 1, place + 20, 4.0, date(2015, 12, 17)),
                a_dividend(hours(moment) - 2, place + 23, 1.7),
            ]
        if number == 5:
            quote = a_quote(
                symbol="ACME", bid=100.49, ask=100.51, raw_offset=place + 30, index=0, event_time=chain[0].event_time,
                known_from=chain[0].known_from - SECOND_US, received_time=chain[0].known_from - SECOND_US,
            )  # fmt: skip
            found = [each for each in found if each not in chain] + [quote]
            found += [told(moment, place + at, day, **lacking) for at, day in enumerate((NEAR, FAR, LAST))]
        if number == 6:
            # none of its near contracts has a quote: the other root's is farther from thirty days
            nothing = [type(leg)(strike=leg.strike, right=leg.right) for leg in chain[0].legs]
            found[found.index(chain[0])] = told(moment, place, NEAR, legs=nothing)
            found.append(told(moment, place + 11, date(2015, 12, 31), dearer=0.2))
            found.append(a_dividend(hours(moment) - 1.0, place + 23, 1.7, state="cancelled"))
    return sorted(found, key=lambda each: each.known_from)


def later() -> list[Any]:
    """Return what was told after the moments of sessions it is about: slices, a dividend and yields of before."""
    found: list[Any] = []
    for number, moment in enumerate(MOMENTS):
        place = 5_000 + 100 * number
        found += [
            told(moment, place + at, day, dearer=7.0, before_s=-60.0 * (1 + at))
            for at, day in enumerate((NEAR, FAR))
        ]
        # stamped before the close, known a second too late
        found.append(
            told(moment, place + 3, NEAR, dearer=5.0, before_s=-1.0, event_time=moment - 32 * MINUTE_US)
        )
    found += [
        a_dividend(hours(MOMENTS[-1]) + 1, 7_000, 9.0),
        *yields(hours(MOMENTS[-1]) + 1, 7_001, 9.0, date(2015, 12, 11)),
    ]
    return sorted(found, key=lambda each: each.known_from)


async def answered(gateway: Rest, moments: Sequence[int] = MOMENTS, **query: str) -> list[float | None]:
    """Return the iv30 of each moment's own answer."""
    return [(await gateway.get(METRICS, as_of=rfc3339(each), **query))["data"]["iv30"] for each in moments]


def as_told(volatilities: Sequence[float]) -> list[float | None]:
    """Return volatilities as answers say them."""
    return [None if math.isnan(each) else each for each in volatilities]


async def test_each_session_has_the_volatility_of_the_answer_as_of_its_moment(
    database: str, counted: CountedSnapshots
) -> None:
    """To the last bit: by late slices, other providers, adjusted roots, dividends told and taken back, quotes that stand in, half days."""
    await store(database, a_story())
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.complete_before(MOMENTS[-1] + 2 * HOUR_US)
        for provider in (None, "polygon", "yahoo", "alpaca"):
            query = {} if provider is None else {"provider": provider}
            wanted = await answered(gateway, **query)
            found = await past(counted).before(asked(provider=provider))
            assert found.is_complete
            assert as_told(found.volatilities) == wanted, provider
            if provider is None:
                known = [each for each in wanted if each is not None]
                assert len(set(known)) == len(known) == len(MOMENTS) - 1
            here = await gateway.get(METRICS, history="5", **query)
            assert here["data"]["history_days"] == len([each for each in wanted[-6:-1] if each is not None])


async def test_what_is_told_later_changes_no_past_session(database: str, counted: CountedSnapshots) -> None:
    """Whoever asked before it came, and whoever asks only then; the answers as of the moments stay as well."""
    kept = past(counted)
    await store(database, a_story())
    before = (await kept.before(asked())).volatilities
    await store(database, later())
    after = asked(as_of=KnowledgeTime(MOMENTS[-1] + 3 * HOUR_US))
    again, anew = await kept.before(after), await past(counted).before(after)
    assert as_told(again.volatilities) == as_told(anew.volatilities) == as_told(before)
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.complete_before(after.as_of + 1)
        assert await answered(gateway) == as_told(before)


async def test_a_second_question_reads_no_past_session(database: str, counted: CountedSnapshots) -> None:
    """Nor does one about fewer; another's order of sources, another provider or a longer history are other questions."""
    await store(database, a_story())
    kept = past(counted)
    first = await kept.before(asked())
    assert counted.asked
    for sessions in (len(MOMENTS), 4):
        counted.asked.clear()
        found = await kept.before(asked(sessions))
        assert as_told(found.volatilities) == as_told(first.volatilities[-sessions:])
        assert counted.asked == []
    await kept.before(asked(len(MOMENTS) + 1))
    assert sum(rows for text, rows in counted.asked if text == option_statements.QUOTES_OF_SLICES_AT) == 0
    for other in (asked(provider="yahoo"), asked(believed=("polygon", "yahoo"))):
        counted.asked.clear()
        await kept.before(other)
        assert counted.asked


def a_year(sessions: int) -> list[ChainSlice]:
    """Return two slices about thirty days of each of so many sessions, of few strikes."""
    found: list[ChainSlice] = []
    for number, moment in enumerate(past_moments(CALENDAR, TODAY, KnowledgeTime(2**62), count=sessions)):
        day = CALENDAR.date_of(moment)
        for at, days in enumerate((20, 40)):
            expiry = day + timedelta(days=days)
            legs = quoted_legs(date(2015, 12, 14) + timedelta(days=days), dearer=0.5 + 0.4 * math.sin(number))
            found.append(told(moment, 10 * number + at, expiry, legs=legs))
    return found


async def test_work_grows_with_sessions_and_statements_with_months(
    database: str, counted: CountedSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twice as many sessions twice as many slices are read and priced, and never one alone."""
    await store(database, a_year(240))
    priced: list[int] = []
    plain = past_vols.past_smiles

    def noted(symbol: str, slices: Any, *given: Any, **named: Any) -> Any:
        priced.append(len(slices))
        return plain(symbol, slices, *given, **named)

    monkeypatch.setattr(past_vols, "past_smiles", noted)
    work = []
    for sessions in (60, 120, 240):
        counted.asked.clear()
        priced.clear()
        found = await past(counted).before(asked(sessions))
        assert len(found.volatilities) == sessions
        rows = [rows for text, rows in counted.asked if text == option_statements.QUOTES_OF_SLICES_AT]
        work.append((sum(rows), sum(priced), len(counted.asked), max(priced)))
    read, made, statements, portions = zip(*work, strict=True)
    assert read == made == (120, 240, 480)
    # two of all, and two a month
    assert all(
        count <= 2 + 2 * (sessions / 19 + 2)
        for count, sessions in zip(statements, (60, 120, 240), strict=True)
    )
    assert max(portions) <= past_vols.SLICES_AT_ONCE


async def test_a_year_of_sessions_ranks_todays_volatility(database: str, counted: CountedSnapshots) -> None:
    """Among those of the sessions, as answers said them; of one fewer it does not."""
    await store(database, a_year(252))
    today = past_moments(CALENDAR, TODAY + timedelta(days=1), KnowledgeTime(2**62), count=1)[0]
    legs = [quoted_legs(date(2015, 12, 14) + timedelta(days=days), dearer=0.6) for days in (20, 40)]
    await store(
        database,
        [
            told(today, 9_000 + days, TODAY + timedelta(days=days), legs=some)
            for days, some in zip((20, 40), legs, strict=True)
        ],
    )
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.complete_before(today + 1)
        whole = await gateway.get(METRICS, history="252")
        less = await gateway.get(METRICS, history="251")
        none = await gateway.get(METRICS)
        some = past_moments(CALENDAR, TODAY, KnowledgeTime(2**62), count=252)[::50]
        sample = await answered(gateway, some)
    history = (await past(counted).before(asked(252))).volatilities
    assert sample == list(history[::50])
    now = whole["data"]["iv30"]
    assert min(history) < now < max(history)
    assert whole["data"]["iv_rank"] == pytest.approx(
        (now - min(history)) / (max(history) - min(history)), rel=1e-11
    )
    assert whole["data"]["iv_percentile"] == pytest.approx(
        sum(each < now for each in history) / 252, rel=1e-11
    )
    assert (whole["data"]["history_days"], whole["meta"]["history"]) == (252, "complete")
    assert (less["data"]["iv_rank"], less["data"]["history_days"]) == (None, 251)
    assert (none["data"]["iv_rank"], none["data"]["history_days"], none["meta"]["history"]) == (
        None,
        0,
        "none",
    )
    assert none["data"]["iv30"] == less["data"]["iv30"] == now


@pytest.mark.parametrize(("missed", "days"), [(3, 252), (21, 252), (22, 251)])
async def test_a_missed_close_costs_no_rank(
    database: str, counted: CountedSnapshots, missed: int, days: int
) -> None:
    """The sessions of a month before the year take the places of those without a volatility; of fewer than a year they do not."""
    year = a_year(273)
    moments = past_moments(CALENDAR, TODAY, KnowledgeTime(2**62), count=273)
    # of each session one slice about thirty days is not there
    without = {id(year[2 * (40 + 3 * number)]) for number in range(missed)}
    await store(database, [each for each in year if id(each) not in without])
    found = (await past(counted).before(asked(252))).volatilities
    told_days = [each for each in found if math.isfinite(each)]
    assert len(found) == 273
    assert min(len(told_days), 252) == days
    assert volatility_rank(told_days, 0.3).history_days == days
    few = (await past(counted).before(asked(251))).volatilities
    assert as_told(few) == as_told(found[-251:])
    assert len(moments) == 273


async def test_what_is_not_made_in_time_is_said_and_made_the_next_time(
    database: str, counted: CountedSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer comes without it, and is not kept."""
    await store(database, a_story())
    kept = past(counted)
    found = await kept.before(asked(), within_s=0.0)
    assert (found.volatilities, found.is_complete) == ([], False)
    monkeypatch.setattr(past_vols.PastVols.before, "__kwdefaults__", {"within_s": 0.0})
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.complete_before(MOMENTS[-1] + 1)
        late = await gateway.get(METRICS, history="5")
        assert (late["meta"]["history"], late["data"]["iv_rank"]) == ("partial", None)
        assert late["data"]["iv30"] is not None
        monkeypatch.setattr(past_vols.PastVols.before, "__kwdefaults__", {"within_s": 60.0})
        again = await gateway.get(METRICS, history="5")
    assert (again["meta"]["history"], again["data"]["history_days"]) == ("complete", 4)


async def test_what_was_made_before_the_database_went_away_is_kept(
    database: str, counted: CountedSnapshots
) -> None:
    """The newest months come first; the next question reads the others alone."""
    await store(database, a_year(60))
    kept = past(counted)
    # what lies beside all, then places and slices of a month
    counted.left = 3
    some = await kept.before(asked(60))
    assert not some.is_complete
    assert 0 < len(some.volatilities) < 60
    counted.asked.clear()
    counted.left = 1_000
    whole = await kept.before(asked(60))
    assert whole.is_complete
    assert whole.volatilities[60 - len(some.volatilities) :] == some.volatilities
    read = [rows for text, rows in counted.asked if text == option_statements.QUOTES_OF_SLICES_AT]
    assert sum(read) == 2 * (60 - len(some.volatilities))


async def test_questions_at_once_make_a_history_once(database: str, counted: CountedSnapshots) -> None:
    """Whoever comes second finds it made."""
    await store(database, a_story())
    kept = past(counted)
    first, second = await asyncio.gather(kept.before(asked()), kept.before(asked()))
    assert as_told(first.volatilities) == as_told(second.volatilities)
    texts = [text for text, _ in counted.asked]
    assert texts.count(option_statements.YIELDS) == 1


async def test_a_simulated_market_has_no_history(database: str) -> None:
    """The close of its sessions is no moment at which anything became known; nor is there one before the first slice."""
    await store(database, a_story())
    async with rest(database) as gateway:
        await gateway.complete_before(MOMENTS[-1] + 1)
        found = await gateway.get(METRICS, history="252")
    assert found["data"]["iv30"] is not None
    assert (found["meta"]["history"], found["data"]["history_days"]) == ("none", 0)
    async with rest(database, market=WallMarketClock()) as gateway:
        early = await gateway.get(METRICS, history="252", as_of=rfc3339(KnowledgeTime(OPENED_US)))
    assert (early["meta"]["history"], early["data"]["history_days"]) == ("none", 0)


async def test_a_history_is_of_a_number_of_sessions(database: str) -> None:
    """What is none is named."""
    async with rest(database, market=WallMarketClock()) as gateway:
        for wrong in ("253", "-1", "year"):
            status, _, body = await gateway.ask("GET", METRICS, params={"history": wrong})
            assert status == 422
            assert [(each["param"], each["code"]) for each in body["errors"]] == [("history", "out_of_range")]
