"""The alerts that need hours of a market, a full disk or a wrong clock, each provoked on the system as it runs; in `make soak`.

What takes hours is made to pass: the market runs at sixty times its speed, clocks are set forward, waits of jobs are cut.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest
import yaml

from infra.runtime.kafka.topics import ensure_topics
from tests.conftest import free_port
from tests.support.alert_rules import ROOT, RUNBOOKS
from tests.support.apparatus import CLOCK_HOOK, ShiftedClock
from tests.support.databases import make
from tests.support.eventually import eventually
from tests.support.monitored import (
    Fault,
    Monitored,
    at_once,
    begun,
    is_told,
    simulator,
    spoil,
    under_prometheus,
)
from tests.support.plugin_packages import ACME, install
from tests.support.prometheus import programs
from tests.support.system import READY_WITHIN_S, System, system

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(0)]

PREFIX = "seldom."
SYMBOLS = [f"SIM{number:03d}" for number in range(1, 4)]
NOT_GIVEN = "SIM002"  # whose past a vendor does not give
CAPS = {"T0": 20, "T1": 1, "T2": 1}
STREAMS = {
    "bars": {"providers": ["yahoo", "polygon"], "every_s": 3},
    "quotes": {"providers": ["yahoo", "finnhub"], "every_s": 3},
    "trades": {"provider": "finnhub"},
    "routing": {"probe_every_s": 2, "proof_s": 5, "dwell_s": 2},
}
WATCHED = ["trades:best:SIM001", "bars.1m:best:SIM001"]
# The market runs faster than time for some minutes, and is never to be ahead of it.
BEGUN_BEFORE = timedelta(days=2)
FASTER = 60
FIRES_WITHIN_S = 180.0
QUIET_WITHIN_S = 300.0
ENDS_WITHIN_S = 30.0
FORWARD_S = 3_660 * 86_400  # to within two months of the end of New York's calendar
DAYS_S = 8 * 86_400
SLOW_CLIENTS = 3
WAITING = frozenset({"MdsBackfillDepth", "MdsBackfillDrainT0"})


class Archiver:
    """`mds archive run` as a process of its own, by a clock that can be set."""

    def __init__(self, system: System, folder: Path) -> None:
        """Start nothing yet."""
        self.clock = ShiftedClock(folder / "archive.clock")
        self._system, self._folder = system, folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, **settings: str) -> None:
        """Start it, and wait until it tells of its partitions."""
        self._run(settings)
        await eventually(self._is_told, within_s=READY_WITHIN_S, what="the archive's ages")

    def _run(self, settings: Mapping[str, str]) -> None:
        with (self._folder / "archive.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.cli", "archive", "run"],
                cwd=ROOT,
                env=self._system.env | self.clock.env | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def _is_told(self) -> bool:
        url = f"http://127.0.0.1:{self._system.env['SINKS_ARCHIVE_OPS_PORT']}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert "mds_archive_age_seconds{" in await answer.text()
            return True

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(ENDS_WITHIN_S)
            self._process = None


@dataclass
class Seldom(Monitored):
    """A system of which the gateway follows a clock of ours, with an archive beside it."""

    clock: ShiftedClock = field(kw_only=True)
    archiver: Archiver = field(kw_only=True)


def configure(it: System, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the configuration."""
    configuration = yaml.safe_load(Path(it.env["MDS_CONFIG"]).read_text("utf-8"))
    change(configuration)
    it.configure(yaml.safe_dump(configuration))


async def slow_clients(it: Seldom) -> None:
    """Ask for everything and read nothing, for as long as it lasts."""

    async def never_read() -> None:
        streams = [f"{channel}:best:{symbol}" for channel in ("trades", "quotes") for symbol in SYMBOLS]
        items = [{"stream": name, "conflate": {"mode": "none"}} for name in streams]
        command = orjson.dumps({"id": 1, "t": "subscribe", "items": items}).decode()
        connector = aiohttp.TCPConnector(socket_factory=_small_socket)
        async with aiohttp.ClientSession(connector=connector) as session:
            opened = [
                await session.ws_connect(f"{it.system.socket_url}/ws", protocols=["mds.v1.json"])
                for _ in range(SLOW_CLIENTS)
            ]
            for each in opened:
                await each.send_str(command)
            await asyncio.Event().wait()

    it.holding = asyncio.create_task(never_read())


