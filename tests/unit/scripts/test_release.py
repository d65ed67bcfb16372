"""A release is ready only where every check is: each of them is broken once in a clone, and found."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from email import message_from_string
from importlib.metadata import Distribution
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from infra.preflight.findings import Finding
from infra.runtime.lifecycle import VERSION
from scripts import release
from scripts.dependencies import shipped, unjudged
from scripts.distributions import SERVICE
from scripts.release import CONSTRAINTS, SUMS
from scripts.release_checks import CHART, CHECKS, Release, licences, sbom

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
GIT = ("git", "-c", "user.name=reader", "-c", "user.email=reader@localhost", "-c", "commit.gpgsign=false")
ANSWERED_WITHIN_S = 120
FIRST_TAG = "v0.9.0"


class Clone:
    """A repository that is ready to be released, and what --check says of it."""

    def __init__(self, root: Path) -> None:
        """Hold a clone."""
        self.root = root

    def git(self, *arguments: str) -> str:
        """Ask git."""
        done = subprocess.run([*GIT, *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self) -> None:
        """Commit everything there is."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "one more")

    def change(self, name: str, old: str, new: str) -> None:
        """Write `new` where the file has `old`."""
        text = (self.root / name).read_text("utf-8")
        assert old in text, name
        (self.root / name).write_text(text.replace(old, new), "utf-8")

    def check(self, name: str, tested: str = "") -> Finding:
        """Return what one check finds."""
        return CHECKS[name](Release(root=self.root, tested=tested))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Clone the checkout as it stands, tag what it has as the last release and cut the next."""
    root = tmp_path_factory.mktemp("release") / "clone"
    stash = subprocess.run(
        ["git", "stash", "create"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["git", "clone", "--quiet", "--no-tags", "--depth=1", f"file://{ROOT}", root], check=True)
    clone = Clone(root)
    if stash:
        clone.git("fetch", "--quiet", "--depth=1", f"file://{ROOT}", "HEAD")
        patch = subprocess.run(
            ["git", "diff", "--binary", "HEAD", stash], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["git", "apply", "--index"], cwd=root, input=patch.stdout, check=True)
    others = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, others.split("\0")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    numbers = iter(range(1, 10_000))
    decisions = re.sub(
        r"^## \d+\. ",
        lambda _: f"## {next(numbers)}. ",
        (root / "DECISIONS.md").read_text("utf-8"),
        flags=re.MULTILINE,
    )
    (root / "DECISIONS.md").write_text(decisions, "utf-8")
    clone.git("switch", "--quiet", "--force-create", "main")
    clone.commit()
    clone.git("tag", FIRST_TAG)
    subprocess.run(
        [sys.executable, "-m", "scripts.release", "--cut"], cwd=root, check=True, capture_output=True
    )
    clone.commit()
    return clone


@pytest.fixture
def clone(prepared: Clone) -> Iterator[Clone]:
    """The prepared one, as it was."""
    head, tags = prepared.git("rev-parse", "HEAD"), set(prepared.git("tag").split())
    yield prepared
    prepared.git("switch", "--quiet", "--discard-changes", "main")
    prepared.git("reset", "--quiet", "--hard", head)
    prepared.git("clean", "--quiet", "--force", "-d", "-x")
    for tag in set(prepared.git("tag").split()) - tags:
        prepared.git("tag", "--delete", tag)


def test_what_is_well_is_ready_and_is_built(clone: Clone) -> None:
    """Every check says so; SHA256SUMS is what sha256sum reads; constraints name the versions of the lock without hashes."""
    dist = clone.root / "dist"
    dist.mkdir(exist_ok=True)
    (dist / "tested-commit").write_text(clone.git("rev-parse", "HEAD") + "\n")
    (dist / "sbom.cdx.json").write_text(bill())
    done = subprocess.run(
        [sys.executable, "-m", "scripts.release", "--build", "--json", "--sbom", "dist/sbom.cdx.json"],
        cwd=clone.root,
        capture_output=True,
        text=True,
        timeout=ANSWERED_WITHIN_S,
        check=False,
    )
    answer = json.loads(done.stdout)
    found = {each["name"]: each for each in answer["checks"]}
    assert [each["finding"] for each in found.values() if each["result"] != "ok"] == []

    sums = (dist / SUMS).read_text("utf-8").splitlines()
    constraints = (dist / CONSTRAINTS).read_text("utf-8")
    assert (done.returncode, answer["exit_code"], answer["verdict"]) == (0, 0, "ready")
    assert set(found) == set(CHECKS)
    assert found["breaking"]["finding"] == f"0 since {FIRST_TAG}, all listed"
    assert clone.git("status", "--porcelain") == ""
    assert {path.name for path in dist.iterdir()} == {*answer["files"], "tested-commit"}
    assert [line.partition("  ")[2] for line in sums] == sorted({*answer["files"]} - {SUMS})
    assert len(sums) == 6
    for line in sums:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    assert "--hash" not in constraints
    assert "\\" not in constraints
    locked = (ROOT / "requirements.lock").read_text("utf-8")
    assert len(constraints.splitlines()) == len(re.findall(r"^\S+==", locked, re.MULTILINE))


def _stray(clone: Clone) -> None:
    (clone.root / "stray.py").touch()


def _branch(clone: Clone) -> None:
    clone.git("switch", "--quiet", "--create", "other")


def _unequal(clone: Clone) -> None:
    clone.change("clients/python/mds_client/__init__.py", f'"{VERSION}"', '"0.9.1"')


def _other_chart(clone: Clone) -> None:
    clone.change(CHART, f"appVersion: {VERSION}", "appVersion: 0.9.1")


def _released(clone: Clone) -> None:
    clone.git("tag", "v1.0.0")


def _uncut(clone: Clone) -> None:
    clone.change("CHANGELOG.md", f"## [{VERSION}] - ", f"## [0.9.0+{VERSION}] - ")


def _undated(clone: Clone) -> None:
    text = (clone.root / "CHANGELOG.md").read_text("utf-8")
    (clone.root / "CHANGELOG.md").write_text(
        re.sub(rf"(## \[{re.escape(VERSION)}\]) - \S+", r"\1", text), "utf-8"
    )


def _left_behind(clone: Clone) -> None:
    clone.change("CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n### Added\n\n- What came later.\n")


def _no_entry(clone: Clone) -> None:
    text = (clone.root / "CHANGELOG.md").read_text("utf-8")
    heading = re.search(rf"## \[{re.escape(VERSION)}\].*\n", text)
    assert heading is not None
    clone.change("CHANGELOG.md", heading[0], f"{heading[0]}\n## [0.8.0] - 2026-01-02\n")


def _no_unreleased(clone: Clone) -> None:
    clone.change("CHANGELOG.md", "## [Unreleased]\n", "")


def _hole(clone: Clone) -> None:
    clone.change("DECISIONS.md", "\n## 12. ", "\n## 9999. ")


def _stale(clone: Clone) -> None:
    clone.change("docs/reference/topics.md", "# Topics", "# The topics")


def _no_hash(clone: Clone) -> None:
    text = (clone.root / "requirements.lock").read_text("utf-8")
    entry = re.search(r"^aiohttp==[^\n]*\n(?:    --hash[^\n]*\n)+", text, re.MULTILINE)
    assert entry is not None
    clone.change("requirements.lock", entry[0], entry[0].partition(" \\")[0] + "\n")


def _address(clone: Clone) -> None:
    clone.change(
        "requirements-iceberg.lock", "pyiceberg==", "--index-url https://example.org/simple\npyiceberg=="
    )


def _path(clone: Clone) -> None:
    clone.change("bootstrap.lock", "uv==", "uv @ file:///srv/wheels/uv.whl # uv==")


def _not_locked(clone: Clone) -> None:
    clone.change("pyproject.toml", '"aiohttp>=', '"aiohttp>=900", "aiohttp>=')


def _new_requirement(clone: Clone) -> None:
    clone.change("clients/python/pyproject.toml", '["websockets', '["no-such-package>=1", "websockets')


def _jar(clone: Clone) -> None:
    clone.change("infra/embedded/kafka.lock.json", '"kafka_version": "', '"kafka_version": "0.')


def _no_licence(clone: Clone) -> None:
    (clone.root / "clients" / "python" / "LICENSE").unlink()


def _no_bill(_clone: Clone) -> None:
    """Nobody names one."""


BROKEN: dict[str, tuple[Callable[[Clone], None], str, str]] = {
    "stray": (_stray, "tree", r"not committed: stray\.py"),
    "branch": (_branch, "branch", "on other"),
    "unequal": (_unequal, "version", f"the service is {VERSION}, the client 0.9.1"),
    "other-chart": (_other_chart, "version", f"the service is {VERSION}, the chart .* of 0.9.1"),
    "released": (_released, "version", "not greater than v1.0.0"),
    "uncut": (_uncut, "changelog", "no section"),
    "undated": (_undated, "changelog", "no day"),
    "left-behind": (_left_behind, "changelog", r"under \[Unreleased\]"),
    "no-entry": (_no_entry, "changelog", "no entry"),
    "no-unreleased": (_no_unreleased, "changelog", r"no section \[Unreleased\]"),
    "hole": (_hole, "decisions", "9999"),
    "stale": (_stale, "generated", r"topics\.md"),
    "no-hash": (_no_hash, "locks", "aiohttp==.* has no hash"),
    "address": (_address, "locks", "requirements-iceberg.lock: --index-url .* is an address"),
    "path": (_path, "locks", "bootstrap.lock: uv @ .* is an address or a path"),
    "not-locked": (_not_locked, "locks", "aiohttp>=900 is asked for"),
    "new-requirement": (_new_requirement, "locks", "no-such-package>=1 is asked for, nothing is locked"),
    "jar": (_jar, "locks", "Kafka .* is asked for"),
    "no-licence": (_no_licence, "licences", "not the same"),
    "no-bill": (_no_bill, "sbom", "no bill of materials"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found(clone: Clone, name: str) -> None:
    """By its check, with what to do."""
    damage, check, told = BROKEN[name]
    damage(clone)

    finding = clone.check(check)

    assert finding.result == "failed"
    assert re.search(told, finding.says), finding.says
    assert finding.remedy


def test_a_version_that_is_none_is_found(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """SemVer's spelling of a candidate is not that of Python's packages."""
    monkeypatch.setattr("scripts.release_checks.VERSION", "1.0.0-rc.1")

    assert clone.check("version").says == "'1.0.0-rc.1' is no version in the form of PEP 440"


def test_what_breaks_is_found_unless_it_is_listed(clone: Clone) -> None:
    """In an entry of the section that says that it is one: of two that break, the one that is not."""
    clone.change("schemas/avro/bar.v1.avsc", '"type"', '"type" ')
    clone.change("docs/reference/metrics.md", "| `circuit_state` | gauge |", "| `circuit_state` | counter |")
    text = (clone.root / "CHANGELOG.md").read_text("utf-8")
    heading = re.search(rf"## \[{re.escape(VERSION)}\].*\n", text)
    assert heading is not None
    clone.change("CHANGELOG.md", heading[0], f"{heading[0]}\n- **Breaking**: `circuit_state` is a counter.\n")

    finding = clone.check("breaking")

    assert finding.result == "failed"
    assert finding.says == f"1 breaking changes since {FIRST_TAG} are not listed: Avro bar.v1.avsc"


def test_a_release_that_is_not_ready_is_not_built(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and a check that breaks down hides no other."""
    monkeypatch.setattr(release, "ROOT", clone.root)
    monkeypatch.setattr(
        release,
        "CHECKS",
        {"branch": CHECKS["branch"], "decisions": CHECKS["decisions"], "tree": CHECKS["tree"]},
    )
    (clone.root / "DECISIONS.md").unlink()

    code = release.main(["--build"])

    printed = capsys.readouterr().out
    assert code == 2
    assert "FileNotFoundError" in printed
    assert "not committed: DECISIONS.md" in printed
    assert not (clone.root / "dist" / SUMS).exists()


