"""Commands of documents that run on servers and clusters, which no test has: split as a shell would, and looked up in what is here."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import parse_qsl, urlsplit

import typer
import yaml
from typer.exceptions import Exit, TyperException

from gateway.features import ENDPOINTS
from infra.cli.__main__ import app
from infra.cli.backfill import REQUEST, RequestUnlessNamed
from infra.runtime.settings import MdsSettings

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(r"^```sh deploy\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
OPERATORS = frozenset({"|", "||", "&&", "&", ";"})
REDIRECTIONS = frozenset({">", ">>", "<"})
KEYWORDS = frozenset({"do", "then", "else"})
CONTROL = frozenset({"for", "done", "fi", "if", "while"})
# Of the system, or of whoever deploys; what they are told is theirs but where it is looked at below.
PROGRAMS = frozenset(
    {
        ".", "apt-get", "cat", "cd", "curl", "cut", "docker", "dpkg", "export", "git", "grep", "helm", "kafka-acls.sh", "kcat", "kubectl",
        "make", "mds", "openssl", "pg_dump", "pg_restore", "pip", "pipx", "printf", "prometheus", "prometheus-blackbox-exporter", "psql",
        "python", "python3", "sed", "set", "sha256sum", "systemctl", "vizviewer", "xargs",
    }
)  # fmt: skip
OUR_VARIABLES = re.compile(r"MDS_(?!TEST_)")


def faults(block: str) -> list[str]:
    """Return what is wrong with the commands of a fence, in their order; `cd` counts for those after it."""
    found: list[str] = []
    folder = ROOT
    for words in commands(block):
        try:
            folder = _check(words, folder)
        except _Wrong as wrong:
            found.append(f"{shlex.join(words)}: {wrong}")
    return found


def commands(block: str) -> Iterator[list[str]]:
    """Yield the words of each simple command, what is substituted into one before it; variables stay in front."""
    pending = ""
    for line in block.replace("\\\n", " ").splitlines():
        pending = f"{pending}\n{line}" if pending else line
        try:
            words = _words(pending)
        except ValueError:
            continue  # a quotation that the next line ends
        for inner in SUBSTITUTION.findall(pending):
            yield from commands(inner)
        pending = ""
        yield from _simple(words)
    if pending:
        raise ValueError(f"a quotation has no end: {pending.strip()}")


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(SUBSTITUTION.sub("SUBSTITUTED", line), posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    return list(lexer)


def _simple(words: Sequence[str]) -> Iterator[list[str]]:
    command: list[str] = []
    is_target = False
    for word in [*words, ";"]:
        if word in OPERATORS:
            while command and command[0] in KEYWORDS:
                command = command[1:]
            if command and command[0] not in CONTROL:
                yield command
            command = []
        elif word in REDIRECTIONS:
            is_target = True
        elif is_target:
            is_target = False
        else:
            command.append(word)


class _Wrong(Exception):
    """Why a command would not work."""


def _check(words: Sequence[str], folder: Path) -> Path:
    """Raise _Wrong where a command is not as it should be; return the folder that the next one runs in."""
    rest = list(words)
    while rest and (assigned := ASSIGNMENT.match(rest[0])) is not None:
        _check_variable(assigned[1])
        rest.pop(0)
    if not rest:
        return folder
    program, arguments = rest[0].rpartition("/")[2] or rest[0], rest[1:]
    if program not in PROGRAMS:
        raise _Wrong(f"{program} is no program that these documents use")
    if program == "cd":
        if not (folder / arguments[0]).is_dir():
            raise _Wrong(f"there is no folder {arguments[0]}")
        return folder / arguments[0]
    for word in arguments:
        _check_path(word, folder)
    if (look := LOOKS.get(program)) is not None:
        look(arguments, folder)
    return folder


def _check_variable(name: str) -> None:
    if OUR_VARIABLES.match(name) and name.removeprefix("MDS_").lower() not in MdsSettings.model_fields:
        raise _Wrong(f"{name} is no setting")


def _check_path(word: str, folder: Path) -> None:
    """Raise _Wrong where a word names something in the repository by a path, and it is not there."""
    path = word.rpartition("=")[2].removeprefix("@").removeprefix("./")
    first = path.partition("/")[0]
    is_ours = "/" in path and first in _top_folders() and not path.startswith("/")
    if is_ours and not (ROOT / path).exists():
        raise _Wrong(f"there is no {path}")
    if path.startswith("../") and not (folder / path).exists():
        raise _Wrong(f"there is no {path} beside {folder.relative_to(ROOT)}")


@cache
def _top_folders() -> frozenset[str]:
    return frozenset(each.name for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith("."))


def _mds(arguments: Sequence[str], _folder: Path) -> None:
    """Let the parser of `mds` read what it would be given."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    try:
        while (within := getattr(command, "commands", None)) is not None and rest[:1] != ["--version"]:
            if isinstance(command, RequestUnlessNamed) and rest and rest[0] not in within:
                rest.insert(0, REQUEST)
            if not rest or rest[0] not in within:
                raise _Wrong(f"mds has no command {' '.join(rest[:1])}")
            command = within[rest.pop(0)]
        command.make_context(command.name, rest)
    except Exit:
        return  # what --version does
    except TyperException as error:
        raise _Wrong(error.format_message()) from error


