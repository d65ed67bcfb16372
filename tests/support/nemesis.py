"""Faults on real processes, one after another, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import asyncpg
import psutil

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from schemas.errors import MarketDataError
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, RAW_TOPICS
from tests.support import ledger_answers, oracle
from tests.support.eventually import eventually
from tests.support.sink_records import publish
from tests.support.system import System
from tests.support.told_entries import told_block
from tests.support.watcher import Watcher

SESSION_TIMEOUT_S = 6
FREEZE_S = 9.0  # beyond the Kafka session
DATABASE_FREEZE_S = 15.0
DOWN_S = 1.5
REVIVE_EVERY_S = 0.5
CONVERGE_WITHIN_S = 240.0  # of two busy cores; a quiet machine needs a tenth of it
CLIENT_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0
HTTP_OK = 200
TELL_EVERY_S = 0.25
ASKED_OF_ENTRIES = (
    ("/stocks/SIM001/actions", {"knowledge": "known"}),
    ("/stocks/AAPL/actions", {"knowledge": "known", "revisions": "all"}),
    ("/factors/macro/FRED:UNRATE/history", {"knowledge": "known", "revisions": "all", "units": "chg"}),
    ("/factors/macro/UST:10Y/history", {"knowledge": "known"}),
    ("/options/SIM001/chain", {"limit": 1_000}),
)
BARS_ASKED, GAPS_ASKED = "/stocks/SIM001/intraday", "/gaps"
REMEMBERED = {BARS_ASKED, GAPS_ASKED, *(path for path, _ in ASKED_OF_ENTRIES)}
SETTLE_S = (2.0, 5.0)

PROCESSORS = ("stream_processors", "stream_processors#2")
SINKS = ("sinks", "sinks#2")


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

    async def kill(self, name: str) -> None:
        """Kill -9 a process; the reviver brings it back."""
        self.system.processes[name].kill()

    async def freeze(self, name: str) -> None:
        """Freeze a process beyond its Kafka session, then let it wake."""
        process = self.system.processes[name]
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(FREEZE_S)
        process.send_signal(signal.SIGCONT)

    async def kill_broker(self) -> None:
        """Kill -9 the broker, wait, start it on the same data."""
        self.broker.kill()
        await asyncio.sleep(DOWN_S)
        self.broker.start()
        await asyncio.to_thread(self.broker.wait_ready)

    async def kill_database(self) -> None:
        """Kill -9 the postmaster, wait, start it on the same data."""
        self.server.kill()
        await asyncio.sleep(DOWN_S)
        await asyncio.to_thread(_until_free, self.server)
        self.server.start()
        await asyncio.to_thread(self.server.wait_ready)

    async def freeze_database(self) -> None:
        """Freeze the postmaster and all its backends for 15 s."""
        assert self.server.pid is not None
        family = [psutil.Process(self.server.pid), *psutil.Process(self.server.pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        await asyncio.sleep(DATABASE_FREEZE_S)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def faults(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return every fault by name."""
        either = self.random.choice
        return {
            "kill producers": lambda: self.kill("producers"),
            "kill processor": lambda: self.kill(either(PROCESSORS)),
            "kill sink": lambda: self.kill(either(SINKS)),
            "kill gateway": lambda: self.kill("gateway"),
            "freeze producers": lambda: self.freeze("producers"),
            "freeze processor": lambda: self.freeze(either(PROCESSORS)),
            "freeze sink": lambda: self.freeze(either(SINKS)),
            "kill broker": self.kill_broker,
            "kill database": self.kill_database,
            "freeze database": self.freeze_database,
        }

    async def strike(self, names: list[str]) -> None:
        """Apply the named faults one after another, remembering answers given in between."""
        for name in names:
            self.history.append(name)
            await self.faults()[name]()
            await asyncio.sleep(self.random.uniform(*SETTLE_S))
            await self.remember()

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

    async def converge(self) -> None:
        """Stop the market and wait until every surface agrees with the raw log; fail with what does not."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{self.system.simulator_url}/simulator/clock", json={"pause": True}) as answer,
        ):
            assert answer.status == 200, await answer.text()
        for raw_topic in RAW_TOPICS:
            await eventually(
                partial(self._agrees, raw_topic), within_s=CONVERGE_WITHIN_S, every_s=2.0, what=raw_topic
            )

    async def _agrees(self, raw_topic: str) -> bool:
        bootstrap = self.broker.bootstrap_servers
        want = await asyncio.to_thread(oracle.expected, bootstrap, self.prefix, raw_topic)
        difference = await asyncio.to_thread(oracle.canonical_agrees, bootstrap, self.prefix, raw_topic, want)
        assert difference == "", (difference, self.history)
        difference = await oracle.database_agrees(
            self.dsn, raw_topic, want, lambda s: partition_of(s, DEFAULT_PARTITIONS)
        )
        assert difference == "", (difference, self.history)
        return True

    async def check_client(self) -> None:
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

    async def check_answers(self) -> None:
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

    async def _answer(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        status, answer = await self.system.get(path, **query)
        assert status == HTTP_OK, (status, answer, query, self.history)
        return answer

    async def check_gaps(self) -> None:
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


def _until_free(server: EmbeddedPostgres) -> None:
    # Backends outlive a killed postmaster for a moment and hold its shared memory.
    folder = str(server.home.postgres)
    for process in psutil.process_iter(["cmdline", "cwd"]):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.TimeoutExpired):
            if process.info["cwd"] == folder and process.pid != os.getpid():
                process.wait(10)
