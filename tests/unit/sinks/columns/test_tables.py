"""Tables take every field of their records."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from infra.runtime.postgres.migrate import DIRECTORY
from schemas.streams import Bar, Quote, Trade
from schemas.topics import BARS, QUOTES, TRADES
from sinks.columns.tables import TABLES


@pytest.mark.parametrize(("topic", "record"), [(BARS, Bar), (QUOTES, Quote), (TRADES, Trade)])
def test_every_field_has_a_column(topic: str, record: type) -> None:
    """No field of a record is left behind, and the key, the content and the columns agree."""
    table = TABLES[topic]
    sources = {column.source for column in table.columns}

    assert sources == {field.name for field in fields(record)}
    assert {*table.key, *table.content} < sources


@pytest.mark.parametrize("topic", [BARS, QUOTES, TRADES])
def test_the_migration_declares_these_columns(topic: str) -> None:
    """The columns are those of the SQL file, with their types."""
    text = "".join(file.read_text("utf-8") for file in sorted(DIRECTORY.glob("*.sql")))
    body = re.search(rf"CREATE TABLE {TABLES[topic].name} \((.*?)\n\);", text, re.DOTALL)
    assert body is not None
    words = {
        "text": "text",
        "int8": "bigint",
        "int4": "integer",
        "float8": "double precision",
        "bool": "boolean",
    }

    for column in TABLES[topic].columns:
        assert re.search(rf"\b{column.name} {words.get(column.type, column.type)}\b", body[1]), column.name
