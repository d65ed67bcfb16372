"""The environment of the deployment tools is the one that its lock describes, and none of the services'."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.support.deployment_tools import ENVIRONMENT, deployment_tool
from tests.support.requirements import AT_START

LOCK = Path(__file__).parents[2] / "infra" / "deploy.lock"
LISTED = """
import importlib.metadata
for package in importlib.metadata.distributions():
    print(package.metadata["Name"], package.version)
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_installed_is_what_is_locked() -> None:
    """An environment from before the lock changed would judge by other versions."""
    locked = set(re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK.read_text("utf-8"), re.MULTILINE))
    listed = deployment_tool("python", "-c", LISTED).stdout.splitlines()
    installed = {(canonical(name), version) for name, version in (line.split() for line in listed)}

    assert len(installed) > 40
    assert installed <= {(canonical(name), version) for name, version in locked}


def test_the_services_see_none_of_it() -> None:
    """Its packages lie apart, so no version of theirs replaces one that services run with."""
    assert not any(str(ENVIRONMENT) in place for place in sys.path)


def test_it_is_left_out_with_the_remedy_where_it_is_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And is a failure where everything is required."""
    monkeypatch.setattr("tests.support.deployment_tools.ENVIRONMENT", tmp_path)
    ending = (
        pytest.fail.Exception
        if AT_START.get("MDS_TEST_REQUIRE_DATA") or AT_START.get("CI")
        else pytest.skip.Exception
    )

    with pytest.raises(ending, match="make setup EXTRA=deploy"):
        deployment_tool("python", "-c", "")
