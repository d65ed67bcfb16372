"""Journals are what their declarations say, in Kafka, in Avro and in PostgreSQL."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from infra.runtime.postgres.migrate import DIRECTORY
from schemas.journals import CADENCE_JOURNAL, HEALTH_JOURNAL, JOURNALS, Journal, key_of
from schemas.topics import DAY_MS, catalogue
from schemas.wire.codec import decode, encode, parsed_schema
from tests.support.builders import a_cadence_sample, a_health

EACH = pytest.mark.parametrize("journal", JOURNALS.values(), ids=lambda journal: journal.table)
AVRO_OF = {
    "text": {"string", "enum"},
    "timestamp with time zone": {"long"},
    "double precision": {"double"},
    "integer": {"int"},
    "integer[]": {"array"},
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
