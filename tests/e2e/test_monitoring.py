"""Monitoring as it is committed, on the system as it runs: what is well is silent, and each fault is told by its own alerts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial

import asyncpg
import orjson
import pytest

from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.topics import ensure_topics
from schemas.topics import RAW_BARS
from tests.support.alert_rules import ALERT_FILES, MONITORING, RECORDING, RUNBOOKS, rules
from tests.support.databases import make
from tests.support.eventually import eventually
from tests.support.monitored import (
    FIRES_WITHIN_S,
    QUIET_WITHIN_S,
    Fault,
    Monitored,
    at_once,
    begun,
    is_told,
    spoil,
    under_prometheus,
)
from tests.support.prometheus import programs, shorter
from tests.support.sink_records import publish
from tests.support.system import READY_WITHIN_S, system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

PREFIX = "monitored."
SYMBOLS = [f"SIM{number:03d}" for number in range(1, 3)]
STREAMS = {
    "bars": {"providers": ["yahoo", "polygon"], "every_s": 12},
    "quotes": {"providers": ["yahoo", "finnhub"], "every_s": 3},
    "trades": {"provider": "finnhub"},
    # Who does not serve is tried again before it is missed.
    "routing": {"probe_every_s": 2, "proof_s": 5, "dwell_s": 2},
}
WATCHED = ["trades:best:SIM001", "bars.1m:best:SIM001"]
ARCHIVE = "mds-archive"  # need not run
# A batch waits for longer than the second of the alert, and may be written in between.
HELD_S, LET_GO_S = 2.0, 0.2
LEASE_S = 30
RATE_S = 20
SHOWN_WITHIN_S = 60.0
# Panels that may be without a number, and why.
EMPTY = {
    "mds-backfill: Gaps without room A": "every gap had room",
    "mds-backfill: Jobs added A": "no gap was found",
    "mds-backfill: Share of jobs that die A": "a share is of more than ten jobs",
    "mds-backfill: Spared A": "no provider sent what is unreadable again and again",
    "mds-backfill: Written, by reason A": "nothing has died",
    "mds-ingestion: Archived A": "no archive runs",
    "mds-ingestion: Dead letters written A": "nothing has died",
    "mds-ingestion: Gaps found A": "none was there",
    "mds-ingestion: Not archived for A": "no archive runs",
    "mds-providers: Budget used A": "on the simulator only limits that are configured hold",
    "mds-providers: Held back A": "no brake of ours was needed",
    "mds-providers: Symbols a socket refuses A": "it took all",
    "mds-websocket: Greeks of watched chains, p99 A": "no chain is watched",
    "mds-websocket: Records no stream could carry A": "none came",
    "mds-websocket: Resumed streams A": "no client came back",
}


@pytest.fixture(scope="session")
def monitoring() -> Mapping[str, str]:
    """Prometheus and the blackbox exporter: CI brings them, a user need not have them."""
    return programs()


@pytest.fixture(scope="module")
def monitored(
    monitoring: Mapping[str, str],
    kafka_bootstrap: str,
    postgres_admin: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Monitored]:
    """The whole system on the simulator, with data of every symbol, a client, and Prometheus over all of it."""
    folder = tmp_path_factory.mktemp("monitored")
    ensure_topics(kafka_bootstrap, prefix=PREFIX)
    dsn = asyncio.run(make(postgres_admin, "monitored"))
    with system(
        bootstrap=kafka_bootstrap, dsn=dsn, prefix=PREFIX, folder=folder, symbols=SYMBOLS, streams=STREAMS,
        settings={"GATEWAY_SLO_SYMBOLS": str(len(SYMBOLS))},
    ) as it:  # fmt: skip
        asyncio.run(begun(it))
        with under_prometheus(
            monitoring, it, folder, kafka=kafka_bootstrap, dsn=dsn, watched=WATCHED
        ) as prometheus:
            yield Monitored(it, prometheus, kafka_bootstrap)


async def test_what_is_well_is_silent(monitored: Monitored) -> None:
    """Every rule is evaluated, every target answers, every probe succeeds, and no alert fires or is about to."""
    prometheus = monitored.prometheus

    async def all_answer() -> bool:
        told = [rule for group in (await prometheus.asked("rules"))["groups"] for rule in group["rules"]]
        targets = (await prometheus.asked("targets"))["activeTargets"]
        probes = await prometheus.query("probe_success")

        assert {rule["name"] for rule in told} == {
            rule.get("alert") or rule["record"] for path in (*ALERT_FILES, RECORDING) for rule in rules(path)
        }
        assert {rule["name"]: rule.get("lastError") for rule in told if rule["health"] != "ok"} == {}
        assert {each["labels"]["job"] for each in targets if each["health"] != "up"} == {ARCHIVE}
        assert sorted((labels["job"], value) for labels, value in probes) == [
            ("mds-blackbox-http", 1), ("mds-blackbox-tcp", 1), ("mds-blackbox-tcp", 1), ("mds-blackbox-ws", 1),
        ]  # fmt: skip
        return True

    await eventually(all_answer, within_s=QUIET_WITHIN_S, every_s=0.5, what="everything well")
    await monitored.quiet()


def panel_queries() -> dict[str, str]:
    """Return what the panels ask Prometheus, with all services chosen as Grafana does, by board, panel and query."""
    found = {}
    for path in sorted((MONITORING / "dashboards").glob("*.json")):
        board = orjson.loads(path.read_bytes())
        (service,) = (each for each in board["templating"]["list"] if each["name"] == "service")
        chosen = {"$service": service["allValue"], "$__rate_interval": f"{RATE_S}s"}
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                if target["datasource"]["type"] == "prometheus":
                    expression = target["expr"]
                    for variable, value in chosen.items():
                        expression = expression.replace(variable, value)
                    found[f"{path.stem}: {panel['title']} {target['refId']}"] = expression
    return found


async def test_every_panel_shows_a_number(monitored: Monitored) -> None:
    """But for those that show what has not happened here."""
    asked = panel_queries()

    async def empty(expression: str) -> bool:
        return all(math.isnan(value) for _, value in await monitored.prometheus.query(expression))

    async def shown() -> bool:
        # objectives are read each minute, or when somebody asks
        await monitored.system.get("/stats/slo")
        found = {place for place, expression in asked.items() if await empty(expression)}
        assert sorted(found - EMPTY.keys()) == []
        return True

    assert asked.keys() > EMPTY.keys()
    await eventually(shown, within_s=SHOWN_WITHIN_S, every_s=1.0, what="numbers on every panel")


async def kill_gateway(it: Monitored) -> None:
    """Kill it where it stands."""
    it.system.kill("gateway")


async def start_gateway(it: Monitored) -> None:
    """Start it as a supervisor would."""
    it.system.start("gateway")
    await it.system.ready("gateway")


def freeze(name: str) -> Callable[[Monitored], Awaitable[None]]:
    """Return what stops a process where it stands."""

    async def stop(it: Monitored) -> None:
        it.system.freeze(name)

    return stop


def thaw(name: str) -> Callable[[Monitored], Awaitable[None]]:
    """Return what lets it go on; one that ends because others have taken over meanwhile is started again."""

    async def is_back(it: Monitored) -> bool:
        it.system.revive()
        return await it.system.is_ready(name)

    async def go_on(it: Monitored) -> None:
        it.system.thaw(name)
        await eventually(partial(is_back, it), within_s=READY_WITHIN_S, every_s=0.5, what=f"{name} back")

    return go_on


async def poison(it: Monitored) -> None:
    """Send what no processor can read, after what passes for an hour in which nothing died."""

    async def has_passed() -> bool:
        return bool(await it.prometheus.query(f"dlq_depth offset {shorter('1h')}"))

    await eventually(has_passed, within_s=FIRES_WITHIN_S, every_s=0.5, what="an hour of dead letters")
    await publish(
        it.kafka, [Outgoing(topic=PREFIX + RAW_BARS, partition=0, key=b"SIM001", value=b"no record")]
    )


async def discard(it: Monitored) -> None:
    """Put away what died, by the command of the runbook."""
    status, answer = await it.system.get("/ops/dlq/events")
    assert status == 200, answer
    (row,) = answer["data"]
    command = f"mds dlq discard --cause {row['cause']} --reason 'no record' --yes"
    done = await asyncio.to_thread(it.run, command)
    assert done.returncode == 0, done


async def hold_up(it: Monitored) -> None:
    """Lock what every batch writes to for longer than one may take, again and again."""

    async def hold() -> None:
        connection = await asyncpg.connect(it.system.env["MDS_POSTGRES_DSN"])
        try:
            while True:
                async with connection.transaction():
                    await connection.execute("LOCK TABLE watermarks IN EXCLUSIVE MODE")
                    await asyncio.sleep(HELD_S)
                await asyncio.sleep(LET_GO_S)
        finally:
            await connection.close()

    it.holding = asyncio.create_task(hold())


async def fall_silent(it: Monitored) -> None:
    """Take the lease of every partition as a job feed would, and give it back once that was seen."""

    async def is_held() -> bool:
        return [value for _, value in await it.prometheus.query("min(mds_job_lease)")] == [1]

    for seconds in (LEASE_S, 0):
        done = await asyncio.to_thread(it.run, f"mds jobs lease --seconds {seconds}")
        assert done.returncode == 0, done
        if seconds:
            await eventually(is_held, within_s=LEASE_S, every_s=0.5, what="a lease of every partition")


async def leave_be(it: Monitored) -> None:
    """Do nothing: the alert ends by itself."""


async def leave_out(it: Monitored) -> None:
    """Forget the job of the producers in the configuration of Prometheus."""
    it.prometheus.configure(left_out=["mds-producers"])


async def scrape_all(it: Monitored) -> None:
    """Configure it as committed."""
    it.prometheus.configure()


SINK_STOPPED = Fault(freeze("sinks"), frozenset({"MdsDown"}), thaw("sinks"), silent={8103})
PROCESSOR_STOPPED = Fault(
    freeze("stream_processors"),
    frozenset({"MdsDown", "MdsWatermarkStuck"}),
    thaw("stream_processors"),
    silent={8102},
)
DATABASE_HELD_UP = Fault(hold_up, frozenset({"MdsSinkSlow"}), Monitored.let_go)
FEED_SILENT = Fault(fall_silent, frozenset({"MdsLeaseLost"}), leave_be, passing=frozenset({"MdsLeaseLost"}))
GATEWAY_KILLED = Fault(
    kill_gateway, frozenset({"MdsDown", "MdsBlackboxFailing"}), start_gateway, silent={8001, 8104}
)
VENDOR_DOWN = Fault(
    spoil({"match": {"vendor": "yahoo"}, "fault": {"type": "status", "status": 500}}),
    frozenset({"MdsCircuitOpen", "MdsProviderErrors"}),
    spoil(),
)
VENDOR_BANS = Fault(
    spoil(
        {
            "match": {"vendor": "yahoo", "endpoint": "chart"},
            "when": {"limit": 1},
            "fault": {"type": "status", "status": 403, "body": "Too Many Requests"},
        }
    ),
    frozenset({"MdsProviderBan"}),
    spoil(),
    passing=frozenset({"MdsProviderBan"}),
)
POISON = Fault(poison, frozenset({"MdsDeadLetters"}), discard)
JOB_LEFT_OUT = Fault(leave_out, frozenset({"MdsAbsent"}), scrape_all)
FAULTS = {
    "sink-stopped-and-job-left-out": at_once(SINK_STOPPED, JOB_LEFT_OUT),
    "feed-silent-processor-stopped-and-vendor-bans": at_once(FEED_SILENT, PROCESSOR_STOPPED, VENDOR_BANS),
    "gateway-killed-and-database-held-up": at_once(DATABASE_HELD_UP, GATEWAY_KILLED),
    "vendor-down-and-poison": at_once(VENDOR_DOWN, POISON),
}


def test_a_runbook_says_that_its_alert_was_provoked_here() -> None:
    """Where it was, and nowhere else."""
    here = "tests/e2e/test_monitoring.py"
    saying = {page.stem for page in RUNBOOKS.glob("*.md") if here in page.read_text("utf-8")}

    assert saying == {alert for fault in FAULTS.values() for alert in fault.alerts}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_told_by_its_own_alerts(monitored: Monitored, fault: Fault[Monitored]) -> None:
    """They and no others fire, their first look can be taken meanwhile, and all is silent when it is mended."""
    await is_told(monitored, fault)
