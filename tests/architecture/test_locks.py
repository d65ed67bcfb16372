"""Lock files: every package by its hash, from no address, and an extra changes nothing of what is there without it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("bootstrap.lock", "requirements.lock", "requirements-iceberg.lock", "infra/deploy.lock")
PINNED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def pinned(name: str) -> dict[str, set[str]]:
    """Return the versions of each package of a lock file: one, unless Pythons differ."""
    versions: dict[str, set[str]] = {}
    for package, version in PINNED.findall((ROOT / name).read_text("utf-8")):
        versions.setdefault(package, set()).add(version)
    return versions


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_hashes_and_no_address(name: str) -> None:
    """From whichever registry they come, they are the same files."""
    text = (ROOT / name).read_text("utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]

    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "index-url" not in text


def test_an_extra_changes_no_version() -> None:
    """Installed into an environment it adds to it."""
    base, extra = pinned("requirements.lock"), pinned("requirements-iceberg.lock")

    assert {
        name: (base[name], extra[name]) for name in base.keys() & extra if base[name] != extra[name]
    } == {}
    assert {"pyiceberg", "pyiceberg-core", "pyarrow"} <= extra.keys() - base.keys()


def test_an_extra_is_locked_as_it_is_declared() -> None:
    """The group its lock is made of has all that the extra asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    extra = project["project"]["optional-dependencies"]["iceberg"]
    assert set(extra) <= set(project["dependency-groups"]["iceberg"])
