"""The reference of records and topics and the alert rules, from the declarations: docs/reference, infra/monitoring."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from schemas.deriving import content, key, record_fields
from schemas.fields import US, Role
from schemas.streams import STREAMS, Stream
from schemas.tables import tables
from schemas.topics import DAY_MS, Topic, catalogue
from schemas.wire.codec import schema_text

GENERATED = "*Generated from the declarations by `make docs`.*"
MICROSECONDS = US.removeprefix(", ")
UNITS = {"_s": "s", "_ms": "ms", "_bytes": "bytes"}
VERSIONS = {
    "slots": "versions of a numbered slot: a value that differs from the current one of its key is a new version",
    "latest": "versions of the newest moment: a value is new where it is later or differs",
    "entries": "versions of entries that name themselves: what differs from the newest version of its entry is a new one",
    "occurrences": "occurrences: each is kept, equal ones too; only a repeated frame of a connection is dropped",
}
RECORDS = """\
# Records

Fields of everything on the topics and in the tables, in the order of the wire. Times are microseconds since the Unix epoch,
UTC. Every record is Avro in Confluent framing under the id given here; [topics.md](topics.md) says where it travels.

{generated}

A field of a market-data record may play a **part**: *key* names the series, *clock* is a moment, *amount* is a number that
must be finite and zero or more, *price* is an amount above zero, of an index any number, *value* is what else the record says, *flag* is
shown only where it is set, *aside* says how to read the rest. Two versions are the same value where all amounts and values are equal.
{records}"""
TOPICS = """\
# Topics

{generated}

Every topic that a symbol is partitioned in has the number of partitions that was chosen when the
topics were made (`mds topics apply --partitions N`); the partition of a key is `murmur2(key) mod n`. Each
topic has a dead-letter twin, its name with `.dead`, kept for {dead_days} days, with `dead_letter.v1` as its schema. Times of
records are the broker's append time. [records.md](records.md) lists the fields.

| Topic | Kind | Key | Schema | Id | Partitions | Kept |
|---|---|---|---|---|---|---|
{topics}

## Streams

What producers publish raw becomes canonical once, in order, in the partition of the same number.

| Stream | Raw | Canonical | Series | Channel | Tables |
|---|---|---|---|---|---|
{streams}

{versions}
"""
DOCS = ".."  # of a page in the folder
INDEX = f"""\
# Reference

For whoever looks something up. Each thing is defined on one of these pages, once; other pages link to it. All are written from what runs, and tests compare
them with it in both directions.

| Looking for | Page |
|---|---|
| a route: parameters, answers, scope | [rest](rest.md) |
| a command or a message of the WebSocket | [websocket](websocket.md) |
| a code: problems, errors, close codes, states, reasons of dead letters | [errors](errors.md) |
| a topic, a stream | [topics](topics.md) |
| how long a topic or a table is kept | [retention](retention.md) |
| a field of a record | [records](records.md) |
| a metric: labels, unit, when it is computed | [metrics](metrics.md) |
| a setting, which is a variable of the environment | [settings](settings.md) |
| a command: options, exit codes | [command line]({DOCS}/CLI.md) |
| a key of the configuration file | [configuration]({DOCS}/CONFIGURATION.md) |
| a provider: what it gives, its key and limits | [providers]({DOCS}/PROVIDERS.md) |
| an alert, and what to do | [runbooks]({DOCS}/runbooks/README.md) |
| a panel of a dashboard | [dashboards]({DOCS}/DASHBOARDS.md) |
| a word | [glossary]({DOCS}/GLOSSARY.md) |
| what an event costs, and what many need | [scaling]({DOCS}/SCALING.md) |
| a file, or all there is | [file tree]({DOCS}/FILE_TREE.md), [summary]({DOCS}/COMPLETE_SUMMARY.md) |

A running gateway tells of itself: `GET /openapi.json` and `GET /asyncapi.json` are the first three as data, `GET /subjects` the schemas of records.
"""


def records_page() -> str:
    """Return docs/reference/records.md."""
    parts = [part for number in catalogue().schema_ids for part in _record(number)]
    return RECORDS.format(generated=GENERATED, records="\n".join(parts) + "\n")


def topics_page() -> str:
    """Return docs/reference/topics.md."""
    topics = [topic for topic in catalogue().topics.values() if topic.kind != "dead"]
    twin = next(topic for topic in catalogue().topics.values() if topic.kind == "dead")
    return TOPICS.format(
        generated=GENERATED,
        dead_days=(twin.retention_ms or 0) // DAY_MS,
        topics=_rows(map(_topic, topics)),
        streams=_rows(map(_stream, STREAMS)),
        versions="\n".join(
            f"- **{stream.name}** are {VERSIONS[stream.versions]}{_compared(stream)}." for stream in STREAMS
        ),
    )


def _record(number: int) -> list[str]:
    name = catalogue().schema_ids[number]
    schema: dict[str, Any] = json.loads(schema_text(name))
    stream = next((each for each in STREAMS if each.schema == name), None)
    roles = {} if stream is None else {field.name: field.roles for field in record_fields(stream)}
    nested = list(_nested(schema["fields"]))
    parts = [
        f"\n## {schema['name']} (`{name}`, id {number})\n",
        schema["doc"],
        "",
        _table(schema["fields"], roles),
    ]
    for inner in nested:
        parts += [f"\n### {inner['name']}, in it\n", _table(inner["fields"], {})]
    return parts


def _nested(fields: Sequence[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for field in fields:
        kind = field["type"]
        if isinstance(kind, dict) and kind["type"] == "array" and isinstance(kind["items"], dict):
            yield kind["items"]


def _table(fields: Sequence[Mapping[str, Any]], roles: Mapping[str, frozenset[Role]]) -> str:
    heading = ["Field", "Type", "Unit", *(["Part"] if roles else []), "Default", "Meaning"]
    rows = []
    for field in fields:
        meaning = field["doc"].replace(US, "").replace("|", "\\|")
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        part = [" ".join(role.value for role in Role if role in roles[field["name"]])] if roles else []
        rows.append([f"`{field['name']}`", _type(field["type"]), _unit(field), *part, default, meaning])
    return "\n".join([_row(heading), _row(["---"] * len(heading)), *map(_row, rows)])


def _unit(field: Mapping[str, Any]) -> str:
    if US in field["doc"] or MICROSECONDS in field["doc"]:
        return "µs"
    return next((unit for ending, unit in UNITS.items() if field["name"].endswith(ending)), "")


def _type(declared: Any) -> str:
    if isinstance(declared, list):
        return " or ".join(_type(each) for each in declared)
    if isinstance(declared, str):
        return declared
    if declared["type"] == "enum":
        return ", ".join(f"`{symbol}`" for symbol in declared["symbols"])
    if declared["type"] == "array":
        items = declared["items"]
        return f"list of {items['name'] if isinstance(items, dict) else items}"
    return f"map of {declared['values']}"


def _topic(topic: Topic) -> list[str]:
    days = 0 if topic.retention_ms is None else topic.retention_ms // DAY_MS
    kept = f"{days} day{'s' if days > 1 else ''}" if days else ""
    compacted = "newest of each key" if topic.compacted else ""
    kept = " for ".join(filter(None, (compacted, kept)))
    partitions = "chosen" if topic.fixed_partitions is None else str(topic.fixed_partitions)
    return [
        f"`{topic.name}`",
        topic.kind,
        topic.key,
        f"`{topic.schema}`",
        str(topic.schema_id),
        partitions,
        kept,
    ]


def _stream(stream: Stream) -> list[str]:
    stored = " ".join(f"`{table}`" for table in tables(stream).all)
    channel = f"`{stream.channel('<interval>')}`"
    series = ", ".join(f"`{name}`" for name in key(stream))
    return [stream.name, f"`{stream.raw_topic}`", f"`{stream.topic}`", series, channel, stored]


def _compared(stream: Stream) -> str:
    names = content(stream)
    return f"; compared are {', '.join(f'`{name}`' for name in names)}" if names else ""


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(map(_row, rows))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


DAY_S = 86_400
RULES_HEAD = "# Written from the declarations by the generator; change those.\n"
# Raw topics are the truth, and the broker deletes the first of them after so long.
RAW_RETENTION_S = min(stream.raw_retention_days for stream in STREAMS) * DAY_S
PLACE = "{{ $labels.topic }}/{{ $labels.partition }}"
ARCHIVE_PANEL = "/d/mds-ingestion?viewPanel=13"  # how old what is archived is


def archive_rules() -> str:
    """Return the rules of the archive: it is behind, or it was there and is gone, so that its age is not told any more."""
    half_s, days = RAW_RETENTION_S // 2, RAW_RETENTION_S // DAY_S
    rules = [
        _rule(
            "MdsArchiveBehind",
            f"max by (topic, partition) (mds_archive_age_seconds) > {half_s}",
            summary="The archive is behind by half of the broker's retention.",
            description=f"{PLACE} is archived only up to {{{{ $value | humanizeDuration }}}} ago. The broker deletes raw records after "
            f"{days} days; what is not archived by then is lost. `/readyz` of the archive's ops port says what stops it.",
        ),
        _rule(
            "MdsArchiveGone",
            f"max by (topic, partition) (max_over_time(mds_archive_next_offset[{days}d])) "
            "unless max by (topic, partition) (mds_archive_next_offset)",
            summary="A partition was archived, and nobody does it now.",
            description=f"{PLACE} is archived up to offset {{{{ $value }}}}, and nobody tells how far behind that is. "
            f"Start `mds archive run`: the broker keeps raw records for {days} days.",
        ),
    ]
    document = {"groups": [{"name": "mds-archive", "rules": rules}]}
    return RULES_HEAD + yaml.safe_dump(document, sort_keys=False, width=200, allow_unicode=True)


def _rule(name: str, expression: str, **annotations: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": "1h",  # a restart is no alarm
        "labels": {"severity": "warning"},
        "annotations": {
            **annotations,
            "runbook_url": f"docs/runbooks/{name}.md",
            "dashboard_url": ARCHIVE_PANEL,
        },
    }