async def hurry(it: Seldom) -> None:
    """Let the market's time pass at sixty times its speed."""
    await simulator(it, "POST", "clock", {"speed": FASTER})


async def as_usual(it: Seldom) -> None:
    """Let it pass as ours does."""
    await simulator(it, "POST", "clock", {"speed": 1})


async def ask_for_the_past(it: Seldom) -> None:
    """Have as much fetched as the queue takes of the most wanted symbols, from a vendor that fails."""
    await spoil(
        {
            "match": {"vendor": "yahoo", "endpoint": "chart", "symbol": NOT_GIVEN},
            "fault": {"type": "status", "status": 500},
        }
    )(it)
    begin = datetime.now(UTC) - BEGUN_BEFORE - timedelta(days=1)
    for number in range(CAPS["T0"]):
        start = begin + timedelta(minutes=20 * number)
        await _post(it,
            "/ops/backfill", symbol=NOT_GIVEN, interval="1m", start=start.isoformat(),
            end=(start + timedelta(minutes=10)).isoformat(), priority="T0", source="yahoo",
        )  # fmt: skip


async def _post(it: Seldom, path: str, **body: object) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(it.system.url + path, json=body) as answer,
    ):
        assert answer.status in (200, 201, 202), await answer.text()


async def give_the_past(it: Seldom) -> None:
    """Let the vendor give it, and let no job wait any longer for its next try."""
    await spoil()(it)
    connection = await asyncpg.connect(it.system.env["MDS_POSTGRES_DSN"])

    async def are_over() -> bool:
        await connection.execute(
            "UPDATE backfill_jobs SET ready_time = now() WHERE state = 'waiting' AND ready_time > now()"
        )
        left = await connection.fetchval("SELECT count(*) FROM backfill_jobs WHERE finished_time IS NULL")
        assert left == 0, f"{left} jobs are not over"
        return True

    try:
        await eventually(are_over, within_s=QUIET_WITHIN_S, every_s=1.0)
    finally:
        await connection.close()


async def set_forward(it: Seldom) -> None:
    """Set the gateway's clock to the last weeks of a calendar that somebody asks for."""
    status, answer = await it.system.get("/stocks/SPY/intraday")
    assert status in (200, 404), answer
    it.clock.shift(FORWARD_S)


async def set_right(it: Seldom) -> None:
    """Set it right again."""
    it.clock.shift(0.0)


async def enlarge(it: Seldom) -> None:
    """Collect a symbol that no vendor knows, and name a provider that the sink's machine does not have."""

    def enlarged(configuration: dict[str, Any]) -> None:
        configuration["symbols"].append({"symbol": "NOBODY", "tier": "T2"})
        configuration["providers"] = {"acme": {"base_url": "http://127.0.0.1:9"}}

    configure(it.system, enlarged)


async def take_back(it: Seldom) -> None:
    """Do neither any more."""

    def as_before(configuration: dict[str, Any]) -> None:
        configuration["symbols"] = [each for each in configuration["symbols"] if each["symbol"] != "NOBODY"]
        del configuration["providers"]

    configure(it.system, as_before)


async def fill_disk(it: Seldom) -> None:
    """Leave the archive no room, for eight days."""
    it.archiver.stop()
    it.archiver.clock.shift(DAYS_S)
    await it.archiver.start(SINKS_ARCHIVE_KEEP_FREE_MB="1000000000")


async def make_room(it: Seldom) -> None:
    """Give it room again."""
    it.archiver.stop()
    it.archiver.clock.shift(0.0)
    await it.archiver.start()


async def end_archive(it: Seldom) -> None:
    """Let the archive end, and nobody start it."""
    it.archiver.stop()


async def start_archive(it: Seldom) -> None:
    """Start it again."""
    await it.archiver.start()


