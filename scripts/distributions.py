"""Wheel and source distribution of the service and of its client, the same bytes wherever they are built from one commit.

What they hold is said in both `pyproject.toml`. The same bytes need the same hatchling and zlib: build in the environment of
the lock file.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

SERVICE, CLIENT = "market-data-service", "mds-client"
PROJECTS: Mapping[str, str] = MappingProxyType({SERVICE: ".", CLIENT: "clients/python"})
BUILD_TIMEOUT_S = 120.0


class BuildFailed(Exception):
    """A build ended without a distribution; the message is what it printed last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What differs from one machine to the next and must not reach a distribution."""

    umask: int = 0o022
    environment: Mapping[str, str] = field(default_factory=lambda: {"TZ": "UTC", "LC_ALL": "C"})
    reverse: bool = False  # write the files in the other order
    mtime_s: int | None = None  # seconds since the epoch; None leaves what the archive says


USUAL = Circumstances()
OTHER = Circumstances(
    umask=0o077,
    environment={"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"},
    reverse=True,
    mtime_s=981_173_100,
)


def export(root: Path, commit: str, tree: Path, how: Circumstances = USUAL) -> int:
    """Write the files of a commit to a new folder and return when it was made, in seconds since the epoch."""
    packed = _git(root, "archive", "--format=tar", commit)
    old = os.umask(how.umask)
    try:
        tree.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            members = [member for member in archive if member.isfile()]
            for member in reversed(members) if how.reverse else members:
                archive.extract(member, tree, filter="data")
    finally:
        os.umask(old)
    if how.mtime_s is not None:
        for path in tree.rglob("*"):
            os.utime(path, (how.mtime_s, how.mtime_s))
    return int(_git(root, "show", "--no-patch", "--format=%ct", f"{commit}^{{commit}}"))


def build(tree: Path, into: Path, *, epoch_s: int, how: Circumstances = USUAL) -> list[Path]:
    """Build all distributions of an exported tree into a folder and return them by name; raises BuildFailed.

    `epoch_s` is the time that every file in them gets (SOURCE_DATE_EPOCH).
    """
    before = set(into.iterdir()) if into.exists() else set[Path]()
    for place in PROJECTS.values():
        _hatchling(tree / place, into, ("sdist", "wheel"), epoch_s, how)
    return sorted(set(into.iterdir()) - before)


def wheels_of_sdists(sdists: Sequence[Path], scratch: Path, into: Path, *, epoch_s: int) -> None:
    """Build a wheel of each source distribution alone; raises BuildFailed."""
    for sdist in sdists:
        with tarfile.open(sdist) as archive:
            archive.extractall(scratch, filter="data")
        _hatchling(scratch / sdist.name.removesuffix(".tar.gz"), into, ("wheel",), epoch_s, USUAL)


def differing(root: Path, commit: str, scratch: Path) -> list[str]:
    """Return the names of distributions of a commit that come out differently; raises BuildFailed.

    Compared are two copies in different folders under different circumstances, and the wheels of the sources with those of the
    tree. What is right is in `scratch`/built afterwards.
    """
    right, other, derived = scratch / "built", scratch / "other", scratch / "derived"
    for how, tree, into in ((USUAL, scratch / "a", right), (OTHER, scratch / "b" / "deeper", other)):
        epoch_s = export(root, commit, tree, how)
        build(tree, into, epoch_s=epoch_s, how=how)
    wheels_of_sdists(sorted(right.glob("*.tar.gz")), scratch / "sdists", derived, epoch_s=epoch_s)
    expected = digests(right)
    compared = [digests(other).items(), digests(derived).items()]
    unequal = {name for found in compared for name, digest in found if expected.get(name) != digest}
    return sorted(unequal | (expected.keys() - digests(other).keys()))


def digests(folder: Path) -> dict[str, str]:
    """Return the hexadecimal SHA-256 of each distribution in a folder, by name."""
    files = sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _hatchling(place: Path, into: Path, targets: Sequence[str], epoch_s: int, how: Circumstances) -> None:
    chosen = [part for target in targets for part in ("--target", target)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHON"))}
    done = subprocess.run(  # noqa: S603 - every part is ours
        [sys.executable, "-P", "-m", "hatchling", "build", "--directory", str(into.resolve()), *chosen],
        cwd=place,
        env=kept | dict(how.environment) | {"SOURCE_DATE_EPOCH": str(epoch_s)},
        umask=how.umask,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise BuildFailed((done.stderr or done.stdout).strip().rpartition("\n")[2])


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(  # noqa: S603 - every part is ours
        ["git", *arguments],  # noqa: S607 - whichever git the operator has
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout
