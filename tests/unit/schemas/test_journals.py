"""Journals are what their declarations say, in Kafka, in Avro and in PostgreSQL."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, fields, replace

import fastavro
import pytest

from infra.runtime.postgres.migrate import DIRECTORY
from schemas.journals import CADENCE_JOURNAL, HEALTH_JOURNAL, JOURNALS, Journal, key_of
from schemas.topics import DAY_MS, catalogue
from schemas.wire.codec import decode, encode, parsed_schema, schema_text
from tests.support.builders import a_cadence_sample, a_health

EACH = pytest.mark.parametrize("journal", JOURNALS.values(), ids=lambda journal: journal.table)
AVRO_OF = {
    "text": {"string", "enum"},
    "timestamp with time zone": {"long"},
    "double precision": {"double"},
    "integer": {"int"},
    "integer[]": {"array"},
    "text[]": {"array"},
    "boolean": {"boolean"},
}


def migrated(table: str) -> tuple[str, str]:
    """Return the columns a table has after all migrations, as SQL, and its primary key."""
    text = "".join(file.read_text("utf-8") for file in sorted(DIRECTORY.glob("*.sql")))
    body = re.search(rf"CREATE TABLE {table} \((.*?)\n\);", text, re.DOTALL)
    assert body is not None
    key = re.search(r"PRIMARY KEY \((.*?)\)", body[1])
    assert key is not None
    return body[1] + "".join(re.findall(rf"ALTER TABLE {table} ADD COLUMN .*", text)), key[1]


@EACH
def test_the_table_has_a_column_of_its_type_for_every_field(journal: Journal) -> None:
    """And its primary key is what names a record."""
    columns, key = migrated(journal.table)

    assert list(journal.fields) == [field.name for field in fields(journal.record)]
    for name, kind in journal.fields.items():
        column = kind.column.replace("timestamp with time zone", "timestamptz")
        assert re.search(rf"\b{name} {re.escape(column)}(?![\[\w])", columns), name
    assert set(key.split(", ")) == set(journal.key)


@EACH
def test_the_avro_types_are_those_of_the_columns(journal: Journal) -> None:
    """Whatever can be published fits its column."""
    schema = parsed_schema(catalogue().topics[journal.topic].schema)
    assert isinstance(schema, dict)
    for field in schema["fields"]:
        declared = field["type"][1] if isinstance(field["type"], list) else field["type"]
        name = declared["type"] if isinstance(declared, dict) else declared

        assert name in AVRO_OF[journal.fields[field["name"]].column], field["name"]


@EACH
def test_the_topic_holds_all_that_a_new_database_is_to_have(journal: Journal) -> None:
    """A second database, or an empty one, is filled with as much as the first keeps unless told otherwise."""
    topic = catalogue().topics[journal.topic]

    assert topic.kind == "journal"
    assert topic.retention_ms == journal.retention_days * DAY_MS


def test_the_key_of_a_record_names_its_series() -> None:
    """All records of one series lie in one partition, in order."""
    assert key_of(HEALTH_JOURNAL, a_health(capability="bars:1m")) == "bars:1m|yahoo"
    assert key_of(CADENCE_JOURNAL, a_cadence_sample(tier="")) == "bars:1m|yahoo||a"


def test_a_cadence_sample_comes_back_from_its_bytes() -> None:
    """Nothing is lost on the wire, nulls and lists included."""
    for sample in (a_cadence_sample(), a_cadence_sample(error_p50_ms=None, buckets=[], counts=[])):
        data = encode(CADENCE_JOURNAL.topic, sample)

        assert decode(CADENCE_JOURNAL.topic, data, CADENCE_JOURNAL.record) == sample


def test_a_statement_of_before_is_read_with_nothing_unserved() -> None:
    """Those of version 1 that are still in the topic say it in words alone."""
    told = replace(a_health(), unserved=2, unserved_symbols=["IBM", "^GSPC"])
    out = io.BytesIO()
    fastavro.schemaless_writer(out, json.loads(schema_text("provider_health.v1")), asdict(told))
    before = decode(
        HEALTH_JOURNAL.topic, b"\0" + (10).to_bytes(4, "big") + out.getvalue(), HEALTH_JOURNAL.record
    )

    assert before == replace(told, unserved=0, unserved_symbols=[])
    assert decode(HEALTH_JOURNAL.topic, encode(HEALTH_JOURNAL.topic, told), HEALTH_JOURNAL.record) == told


@pytest.mark.parametrize(
    ("names", "sound"),
    [
        ([], True),
        (["BRK-B"] * 50, True),
        (["BRK-B"] * 51, False),
        (["A", ""], False),
        (["A", "B\0"], False),
        (["A" * 64], True),
        (["A" * 65, "B"], False),
    ],
)
def test_names_are_few_and_each_is_one(names: list[str], *, sound: bool) -> None:
    """A list that PostgreSQL would not take, or that has no end, is refused."""
    assert HEALTH_JOURNAL.fields["unserved_symbols"].is_sound(names) is sound
