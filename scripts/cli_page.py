"""The reference of every command, docs/CLI.md, from the command lines' own parsers; examples are those of other documents."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer

from gateway.__main__ import parser as gateway_parser
from gateway.http.reference import table
from infra.cli.__main__ import app
from infra.cli.backfill import REQUEST, RequestUnlessNamed
from infra.runtime.exit_codes import ExitCode
from scripts.settings_page import NAMED
from sinks.__main__ import parser as sinks_parser

ROOT = Path(__file__).parent.parent
REFERENCE, CONCEPTS = "reference", "concepts"  # folders beside the page
HEAD = f"""\
# Command line

For whoever types commands: each command with its options and what they are unless given. `mds COMMAND --help` says the same.

*Generated from the command lines by `make docs`.* Examples are those of other pages, where they are run, or read by the command's parser.

In a checkout it is `.venv/bin/mds`, or `mds` with `.venv/bin` on the PATH. Which system a command means, say the
[settings]({REFERENCE}/settings.md): broker, database, `MDS_HOME`, and the key `MDS_API_KEY` where a gateway asks for one.

## Exit codes

Of commands and services alike. What code 1 means for a command stands with it.

{{codes}}

`mds preflight` has [codes of its own](../scripts/README.md#how-to-read-it): 1 is a warning, 3 what could not be looked at.

"""
CODES: Mapping[ExitCode, str] = {
    ExitCode.DONE: "Done, or stopped on request.",
    ExitCode.NO: "The answer is no: a check failed, nothing was seen.",
    ExitCode.CONFIGURATION: "Something must be changed first; one sentence says what. Trying again changes nothing.",
    ExitCode.UNREACHABLE: "A part cannot be reached, or failed to start.",
    ExitCode.SOFTWARE: "Of services: anything unexpected. Start it again.",
    ExitCode.STALLED: "Of services: records wait, and progress stood still. Start it again.",
    ExitCode.FROZEN: "Of services: the process stood still for longer than others wait for it. Start it again.",
}
SERVICES = f"""\
## Services

`mds run` and whatever runs containers start them; each runs in the foreground until SIGTERM or Ctrl-C, by [settings]({REFERENCE}/settings.md) alone.
`python -m producers`, `python -m stream_processors`, `python -m infra.simulator` (`mds simulator serve`) and the two below without a command.
"""
INNER = f"""\
`python -m stream_processors replay` makes canonical records of archived ones, or those of a broker (`--bootstrap`); [archive]({CONCEPTS}/archive.md) shows the pipe.
`python -m sinks archive` is `mds archive`, and `python -m sinks export` what `mds replay` runs.
"""
ELSEWHERE = {"archive", "export"}  # of the sinks: what `mds` runs and the page has under its name
FENCE = re.compile(r"^```sh(?: deploy)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s+#.*$")
MDS = re.compile(r"(?:^|[;&|]\s*|\$\()(?:\.venv/bin/)?(mds\s[^|;&)]+)")
# Whose commands are shown first: pages by task, whose fences are run.
FIRST = ("README.md", "docs/QUICKSTART.md", "docs/CONTINUITY.md", "docs/MACRO.md", "docs/OPTIONS.md")
NOT_SHOWN = frozenset({"help"})
TYPES = {
    "str": "TEXT",
    "path": "PATH",
    "int": "N",
    "int range": "N",
    "float": "NUMBER",
    "float range": "NUMBER",
    "datetime": "TIME",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of `mds`: its words, and the parser that reads it; a group has commands below it."""

    words: tuple[str, ...]
    parser: Any

    @property
    def name(self) -> str:
        """What is typed."""
        return " ".join(self.words)

    @property
    def usage(self) -> str:
        """The synopsis: arguments, options that are required, and whether there are others."""
        given = [each for each in self.parser.params if each.name not in NOT_SHOWN]
        arguments = [_argument(each) for each in given if each.param_type_name == "argument"]
        options = [each for each in given if each.param_type_name == "option"]
        required = [_option(each) for each in options if each.required]
        others = ["[OPTIONS]"] if len(options) > len(required) else []
        below = ["COMMAND"] if hasattr(self.parser, "commands") else []
        return " ".join((self.name, *arguments, *required, *others, *below))


def commands() -> Iterator[Command]:
    """Yield every command and group of `mds`, a group before what is in it, by name."""
    yield from _below(Command(words=("mds",), parser=typer.main.get_command(app)))


def _below(command: Command) -> Iterator[Command]:
    yield command
    for name, parser in sorted(getattr(command.parser, "commands", {}).items()):
        yield from _below(Command(words=(*command.words, name), parser=parser))


def cli_page() -> str:
    """Return docs/CLI.md."""
    codes = table(("Code", "Means"), ((str(int(code)), words) for code, words in CODES.items()))
    parts = [HEAD.format(codes=codes).strip()]
    shown = examples()
    for command in commands():
        parts.append(f"## {command.name}" if len(command.words) <= 2 else f"### {command.name}")
        parts.append(_paragraphs(command.parser.help))
        parts.append(f"```text\n{command.usage}\n```")
        if options := list(_options(command.parser)):
            parts.append(table(("Given", "Unless given", "Is"), options))
        if (example := shown.get(command.words)) is not None:
            parts.append(f"[For example]({_linked(example[0])}): `{example[1]}`")
    parts.append(SERVICES.strip())
    for parser in (gateway_parser(), sinks_parser()):
        parts += _of_argparse(parser)
    parts.append(INNER.strip())
    return "\n\n".join(parts) + "\n"


def _paragraphs(words: str | None) -> str:
    """Return a help text as Markdown, lines of a paragraph joined."""
    found = re.split(r"\n\s*\n", (words or "").strip())
    return NAMED.sub(r"`\g<0>`", "\n\n".join(" ".join(paragraph.split()) for paragraph in found))


def _options(parser: Any) -> Iterator[tuple[str, str, str]]:
    for each in parser.params:
        if each.name not in NOT_SHOWN:
            given = _option(each) if each.param_type_name == "option" else _named(each)
            again = " May be given again." if each.multiple and "again" not in each.help else ""
            yield (
                f"`{given}`",
                _unless_given(each),
                NAMED.sub(r"`\g<0>`", f"{each.help}{_bounds(each)}{again}"),
            )


def _option(parameter: Any) -> str:
    """Return an option and what it takes."""
    if parameter.is_flag:
        return str(parameter.opts[0])
    kind = parameter.display_type(ctx=None).strip("<>")
    kind = kind.removeprefix("list[").removesuffix("]")
    return f"{parameter.opts[0]} {parameter.metavar or TYPES.get(kind, kind)}"


def _argument(parameter: Any) -> str:
    """Return an argument as a synopsis has it."""
    name = _named(parameter) + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _named(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _unless_given(parameter: Any) -> str:
    if parameter.required:
        return "*required*"
    if parameter.default in (None, "", False) or getattr(parameter, "is_flag", False):
        return ""
    return f"`{parameter.default}`"


def _bounds(parameter: Any) -> str:
    low, high = parameter.min, parameter.max
    if low is not None and high is not None:
        return f" {low:g} to {high:g}."
    return f" At least {low:g}." if low is not None else ""


def _of_argparse(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the parts of a page of a service's own command line: a command below another after it."""
    yield f"### {parser.prog}"
    if parser.description:
        yield _paragraphs(parser.description)
    yield f"```text\n{' '.join(parser.format_usage().removeprefix('usage: ').split())}\n```"
    rows = [
        (f"`{_given(action)}`", "*required*" if action.required else "", action.help or "")
        for action in parser._actions  # noqa: SLF001 - argparse tells them in no other way
        if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))  # noqa: SLF001
    ]
    if rows:
        yield table(("Given", "Unless given", "Is"), rows)
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, inner in action.choices.items():
                if name not in ELSEWHERE:
                    yield from _of_argparse(inner)


def _given(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    takes = f" {value}" if action.nargs != 0 else ""
    return (action.option_strings[0] + takes) if action.option_strings else str(value)


@cache
def examples() -> Mapping[tuple[str, ...], tuple[str, str]]:
    """Return a page and a line of it for each command that some page shows; the first one of the first page."""
    known = {command.words: command.parser for command in commands()}
    documents = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "scripts" / "README.md"))
    ordered = [*(ROOT / name for name in FIRST), *documents]
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    for document in ordered:
        name = str(document.relative_to(ROOT))
        if name in ("docs/CLI.md", "CHANGELOG.md", "DECISIONS.md"):
            continue
        for block in FENCE.findall(document.read_text("utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                for typed in MDS.findall(COMMENT.sub("", line)):
                    if "--help" not in typed:
                        found.setdefault(_words_of(typed, known), (name, " ".join(typed.split())))
    return found


def _words_of(typed: str, known: Mapping[tuple[str, ...], Any]) -> tuple[str, ...]:
    """Return the words of the command that a line means."""
    words: tuple[str, ...] = ()
    for word in shlex.split(typed):
        if (*words, word) not in known:
            break
        words = (*words, word)
    return (*words, REQUEST) if isinstance(known[words], RequestUnlessNamed) else words


def _linked(document: str) -> str:
    return document.removeprefix("docs/") if document.startswith("docs/") else f"../{document}"


def anchor(words: Sequence[str]) -> str:
    """Return the anchor of a command's section."""
    return "-".join(words)
