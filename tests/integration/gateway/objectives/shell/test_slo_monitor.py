"""Objectives over a real broker, sink and database: what breaks trips its own objective and no other, and a holiday none.

The week of Thanksgiving 2013: Monday to Wednesday are ordinary days, Thursday is a holiday, Friday ends at 13:00.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from gateway.http.moments import aware
from gateway.objectives.objectives import NAMES
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.metrics import REGISTRY, WS_PUBLISH_LATENCY_MS
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US, micros
from schemas.records import Evidence
from schemas.streams import Bar
from tests.conftest import free_port
from tests.support.builders import a_bar, a_health, an_evidence
from tests.support.eventually import eventually
from tests.support.gateway_harness import publish
from tests.support.gateway_rest import Rest, rest
from tests.support.health_rows import store
from tests.support.sink_records import query, sink_process

WITHIN_S = 60.0
SYMBOLS = ("SPY", "QQQ")
FILE = "symbols: [{symbol: SPY, tier: T0}, QQQ]\nstreams: {bars: {provider: yahoo}}\n"
BAN = "UPDATE provider_budgets SET ban_count = $1, reason = 'status 403, a ban'"


def at(day: int, hour: int, minute: int = 0) -> EventTime:
    """Return a UTC time of November 2013; New York is five hours behind."""
    return EventTime(micros(datetime(2013, 11, day, hour, minute, tzinfo=UTC)))


def minutes(low: int, high: int) -> list[EventTime]:
    """Return the starts of the bars that should lie in [low, high)."""
    parts = [part for session in calendar_of("SPY").sessions(low, high) for part in session.parts]
    return [
        EventTime(start)
        for begin, end in parts
        for start in range(begin, end, MINUTE_US)
        if low <= start < high
    ]


def bars(low: int, high: int, *symbols: str, skip: Sequence[int] = (), **changes: Any) -> Iterator[Bar]:
    """Yield final bars, each known a second after its end."""
    for start in minutes(low, high):
        for symbol in symbols or SYMBOLS:
            if start not in skip:
                known = start + MINUTE_US + SECOND_US
                yield a_bar(
                    symbol=symbol, event_time=start, known_from=known, raw_offset=start // MINUTE_US % 1_000_000, **changes
                )  # fmt: skip


def told(kind: str, low: int, high: int | None, symbol: str, known: int, number: int) -> Evidence:
    """Return evidence of a symbol's minutes in [low, high)."""
    return an_evidence(
        kind=kind, stream=f"bars.1m:yahoo:{symbol}", symbol=symbol, from_time=low, to_time=high, known_from=known,
        raw_offset=2_000_000 + number, index=number, expected=0, cause="missing_bars" if kind == "absent" else "producer_down",
    )  # fmt: skip


@dataclass
class Watched:
    """A gateway whose objectives are looked at, on a log that a sink reads."""

    served: Rest
    publisher: Publisher
    prefix: str
    dsn: str
    stored: int = 0

    async def publish(self, *records: Bar | Evidence) -> None:
        """Publish records, and wait until all bars are stored."""
        await publish(self.publisher, self.prefix, records)
        self.stored += len([each for each in records if isinstance(each, Bar)])

        async def is_stored() -> bool:
            (row,) = await query(self.dsn, "SELECT count(*) FROM bars")
            return int(row[0]) == self.stored

        await eventually(is_stored, within_s=WITHIN_S, what=f"{self.stored} bars are stored")

    async def objectives(self, now: int | None = None) -> dict[str, dict[str, Any]]:
        """Return the objectives at a market time, read anew."""
        self.served.clock.now = self.served.clock.now if now is None else now
        await self.served.monitor.read(-1.0)
        answer = await self.served.get("/stats/slo")
        assert answer["meta"]["answered_by"] == "gateway-a"
        return {row["objective"]: row for row in answer["data"]}

    async def broken(self, now: int | None = None) -> set[str]:
        """Return the objectives that are not met."""
        return {name for name, row in (await self.objectives(now)).items() if row["state"] != "met"}

    async def counts(self, now: int | None = None) -> tuple[int, int, int]:
        """Return how many bars are missing, proved not to exist, and unconfirmed."""
        evidence = (await self.objectives(now))["gap_violations"]["evidence"]
        return evidence["missing"], evidence["confirmed_empty"], evidence["unconfirmed"]

    async def execute(self, statement: str, *values: Any) -> None:
        """Change the database as another process would."""
        await self.served.database.execute(statement, *values)