def _inside(arguments: Sequence[str], folder: Path) -> None:
    """`mds` that is run in a container."""
    if "mds" in arguments:
        _mds(arguments[arguments.index("mds") + 1 :], folder)


def _python(arguments: Sequence[str], folder: Path) -> None:
    words = [word for word in arguments if word != "-P"]
    if words[:1] == ["-m"]:
        is_there = importlib.util.find_spec(words[1]) is not None
    else:
        is_there = not words[:1] or words[0].startswith("-") or (folder / words[0]).is_file()
    if not is_there:
        raise _Wrong(f"there is no {words[1] if words[0] == '-m' else words[0]} to run")


def _make(arguments: Sequence[str], _folder: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    for word in arguments:
        name, is_variable, value = word.partition("=")
        if not is_variable and name not in targets:
            raise _Wrong(f"make has no target {name}")
        if name == "EXTRA":
            locks = [ROOT / f"requirements-{each}.lock" for each in value.split() if each != "deploy"]
            if lost := [lock.name for lock in locks if not lock.exists()]:
                raise _Wrong(f"there is no {lost[0]}")


def _helm(arguments: Sequence[str], _folder: Path) -> None:
    """Values that are set must be in the chart's own; below `settings` anything may stand."""
    charts = [word for word in arguments if (ROOT / word / "Chart.yaml").is_file()]
    if arguments[0] in ("install", "upgrade", "template") and not charts:
        raise _Wrong("it names no chart that is here")
    for option, value in itertools.pairwise(arguments):
        if option in ("--set", "--set-file", "--set-string"):
            for key in (each.partition("=")[0] for each in value.split(",")):
                _check_value(ROOT / charts[0] / "values.yaml", key)


def _check_value(file: Path, key: str) -> None:
    found: Any = yaml.safe_load(file.read_text("utf-8"))
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            raise _Wrong(f"the chart has no value {key}")
        if part in ("settings", "labels"):
            return
        found = found[part]


def _curl(arguments: Sequence[str], _folder: Path) -> None:
    """Addresses are of the gateway: each must be a route that takes these parameters."""
    method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "GET"
    for address in (word for word in arguments if word.startswith(("http://", "https://"))):
        parts = urlsplit(address)
        given = {name for name, _ in parse_qsl(parts.query)}
        taking = [
            each
            for each in ENDPOINTS
            if each.method == method
            and re.fullmatch(re.sub(r"\{\w+\}", ".+", each.path), parts.path) is not None
            and given <= set(get_type_hints(each.query))
        ]
        if not taking:
            raise _Wrong(
                f"the gateway has no {method} {parts.path} with {', '.join(sorted(given)) or 'no parameter'}"
            )


LOOKS = {
    "mds": _mds, "docker": _inside, "kubectl": _inside, "python": _python, "python3": _python, "make": _make, "helm": _helm,
    "curl": _curl,
}  # fmt: skip
