"""What of an environment belongs to the project, and what a bill keeps of it."""

from __future__ import annotations

import re
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from infra.image.sbom import (
    foreign_files,
    installed,
    jars,
    libraries,
    needed,
    restricted,
    settle,
    third_party,
)


def package(site: Path, name: str, *requires: str, files: tuple[str, ...] = ()) -> None:
    """Lay out what an installer leaves of a package."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir()
    lines = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {text}" for text in requires)]
    (folder / "METADATA").write_text("Metadata-Version: 2.4\n" + "\n".join(lines) + "\n", "utf-8")
    (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files), "utf-8")


def test_what_the_project_needs_is_followed_by_markers_and_extras(tmp_path: Path) -> None:
    """An extra that nobody asks for brings nothing, though it is installed; circles end."""
    package(tmp_path, "market_data_service", "Web.Server[fast]>=1", "never; python_version < '3'")
    package(tmp_path, "web-server", "quick; extra == 'fast'", "tester; extra == 'test'", "low>1")
    for name in ("quick", "tester", "never"):
        package(tmp_path, name)
    package(tmp_path, "low", "web-server")

    assert needed(installed(tmp_path)) == {"market-data-service", "web-server", "quick", "low"}


def test_files_that_are_no_python_are_named(tmp_path: Path) -> None:
    """Shared libraries beside the package, scripts, archives of Java; extensions of its own are part of it."""
    files = (
        "a.libs/libz-1.so.1",
        "a/__init__.py",
        "a/core.cpython-311.so",
        "a/page.js",
        "a/b.jar",
        "a/c.wasm",
    )
    package(tmp_path, "a", files=files)
    (found,) = installed(tmp_path).values()

    assert isinstance(found, Distribution)
    assert foreign_files(found) == ["a.libs/libz-1.so.1", "a/b.jar", "a/c.wasm", "a/page.js"]


def test_what_is_linked_into_a_library_is_listed_with_the_version_it_says(tmp_path: Path) -> None:
    """A hole in it is looked up by that; a library without one is listed all the same."""
    file = tmp_path / "confluent_kafka.libs" / "librdkafka-1.so.1"
    package(tmp_path, "confluent-kafka", files=(f"confluent_kafka.libs/{file.name}",))
    file.parent.mkdir()
    file.write_bytes(b"\0OpenSSL x\0OpenSSL 3.5.8 25 Aug 2026\0")
    (found,) = installed(tmp_path).values()

    listed = {each["name"]: each.get("version") for each in libraries({"bom-ref": "a"}, found)}
    assert listed == {"librdkafka": None, "OpenSSL": "3.5.8"}


BILL: dict[str, Any] = {
    "metadata": {"tools": {}},
    "components": [
        {
            "bom-ref": "z",
            "name": "Zeta",
            "version": "1",
            "licenses": [{"expression": "MIT"}],
            "type": "library",
        },
        {"bom-ref": "p", "name": "market-data-service", "version": "2", "type": "library"},
        {
            "bom-ref": "a",
            "name": "alpha",
            "version": "3",
            "licenses": [{"expression": "ISC"}],
            "type": "library",
        },
        {"bom-ref": "t", "name": "tester", "version": "4", "type": "library"},
    ],
    "dependencies": [{"ref": "p", "dependsOn": ["z", "t"]}, {"ref": "z"}, {"ref": "t"}, {"ref": "a"}],
}


def test_a_bill_is_of_the_project(tmp_path: Path) -> None:
    """It is the subject, what it does not need is gone, from edges too; the order is that of names."""
    kept = restricted(BILL, {"market-data-service", "zeta", "alpha"})

    assert kept["metadata"]["component"]["type"] == "application"
    assert [each["name"] for each in kept["components"]] == ["alpha", "Zeta"]
    assert kept["dependencies"] == [
        {"ref": "a", "dependsOn": []}, {"ref": "p", "dependsOn": ["z"]}, {"ref": "z", "dependsOn": []},
    ]  # fmt: skip
    rows = third_party(kept, tmp_path).splitlines()[-2:]
    assert rows == ["| alpha | 3 | ISC | none in its package |", "| Zeta | 1 | MIT | none in its package |"]


def test_a_loose_licence_is_replaced_with_its_reason() -> None:
    """Another's stays as it was declared."""
    loose: dict[str, Any] = {"name": "AIOBreaker", "licenses": [{"license": {"name": "BSD"}}]}
    clear: dict[str, Any] = {"name": "alpha", "licenses": [{"license": {"id": "MIT"}}]}
    settle(loose)
    settle(clear)

    assert loose["licenses"] == [{"expression": "BSD-3-Clause", "acknowledgement": "concluded"}]
    assert "pybreaker" in loose["properties"][0]["value"]
    assert clear == {"name": "alpha", "licenses": [{"license": {"id": "MIT"}}]}


def test_jars_are_what_the_lock_pins() -> None:
    """By the hash that is checked before one is used; optional, since a broker elsewhere needs none."""
    found = list(jars())

    assert {each["scope"] for each in found} == {"optional"}
    assert all(re.fullmatch("[0-9a-f]{64}", each["hashes"][0]["content"]) for each in found)
    assert "pkg:maven/org.apache.kafka/kafka-clients@4.2.2" in {each["purl"] for each in found}


@pytest.mark.parametrize("name", ["PyYAML", "ruamel.yaml_clib"])
def test_names_are_compared_as_indices_do(name: str, tmp_path: Path) -> None:
    """A package calls itself otherwise than those that need it."""
    package(tmp_path, "market-data-service", name.upper())
    package(tmp_path, name)

    assert len(needed(installed(tmp_path))) == 2
