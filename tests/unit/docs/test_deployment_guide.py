"""Files that docs/DEPLOYMENT_GUIDE.md shows: values of the chart, an environment, a unit of systemd."""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import yaml

from gateway.operations.shell.ops_ports import ops_urls
from gateway.settings import GatewaySettings
from infra.cli.strimzi import user_name
from infra.runtime.exit_codes import ExitCode
from infra.runtime.settings import MdsSettings
from schemas.rights import Client
from tests.support.charts import CHART, merged
from tests.support.deploy_commands import FENCE as COMMANDS

ROOT = Path(__file__).parent.parent.parent.parent
PAGE = (ROOT / "docs" / "DEPLOYMENT_GUIDE.md").read_text("utf-8")
USERS: Mapping[str, Client] = {
    "producers": "producers", "processors": "stream_processors", "sinks": "sinks", "gateway": "gateway", "operator": "operator",
}  # fmt: skip
LIST_OF_SERVICES = re.compile(r"mds@(\w+)")


def fence(name: str) -> str:
    """Return the text of the one fence of that name."""
    (found,) = re.findall(rf"^```{name}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_chart_takes_the_values() -> None:
    """By its own schema, over its own defaults; a configuration is given on the command line."""
    given = yaml.safe_load(fence("yaml values"))
    values = merged(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")), given)
    values["config"]["content"] = "symbols: [SPY]"

    jsonschema.validate(values, json.loads((CHART / "values.schema.json").read_text("utf-8")))


def test_users_are_those_that_strimzi_is_told() -> None:
    """Each under the name of its Secret."""
    users = yaml.safe_load(fence("yaml values"))["kafka"]["users"]

    assert set(users) == set(USERS)
    for component, user in users.items():
        assert user == {
            "username": user_name(USERS[component], ""),
            "existingSecret": user_name(USERS[component], ""),
        }


def test_services_take_the_environment() -> None:
    """None of the variables is unknown, and the gateway finds every process."""
    env = dict(line.split("=", 1) for line in fence("ini environment").splitlines())

    shared, gateway = MdsSettings.from_env(env), GatewaySettings.from_env(env)

    assert shared.bootstrap_servers == env["MDS_KAFKA"]
    assert shared.dsn == env["MDS_POSTGRES_DSN"]
    assert gateway.keys_file is not None
    assert {name for name in env if name.startswith("GATEWAY_")} <= {
        f"GATEWAY_{name.upper()}" for name in GatewaySettings.model_fields
    }
    assert set(ops_urls(gateway.services, env, "")) == {"producers", "stream_processors", "sinks"}


def test_the_unit_starts_a_service_again_unless_a_person_is_needed() -> None:
    """In the environment that was made, with as much time to end as the slowest needs in a cluster."""
    unit = configparser.ConfigParser(delimiters="=", interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(fence("ini unit"))
    service = unit["Service"]
    chart = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    longest = max(
        each["terminationGracePeriodSeconds"]
        for each in chart.values()
        if isinstance(each, dict) and "terminationGracePeriodSeconds" in each
    )

    assert service["ExecStart"].split()[1:] == ["-P", "-m", "%i"]
    assert int(service["RestartPreventExitStatus"]) == ExitCode.CONFIGURATION
    assert service["Restart"] == "always"
    assert int(service["TimeoutStopSec"]) >= longest
    started = {name for block in COMMANDS.findall(PAGE) for name in LIST_OF_SERVICES.findall(block)}
    assert started == {"gateway", "sinks", "stream_processors", "producers"}
    assert all(importlib.util.find_spec(f"{name}.__main__") is not None for name in started)
