"""A machine: room, open files, files with secrets, and what gateways must share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.http.shell import keys
from gateway.settings import MIN_PAGE_TOKEN_KEY_CHARS as GATEWAYS_LEAST
from gateway.settings import GatewaySettings
from infra.preflight.findings import Finding
from infra.preflight.machine import (
    GB,
    MIN_PAGE_TOKEN_KEY_CHARS,
    PAGE_KEY_FILE,
    SPARE_FILES,
    GatewayPlan,
    Machine,
    OpenFileLimits,
    gateway_plan,
    judge_disks,
    judge_keys,
    judge_limits,
    judge_page_token_key,
    machine_groups,
)
from infra.preflight.running import look
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError

ALONE = GatewayPlan(
    host="127.0.0.1", processes=1, machines=1, keys_file="", page_token_key_chars=0, files=6_656
)


async def looked(env: Mapping[str, str], home: Path, machine: Machine) -> dict[str, Finding]:
    """Return what the checks find with these variables."""
    settings = MdsSettings(home=home)
    found = await look(machine_groups(settings, env, machine, gateways=1), secrets=())
    return {each.name: each.finding for each in found}


def roomy(free: int = 100 * GB) -> Machine:
    """Return a machine with room and files."""
    return Machine(free_bytes=lambda _: free, file_limits=lambda: OpenFileLimits(soft=20_000, hard=20_000))


@pytest.mark.parametrize(
    ("free", "result"), [(499_000_000, "failed"), (4 * GB, "warning"), (5 * GB, "ok")], ids=str
)
def test_a_nearly_full_disk_is_found_before_something_stops_in_the_middle_of_a_write(
    free: int, result: str
) -> None:
    """The limit is the one at which broker and database refuse to start."""
    finding = judge_disks({"MDS_HOME": 100 * GB, "SINKS_ARCHIVE": free})

    assert finding.result == result
    assert ("SINKS_ARCHIVE" in finding.remedy) is (result != "ok")


@pytest.mark.parametrize(
    ("limits", "result", "remedy"),
    [
        pytest.param(OpenFileLimits(soft=256, hard=20_000), "failed", "ulimit -n 6656", id="soft"),
        pytest.param(OpenFileLimits(soft=1_024, hard=4_096), "warning", "GATEWAY_MAX_CONNECTIONS", id="hard"),
        pytest.param(
            OpenFileLimits(soft=1_024, hard=float("inf")), "ok", "", id="the-gateway-raises-its-own"
        ),
    ],
)
def test_open_files_are_judged_by_what_a_process_may_raise(
    limits: OpenFileLimits, result: str, remedy: str
) -> None:
    """The soft limit is what sinks and producers have; the gateway takes the hard one."""
    finding = judge_limits(limits, 6_656)

    assert finding.result == result
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("plan", "result"),
    [
        pytest.param(ALONE, "ok", id="loopback"),
        pytest.param(replace(ALONE, host="::1"), "ok", id="loopback-six"),
        pytest.param(replace(ALONE, host="localhost"), "ok", id="localhost"),
        pytest.param(replace(ALONE, host="0.0.0.0"), "failed", id="public-without-keys"),
        pytest.param(replace(ALONE, host="gw.example"), "failed", id="a-name"),
        pytest.param(replace(ALONE, host="0.0.0.0", keys_file="k.yaml"), "ok", id="public-with-keys"),
    ],
)
def test_a_gateway_that_others_reach_has_keys(plan: GatewayPlan, result: str) -> None:
    """It would refuse to start."""
    assert judge_keys(plan).result == result


@pytest.mark.parametrize(
    ("change", "result"),
    [
        pytest.param({}, "ok", id="one"),
        pytest.param({"processes": 4}, "ok", id="processes-of-one-machine-share-a-file"),
        pytest.param({"machines": 2}, "failed", id="machines-share-none"),
        pytest.param({"machines": 2, "page_token_key_chars": 64}, "ok", id="set"),
        pytest.param({"page_token_key_chars": 31}, "failed", id="too-short"),
    ],
)
def test_gateways_on_several_machines_need_one_page_token_key(change: dict[str, int], result: str) -> None:
    """A page begun at one goes on at another; the key itself is never in a finding."""
    finding = judge_page_token_key(replace(ALONE, **change))  # type: ignore[arg-type]

    assert finding.result == result


def test_the_plan_is_what_the_gateway_would_do() -> None:
    """The same defaults, the same least length and the same file: this package may not import them."""
    settings = GatewaySettings()
    plan = gateway_plan({}, gateways=1)

    assert (plan.host, plan.processes, plan.machines) == (settings.host, settings.processes, 1)
    assert plan.files == settings.max_connections + settings.max_http_connections + SPARE_FILES
    assert (MIN_PAGE_TOKEN_KEY_CHARS, PAGE_KEY_FILE) == (GATEWAYS_LEAST, keys.PAGE_KEY_FILE)


def test_a_number_that_is_none_is_named() -> None:
    """As the gateway would name it."""
    with pytest.raises(ConfigurationError, match="GATEWAY_PROCESSES"):
        gateway_plan({"GATEWAY_PROCESSES": "two"}, gateways=1)


@pytest.mark.parametrize(
    ("mode", "result"), [(0o600, "ok"), (0o640, "ok"), (0o644, "failed"), (0o602, "failed")]
)
async def test_a_file_with_keys_is_for_its_owner(mode: int, result: str, tmp_path: Path) -> None:
    """A group may read it, as mounted secrets are; others may nothing."""
    file = tmp_path / "keys.yaml"
    file.write_text("[]")
    file.chmod(mode)
    found = await looked({"GATEWAY_KEYS_FILE": str(file)}, tmp_path, roomy())

    assert found["secret-files"].result == result
    assert (f"mode {mode:04o}" in found["secret-files"].says) is (result == "failed")
    assert "chmod" in found["secret-files"].remedy or result == "ok"


@pytest.mark.parametrize(
    "name", ["GATEWAY_TLS_KEY", "GATEWAY_TLS_CERTIFICATE", "PRODUCERS_FINNHUB_TOKEN_FILE", PAGE_KEY_FILE]
)
async def test_every_file_that_holds_a_secret_is_looked_at(name: str, tmp_path: Path) -> None:
    """Keys of TLS, of vendors, and the one made under MDS_HOME."""
    file = tmp_path / PAGE_KEY_FILE
    file.write_text("secret")
    file.chmod(0o604)
    env, home = ({name: str(file)}, tmp_path / "none") if name != PAGE_KEY_FILE else ({}, tmp_path)
    found = await looked(env, home, roomy())

    assert found["secret-files"].result == "failed"
    assert name in found["secret-files"].says


async def test_a_file_that_is_not_there_is_a_finding_and_a_certificate_beside_its_key_is_public(
    tmp_path: Path,
) -> None:
    """What cannot be read would stop the gateway."""
    key, certificate = tmp_path / "key.pem", tmp_path / "chain.pem"
    key.touch(mode=0o600)
    certificate.touch(mode=0o644)
    env = {"GATEWAY_TLS_KEY": str(key), "GATEWAY_TLS_CERTIFICATE": str(certificate)}

    assert (await looked(env, tmp_path, roomy()))["secret-files"].result == "ok"
    absent = await looked({"GATEWAY_KEYS_FILE": str(tmp_path / "absent")}, tmp_path, roomy())
    assert "cannot be read" in absent["secret-files"].says


def test_looking_at_a_home_that_is_not_there_makes_none(tmp_path: Path) -> None:
    """The disk is that of the nearest folder that is there."""
    asked: list[Path] = []

    def free(path: Path) -> int:
        asked.append(path)
        return 100 * GB

    machine = replace(roomy(), free_bytes=free)
    found = asyncio.run(
        looked({"SINKS_ARCHIVE": str(tmp_path / "a" / "b")}, tmp_path / "home" / "mds", machine)
    )

    assert found["disk"].result == "ok"
    assert asked == [tmp_path, tmp_path]
    assert list(tmp_path.iterdir()) == []


async def test_the_machine_itself_can_be_asked(tmp_path: Path) -> None:
    """Its disks and limits are numbers of today."""
    machine = Machine()

    assert machine.free_bytes(tmp_path) > 0
    assert 0 < machine.file_limits().soft <= machine.file_limits().hard
    assert set(await looked({}, tmp_path, machine)) == {
        "disk", "open-files", "secret-files", "gateway-keys", "page-token-key",
    }  # fmt: skip
