"""CONTRIBUTING is run: each task's example is written into a copy of the tree, its commands succeed there, its files are counted.

Of the long lists `make test` runs what writes; the tests and the type checker that they end with, `make soak`.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.generate import FILES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent.parent
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+) (?:file=(\S+)|(check|also))\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HUNKS = re.compile(r"^@@\n", re.MULTILINE)
COMMANDS_WITHIN_S = 480  # some thousand tests of ours, beside another worker, on a slow machine
TASKS = (
    "Add a provider",
    "Add a stream",
    "Add an endpoint",
    "Add a journal",
    "Add a metric",
    "Add a migration",
    "Add a configuration key",
    "Add a test",
)
# Files written by hand, of the tree as a whole: what is generated is named in the list and not counted.
MOST_FILES = {"Add a provider": 8, "Add a stream": 20, "Add an endpoint": 3, "Add a journal": 9}
# Of a list's commands those that change nothing, and take a minute and more.
JUDGING = re.compile(r"\b(pytest|mypy)\b")
TYPES = ".mypy_cache"  # `make check` has filled it
MARKER = "__init__.py"  # of a package, empty
GIT = ("git", "-c", "user.name=reader", "-c", "user.email=reader@localhost", "-c", "commit.gpgsign=false")


@dataclass(frozen=True, slots=True)
class Task:
    """Instructions of a section: files to write, changes to make, commands that must succeed then.

    `also` names the files that the example leaves out; `text` is the section as it is read; `most_files` is how many files
    it may write by hand.
    """

    text: str
    files: dict[str, str] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    most_files: float = math.inf


def tasks() -> dict[str, Task]:
    """Return every section of CONTRIBUTING by its title."""
    parts = SECTION.split((ROOT / "CONTRIBUTING.md").read_text("utf-8"))[1:]
    found = {}
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        task = found[title] = Task(text=body, most_files=MOST_FILES.get(title, math.inf))
        for language, path, kind, text in BLOCK.findall(body):
            if kind:
                (task.commands if kind == "check" else task.also).extend(text.splitlines())
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
    """Return a copy of the tree as git knows it, new files included, with this environment and what mypy knows already."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
            # Or make would install anew, from here, into the environment that is only linked to.
            os.utime(folder / name, (0, 0))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    # It goes by what is in a file where the file's time is another one: only what the list changes is checked anew.
    if (ROOT / TYPES).is_dir():
        shutil.copytree(ROOT / TYPES, folder / TYPES)
    if (ROOT.parent / "shared").exists():  # real data, which tests read beside the checkout
        (folder.parent / "shared").symlink_to((ROOT.parent / "shared").resolve())
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "as it is"]):
        subprocess.run([*GIT, *arguments], cwd=folder, capture_output=True, check=True)
    return folder


def touched(tree: Path) -> list[str]:
    """Return the files that are new or changed in a copy, but for empty markers of packages."""
    subprocess.run([*GIT, "add", "-A"], cwd=tree, capture_output=True, check=True)
    command = [*GIT, "diff", "--cached", "--name-only", "-z", "HEAD"]
    listed = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name]
    return [name for name in names if Path(name).name != MARKER or (tree / name).stat().st_size]


def is_generated(name: str, task: Task) -> bool:
    """Whether `make docs` writes a file, and no step of the list does."""
    return name in FILES or (name.startswith("schemas/avro/") and name not in task.files)


def run(command: str, folder: Path) -> None:
    """Run one command of a list, in the copy: nobody has checked that, whatever is said of this tree."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "MDS_TEST_CHECKED"},
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


@pytest.mark.parametrize("title", MOST_FILES)
def test_a_long_list_says_all_that_changes(title: str, tmp_path: Path) -> None:
    """Files as written, changes as shown, what writes succeeds; every file generated is named, those by hand are few."""
    task = tasks()[title]
    assert any(JUDGING.search(command) for command in task.commands)

    follow(task, tmp_path, [command for command in task.commands if not JUDGING.search(command)])


@pytest.mark.parametrize(
    "title", [pytest.param(t, marks=pytest.mark.soak if t in MOST_FILES else ()) for t in TASKS]
)
def test_following_the_list_is_enough(title: str, tmp_path: Path) -> None:
    """The same, and every command of the list succeeds."""
    task = tasks()[title]

    follow(task, tmp_path, task.commands)


def follow(task: Task, folder: Path, commands: Sequence[str]) -> None:
    """Do in a copy what a list says, and run some of its commands; fail where anything is not as it says."""
    tree = copied(folder / "tree")
    for path, text in task.files.items():
        assert not (tree / path).exists(), f"{path} is there already"
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, "utf-8")
    for path, hunk in task.changes:
        (tree / path).write_text(changed((tree / path).read_text("utf-8"), hunk, path), "utf-8")
    subprocess.run(["git", "add", "-A"], cwd=tree, capture_output=True, check=True)
    for command in commands:
        run(command, tree)
    names = touched(tree)
    generated = [name for name in names if is_generated(name, task)]
    by_hand = sorted({*names, *task.also} - {*generated})

    assert [name for name in generated if Path(name).name not in task.text] == []
    assert [name for name in task.also if not (tree / name).parent.is_dir()] == []
    assert len(by_hand) <= task.most_files, by_hand


def test_a_change_that_finds_no_place_is_told() -> None:
    """A list that has fallen behind the code fails, whatever its commands would say."""
    with pytest.raises(AssertionError, match="0 places"):
        changed("a = 1\n", "-b = 1\n+b = 2\n", "toy.py")
