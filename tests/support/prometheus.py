"""The real Prometheus and the real blackbox exporter on a system that runs, by the committed files at a pace of minutes for hours."""

from __future__ import annotations

import copy
import math
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.conftest import free_port
from tests.support.alert_rules import ALERT_FILES, MONITORING, RECORDING, ROOT, document
from tests.support.eventually import eventually
from tests.support.requirements import debian_program

BLACKBOX = ROOT / "infra" / "blackbox-exporter" / "blackbox.yml"
FASTER = 60
SCRAPE_S = 1
# A shorter range holds too few samples for a rate, and a shorter `for` is over with one scrape that was late.
LEAST_S = 5 * SCRAPE_S
# Alerts whose limit is an age on the wall clock: what stands still is as old as that after a sixtieth of the time, too.
AGES = frozenset({"MdsWatermarkStuck", "MdsBackfillDrainT0", "MdsArchiveBehind"})
# A healthy watermark is a second or two old.
LEAST_AGE_S = 10
# Of requests to a provider: an open circuit lets one through every 15 s, at any pace.
LEAST_RANGE_S = {"MdsProviderErrors": 20}
# A probe has a time-out to wait for, and half a second less than its scrape: `/health` takes a second where a service is silent.
PROBE_S = 3
LEAST_WAIT_S = {"MdsBlackboxFailing": 3 * PROBE_S}
LOOKBACK_S = 10
UNITS_S: Mapping[str, int] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
IN_EXPRESSION = re.compile(r"(?<=\[)\d+[smhd](?=\])|(?<=\boffset )\d+[smhd]\b")
AGE = re.compile(r"(?<=> )\d+$")
LOOPBACK = re.compile(r"127\.0\.0\.1:(\d+)")
READY_WITHIN_S = 60.0


def shorter(duration: str, least_s: int = LEAST_S) -> str:
    """Return a duration of PromQL at our pace; 0 s stays what it is."""
    number, unit = duration[:-1], duration[-1]
    written_s = int(number) * UNITS_S[unit]
    return f"{max(written_s // FASTER, least_s) if written_s else 0}s"


