"""Other people's packages that ours need: whether they are locked as they are asked for, and under which licence they are."""

from __future__ import annotations

import json
import re
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement

from infra.embedded.jars import KAFKA_VERSION
from infra.image.licences import canonical, of_package, refused
from infra.image.sbom import installed, needed
from scripts.distributions import PROJECTS

ENTRIES = re.compile(r"^(?=[\w.-]+(?:\[[^]]*\])?==)", re.MULTILINE)
PINNED = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)
ADDRESS = re.compile(
    r"^.*(?:://|index-url|find-links|\bfile:|(?:^|[\s\"'=@])(?:/[\w.-]+){2,}).*$", re.MULTILINE
)
JAR_LOCK, JAR_KEYS = "infra/embedded/kafka.lock.json", {"coordinate", "sha256", "size_bytes"}
SHA256 = re.compile(r"[0-9a-f]{64}")
LICENCE_FIELDS = ("License-Expression", "Classifier", "License")


def lock_faults(root: Path, names: Iterable[str]) -> list[str]:
    """Return what is wrong with lock files: no hash, an address, a requirement that another version answers."""
    faults, pinned = list[str](), dict[str, str]()
    for name in names:
        text = (root / name).read_text("utf-8")
        faults += [f"{name}: {line.strip()} is an address or a path" for line in ADDRESS.findall(text)]
        entries = ENTRIES.split(text)[1:]
        faults += [
            f"{name}: {each.split()[0]} has no hash" for each in entries if "--hash=sha256:" not in each
        ]
        pinned |= {canonical(package): version for package, version in PINNED.findall(text)}
    for requirement in _requirements(root):
        version = pinned.get(canonical(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            faults.append(f"{requirement} is asked for, {version or 'nothing'} is locked")
    return faults + _jar_faults(root)


def _jar_faults(root: Path) -> list[str]:
    lock = json.loads((root / JAR_LOCK).read_text("utf-8"))
    faults = [
        f"{JAR_LOCK}: {jar.get('coordinate')} has no hash, or more than that"
        for jar in lock["jars"]
        if set(jar) != JAR_KEYS or not SHA256.fullmatch(jar["sha256"])
    ]
    if lock["kafka_version"] != KAFKA_VERSION:
        faults.append(f"{JAR_LOCK}: Kafka {KAFKA_VERSION} is asked for, {lock['kafka_version']} is locked")
    return faults


def _requirements(root: Path) -> Iterator[Requirement]:
    """Yield whatever our two projects ask for: to run, with extras, to be built, to be developed."""
    for place in PROJECTS.values():
        project = tomllib.loads((root / place / "pyproject.toml").read_text("utf-8"))
        lists = [
            project["build-system"]["requires"],
            project["project"]["dependencies"],
            *project["project"].get("optional-dependencies", {}).values(),
            *project.get("dependency-groups", {}).values(),
        ]
        yield from (Requirement(text) for asked in lists for text in asked if isinstance(text, str))


def shipped() -> dict[str, Distribution]:
    """Return the packages that are installed here because the service needs them, itself among them, by canonical name."""
    packages = installed(Path(sysconfig.get_path("purelib")))
    return {name: packages[name] for name in needed(packages)}


def unjudged(packages: Mapping[str, Distribution]) -> list[str]:
    """Return the packages whose licence nobody has allowed beside ours, or nobody has found out, with what they say of it."""
    found = []
    for name, package in sorted(packages.items()):
        said = {field: package.metadata.get_all(field) or [] for field in LICENCE_FIELDS}
        if refused(licence := of_package(name, said)):
            first_line = licence.partition("\n")[0]
            found.append(f"{name} ({first_line or 'unclear'})")
    return found
