"""The Dockerfile: pinned bases, one script that does the work, a user that is nobody; and what is given to a build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.image_root import environment, instructions

ROOT = Path(__file__).parents[4]
TEXT = (ROOT / "infra/image/Dockerfile").read_text("utf-8")
INSTRUCTIONS = instructions(TEXT)
FINAL = INSTRUCTIONS[max(place for place, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]


def all_of(name: str) -> list[str]:
    return [rest for found, rest in INSTRUCTIONS if found == name]


def test_instructions_are_read_whole() -> None:
    """Comments left out, lines that go on joined."""
    text = "# a\nRUN one \\\n    two\n\n  # b\nENV A=1 \\\n    B=2\n"

    assert [(name, rest.split()) for name, rest in instructions(text)] == [
        ("RUN", ["one", "two"]), ("ENV", ["A=1", "B=2"]),
    ]  # fmt: skip
    assert environment(text) == {"A": "1", "B": "2"}


def test_both_stages_stand_on_the_base_that_a_digest_names() -> None:
    """The digest has no default that an engine would take; tags alone name nothing."""
    assert [rest.partition(" AS ")[0] for rest in all_of("FROM")] == ["${PYTHON_IMAGE}@${PYTHON_DIGEST}"] * 2
    (default,) = [rest for rest in all_of("ARG") if rest.startswith("PYTHON_DIGEST=")]
    assert not re.fullmatch(r"PYTHON_DIGEST=sha256:[0-9a-f]{64}", default)
    assert "set-build-arg-PYTHON_DIGEST" in default
    assert "latest" not in TEXT
    (name,) = [rest for rest in all_of("ARG") if rest.startswith("PYTHON_IMAGE=")]
    assert re.search(r":3\.\d+-slim-\w+$", name)


def test_the_build_script_does_the_work() -> None:
    """One command in the stage that is thrown away, none in the one that stays; nothing is fetched by address."""
    assert all_of("RUN") == ['["sh", "/source/infra/image/build.sh", "/image", "/source"]']
    assert "RUN" not in {name for name, _ in FINAL}
    assert all_of("ADD") == []
    assert "://" not in TEXT
    assert [rest.split() for name, rest in FINAL if name == "COPY"] == [
        ["--from=build", "/image/opt/", "/opt/"],
        ["--from=build", "/image/usr/", "/usr/"],
        ["--from=build", "--chown=65532:65532", "/image/var/lib/", "/var/lib/"],
    ]


def test_it_runs_as_nobody_in_its_home() -> None:
    """By number, so that an orchestrator sees it is not root; what it finds is on the path."""
    said = dict(FINAL)
    variables = environment(TEXT)

    assert said["USER"] == "65532:65532"
    assert said["WORKDIR"] == variables["MDS_HOME"] == variables["HOME"] == "/var/lib/mds"
    assert variables["PATH"].split(":")[0] == "/opt/mds/.venv/bin"
    assert variables["PYTHONSAFEPATH"] == "1"
    assert (said["HEALTHCHECK"], said["ENTRYPOINT"], said["CMD"]) == ("NONE", "[]", '["mds", "--help"]')
    assert "EXPOSE" not in said
    assert "VOLUME" not in said


def test_its_labels_say_what_it_is() -> None:
    """Title, licence, version, revision and the base it was made from."""
    (labels,) = all_of("LABEL")
    names = set(re.findall(r"org\.opencontainers\.image\.([\w.]+)=", labels))

    assert names == {"title", "description", "licenses", "version", "revision", "base.name", "base.digest"}


@pytest.mark.parametrize(
    "needed", re.findall(r"\$source/([\w./-]+)", (ROOT / "infra/image/build.sh").read_text("utf-8"))
)
def test_what_the_script_reads_is_given_to_it(needed: str) -> None:
    """It is in the repository, and .dockerignore lets it through."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    given = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert lines[1] == "*"
    assert (ROOT / needed).is_file()
    assert any(needed == name or needed.startswith(f"{name}/") for name in given)


def test_no_more_than_that_is_given() -> None:
    """Neither data, nor keys, nor history, nor tests."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    given = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert all((ROOT / name).exists() for name in given)
    assert given.isdisjoint({".git", ".mds", ".venv", "tests", "docs", "config", "infra", "benchmarks", "."})
