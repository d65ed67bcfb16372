"""The pace of the end-to-end test: time is divided, what is counted is not, and nothing is left as it was by oversight."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support.alert_rules import ALERT_FILES, MONITORING, RECORDING, document, rules
from tests.support.prometheus import (
    AGES,
    BLACKBOX,
    LEAST_RANGE_S,
    LEAST_S,
    LEAST_WAIT_S,
    PROBE_S,
    SCRAPE_S,
    at_ports,
    faster,
    scraping,
    shorter,
)
from tests.support.promql import parsed, selectors

WRITTEN = [rule for path in (*ALERT_FILES, RECORDING) for rule in rules(path)]
QUICK = [
    rule
    for path in (*ALERT_FILES, RECORDING)
    for group in faster(document(path))["groups"]
    for rule in group["rules"]
]
TIMED = {"expr", "for"}
PORTS = {port: port + 20_000 for port in (8001, 8101, 8102, 8103, 8104, 8105, 9115, 19092, 15432)}
CONFIG = (MONITORING / "prometheus-config.yaml").read_text("utf-8")


def rule(expression: str, wait: str = "0s", name: str = "MdsAny") -> dict[str, str]:
    """Return what becomes of a rule."""
    found: dict[str, str] = faster({"groups": [{"name": "g", "rules": [{"alert": name, "expr": expression, "for": wait}]}]})[
        "groups"
    ][0]["rules"][0]  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("written", "found"),
    [("0s", "0s"), ("1m", "5s"), ("2m", "5s"), ("10m", "10s"), ("1h", "60s"), ("14d", "20160s")],
)
def test_time_is_divided_as_far_as_scrapes_allow(written: str, found: str) -> None:
    """Five of them make a rate; at once stays at once."""
    assert shorter(written) == found


def test_ranges_offsets_waits_and_ages_are_divided() -> None:
    """Limits are not, and neither are labels that look like durations."""
    assert rule('sum(rate(x{window="5m"}[10m])) > 250', "15m") == {
        "alert": "MdsAny", "expr": 'sum(rate(x{window="5m"}[10s])) > 250', "for": "15s",
    }  # fmt: skip
    assert rule("max(x) - max(x offset 1h) > 0")["expr"] == "max(x) - max(x offset 60s) > 0"
    assert rule("time() - max(x) > 1200", name="MdsWatermarkStuck")["expr"] == "time() - max(x) > 20"
    assert rule("max(x) > 60", name="MdsWatermarkStuck")["expr"] == "max(x) > 10"
    assert rule("rate(x[10m])", name="MdsProviderErrors")["expr"] == "rate(x[20s])"
    assert rule("max(x) == 0", "2m", name="MdsBlackboxFailing")["for"] == "9s"


def test_rules_are_the_committed_ones_in_all_but_time() -> None:
    """Each of them, by the same metrics; an age that is divided is there to be divided."""
    assert len(QUICK) == len(WRITTEN) > 24
    for written, quick in zip(WRITTEN, QUICK, strict=True):
        old, new = (selectors(parsed(each["expr"])) for each in (written, quick))

        assert [(each.metric, each.matchers) for each in new] == [
            (each.metric, each.matchers) for each in old
        ]
        assert quick.keys() == written.keys()
        assert [quick[key] for key in quick if key not in TIMED] == [
            written[key] for key in written if key not in TIMED
        ]
        for selector in new:
            assert selector.range == "" or int(selector.range[1:-2]) >= LEAST_S
        limits = [re.findall(r"[<>] ([\d.]+)", each["expr"]) for each in (written, quick)]
        assert (limits[0] != limits[1]) == (written.get("alert") in AGES)
    assert {
        each["alert"] for each in WRITTEN if "alert" in each
    } >= AGES | LEAST_RANGE_S.keys() | LEAST_WAIT_S.keys()


def test_ages_are_those_of_the_wall_clock() -> None:
    """By the names of their metrics; a lag is of the market, whose pace is the simulator's."""
    of_ages = {
        each["alert"]
        for each in WRITTEN
        if "alert" in each
        and any(
            read.metric.endswith(("_age_seconds", "_timestamp_seconds"))
            for read in selectors(parsed(each["expr"]))
        )
    }

    assert of_ages == AGES


def test_the_configuration_is_the_committed_one_at_other_ports() -> None:
    """With every job but those that are left out, and no port that somebody else may have."""
    found, written = scraping(CONFIG, PORTS, ["mds-sinks"]), yaml.safe_load(CONFIG)

    assert found["rule_files"] == written["rule_files"]
    for job in found["scrape_configs"]:
        every = f"{PROBE_S if 'blackbox' in job['job_name'] else SCRAPE_S}s"
        assert (job["scrape_interval"], job["scrape_timeout"]) == (every, every)
    assert [job["job_name"] for job in found["scrape_configs"]] == [
        job["job_name"] for job in written["scrape_configs"] if job["job_name"] != "mds-sinks"
    ]
    assert "127.0.0.1:28101" in str(found)
    assert "127.0.0.1:8101" not in str(found)
    assert "Host: 127.0.0.1:28001\\r" in at_ports(BLACKBOX.read_text("utf-8"), PORTS)


def test_a_port_that_nobody_named_is_no_port() -> None:
    """It would be one of somebody else's service."""
    with pytest.raises(KeyError):
        at_ports("http://127.0.0.1:8106/metrics", PORTS)
