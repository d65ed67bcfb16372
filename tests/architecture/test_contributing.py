"""CONTRIBUTING is run: each task's example is written into a copy of the tree, and its commands must succeed there."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+) (?:file=(\S+)|(check))\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HUNKS = re.compile(r"^@@\n", re.MULTILINE)
COMMANDS_WITHIN_S = 240
TASKS = (
    "Add a provider",
    "Add a stream",
    "Add an endpoint",
    "Add a metric",
    "Add a migration",
    "Add a configuration key",
    "Add a test",
)
# Examples are written for declarations that are not in every checkout; without those there is nothing to follow.
NEEDED = {
    "Add a provider": "schemas/providers/built_in.py",
    "Add a stream": "schemas/streams.py",
    "Add an endpoint": "gateway/http/endpoints.py",
    "Add a metric": "scripts/generate.py",
}


@dataclass(frozen=True, slots=True)
class Task:
    """What a section says to do: files to write, changes to make, commands that must succeed then."""

    files: dict[str, str] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def tasks() -> dict[str, Task]:
    """Return every section of CONTRIBUTING by its title."""
    parts = SECTION.split((ROOT / "CONTRIBUTING.md").read_text("utf-8"))[1:]
    found = {}
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        task = found[title] = Task()
        for language, path, check, text in BLOCK.findall(body):
            if check:
                task.commands.extend(text.splitlines())
            elif language == "diff":
                task.changes.extend((path, hunk) for hunk in HUNKS.split(text))
            else:
                task.files[path] = text
    return found


def changed(text: str, hunk: str, path: str) -> str:
    """Return a file's text after one change; the lines it takes the place of are there exactly once."""
    lines = hunk.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))

    assert text.count(before) == 1, f"{path} has {text.count(before)} places like:\n{before}"
    return text.replace(before, after)


def copied(folder: Path) -> Path:
    """Return a copy of the tree as git knows it, new files included, with this environment."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)  # with its time: make must not install anew
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for git in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *git], cwd=folder, capture_output=True, check=True)
    return folder


def run(command: str, folder: Path) -> None:
    """Run one command of a list, in the copy."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=COMMANDS_WITHIN_S,
        check=False,
    )

    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"


def test_every_task_has_a_list_that_is_run() -> None:
    """A section without commands would be read and never checked."""
    found = tasks()

    assert tuple(found) == TASKS
    assert [title for title, task in found.items() if not task.commands] == []


@pytest.mark.parametrize("title", TASKS)
def test_following_the_list_is_enough(title: str, tmp_path: Path) -> None:
    """Files as written, changes as shown, and the commands at its end succeed."""
    if title in NEEDED and not (ROOT / NEEDED[title]).exists():
        pytest.skip(f"{NEEDED[title]} is not in this checkout")
    task, tree = tasks()[title], copied(tmp_path)
    for path, text in task.files.items():
        assert not (tree / path).exists(), f"{path} is there already"
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, "utf-8")
    for path, hunk in task.changes:
        (tree / path).write_text(changed((tree / path).read_text("utf-8"), hunk, path), "utf-8")
    subprocess.run(["git", "add", "-A"], cwd=tree, capture_output=True, check=True)
    for command in task.commands:
        run(command, tree)


def test_a_change_that_finds_no_place_is_told() -> None:
    """A list that has fallen behind the code fails, whatever its commands would say."""
    with pytest.raises(AssertionError, match="0 places"):
        changed("a = 1\n", "-b = 1\n+b = 2\n", "toy.py")