@pytest.mark.parametrize("tested", ["dist/tested-commit", "0" * 40, "abc"])
def test_tests_of_another_commit_are_none(clone: Clone, tested: str) -> None:
    """A file that is not there, a commit that is another, too few digits to be one."""
    assert clone.check("tests", tested).result == "failed"


def test_a_build_that_does_not_repeat_is_found(clone: Clone) -> None:
    """Something of the moment gets into a wheel."""
    hook = "import time\nfrom hatchling.builders.hooks.plugin.interface import BuildHookInterface\n\n\nclass Moment(BuildHookInterface):\n    def initialize(self, version, build_data):\n        with open('schemas/moment.py', 'w') as file:\n            file.write(f'{time.time_ns()}')\n"
    (clone.root / "hatch_build.py").write_text(hook)
    clone.change(
        "pyproject.toml",
        "[tool.hatch.version]",
        "[tool.hatch.build.targets.wheel.hooks.custom]\n\n[tool.hatch.version]",
    )
    clone.commit()

    assert "differ from build to build: market_data_service" in clone.check("distributions").says


def bill(**changed: str | None) -> str:
    """Return a bill of what is installed, with other versions of some packages; None leaves one out."""
    versions: dict[str, str | None] = {name: each.version for name, each in shipped().items()} | {
        SERVICE: VERSION
    }
    components = {
        name: {"name": name, "version": version}
        for name, version in (versions | changed).items()
        if version is not None
    }
    subject = components.pop(SERVICE)
    return json.dumps({"metadata": {"component": subject}, "components": list(components.values())})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (bill(), ""),
        (bill(aiohttp="0.1"), "aiohttp"),
        (bill(aiohttp=None), "aiohttp"),
        (bill(**{SERVICE: "0.9"}), SERVICE),
        ("[]", "no CycloneDX"),
        ('{"components": []}', "no CycloneDX"),
    ],
    ids=["well", "another", "left-out", "of-another-release", "a-list", "of-nothing"],
)
def test_a_bill_of_another_installation_is_found(tmp_path: Path, text: str, told: str) -> None:
    """A package of another version or left out, another release, or no bill at all."""
    path = tmp_path / "sbom.json"
    path.write_text(text)
    found = sbom(Release(root=ROOT, sbom=path))

    assert found.result == ("failed" if told else "ok")
    assert told in found.says


