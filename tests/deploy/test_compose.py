"""The Compose file is one by the Compose specification, as it is written and with its variables in place."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from infra.compose.prepare import CHOICES, prepare
from tests.support.compose_file import FILE, Project, env_file
from tests.support.deployment_tools import deployment_tool


def test_the_file_is_of_the_specification(tmp_path: Path) -> None:
    """A port or a size that a variable makes of another form is found too; and so is a word that is none."""
    files = [FILE]
    for choice in CHOICES:
        folder = tmp_path / choice
        folder.mkdir()
        prepare(folder, choice)
        files.append(folder / "compose.yaml")
        files[-1].write_text(yaml.safe_dump(Project(env_file(folder / ".env"), folder).document), "utf-8")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILE.read_text("utf-8").replace("mem_limit: 1g", "memory_limit: 1g"), "utf-8")

    done = deployment_tool(
        "check-jsonschema",
        "-v",
        "--builtin-schema",
        "vendor.compose-spec",
        "--output-format",
        "json",
        *files,
        wrong,
    )
    answer = json.loads(done.stdout)

    assert answer["parse_errors"] == []
    assert {each["filename"] for each in answer["errors"]} == {str(wrong)}
    assert "memory_limit" in done.stdout
    assert answer["successes"] == [str(file) for file in files]
