"""The WebSocket reference and the page of every code, written from the declarations."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.http.problems import ANY_STATUS, FIELD_ERRORS, PROBLEMS
from gateway.http.reference import WRITTEN, members, table
from gateway.websocket.asyncapi import ABOUT, ADDRESSES, MESSAGES, command_schema, schema_of
from gateway.websocket.codes import CLOSES, ERRORS
from gateway.websocket.commands import COMMANDS
from schemas.errors import PermanentError


def websocket_page() -> str:
    """Return the Markdown page of commands and messages."""
    parts = [
        "# WebSocket",
        WRITTEN,
        ABOUT,
        "The same as data: `GET /asyncapi.json`. Codes: [errors](errors.md).",
    ]
    parts.append(
        table(("Address", "Meaning"), ((f"`{address}`", words) for address, words in ADDRESSES.values()))
    )
    parts.append("## Commands")
    for name, command in COMMANDS.items():
        parts += [f"### `{name}`", command.words, members(command_schema(name))]
    parts.append("## Messages")
    for message in MESSAGES:
        parts += [f"### `{message.t}`", (message.__doc__ or "").strip(), members(schema_of(message))]
    return "\n\n".join(parts) + "\n"


def errors_page() -> str:
    """Return the Markdown page of every code: problems of REST, errors and closes of the WebSocket, dead letters."""
    problems = (
        (str(each.status) if each.status != ANY_STATUS else "any", f"`{code}`", each.cause, each.remedy)
        for code, each in sorted(PROBLEMS.items(), key=lambda entry: (entry[1].status, entry[0]))
    )
    errors = (
        (str(each.number), f"`{slug}`", each.cause, each.remedy, "yes" if each.temporary else "no")
        for slug, each in ERRORS.items()
    )
    closes = (
        (str(number), "yes" if each.reconnect else "no", each.cause, each.remedy)
        for number, each in CLOSES.items()
    )
    parts = [
        "# Errors",
        WRITTEN,
        "Codes, numbers and words never change their meaning; sentences beside them may.",
        "## REST: problems",
        "`code` of an `application/problem+json` document.",
        table(("Status", "Code", "Cause", "Remedy"), problems),
        "## REST: wrong parameters",
        "`code` of an entry of `errors`; it may also be the problem's own.",
        table(("Code", "Meaning"), ((f"`{code}`", words) for code, words in sorted(FIELD_ERRORS.items()))),
        "## WebSocket: errors",
        table(("Number", "Slug", "Cause", "Remedy", "Temporary"), errors),
        "## WebSocket: close codes",
        table(("Code", "Come back", "Cause", "Remedy"), closes),
        "## Dead letters",
        "`reason` of a record that was put aside; asking again changes nothing.",
        table(
            ("Reason", "Meaning"),
            ((f"`{each.reason}`", _sentence(each)) for each in _permanent(PermanentError)),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _permanent(kind: type[PermanentError]) -> Iterator[type[PermanentError]]:
    """Yield the kinds of permanent error of the vocabulary, each once."""
    if kind.__module__ == PermanentError.__module__:
        yield kind
        for narrower in kind.__subclasses__():
            yield from _permanent(narrower)


def _sentence(kind: type[PermanentError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
