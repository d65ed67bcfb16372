"""The checks of a release, one after the other: what each saw of the checkout and, unless that is well, what to do."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import yaml
from packaging.version import InvalidVersion, Version

from infra.image.licences import canonical
from infra.preflight.findings import Finding, failed, ok, some, unknown
from infra.runtime.lifecycle import VERSION
from scripts import published
from scripts.dependencies import lock_faults, shipped, unjudged
from scripts.distributions import PROJECTS, SERVICE, BuildFailed, differing, export
from scripts.generate import FILES

CHART = "infra/helm/market-data-service/Chart.yaml"
CLIENT_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
DECISION = re.compile(r"^## (\d+)\. ", re.MULTILINE)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
GIT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Release:
    """A checkout that is to be released, with the commit whose tests passed and the bill of materials, where they are told."""

    root: Path
    tested: str = ""  # a commit, or the path of a file that names it
    sbom: Path | None = None  # CycloneDX, JSON

    def git(self, *arguments: str) -> str:
        """Return what git says of the checkout; raises CalledProcessError."""
        return subprocess.run(  # noqa: S603 - every part is ours
            ["git", *arguments],  # noqa: S607 - whichever git the operator has
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        ).stdout.rstrip()

    def text(self, name: str) -> str:
        """Return a file of the checkout."""
        return (self.root / name).read_text("utf-8")

    @cached_property
    def scratch(self) -> Path:
        """A folder that goes with the process; `scratch`/built has the distributions once they were compared."""
        folder = tempfile.TemporaryDirectory(prefix="release-")
        weakref.finalize(self, folder.cleanup)
        return Path(folder.name)

    @cached_property
    def differing(self) -> list[str]:
        """The distributions of the commit that are not the same bytes from build to build; raises BuildFailed."""
        return differing(self.root, "HEAD", self.scratch)

    @cached_property
    def last_tag(self) -> str | None:
        """The tag of the newest version below which this commit stands; None before the first release."""
        tags = [
            tag
            for tag in self.git("tag", "--merged", "HEAD", "--list", "v*").splitlines()
            if _is_version(tag[1:])
        ]
        return max(tags, key=lambda tag: Version(tag[1:]), default=None)


def tree(release: Release) -> Finding:
    """Whether what is released is what is committed."""
    changed = release.git("status", "--porcelain").splitlines()
    if changed:
        return failed(f"not committed: {some([line[3:] for line in changed])}", "commit it, or take it away")
    return ok(f"commit {release.git('rev-parse', '--short=12', 'HEAD')}, nothing else")


def branch(release: Release) -> Finding:
    """Whether it is the branch of which releases are made."""
    name = release.git("rev-parse", "--abbrev-ref", "HEAD")
    return ok("main") if name == "main" else failed(f"on {name}", "release from main: git switch main")


def version(release: Release) -> Finding:
    """Whether the version is one, the same for service, client and chart, and greater than the last."""
    remedy = f"correct VERSION of infra/runtime/lifecycle.py, __version__ of clients/python/mds_client/__init__.py, version and appVersion of {CHART}"
    chart = yaml.safe_load(release.text(CHART))
    client = CLIENT_VERSION.findall(release.text("clients/python/mds_client/__init__.py"))
    if not _is_version(VERSION):
        return failed(f"{VERSION!r} is no version in the form of PEP 440", remedy)
    if client != [VERSION]:
        return failed(f"the service is {VERSION}, the client {' '.join(client) or 'nothing'}", remedy)
    if (chart["version"], chart["appVersion"]) != (_semantic(VERSION), VERSION):
        return failed(
            f"the service is {VERSION}, the chart {chart['version']} of {chart['appVersion']}", remedy
        )
    if release.last_tag is not None and Version(VERSION) <= Version(release.last_tag[1:]):
        return failed(f"{VERSION} is not greater than {release.last_tag}, which was released", remedy)
    return ok(f"{VERSION}, after {release.last_tag or 'no other'}")


def changelog(release: Release) -> Finding:
    """Whether the changelog has a section of the version, with entries, under an empty one of what comes next."""
    text = release.text("CHANGELOG.md")
    found, waiting = published.section(text, VERSION), published.section(text, "Unreleased")
    remedy = f"`python -m scripts.release --cut` makes [{VERSION}] of what is under [Unreleased]"
    if found is None:
        return failed(f"no section [{VERSION}]", remedy)
    day, entries = found[0], published.BULLET.findall(found[1])
    if not DAY.fullmatch(day):
        return failed(f"[{VERSION}] has no day", "write it as in ## [1.0.0] - 2026-11-30")
    if not entries:
        return failed(f"[{VERSION}] has no entry", "say what it brings")
    if waiting is None:
        return failed("no section [Unreleased]", "put an empty one above all others, for what comes next")
    if published.BULLET.search(waiting[1]):
        return failed(
            f"entries are under [Unreleased] and not in [{VERSION}]", "move them, they are in this release"
        )
    return ok(f"[{VERSION}] of {day}, {len(entries)} entries")


def decisions(release: Release) -> Finding:
    """Whether decisions are numbered from 1 without a hole."""
    numbers = list(map(int, DECISION.findall(release.text("DECISIONS.md"))))
    wrong = [str(number) for place, number in enumerate(numbers, 1) if number != place]
    if not numbers or wrong:
        return failed(
            f"out of order: {some(wrong)}", "number the entries of DECISIONS.md from 1 without a hole"
        )
    return ok(f"1 to {numbers[-1]}")


def generated(release: Release) -> Finding:
    """Whether what is generated is what would be."""
    stale = [
        name
        for name, write in FILES.items()
        if not (release.root / name).exists() or release.text(name) != write()
    ]
    return failed(f"stale: {some(stale)}", "make docs") if stale else ok(f"{len(FILES)} files are current")


def locks(release: Release) -> Finding:
    """Whether every package and jar has its hash and no address, and every requirement a version it takes."""
    names = [
        name
        for name in release.git("ls-files", "*.lock").splitlines()
        if not name.startswith(("benchmarks/", "tests/"))
    ]
    faults = lock_faults(release.root, names)
    return failed("; ".join(faults[:3]), "make lock") if faults else ok(f"{' '.join(names)} kafka.lock.json")


def distributions(release: Release) -> Finding:
    """Whether wheels and source distributions of the commit are the same bytes wherever they are built."""
    try:
        unequal = release.differing
    except BuildFailed as error:
        return failed(f"cannot be built: {error}", "correct pyproject.toml")
    if unequal:
        return failed(f"differ from build to build: {some(unequal)}", "compare two builds with diffoscope")
    return ok(f"of {' and '.join(PROJECTS)} the same bytes, twice")


def licences(release: Release) -> Finding:
    """Whether both distributions carry the licence, and what they need at run time has one that lets them."""
    ours = {place: (release.root / place / "LICENSE") for place in PROJECTS.values()}
    texts = {path.read_bytes() if path.exists() else b"" for path in ours.values()}
    if len(texts) != 1 or not all(texts):
        return failed("LICENSE is not the same beside both pyproject.toml", "copy LICENSE to clients/python")
    packages = shipped()
    if others := unjudged(packages):
        return failed(
            f"nobody has allowed the licence of {some(others)}",
            "look it up and judge it in infra/image/licences.py, or replace the package",
        )
    return ok(f"Apache-2.0, and those of {len(packages)} packages")


def breaking(release: Release) -> Finding:
    """Whether the changelog names what of the last release's contract is gone or another."""
    if release.last_tag is None:
        return ok("nothing was released that could break")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "last"
        export(release.root, release.last_tag, folder)
        try:
            broken = published.breaks(published.told_by(folder), published.told_by(release.root))
        except ValueError as error:
            return unknown(
                f"the contract of {release.last_tag} cannot be told: {error}", "run it in its own environment"
            )
    found = published.section(release.text("CHANGELOG.md"), VERSION)
    silent = published.unlisted(broken, found[1] if found else "")
    if silent:
        remedy = f"name them in [{VERSION}] in an entry marked as breaking, or take the change back"
        return failed(
            f"{len(silent)} breaking changes since {release.last_tag} are not listed: {some(silent)}", remedy
        )
    return ok(f"{len(broken)} since {release.last_tag}, all listed")


