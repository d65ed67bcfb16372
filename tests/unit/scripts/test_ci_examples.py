"""Pipelines to copy: they are YAML of the form their system takes, and name only what is here."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from infra.cli.__main__ import app
from infra.runtime.settings import MdsSettings
from scripts.generate import ROOT

FOLDER = ROOT / "scripts" / "ci"
GITHUB, GITLAB = FOLDER / "github-actions.yml", FOLDER / "gitlab-ci.yml"
BOTH = pytest.mark.parametrize("file", [GITHUB, GITLAB], ids=lambda file: file.name)
NOT_JOBS = {"stages", "default", "variables", "workflow", "include"}
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
OURS = re.compile(r"(?:MDS|GATEWAY|SINKS|PRODUCERS|PROCESSORS)_\w+")
SUITE = re.compile(r"MDS_TEST_\w+")


def document(file: Path) -> dict[Any, Any]:
    """Return the whole file."""
    found = yaml.safe_load(file.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    """Return the jobs by name, in order."""
    found = document(file)
    if file == GITHUB:
        return dict(found["jobs"])
    return {name: job for name, job in found.items() if name not in NOT_JOBS}


def commands(job: dict[str, Any]) -> list[str]:
    """Return the lines a job runs."""
    if "script" in job:
        return [str(line) for line in job["script"]]
    return [step["run"] for step in job["steps"] if "run" in step]


def variables(job: dict[str, Any]) -> Iterator[str]:
    """Yield the variables a job sets."""
    yield from job.get("variables", {})
    yield from job.get("env", {})
    for step in job.get("steps", ()):
        yield from step.get("env", {})


@BOTH
def test_the_jobs_are_lint_test_and_preflight_in_that_order(file: Path) -> None:
    """Nothing is asked of staging before the tests have passed."""
    found = jobs(file)

    assert list(found) == ["lint", "test", "preflight"]
    if file == GITHUB:
        assert [found[name].get("needs") for name in found] == [None, "lint", "test"]
        assert all(job["runs-on"] and job["timeout-minutes"] for job in found.values())
    else:
        assert document(file)["stages"] == [job["stage"] for job in found.values()]
        assert all(job["timeout"] for job in found.values())


@BOTH
def test_every_command_is_one_of_ours_and_is_there(file: Path) -> None:
    """Targets of the Makefile, commands of `mds` with their options, modules."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    known = typer.main.get_group(app).commands
    run = [line for job in jobs(file).values() for line in commands(job)]

    assert len(run) >= 4
    for line in run:
        program, *arguments = shlex.split(line.partition("||")[0])
        if program == "make":
            assert set(arguments) <= targets, line
            continue
        assert program == ".venv/bin/mds", line
        command = known[arguments[0]]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {each for each in arguments if each.startswith("--")} <= options, line


@BOTH
def test_every_variable_is_a_setting_or_one_of_the_suite(file: Path) -> None:
    """A typo would stop the pipeline, or do nothing."""
    named = set(OURS.findall(file.read_text("utf-8")))
    settings = {f"MDS_{name.upper()}" for name in MdsSettings.model_fields}
    suite = set(SUITE.findall((ROOT / "tests" / "conftest.py").read_text("utf-8")))

    assert {each for job in jobs(file).values() for each in variables(job)} <= named
    assert named <= settings | suite


@BOTH
def test_warnings_stop_no_pipeline_and_everything_else_does(file: Path) -> None:
    """Exit code 1 is ready with warnings."""
    job = jobs(file)["preflight"]
    (line,) = [each for each in commands(job) if "preflight" in each]

    if file == GITHUB:
        assert line.endswith("|| test $? -eq 1")
    else:
        assert job["allow_failure"] == {"exit_codes": [1]}


def test_actions_of_others_are_pinned_and_rights_are_few() -> None:
    """A tag may be moved, a commit may not."""
    used = [step["uses"] for job in jobs(GITHUB).values() for step in job["steps"] if "uses" in step]

    assert used
    assert all(PINNED.fullmatch(each) for each in used)
    assert document(GITHUB)["permissions"] == {"contents": "read"}


def test_the_modules_the_readme_names_are_there() -> None:
    """`python -m` each of them."""
    named = re.findall(r"python -m ([\w.]+)", (ROOT / "scripts" / "README.md").read_text("utf-8"))

    assert set(named) == {
        "infra.image.sbom",
        "scripts.generate",
        "scripts.pre_deploy",
        "scripts.published",
        "scripts.release",
    }
    assert all(importlib.util.find_spec(each) for each in named)
