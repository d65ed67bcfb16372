"""Tables take every field of their records."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from infra.runtime.postgres.migrate import DIRECTORY
from schemas.streams import Bar, Quote, Trade
from schemas.topics import BARS, QUOTES, TRADES
from sinks.columns.tables import TABLES, missing_columns, table_of
from tests.support.toy_stream import a_toy_stream


@pytest.mark.parametrize(("topic", "record"), [(BARS, Bar), (QUOTES, Quote), (TRADES, Trade)])
def test_every_field_has_a_column(topic: str, record: type) -> None:
    """No field of a record is left behind: the series, the place in our log and small words are packed."""
    table = TABLES[topic]
    sources = {column.source for column in table.columns}
    packed = {each.name for each in table.packed}
    series = {"symbol", "provider"} | ({"interval"} if table.stream.by_interval else set())

    assert sources - {"stream_id", "position", "flags", ""} == (
        {field.name for field in fields(record)} - packed - series - {"raw_offset", "index"}
    )
    assert set(table.compared) < sources


@pytest.mark.parametrize("topic", [BARS, QUOTES, TRADES])
def test_the_migration_declares_these_columns(topic: str) -> None:
    """The columns are those of the SQL files, with their types: of where the table is made, or of what added them."""
    text = "".join(file.read_text("utf-8") for file in sorted(DIRECTORY.glob("*.sql")))
    body = list(re.finditer(rf"CREATE TABLE {TABLES[topic].name} \((.*?)\n\)", text, re.DOTALL))[-1]
    words = {
        "text": "text",
        "int8": "bigint",
        "int4": "integer",
        "int2": "smallint",
        "float8": "double precision",
        "bool": "boolean",
    }

    added = re.findall(rf"ALTER TABLE {TABLES[topic].name} ADD COLUMN (.*?);", text)
    declared = "\n".join([body[1], *added])

    for column in TABLES[topic].columns:
        assert re.search(rf"\b{column.name} {words.get(column.type, column.type)}\b", declared), column.name


def columns_of_all() -> dict[str, set[str]]:
    """Return the columns of a database that holds every declared stream."""
    return {name: set(table.column_names) for table in TABLES.values() for name in table.names if name}


def test_a_migrated_database_lacks_nothing() -> None:
    """Each stream with its tables and all their columns."""
    assert not any(missing_columns(TABLES.values(), columns_of_all()).values())


def test_a_stream_without_a_migration_is_named_with_what_the_database_lacks() -> None:
    """A table that is not there, or a column of one that is."""
    stored = columns_of_all()
    stored["bars_superseded"] -= {"vwap"}
    toy = table_of(a_toy_stream())

    missing = missing_columns([*TABLES.values(), toy], stored)

    assert missing["slices"] == ["series by maturity", "table slices", "table slices_latest"]
    assert missing["bars"] == ["column bars_superseded.vwap"]
    assert missing["quotes"] == []


def test_only_bars_fill_slots() -> None:
    """Of quotes and trades none can be missing."""
    assert [table.name for table in TABLES.values() if table.has_slots] == ["bars"]