def said(*lines: str) -> Distribution:
    """Return a package whose metadata have these lines."""
    text = "\n".join(["Metadata-Version: 2.4", "Name: toy", "Version: 1", *lines])
    return cast("Distribution", SimpleNamespace(metadata=message_from_string(text)))


MIT, GPL = (
    "License :: OSI Approved :: MIT License",
    "License :: OSI Approved :: GNU General Public License (GPL)",
)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["License-Expression: MIT"], None),
        ([f"Classifier: {MIT}", "Classifier: Topic :: Internet"], None),
        (["License-Expression: MIT", f"Classifier: {GPL}"], None),
        (["License-Expression: AGPL-3.0-only"], "toy (AGPL-3.0-only)"),
        (["License-Expression: MIT AND AGPL-3.0-only"], "toy (MIT AND AGPL-3.0-only)"),
        ([f"Classifier: {GPL}"], "toy (unclear)"),
        ([f"Classifier: {MIT}", f"Classifier: {GPL}"], "toy (unclear)"),
        (["License: MIT"], None),
        (["License: as you like"], "toy (as you like)"),
        ([], "toy (unclear)"),
    ],
)
def test_a_licence_that_nobody_has_allowed_is_found(lines: list[str], told: str | None) -> None:
    """By the list that judges an image: one that binds, one of several, one in free words, none."""
    assert unjudged({"toy": said(*lines)}) == ([told] if told else [])


def test_what_we_ship_is_allowed_and_a_new_package_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is installed because of the service, itself among them."""
    packages = shipped()

    assert {SERVICE, "confluent-kafka", "asyncpg"} <= packages.keys()
    assert licences(Release(root=ROOT)).result == "ok"
    monkeypatch.setattr("scripts.release_checks.shipped", lambda: packages | {"toy": said("License: free")})
    found = licences(Release(root=ROOT))
    assert (found.result, "toy (free)" in found.says) == ("failed", True)