def faster(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file of rules with each `for`, range, offset and age divided; limits of anything else stay."""
    found = copy.deepcopy(dict(rules))
    for rule in (each for group in found["groups"] for each in group["rules"]):
        name = rule.get("alert", "")
        least_s = LEAST_RANGE_S.get(name, LEAST_S)
        rule["expr"] = IN_EXPRESSION.sub(partial(_shorter, least_s=least_s), rule["expr"])
        if "for" in rule:
            rule["for"] = shorter(rule["for"], LEAST_WAIT_S.get(name, LEAST_S))
        if name in AGES:
            rule["expr"] = AGE.sub(lambda each: str(max(int(each[0]) // FASTER, LEAST_AGE_S)), rule["expr"])
    return found


def _shorter(found: re.Match[str], least_s: int) -> str:
    return shorter(found[0], least_s)


def at_ports(text: str, ports: Mapping[int, int]) -> str:
    """Return a text with other ports of the loopback address; each that it names must be among them."""
    return LOOPBACK.sub(lambda each: f"127.0.0.1:{ports[int(each[1])]}", text)


def scraping(text: str, ports: Mapping[int, int], left_out: Sequence[str] = ()) -> dict[str, Any]:
    """Return the committed configuration at other ports and our pace, without the jobs that are left out."""
    found: dict[str, Any] = yaml.safe_load(at_ports(text, ports))
    jobs = [job for job in found["scrape_configs"] if job["job_name"] not in left_out]
    for job in jobs:
        every = f"{PROBE_S if 'params' in job else SCRAPE_S}s"
        job |= {"scrape_interval": every, "scrape_timeout": every}
    return found | {"global": {"evaluation_interval": f"{SCRAPE_S}s"}, "scrape_configs": jobs}


def programs() -> dict[str, str]:
    """Return where both are, by their names; ends the test where one is not."""
    named = {"prometheus": "MDS_TEST_PROMETHEUS", "prometheus-blackbox-exporter": "MDS_TEST_BLACKBOX"}
    return {name: debian_program(name, name, setting) for name, setting in named.items()}


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs; everything asked of it is answered as data."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    ports: Mapping[int, int]

    async def asked(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the API."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/{path}", params=parameters) as answer,
        ):
            said = await answer.json()
            assert said["status"] == "success", said
            return said["data"]

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series that an expression gives now."""
        found = await self.asked("query", query=expression)
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        found = (await self.asked("alerts"))["alerts"]
        return {each["labels"]["alertname"] for each in found if each["state"] == "firing"}

    async def seen(self, within_s: float, states: str = "firing") -> set[str]:
        """Return the names of all alerts that were in one of the states (a pattern) within so many seconds."""
        range_s = max(SCRAPE_S, math.ceil(within_s))
        found = await self.query(
            f'count by (alertname) (max_over_time(ALERTS{{alertstate=~"{states}"}}[{range_s}s]))'
        )
        return {labels["alertname"] for labels, _ in found}

    def configure(self, *, left_out: Sequence[str] = ()) -> None:
        """Read the configuration anew, without the jobs that are left out."""
        _write_configuration(self.folder, self.ports, left_out)
        self.process.send_signal(signal.SIGHUP)


def _write_configuration(folder: Path, ports: Mapping[int, int], left_out: Sequence[str]) -> None:
    text = (MONITORING / "prometheus-config.yaml").read_text("utf-8")
    (folder / "prometheus-config.yaml").write_text(yaml.safe_dump(scraping(text, ports, left_out)), "utf-8")


@contextmanager
def running(found: Mapping[str, str], folder: Path, ports: Mapping[int, int]) -> Iterator[Prometheus]:
    """Run both programs that were found over a system at `ports`, by those that are committed; 9115 is the exporter's own."""
    folder.mkdir()
    ports, port = {9115: free_port(), **ports}, free_port()
    for path in (*ALERT_FILES, RECORDING):
        (folder / path.name).write_text(yaml.safe_dump(faster(document(path))), "utf-8")
    (folder / BLACKBOX.name).write_text(at_ports(BLACKBOX.read_text("utf-8"), ports), "utf-8")
    _write_configuration(folder, ports, ())
    arguments = {
        "prometheus-blackbox-exporter": [
            f"--config.file={BLACKBOX.name}", f"--web.listen-address=127.0.0.1:{ports[9115]}",
        ],
        "prometheus": [
            "--config.file=prometheus-config.yaml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
            f"--query.lookback-delta={LOOKBACK_S}s",
        ],
    }  # fmt: skip
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, program in found.items():
            with (folder / f"{name}.log").open("wb") as log:
                started[name] = subprocess.Popen(
                    [program, *arguments[name]], cwd=folder, stdout=log, stderr=subprocess.STDOUT
                )
        yield Prometheus(f"http://127.0.0.1:{port}", started["prometheus"], folder, ports)
    finally:
        for process in started.values():
            process.kill()
            process.wait()


async def ready(prometheus: Prometheus) -> None:
    """Wait until it answers and has looked at every target once: before that all of them are absent."""
    configured = yaml.safe_load((prometheus.folder / "prometheus-config.yaml").read_text("utf-8"))
    jobs = {job["job_name"] for job in configured["scrape_configs"]}

    async def answers() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{prometheus.url}/-/ready") as answer:
            return answer.status == 200

    async def has_looked() -> bool:
        seen = {labels["job"] for labels, _ in await prometheus.query("count by (job) (up)")}
        assert seen == jobs, f"seen were {sorted(seen)}"
        return True

    await eventually(answers, within_s=READY_WITHIN_S, what="Prometheus ready")
    await eventually(has_looked, within_s=READY_WITHIN_S, what="Prometheus has looked at every target")
