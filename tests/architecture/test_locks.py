"""Lock files: every package by its hash, from no address, and an extra changes nothing of what is there without it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = {"iceberg": "pyiceberg", "otel": "opentelemetry-sdk", "trace": "viztracer"}  # with what each is for
LOCKS = (
    "bootstrap.lock",
    "requirements.lock",
    *(f"requirements-{extra}.lock" for extra in EXTRAS),
    "infra/deploy.lock",
    "infra/image/requirements.lock",
)
PINNED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def pinned(name: str) -> dict[str, set[str]]:
    """Return the versions of each package of a lock file: one, unless Pythons differ."""
    versions: dict[str, set[str]] = {}
    for package, version in PINNED.findall((ROOT / name).read_text("utf-8")):
        versions.setdefault(package, set()).add(version)
    return versions


def entries(name: str) -> set[str]:
    """Return the entries of a lock file: package, version, marker and hashes."""
    text = (ROOT / name).read_text("utf-8")
    return set(re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:])


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_hashes_and_no_address(name: str) -> None:
    """From whichever registry they come, they are the same files."""
    text = (ROOT / name).read_text("utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]

    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_changes_no_version(name: str) -> None:
    """Installed into an environment it adds to it."""
    base, extra = pinned("requirements.lock"), pinned(f"requirements-{name}.lock")

    assert {
        name: (base[name], extra[name]) for name in base.keys() & extra if base[name] != extra[name]
    } == {}
    assert EXTRAS[name] in extra.keys() - base.keys()


def test_extras_agree_on_what_they_share() -> None:
    """All of them may be installed into one environment."""
    locks = [pinned(f"requirements-{name}.lock") for name in EXTRAS]
    shared = {package for lock in locks for package in lock}

    assert [each for each in shared if len({tuple(lock[each]) for lock in locks if each in lock}) > 1] == []


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_is_locked_as_it_is_declared(name: str) -> None:
    """The group its lock is made of has all that the extra asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    assert set(project["project"]["optional-dependencies"][name]) <= set(project["dependency-groups"][name])


def test_the_image_is_locked_at_the_same_versions() -> None:
    """What is tested is what is shipped: it leaves packages out and changes none, by markers and hashes too."""
    shipped, tested = entries("infra/image/requirements.lock"), entries("requirements.lock")

    assert {entry for entry in shipped if entry not in tested} == set()
    assert len(shipped) > 50


def test_the_image_leaves_out_what_it_is_told_to() -> None:
    """Servers of one machine, whose packages are dependencies of the project; and all of development."""
    lines = (ROOT / "infra/image/excluded.in").read_text("utf-8").splitlines()
    excluded = {line for line in lines if not line.startswith("#")}
    shipped, project = (
        pinned("infra/image/requirements.lock"),
        tomllib.loads((ROOT / "pyproject.toml").read_text()),
    )
    wanted = {re.split(r"[>=\[]", text)[0].lower() for text in project["project"]["dependencies"]}

    assert excluded <= wanted
    assert wanted - excluded <= shipped.keys()
    assert excluded.isdisjoint(shipped)
    assert {"pytest", "mypy", "ruff", "hatchling"}.isdisjoint(shipped)