def _small_socket(found: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(*found[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    return made


REFUSED = {"type": "status", "status": 503}
NO_BARS = spoil(
    {"match": {"vendor": "yahoo", "endpoint": "chart"}, "fault": REFUSED},
    {"match": {"vendor": "polygon"}, "fault": REFUSED},
)
BURNING = frozenset({"MdsSloBurnFast", "MdsSloBurnSlow"})
FAILING = frozenset({"MdsProviderErrors", "MdsCircuitOpen"})
FAULTS: Mapping[str, Fault[Seldom]] = {
    "no-bars-for-an-hour": at_once(
        Fault(
            NO_BARS,
            BURNING | FAILING | {"MdsIngestionLag", "MdsGapViolation"},
            spoil(),
            beside=WAITING,
        ),
        Fault(hurry, frozenset(), as_usual),
        Fault(slow_clients, frozenset({"MdsWsDrops"}), Seldom.let_go, passing=frozenset({"MdsWsDrops"})),
    ),
    "a-past-that-is-not-given": Fault(ask_for_the_past, WAITING, give_the_past, beside=FAILING),
    "a-symbol-nobody-knows-and-a-package-missing": Fault(
        enlarge, frozenset({"MdsCoverageLow", "MdsConfigGenerationsDiffer"}), take_back
    ),
    "the-disk-of-the-archive-full": Fault(fill_disk, frozenset({"MdsArchiveBehind"}), make_room),
    "the-archive-gone": Fault(end_archive, frozenset({"MdsArchiveGone"}), start_archive, silent={8105}),
    "a-clock-ten-years-ahead": Fault(
        set_forward, BURNING | {"MdsCalendarHorizon", "MdsWsLatency"}, set_right
    ),
}


@pytest.fixture(scope="module")
def seldom(
    kafka_bootstrap: str, postgres_admin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seldom]:
    """The whole system and an archive under Prometheus; all services but the sink know a provider that is not ours."""
    found = programs()
    folder = tmp_path_factory.mktemp("seldom")
    ensure_topics(kafka_bootstrap, prefix=PREFIX)
    dsn = asyncio.run(make(postgres_admin, "seldom"))
    begin = datetime.now(UTC) - BEGUN_BEFORE
    with system(
        bootstrap=kafka_bootstrap, dsn=dsn, prefix=PREFIX, folder=folder, symbols=SYMBOLS, streams=STREAMS,
        settings={
            "GATEWAY_SLO_SYMBOLS": "500",
            "MDS_SIMULATOR_START": begin.isoformat(timespec="seconds"),
            "SINKS_ARCHIVE_OPS_PORT": str(free_port()),
        },
    ) as it:  # fmt: skip
        site = str(install(ACME, folder / "site"))
        clock, archiver = ShiftedClock(folder / "gateway.clock"), Archiver(it, folder)
        for name in ("producers", "stream_processors"):
            it.own[name] = {"PYTHONPATH": site}
        it.own["gateway"] = clock.env | {"PYTHONPATH": os.pathsep.join((str(CLOCK_HOOK), site))}
        configure(it, _caps)
        try:
            asyncio.run(begun(it))
            asyncio.run(archiver.start())
            with under_prometheus(
                found, it, folder, kafka=kafka_bootstrap, dsn=dsn, watched=WATCHED
            ) as prometheus:
                yield Seldom(it, prometheus, kafka_bootstrap, clock=clock, archiver=archiver)
        finally:
            archiver.stop()


def _caps(configuration: dict[str, Any]) -> None:
    configuration["symbols"] = [{"symbol": symbol, "tier": "T0"} for symbol in SYMBOLS]
    configuration["backfill"] = {"queued_jobs": CAPS}


def test_a_runbook_says_that_its_alert_was_provoked_here() -> None:
    """Where it was, and nowhere else."""
    here = "tests/e2e/test_monitoring_rare.py"
    saying = {page.stem for page in RUNBOOKS.glob("*.md") if here in page.read_text("utf-8")}
    other = "tests/e2e/test_monitoring.py"
    provoked = {alert for fault in FAULTS.values() for alert in fault.alerts}

    assert saying == {
        alert for alert in provoked if other not in (RUNBOOKS / f"{alert}.md").read_text("utf-8")
    }


async def _look_anew(it: Monitored) -> None:
    """Have the objectives read more often than each minute."""
    while True:
        with suppress(aiohttp.ClientError, TimeoutError):
            await it.system.get("/stats/slo")
        await asyncio.sleep(2.0)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_what_is_rare_is_told_by_its_own_alerts(seldom: Seldom, fault: Fault[Seldom]) -> None:
    """They and no others fire, their first look can be taken meanwhile, and all is silent when it is mended."""
    looking = asyncio.create_task(_look_anew(seldom))
    try:
        await is_told(seldom, fault, fires_within_s=FIRES_WITHIN_S, quiet_within_s=QUIET_WITHIN_S)
    finally:
        looking.cancel()
