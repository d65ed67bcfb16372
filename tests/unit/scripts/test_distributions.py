"""What is built of a commit: the same bytes everywhere, what programs read at run time, and metadata that says so."""

from __future__ import annotations

import email
import re
import subprocess
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from mds_client import __version__ as client_version
from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.version import Version

from infra.runtime.lifecycle import VERSION
from scripts.distributions import BuildFailed, build, differing, export

ROOT = Path(__file__).parents[3]
PACKAGES = ("producers", "stream_processors", "sinks", "gateway", "analytics", "schemas", "infra")
# The rest of infra/ is read by other programs.
RUN = tuple(
    f"infra/{part}"
    for part in ("__init__.py", "cli/", "embedded/", "migrations/", "preflight/", "runtime/", "simulator/")
)
IMPORTED = re.compile(rf"^\s*(?:from|import) ((?:{'|'.join(PACKAGES)})[\w.]*)", re.MULTILINE)


def git(*arguments: str) -> str:
    """Ask git of this checkout."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """What differed between builds of the checkout as it stands, and the folder of one of them."""
    scratch = tmp_path_factory.mktemp("distributions")
    return differing(ROOT, git("stash", "create") or "HEAD", scratch), scratch / "built"


def wheel(folder: Path, name: str) -> zipfile.ZipFile:
    """Open the wheel of a distribution."""
    (path,) = folder.glob(f"{name}-*.whl")
    return zipfile.ZipFile(path)


def metadata(archive: zipfile.ZipFile) -> Message:
    """Return what a wheel says of itself."""
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_string(archive.read(name).decode())


def test_distributions_are_the_same_wherever_they_are_built(built: tuple[list[str], Path]) -> None:
    """Folder, umask, times and order of files, time zone, locale, hash seed; and a wheel is that of its source distribution."""
    unequal, folder = built

    assert unequal == []
    assert [path.name for path in sorted(folder.iterdir())] == [
        f"{name}-{VERSION}{end}"
        for name in ("market_data_service", "mds_client")
        for end in ("-py3-none-any.whl", ".tar.gz")
    ]


def test_the_wheel_has_what_programs_read_and_nothing_else(built: tuple[list[str], Path]) -> None:
    """Every file of the packages but those of other programs: migrations, Avro, topics, jars' lock, scenarios."""
    names = {name for name in wheel(built[1], "market_data_service").namelist() if ".dist-info/" not in name}
    tracked = git("ls-files", "--", *PACKAGES).splitlines()
    expected = {name for name in tracked if not name.startswith("infra/") or name.startswith(RUN)}

    assert names == expected | {"infra/runtime/mds.yaml"}  # the example, config/mds.yaml
    assert {Path(name).suffix for name in names} <= {
        ".py",
        ".sql",
        ".avsc",
        ".yaml",
        ".json",
        ".html",
        ".css",
        ".js",
        ".txt",
    }
    assert {
        "infra/migrations/0001_pre_market_data.sql",
        "schemas/topics.yaml",
        "infra/embedded/kafka.lock.json",
    } <= names


def test_what_the_wheel_imports_of_ours_is_in_it(built: tuple[list[str], Path]) -> None:
    """A part of infra/ that programs begin to use has to be taken in."""
    archive = wheel(built[1], "market_data_service")
    names = set(archive.namelist())
    lost = {
        f"{name}: {module}"
        for name in names
        if name.endswith(".py")
        for module in IMPORTED.findall(archive.read(name).decode())
        if not {f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"} & names
    }

    assert lost == set()


def test_the_wheel_of_the_client_is_its_package(built: tuple[list[str], Path]) -> None:
    """Typed, and nothing of the service in it."""
    archive = wheel(built[1], "mds_client")
    names = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert names == {
        name.removeprefix("clients/python/")
        for name in git("ls-files", "--", "clients/python/mds_client").splitlines()
    }
    assert "mds_client/py.typed" in names


@pytest.mark.parametrize("name", ["market_data_service", "mds_client"])
def test_metadata_says_licence_python_and_version(built: tuple[list[str], Path], name: str) -> None:
    """The licence by its SPDX name and as text, the README as description, and no address that nobody keeps."""
    archive = wheel(built[1], name)
    said = metadata(archive)
    (licence,) = [each for each in archive.namelist() if each.endswith("licenses/LICENSE")]

    assert said["Version"] == str(Version(VERSION)) == VERSION
    assert canonicalize_license_expression(said["License-Expression"]) == "Apache-2.0"
    assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert said["Requires-Python"] == ">=3.11"
    assert said["Description-Content-Type"] == "text/markdown"
    assert len(str(said.get_payload())) > 500
    assert said.get_all("Project-URL") is None
    assert said["Home-page"] is None


def test_the_command_and_the_extra_are_declared(built: tuple[list[str], Path]) -> None:
    """`mds` is what pipx puts on the path."""
    archive = wheel(built[1], "market_data_service")
    (name,) = [each for each in archive.namelist() if each.endswith("entry_points.txt")]

    assert archive.read(name).decode() == "[console_scripts]\nmds = infra.cli.__main__:main\n"
    assert "iceberg" in metadata(archive).get_all("Provides-Extra", [])


def test_what_is_asked_for_is_what_was_tested(built: tuple[list[str], Path]) -> None:
    """Each requirement has a lower bound, no upper one, and takes the version of the lock."""
    lock = "".join(path.read_text("utf-8") for path in sorted(ROOT.glob("requirements*.lock")))
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE))
    asked = [
        Requirement(text)
        for name in ("market_data_service", "mds_client")
        for text in metadata(wheel(built[1], name)).get_all("Requires-Dist", [])
    ]

    assert len(asked) > 20
    for requirement in asked:
        assert [each.operator for each in requirement.specifier] == [">="], requirement
        assert requirement.specifier.contains(pinned[requirement.name], prereleases=True), requirement


def test_service_and_client_are_of_one_version() -> None:
    """Said once each, and read from there by what builds them."""
    for place in (ROOT, ROOT / "clients" / "python"):
        project = tomllib.loads((place / "pyproject.toml").read_text("utf-8"))["project"]
        assert "version" not in project
        assert project["dynamic"] == ["version"]

    assert client_version == VERSION


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    """The last line of what the builder printed."""
    epoch_s = export(ROOT, "HEAD", tmp_path / "tree")
    (tmp_path / "tree" / "README.md").unlink()

    with pytest.raises(BuildFailed, match=r"README\.md"):
        build(tmp_path / "tree", tmp_path / "built", epoch_s=epoch_s)
