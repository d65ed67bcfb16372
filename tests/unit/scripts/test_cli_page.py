"""The reference of commands: each once, with all it takes, and every exit code there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest

from infra.runtime.exit_codes import ExitCode
from scripts.cli_page import Command, cli_page, commands, examples
from scripts.settings_page import CLASSES, NAMED, settings_of
from tests.support.deploy_commands import faults

SECTION = re.compile(r"^#{2,3} (mds\b.*|python -m .*)$", re.MULTILINE)
GIVEN = re.compile(r"^\| `([^` ]+)[^`]*` \|", re.MULTILINE)
CODE = re.compile(r"^\| (\d+) \|", re.MULTILINE)
COMMANDS = list(commands())
OF_SERVICES = ["python -m gateway", "python -m gateway new-key", "python -m sinks", "python -m sinks replay"]


@cache
def sections() -> dict[str, str]:
    """Return what the page says of each command, by what is typed."""
    parts = SECTION.split(cli_page())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_one_section_and_nothing_else_has() -> None:
    """Groups too; then the command lines of services that have commands."""
    named = SECTION.findall(cli_page())

    assert named == [*(command.name for command in COMMANDS), *OF_SERVICES]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_whatever_a_command_takes_is_in_its_section_once(command: Command) -> None:
    """By the name it is given by; a required one stands in the synopsis."""
    section = sections()[command.name]
    listed = GIVEN.findall(section)

    assert listed == [name for name, _ in taken(command)]
    for name, required in taken(command):
        assert not required or name in command.usage.split(), name
    assert f"```text\n{command.usage}\n```" in section


def taken(command: Command) -> Iterator[tuple[str, bool]]:
    """Yield what a command's parser takes, and whether it must be there."""
    for each in command.parser.params:
        if each.name != "help":
            is_option = each.param_type_name == "option"
            name = each.opts[0] if is_option else each.metavar or each.name.upper()
            yield name, each.required and (is_option or each.nargs != -1)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_help_text_is_made_of_sentences(command: Command) -> None:
    """Of the command and of whatever it takes; a setting it names is one."""
    known = {setting.name for _, _, kind, readers in CLASSES for setting in settings_of(kind, readers)}
    words = [command.parser.help, *(each.help for each in command.parser.params if each.name != "help")]
    for text in words:
        first = re.split(r"\n\s*\n", text.strip())[0]
        assert re.match(r"[A-Z0-9`]|(?:\w+[, :])+", first), text
        assert first.endswith((".", ")")) or re.fullmatch(r"(?:\w+ )+\w+", first), text
        assert {name for name in NAMED.findall(text) if not name.endswith("_")} <= known, text


def test_every_exit_code_is_told_once() -> None:
    """Of commands and services."""
    assert CODE.findall(cli_page()) == [str(int(code)) for code in ExitCode]


def test_an_example_is_a_command_of_the_page_that_is_named() -> None:
    """What its own parser reads, under the section of the command it means."""
    shown = examples()

    assert len(shown) > 20
    for words, (document, line) in shown.items():
        assert faults(line) == [], (document, line)
        assert line.split()[: len(words) - 1] == list(words)[: len(words) - 1]