def tests(release: Release) -> Finding:
    """Whether all tests passed on this very commit."""
    head, remedy = (
        release.git("rev-parse", "HEAD"),
        "run CI on it, and name its file, or the commit, with --tested",
    )
    told = release.tested
    if told and Path(told).is_file():
        told = Path(told).read_text("utf-8").strip()
    if len(told) < 12 or not head.startswith(told):
        return failed(f"passed on {told[:12] or 'no commit that is told'}, this is {head[:12]}", remedy)
    return ok(f"passed on {head[:12]}")


def sbom(release: Release) -> Finding:
    """Whether the bill of materials is of this version, and has every installed package as it is installed."""
    remedy = "`make setup EXTRA=deploy`, `.venv/deploy/bin/python -m infra.image.sbom .venv dist --jars`, then --sbom dist/sbom.cdx.json"
    if release.sbom is None:
        return failed("no bill of materials is told", remedy)
    try:
        bill = json.loads(release.sbom.read_text("utf-8"))
        components = [bill["metadata"]["component"], *bill["components"]]
        listed = {canonical(each["name"]): str(each.get("version")) for each in components}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return failed(f"{release.sbom} is no CycloneDX: {error}", remedy)
    expected = {name: package.version for name, package in shipped().items()} | {SERVICE: VERSION}
    others = [name for name, version in expected.items() if listed.get(name) != version]
    if others:
        return failed(f"another version, or none, of {some(others)}", remedy)
    return ok(f"{len(listed)} components")


Check = Callable[[Release], Finding]
CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        each.__name__: each
        for each in (
            tree, branch, version, changelog, decisions, generated, locks, licences, sbom, breaking, tests, distributions,
        )
    }
)  # fmt: skip


def _semantic(version: str) -> str:
    """Return a version as charts spell it (SemVer 2): 1.0.0rc1 is 1.0.0-rc1."""
    return re.sub(r"^(\d+(?:\.\d+)*)(?=[a-z])", r"\1-", version)


def _is_version(text: str) -> bool:
    try:
        return str(Version(text)) == text
    except InvalidVersion:
        return False
