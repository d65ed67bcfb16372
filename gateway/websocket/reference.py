"""The WebSocket reference and the page of every code, written from the declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.http.problems import ANY_STATUS, FIELD_ERRORS, PROBLEMS
from gateway.http.reference import WRITTEN, members, table
from gateway.websocket.asyncapi import ABOUT, ADDRESSES, MESSAGES, command_schema, schema_of
from gateway.websocket.codes import CLOSES, ERRORS
from gateway.websocket.commands import COMMANDS
from schemas.errors import PermanentError
from schemas.wire.codec import OversizedRecord, UnknownSchema

ENTRIES: Mapping[str, str] = {
    "ambiguous_symbol": "`unresolved`: the symbol names several instruments; use one of `candidates`.",
    "basis_uncertain": "`unresolved` of adjusted bars: nobody can tell for which splits these are adjusted already; name their provider, or ask without `adjustment`.",
    "expired": "`failed`: no source answered for the series within the refresh; ask again.",
    "failed": "`failed`: its source did not answer, or not usefully; `detail` has its words.",
    "no_value": "`unresolved`: the symbol is known, and nothing was ever stored or seen of it.",
    "no_value_then": "`unresolved`: nothing was known of it at the `as_of` asked for.",
    "not_a_symbol": "`unresolved`: it cannot be a symbol.",
    "provider_disabled": "`failed`: the source that tells vintages of the series is off; set its key, or enable it.",
    "refused": "`failed`: it is not collected here, or no source will ever answer for it; `detail` says why.",
    "unknown_symbol": "`unresolved`: nobody knows the symbol; `candidates` are what may have been meant.",
}
"""Codes of entries within an answer that is good as a whole."""
REGISTRY: Mapping[int, str] = {
    40401: "There is no such subject; `GET /subjects` lists them.",
    40402: "The subject has no such version.",
    40403: "There is no schema of that id, or none like the one sent.",
    42201: "The body is no Avro schema in JSON.",
    42202: "It is no number of a version.",
    42205: "Nothing is registered here: the schemas are those of the release.",
}
"""Numbers of the schema registry, which are Confluent's; any other begins with the HTTP status and ends there."""
RESUMES: Mapping[str, str] = {
    "epoch_changed": "The log was replaced, so the offset means nothing now.",
    "expired": "The log keeps nothing so old any more.",
    "too_many": "More was missed than is read again for one client.",
    "unavailable": "Kafka did not give what was missed in time.",
}
"""Reasons of `recovered` with `ok` false; a snapshot follows each."""
STATES: Mapping[str, str] = {
    "provider_chosen": "A producer began, and this provider serves.",
    "failover": "Another provider serves, since the one before failed.",
    "failback": "The preferred provider serves again.",
    "provider_down": "No provider can serve: what is shown is suspect.",
    "provider_up": "A provider serves again after none could.",
    "live": "Values are as new as the feed gives them.",
    "delayed": "Values are as new as a delayed feed gives them.",
    "stale": "Values have not come for longer than is normal while the market is open.",
    "closed": "The market is closed.",
    "unknown": "Nobody can say whether the market is open.",
    "no_value": "None was seen yet.",
    "not_collected": "Nobody collects the stream: none will come.",
    "log_reachable": "Kafka answers: records come.",
    "log_unreachable": "Kafka does not answer: records come when it does.",
}
"""Codes of the message `state`."""
# Beside the codec, which alone raises them.
DECLARED_ELSEWHERE: tuple[type[PermanentError], ...] = (UnknownSchema, OversizedRecord)


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
    """Return the Markdown page of every code: of REST, of the WebSocket, and of dead letters."""
    parts = [
        "# Errors",
        WRITTEN,
        "Codes, numbers and words never change their meaning; sentences beside them may.",
        *_of_rest(),
        *_of_websocket(),
        "## Dead letters",
        "`reason` of a record that was put aside; asking again changes nothing.",
        table(
            ("Reason", "Meaning"),
            (
                (f"`{each.reason}`", _sentence(each))
                for each in (*_permanent(PermanentError), *DECLARED_ELSEWHERE)
            ),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _of_rest() -> Iterator[str]:
    problems = (
        (str(each.status) if each.status != ANY_STATUS else "any", f"`{code}`", each.cause, each.remedy)
        for code, each in sorted(PROBLEMS.items(), key=lambda entry: (entry[1].status, entry[0]))
    )
    yield "## REST: problems"
    yield "`code` of an `application/problem+json` document."
    yield table(("Status", "Code", "Cause", "Remedy"), problems)
    yield "## REST: wrong parameters"
    yield "`code` of an entry of `errors`; it may also be the problem's own."
    yield table(("Code", "Meaning"), _listed(dict(sorted(FIELD_ERRORS.items()))))
    yield "## REST: codes within an answer"
    yield (
        "`code` of an entry for which an answer has nothing, though it is good as a whole; the member that lists it stands first."
    )
    yield table(("Code", "Meaning"), _listed(ENTRIES))
    yield "## REST: numbers of the schema registry"
    yield "`error_code`, as clients of a schema registry know them; others are the HTTP status."
    yield table(("Number", "Meaning"), _listed(REGISTRY))


def _of_websocket() -> Iterator[str]:
    errors = (
        (str(each.number), f"`{slug}`", each.cause, each.remedy, "yes" if each.temporary else "no")
        for slug, each in ERRORS.items()
    )
    closes = (
        (str(number), "yes" if each.reconnect else "no", each.cause, each.remedy)
        for number, each in CLOSES.items()
    )
    yield "## WebSocket: errors"
    yield table(("Number", "Slug", "Cause", "Remedy", "Temporary"), errors)
    yield "## WebSocket: close codes"
    yield table(("Code", "Come back", "Cause", "Remedy"), closes)
    yield "## WebSocket: positions that are not resumed"
    yield "`reason` of a `recovered` whose `ok` is false; a snapshot follows."
    yield table(("Reason", "Meaning"), _listed(RESUMES))
    yield "## WebSocket: states"
    yield "`code` of a `state`, which says how much values are worth."
    yield table(("Code", "Meaning"), _listed(STATES))


def _listed(words: Mapping[Any, str]) -> Iterator[tuple[str, str]]:
    return ((f"`{code}`", meaning) for code, meaning in words.items())


def _permanent(kind: type[PermanentError]) -> Iterator[type[PermanentError]]:
    """Yield the kinds of permanent error of the vocabulary, each once."""
    if kind.__module__ == PermanentError.__module__:
        yield kind
        for narrower in kind.__subclasses__():
            yield from _permanent(narrower)


def _sentence(kind: type[PermanentError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