async def all_well(watched: Watched) -> None:
    """Let the other objectives have something to be met by: a provider that was asked, a job that ended, messages."""
    now = wall_us()
    await watched.execute(
        "INSERT INTO provider_budgets VALUES ('yahoo', '', $1, 5, '{5}', NULL, 0, '', $2)",
        aware(now).date(),
        aware(now),
    )
    await add_job(watched, "done", enqueued=now - HOUR_US, finished=now - HOUR_US + MINUTE_US)
    await watched.execute(
        "INSERT INTO slo_samples VALUES ('gateway-b', $1, 1000, 10, '{0, 990, 0, 0, 0, 0, 0, 0, 10}')",
        aware(now - MINUTE_US),
    )


async def add_job(watched: Watched, state: str, *, enqueued: int, finished: int | None = None) -> None:
    """Put a T0 job into the queue as it would stand there."""
    await watched.execute(
        "INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, source, state,"
        " enqueued_time, finished_time, attempts) VALUES ($1, 0, 'bars.1m:yahoo:IWM', 'yahoo', 'IWM', $2, $3, 'T0', 'gap', 0, 'sink',"
        " $4, $5, $6, $7)",
        f"job-{enqueued}", aware(enqueued), aware(enqueued + 1), state, aware(enqueued),
        None if finished is None else aware(finished), int(state != "queued"),
    )  # fmt: skip


@asynccontextmanager
async def watching(
    kafka_bootstrap: str, topic_prefix: str, database: str, folder: Path
) -> AsyncIterator[Watched]:
    """Run a sink and a gateway; three days are stored whole."""
    config = folder / "mds.yaml"
    config.write_text(FILE, "utf-8")
    publisher = Publisher(kafka_bootstrap, "test-canonical")
    with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):
        async with rest(database, config=config) as served:
            watched = Watched(served, publisher, topic_prefix, database)
            yield watched
    await asyncio.to_thread(publisher.close)


def shown(name: str, **labels: str) -> float | None:
    """Return a metric as it is scraped."""
    return REGISTRY.get_sample_value(name, labels)


