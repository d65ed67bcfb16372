"""Faults on real processes, one after another, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import asyncpg
import psutil

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from schemas.calendar.sessions import calendar_of
from schemas.errors import MarketDataError
from schemas.intervals import EPOCH, MINUTE_US
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, RAW_TOPICS
from tests.support import ledger_answers, oracle
from tests.support.apparatus import Disk, Link, ShiftedClock
from tests.support.chaos_report import Struck, Verdict
from tests.support.eventually import eventually
from tests.support.expected_starts import expected_starts
from tests.support.faults import Fault
from tests.support.sink_records import publish
from tests.support.system import System
from tests.support.told_entries import told_block
from tests.support.watcher import Watcher

REVIVE_EVERY_S = 0.5
# Then nothing more is measured; a bound that is missed before is told with its number.
RECOVER_WITHIN_S = 240.0
STRIKE_WITHIN_S = 180.0  # its healing included
LOOK_EVERY_S = 0.25
PROBE_WITHIN_S = 5.0
SIMULATOR_WITHIN_S = 10.0
CONVERGE_WITHIN_S = 240.0  # of two busy cores; a quiet machine needs a tenth of it
CLIENT_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0
LOADED_WITHIN_S = 120.0  # the first time
HTTP_OK = 200
TELL_EVERY_S = 0.25
ASKED_OF_ENTRIES = (
    ("/stocks/SIM001/actions", {"knowledge": "known"}),
    ("/stocks/AAPL/actions", {"knowledge": "known", "revisions": "all"}),
    ("/factors/macro/FRED:UNRATE/history", {"knowledge": "known", "revisions": "all", "units": "chg"}),
    ("/factors/macro/UST:10Y/history", {"knowledge": "known"}),
    ("/options/SIM001/chain", {"limit": 1_000}),
)
BARS_OF = "yahoo"  # as WITH_ENTRIES has it
BARS_ASKED, GAPS_ASKED = "/stocks/SIM001/intraday", "/gaps"
REMEMBERED = {BARS_ASKED, GAPS_ASKED, *(path for path, _ in ASKED_OF_ENTRIES)}
SETTLE_S = (2.0, 5.0)
NEWEST_IN = {
    "v_quotes": 0,
    "v_trades": 0,
    "(SELECT symbol, event_time FROM v_bars UNION ALL SELECT symbol, event_time FROM v_bars_forming) AS b": MINUTE_US,
}
"""Where the newest record of each kind is stored, and how long before its end a record is stamped, µs."""

Check = Callable[["World"], Awaitable[bool]]


@dataclass
class World:
    """Everything a fault can strike, and what was observed meanwhile."""

    system: System
    broker: EmbeddedKafka
    server: EmbeddedPostgres
    dsn: str
    prefix: str
    watcher: Watcher
    random: random.Random
    symbols: Sequence[str] = ()
    broker_link: Link | None = None
    broker_disk: Disk | None = None
    database_link: Link | None = None
    database_disk: Disk | None = None
    clock: ShiftedClock | None = None
    # The bound of the fault that strikes: what must go on meanwhile does so within it, too.
    within_s: float = 0.0
    waiting: int = 0  # events appended while nobody took them
    poisoned: int = 0  # records no service wrote
    _teller: asyncio.Task[None] | None = None
    history: list[str] = field(default_factory=list)
    answers: list[tuple[str, dict[str, Any], tuple[Any, ...]]] = field(default_factory=list)

    async def revive_for_ever(self) -> None:
        """Restart what dies, as the supervisor does."""
        while True:
            for name in self.system.revive():
                self.history.append(f"{name} restarted")
            await asyncio.sleep(REVIVE_EVERY_S)

    async def tell_for_ever(self) -> None:
        """Tell of entries as producers would, over all faults, whether or not anybody is there to take it."""
        number, teller = 0, random.Random("entries")  # apart from what chooses the faults
        while True:
            *_, record = told_block(teller, self.prefix, number)
            with suppress(MarketDataError, TimeoutError):
                await publish(self.broker.bootstrap_servers, [record])
                number += 1
            await asyncio.sleep(TELL_EVERY_S)

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[None]:
        """Revive what dies and tell of entries inside; before, something of all that is remembered was answered."""
        await eventually(
            lambda: all(seen.records for seen in self.watcher.transcripts.values()), within_s=LOADED_WITHIN_S
        )
        reviver = asyncio.create_task(self.revive_for_ever())
        self._teller = asyncio.create_task(self.tell_for_ever())
        try:
            await eventually(self.remembers, within_s=LOADED_WITHIN_S, every_s=1.0)
            yield
        finally:
            self._teller.cancel()
            reviver.cancel()

    async def end_load(self) -> None:
        """Tell of no more entries, and let the market stand; what dies is revived for as long as it is looked at."""
        assert self._teller is not None
        assert not self._teller.done(), "nobody told of entries to the end"
        self._teller.cancel()
        await self._simulator("POST", "clock", {"pause": True})

    async def verdicts(self) -> AsyncIterator[Verdict]:
        """Check every promise, one after another; raises AssertionError with the first that is broken."""
        yield await self.converge()
        yield await self.check_client()
        yield await self.check_answers()
        yield await self.check_gaps()
        yield await self.check_minutes()

    async def strike(self, faults: Sequence[Fault]) -> None:
        """Apply the faults one after another, remembering answers given in between; the next waits for no recovery."""
        for fault in faults:
            self.history.append(fault.name)
            await fault.strike(self)
            await self._settle()

    async def strike_and_measure(self, faults: Sequence[Fault]) -> AsyncIterator[Struck]:
        """Apply the faults one after another, and yield of each how long after its healing all was as before."""
        for fault in faults:
            if reason := fault.unable(self):
                yield Struck(fault.name, skipped=reason)
                continue
            self.history.append(fault.name)
            self.within_s, saw, failed = fault.bound_s, "", ""
            try:
                async with asyncio.timeout(STRIKE_WITHIN_S):
                    saw = await fault.strike(self)
            except (AssertionError, TimeoutError) as error:
                failed = repr(error)  # healed all the same: what it did to others is measured
            since, healed_s = await self.market_time(), time.monotonic()
            await eventually(
                partial(self.recovered, since, fault.afterwards),
                within_s=max(RECOVER_WITHIN_S, fault.bound_s), every_s=LOOK_EVERY_S,
                what=f"recovery from: {fault.name}",
            )  # fmt: skip
            yield Struck(fault.name, saw, round(time.monotonic() - healed_s, 1), failed=failed)
            await self.remember()

    async def _settle(self) -> None:
        await asyncio.sleep(self.random.uniform(*SETTLE_S))
        await self.remember()

    async def market_time(self) -> int:
        """Return the market's time at the vendors, µs."""
        return int((await self._simulator("GET", "clock"))["market_time"])

    async def spoil(self, rules: list[dict[str, Any]]) -> None:
        """Let the vendors do what the rules say, and nothing else that is wrong."""
        await self._simulator("PUT", "scenario", {"rules": rules})

    async def trades_sent(self) -> int:
        """Return how many trades the vendors' socket has sent so far."""
        return sum((await self._simulator("GET", "stats"))["trades_sent"].values())

    async def spoiled(self) -> int:
        """Return how many answers of the vendors a rule has touched so far."""
        return sum((await self._simulator("GET", "stats"))["faults"].values())

    async def _simulator(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=SIMULATOR_WITHIN_S)
        url = f"{self.system.simulator_url}/simulator/{path}"
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, json=body) as answer,
        ):
            assert answer.status == HTTP_OK, await answer.text()
            document: dict[str, Any] = await answer.json()
            return document

    async def goes_on(self, within_s: float) -> None:
        """Wait until what the market does from now on has reached everybody; it must within so many seconds."""
        since = await self.market_time()
        await eventually(partial(self.recovered, since), within_s=within_s, every_s=LOOK_EVERY_S)

    async def recovered(self, since: int, afterwards: Check | None = None) -> bool:
        """Whether all processes say they are ready, and what the market did after `since` is stored and told.

        Stored: a quote, a trade and a bar of each symbol. Told: a record of each stream that the client has. Within a
        partition records keep their order, so that what was before is done, too.
        """
        try:
            for name in list(self.system.processes):
                assert await self.system.is_ready(name), f"{name} is not ready"
            for stream, seen in self.watcher.transcripts.items():
                newest = next(reversed(seen.records.values()), {"event_time": 0})["event_time"]
                assert newest >= since - MINUTE_US * stream.startswith("bars"), f"{stream} is behind"
            await self._is_stored(since)
            return afterwards is None or await afterwards(self)
        except (aiohttp.ClientError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise AssertionError(repr(error)) from error

    async def _is_stored(self, since: int) -> None:
        connection = await asyncpg.connect(self.dsn, timeout=PROBE_WITHIN_S, command_timeout=PROBE_WITHIN_S)
        try:
            for view, length_us in NEWEST_IN.items():
                statement = f"SELECT DISTINCT symbol FROM {view} WHERE event_time >= $1"  # noqa: S608
                rows = await connection.fetch(statement, EPOCH + timedelta(microseconds=since - length_us))
                missing = set(self.symbols) - {row["symbol"] for row in rows}
                assert not missing, f"nothing new in {view} of {sorted(missing)}"
        finally:
            await connection.close()

    async def remembers(self) -> bool:
        """Ask, and say whether everything that is asked for was ever answered."""
        await self.remember()
        return {path for path, _, _ in self.answers} >= REMEMBERED

    async def remember(self) -> None:
        """Ask for history as known now; the same question must have the same answer for ever."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            await self._remember_bars()
        for path, query in ASKED_OF_ENTRIES:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                await self._remember_entries(path, query)

    async def _remember_bars(self) -> None:
        path, query = BARS_ASKED, {"limit": 200}
        status, answer = await self.system.get(path, **query)
        if status != HTTP_OK or not answer["data"]:
            return
        # Without a start the range is the trading day, which may be another one by the end of the test.
        asked = {**query, "start": answer["data"][0]["event_time"], "as_of": answer["meta"]["as_of"]}
        status, answer = await self.system.get(path, **asked)
        if status == HTTP_OK:
            self.answers.append((path, asked, _said(answer)))
        asked = {"symbol": "SIM001", "as_of": asked["as_of"], "limit": 1000}
        status, answer = await self.system.get(GAPS_ASKED, **asked)
        if status == HTTP_OK:
            self.answers.append((GAPS_ASKED, asked, _said(answer)))

    async def _remember_entries(self, path: str, query: dict[str, Any]) -> None:
        status, answer = await self.system.get(path, **query)
        if status == HTTP_OK and answer["data"]:
            asked = {**query, "as_of": answer["meta"]["as_of"]}
            self.answers.append((path, asked, _said(answer)))

    async def converge(self) -> Verdict:
        """Wait until every surface agrees with the raw log; fail with what does not."""
        compared = 0
        for raw_topic in RAW_TOPICS:
            compared += await eventually(
                partial(self._agrees, raw_topic), within_s=CONVERGE_WITHIN_S, every_s=2.0, what=raw_topic
            )
        return Verdict("lost, twice or out of order in topics and database", compared)

    async def _agrees(self, raw_topic: str) -> int:
        """Return how many versions there are, and one."""
        bootstrap = self.broker.bootstrap_servers
        want = await asyncio.to_thread(oracle.expected, bootstrap, self.prefix, raw_topic)
        difference = await asyncio.to_thread(oracle.canonical_agrees, bootstrap, self.prefix, raw_topic, want)
        assert difference == "", (difference, self.history)
        difference = await oracle.database_agrees(
            self.dsn, raw_topic, want, lambda s: partition_of(s, DEFAULT_PARTITIONS)
        )
        assert difference == "", (difference, self.history)
        return 1 + sum(map(len, want.versions.values()))

    async def check_client(self) -> Verdict:
        """The client has every record since it subscribed, or was told that it has not.

        The last records may still be on their way to it when database and topics agree already.
        """
        for stream in self.watcher.transcripts:
            await eventually(
                partial(self._has_every_record, stream), within_s=CLIENT_WITHIN_S, every_s=1.0, what=stream
            )
        for stream, seen in self.watcher.transcripts.items():
            assert seen.breaks == [], (stream, seen.breaks, self.history)
            assert seen.order_kept, (stream, self.history)
        told = sum(len(seen.records) for seen in self.watcher.transcripts.values())
        return Verdict("missing at the client and not told of, or out of order there", told)

    async def _has_every_record(self, stream: str) -> bool:
        seen = self.watcher.transcripts[stream]
        if seen.losses_told or not seen.records:
            return True
        channel, _, symbol = stream.split(":")
        topic = "trades.v1" if channel == "trades" else "bars.v1"
        partition = partition_of(symbol, DEFAULT_PARTITIONS)
        records = await asyncio.to_thread(
            oracle.canonical, self.broker.bootstrap_servers, self.prefix, topic, partition
        )
        first = min(seen.records)
        wanted = {record["offset"] for record in records if record["symbol"] == symbol}
        missing = sorted({offset for offset in wanted if offset >= first} - set(seen.records))
        assert missing == [], (stream, missing[:5], len(missing), self.history)
        return True

    async def check_answers(self) -> Verdict:
        """What was answered for a point in time before the faults is answered now, its gaps included."""
        assert {path for path, _, _ in self.answers} >= REMEMBERED, "no answer was ever remembered"
        for path, query, said in self.answers:
            answer = await eventually(
                partial(self._answer, path, query),
                within_s=ANSWER_WITHIN_S,
                every_s=1.0,
                what=f"{path} {query}",
            )
            assert _said(answer) == said, (path, query, self.history)
        return Verdict("answers for a past moment that changed", len(self.answers))

    async def _answer(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        status, answer = await self.system.get(path, **query)
        assert status == HTTP_OK, (status, answer, query, self.history)
        return answer

    async def check_gaps(self) -> Verdict:
        """Evidence is stored once each, and gaps and absences are exactly those it proves, bar by bar."""
        evidence = await asyncio.to_thread(ledger_answers.told, self.broker.bootstrap_servers, self.prefix)

        async def agrees() -> bool:
            difference = await ledger_answers.evidence_agrees(self.dsn, evidence)
            difference = difference or await ledger_answers.gaps_agree(self.system, self.dsn, evidence)
            assert difference == "", (difference, self.history)
            return True

        await eventually(agrees, within_s=CONVERGE_WITHIN_S, every_s=1.0, what="the ledger")
        if "kill producers" in self.history:
            assert "producer_down" in await self.gap_causes(), self.history
        return Verdict(
            "evidence lost or twice, gaps told that it does not prove, or not told that it does",
            len(evidence),
        )

    async def check_minutes(self) -> Verdict:
        """Between the first and the last minute stored of a symbol, each is stored or within a gap that is told."""
        expected = 0
        for symbol in self.symbols:
            stored = await self._stored_minutes(symbol)
            wanted = list(expected_starts(calendar_of(symbol), "1m", min(stored), max(stored)))
            told = await self._told_gaps(symbol)
            unmarked = [
                start
                for start in wanted
                if start not in stored and not any(low <= start < high for low, high in told)
            ]
            assert unmarked == [], (symbol, unmarked[:5], len(unmarked), self.history)
            expected += len(wanted)
        return Verdict("minutes neither stored nor in a gap that is told", expected)

    async def _stored_minutes(self, symbol: str) -> set[int]:
        connection = await asyncpg.connect(self.dsn)
        try:
            rows = await connection.fetch(
                "SELECT event_time FROM v_bars WHERE symbol = $1 AND interval = '1m' AND provider = $2 AND final",
                symbol, BARS_OF,
            )  # fmt: skip
        finally:
            await connection.close()
        return {oracle.micros(row["event_time"]) for row in rows}

    async def _told_gaps(self, symbol: str) -> list[tuple[int, int]]:
        query: dict[str, Any] = {"symbol": symbol, "interval": "1m", "provider": BARS_OF, "limit": 1000}
        told = []
        while True:
            answer = await self._answer(GAPS_ASKED, query)
            told += [
                tuple(oracle.micros(datetime.fromisoformat(gap[name])) for name in ("from_time", "to_time"))
                for gap in answer["data"]
            ]
            if answer["next_page_token"] is None:
                return told
            query["page_token"] = answer["next_page_token"]

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of every live process, MB."""
        sizes: dict[str, float] = {}
        for name, process in self.system.processes.items():
            with suppress(psutil.NoSuchProcess):
                sizes[name] = round(psutil.Process(process.pid).memory_info().rss / 1e6)
        return sizes

    async def gap_causes(self) -> set[str]:
        """Return the causes in the gap ledger."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return {row["cause"] for row in await connection.fetch("SELECT DISTINCT cause FROM gaps")}
        finally:
            await connection.close()


def _said(answer: dict[str, Any]) -> tuple[Any, ...]:
    return answer["data"], answer["meta"].get("gaps"), answer["next_page_token"] is None