async def test_a_broken_feed_trips_the_gap_objective_and_a_holiday_none(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """From nothing known, over a blind stretch and its healing, absences and their confirmation, to a feed that falls silent."""
    async with watching(kafka_bootstrap, topic_prefix, database, tmp_path) as watched:
        first = await watched.objectives(at(27, 22))
        assert {row["state"] for row in first.values()} == {"no_data"}
        assert list(first) == list(NAMES)
        assert shown("mds_slo_state", objective="gap_violations") == 3

        collected = [
            told("collected", at(25, 14, 30), None, each, at(25, 14, 30), n) for n, each in enumerate(SYMBOLS)
        ]
        absent = minutes(at(27, 16), at(27, 16, 12))
        await watched.publish(
            *collected, *bars(at(25, 14), at(27, 21), skip=[*minutes(at(26, 15), at(26, 15, 30)), *absent])
        )
        await all_well(watched)
        # the sink is told of nothing that is missing yet: bars that no evidence speaks of are taken for stored
        assert await watched.broken(at(27, 20, 59)) == set()

        # nobody watched for half an hour
        blind = [
            told("blind", at(26, 15), at(26, 15, 30), each, at(26, 16), 10 + n)
            for n, each in enumerate(SYMBOLS)
        ]
        await watched.publish(*blind)
        await eventually_missing(watched, 60)
        assert await watched.broken() == {"gap_violations"}
        row = (await watched.objectives())["gap_violations"]
        assert (row["state"], row["value"]) == ("violated", pytest.approx(60 / row["evidence"]["expected"]))
        assert [each["causes"] for each in row["evidence"]["worst"]] == [["producer_down"]] * 2
        gaps = await watched.served.get(row["evidence"]["worst"][0]["gaps"])
        # beside it are the bars that no signal has told of yet
        proven = [each for each in gaps["data"] if each["confidence"] == "proven"]
        assert [(each["from_time"], each["state"]) for each in proven] == [
            ("2013-11-26T15:00:00.000000Z", "open")
        ]
        assert shown("slo_gap_violation_rate", tier="T0", interval="1m") == pytest.approx(
            30 / (row["evidence"]["expected"] / 2)
        )
        assert shown("mds_slo_state", objective="gap_violations") == 2

        # it is fetched again
        await watched.publish(*bars(at(26, 15), at(26, 15, 30), route="backfill"))
        await eventually_missing(watched, 0)
        assert await watched.broken() == set()

        # bars that did not come though watched wait for their confirmation, and not for ever
        signals = [
            told("absent", at(27, 16), at(27, 16, 12), each, at(27, 16, 13), 20 + n)
            for n, each in enumerate(SYMBOLS)
        ]
        await watched.publish(*signals)

        async def are_absent() -> bool:
            return await watched.counts() == (0, 0, 24)

        await eventually(are_absent, within_s=WITHIN_S, what="the bits are set")
        assert await watched.broken() == set()
        assert await watched.counts(at(28, 2, 0)) == (24, 0, 0)
        assert await watched.broken() == {"gap_violations"}
        empty = [
            told("empty", at(27, 16), at(27, 16, 12), each, at(28, 1), 30 + n)
            for n, each in enumerate(SYMBOLS)
        ]
        await watched.publish(*empty)

        async def are_empty() -> bool:
            return await watched.counts() == (0, 24, 0)

        await eventually(are_empty, within_s=WITHIN_S, what="they are proved not to exist")

        # a holiday, the morning after it before anything is overdue, and a slow feed trip nothing
        for now in (at(28, 15), at(28, 23), at(29, 14, 45)):
            assert await watched.broken(now) == set()
        await watched.publish(*bars(at(29, 14, 30), at(29, 16, 0)))
        assert await watched.broken(at(29, 16, 15)) == set()
        # and one that fell silent does
        assert await watched.broken(at(29, 16, 25)) == {"gap_violations"}
        row = (await watched.objectives())["gap_violations"]
        assert {each["causes"][0] for each in row["evidence"]["worst"]} == {"silent"}
        assert row["alerts"] != []
        assert shown("mds_slo_alert", objective="gap_violations", long="1h", short="5m") == 1
        # until it has caught up; the half day ends at 18:00, and then comes a weekend
        await watched.publish(*bars(at(29, 16, 0), at(29, 18, 0)))
        for now in (at(29, 18, 5), at(30, 15)):
            assert await watched.broken(now) == set()
        expected = (await watched.objectives())["gap_violations"]["evidence"]["expected"]
        assert expected == 2 * (390 + 390 + 210)


async def eventually_missing(watched: Watched, count: int) -> None:
    """Wait until so many bars are missing."""

    async def is_so() -> bool:
        return (await watched.counts())[0] == count

    await eventually(is_so, within_s=WITHIN_S, what=f"{count} bars are missing")


@asynccontextmanager
async def well(database: str, folder: Path) -> AsyncIterator[Watched]:
    """A gateway whose objectives are all met, without a sink."""
    config = folder / "mds.yaml"
    config.write_text(FILE, "utf-8")
    async with rest(database, config=config) as served:
        watched = Watched(served, None, "", database)  # type: ignore[arg-type]
        await served.store(*bars(at(25, 14), at(27, 21)))
        await all_well(watched)
        yield watched


async def test_bans_late_jobs_slow_messages_and_symbols_trip_their_own(database: str, tmp_path: Path) -> None:
    """One after the other, and each is met again once it is over; without a sink."""
    async with well(database, tmp_path) as watched:
        now = at(27, 21, 5)
        assert await watched.broken(now) == set()

        await watched.execute(BAN, 2)
        assert await watched.broken() == {"hard_bans"}
        ban = (await watched.objectives())["hard_bans"]
        assert (ban["value"], ban["reason"]) == (2, "banned by yahoo")
        await watched.execute(BAN, 0)

        enqueued = wall_us() - 20 * MINUTE_US
        await add_job(watched, "queued", enqueued=enqueued)
        assert await watched.broken() == {"backfill_drain"}
        late = (await watched.objectives())["backfill_drain"]["evidence"]
        assert (late["waiting_late"], late["late_jobs"]) == (1, [f"/ops/backfill/job-{enqueued}"])
        assert late["oldest_wait_s"] >= 1_200
        # while its provider could not be asked the queue is not to blame
        unwell = a_health(
            capability="bars:1m", provider="yahoo", usable=False, observed_time=wall_us() - 10 * MINUTE_US,
            chosen_since=wall_us() - DAY_US,
        )  # fmt: skip
        await store(database, unwell)
        assert await watched.broken() == set()
        assert (await watched.objectives())["backfill_drain"]["evidence"]["waiting_held"] == 1

        # this gateway's own messages, a few of them slow
        for _ in range(40):
            WS_PUBLISH_LATENCY_MS.observe(300.0)
        assert await watched.broken() == {"publish_latency"}
        slow = (await watched.objectives())["publish_latency"]
        assert slow["evidence"]["gateways"]["gateway-b"] == {"messages": 1_000, "slow": 10}
        assert slow["evidence"]["gateways"]["gateway-a"]["slow"] == 40
        assert slow["value"] == 500.0
        await watched.execute("DELETE FROM slo_samples WHERE source = 'gateway-a'")

        # three trading days after its last value a symbol is covered no more
        await watched.execute("UPDATE streams SET last_seen = $1 WHERE symbol = 'QQQ'", aware(at(22, 20)))
        assert await watched.broken() == {"coverage"}
        row = (await watched.objectives())["coverage"]
        assert (row["value"], row["target"], row["evidence"]["uncovered"]) == (1, 2, ["QQQ"])
        assert (row["evidence"]["collected"], row["evidence"]["is_whole_target"]) == (2, False)


async def test_what_a_clock_put_into_the_future_trips_nothing(database: str, tmp_path: Path) -> None:
    """Messages, jobs and bans of a machine that was ahead: once its clock is right they are in no window, nor kept for ever."""
    async with well(database, tmp_path) as watched:
        served = watched.served
        served.clock.now = at(27, 21, 5)
        before = await watched.objectives()
        assert {row["state"] for row in before.values()} == {"met"}

        ahead = wall_us() + 300 * DAY_US
        for moment in (wall_us() + HOUR_US, ahead):
            await watched.execute(
                "INSERT INTO slo_samples VALUES ('gateway-c', $1, 500, 500, '{0, 0, 0, 0, 0, 0, 0, 0, 500}')",
                aware(moment),
            )
        await add_job(watched, "done", enqueued=ahead - 10 * HOUR_US, finished=ahead)
        await watched.execute(
            "INSERT INTO provider_budgets VALUES ('polygon', '', $1, 5, '{5}', NULL, 7, 'a ban', $2)",
            aware(ahead).date(),
            aware(ahead),
        )
        after = await watched.objectives()

        assert {name: (row["value"], row["windows"]) for name, row in after.items()} == {
            name: (row["value"], row["windows"]) for name, row in before.items()
        }
    # who tidies up next takes what no clock will catch up with
    async with rest(database, config=tmp_path / "mds.yaml") as served:
        await served.monitor.read(-1.0)
        kept = await query(
            database, "SELECT observed_time < $1 FROM slo_samples WHERE source = 'gateway-c'", aware(ahead)
        )
        assert [row[0] for row in kept] == [True]


async def test_what_is_shown_does_not_outlive_its_reading(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that cannot read shows nothing rather than what was; and reads anew by itself."""
    config, group = tmp_path / "mds.yaml", {"tier": "T0", "interval": "1m"}
    config.write_text(FILE, "utf-8")
    async with rest(database, config=config) as served:
        await served.store(*bars(at(27, 14), at(27, 21)))
        served.clock.now = at(27, 21)
        await served.monitor.read(0.0)
        assert shown("slo_gap_violation_rate", **group) == 0.0
        later = wall_us() + 200 * SECOND_US
        monkeypatch.setattr("gateway.objectives.shell.slo_monitor.wall_us", lambda: later)
        stale = shown("slo_gap_violation_rate", **group)

        assert stale is not None
        assert isnan(stale)
        # a reading of before is not given to who asks now
        await served.monitor.read(15.0)
        assert shown("slo_gap_violation_rate", **group) == 0.0


async def test_readings_are_shared_and_samples_are_kept_for_days(database: str) -> None:
    """Who asks at once gets one reading; what is four days old goes; what this gateway counted is added once."""
    async with rest(database) as served:
        old, kept = aware(wall_us() - 5 * DAY_US), aware(wall_us() - 3 * DAY_US)
        for moment in (old, kept):
            await served.database.execute(
                "INSERT INTO slo_samples VALUES ('gateway-c', $1, 1, 0, '{1}')", moment
            )
        readings = await asyncio.gather(*(served.monitor.read(30.0) for _ in range(20)))
        assert len({id(reading) for reading, _ in readings}) == 1
        WS_PUBLISH_LATENCY_MS.observe(1.0)
        for _ in range(3):
            await served.monitor.read(-1.0)
        rows = await served.database.fetch(
            "SELECT source, observed_time, total FROM slo_samples ORDER BY observed_time"
        )

    assert [(row["source"], row["observed_time"]) for row in rows if row["source"] == "gateway-c"] == [
        ("gateway-c", kept)
    ]
    assert rows[-1]["total"] == 1


async def test_a_database_that_takes_no_samples_still_answers(database: str) -> None:
    """What could not be kept is with the next sample."""
    async with rest(database) as served:
        await served.database.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$"
        )
        await served.database.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON slo_samples EXECUTE FUNCTION refuse()"
        )
        WS_PUBLISH_LATENCY_MS.observe(1.0)
        answer = await served.get("/stats/slo")
        assert len(answer["data"]) == 5
        await served.database.execute("DROP TRIGGER refuse ON slo_samples")
        await served.monitor.read(-1.0)
        (row,) = await served.database.fetch("SELECT total FROM slo_samples")
        assert row["total"] == 1


async def test_a_gateway_outlives_a_database_that_was_not_migrated(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and goes on: everything else is served."""
    async with rest(database) as served:
        await served.database.execute("DROP TABLE slo_samples")
        running = asyncio.create_task(served.monitor.run())
        await eventually(lambda: "objectives_not_read" in caplog.messages, within_s=WITHIN_S)
        assert not running.done()
        running.cancel()
