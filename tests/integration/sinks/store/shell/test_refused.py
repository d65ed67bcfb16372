"""Rows tried out leave nothing behind, and what a refused batch becomes depends on what was said."""

from __future__ import annotations

import asyncpg
import pytest

from schemas.errors import ConfigurationError, StoreOverrun
from sinks.batch.batch import assemble
from sinks.store.shell.partitions import TimePartitions
from sinks.store.shell.refused import smaller, took_too_long_alone, try_rows
from sinks.store.shell.session import open_connection
from tests.support.builders import a_bar, a_quote, a_trade
from tests.support.databases import execute
from tests.support.received import a_part
from tests.support.sink_records import count

TRIGGER = """
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {0}; RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION slow();
"""
TABLES = ("v_trades", "v_bars", "v_quotes", "v_bars_forming", "v_quotes_latest")


async def try_a_row_of_each(database: str, *, within_s: float) -> None:
    """Try a row of each stream, and one that still forms."""
    parts = [a_part([a_trade()]), a_part([a_bar(), a_bar(final=False, index=1)]), a_part([a_quote()])]
    rows = assemble(parts)[0].rows
    async with open_connection(database) as connection:
        await TimePartitions().make(connection, rows, within_s=60.0)
        for _ in range(2):
            await try_rows(connection, rows, within_s=within_s)


async def test_rows_that_are_tried_are_taken_back(database: str) -> None:
    """As often as one likes, over one connection."""
    await try_a_row_of_each(database, within_s=60.0)

    assert [await count(database, name) for name in TABLES] == [0] * len(TABLES)


async def test_rows_that_are_not_stored_in_time_prove_nothing(database: str) -> None:
    """Whoever tries them is told so, as of a batch."""
    await execute(database, TRIGGER.format("PERFORM pg_sleep(3)"))

    with pytest.raises(StoreOverrun):
        await try_a_row_of_each(database, within_s=0.5)


async def test_a_refusal_is_an_answer(database: str) -> None:
    """The database works: it looked at the row."""
    await execute(database, TRIGGER.format("RAISE check_violation"))

    await try_a_row_of_each(database, within_s=60.0)


def test_a_batch_is_cut_down_to_the_record_that_is_refused() -> None:
    """Only where its data or its size are at fault; a limit that one record exceeds is the operator's."""
    two, one = (assemble([a_part([a_trade(index=n) for n in range(size)])])[0] for size in (2, 1))
    refused, less = asyncpg.CheckViolationError("no"), asyncpg.ConfigurationLimitExceededError("too many")

    assert [[batch.records for batch in smaller(two, error)] for error in (refused, less)] == [[1, 1]] * 2
    (letter,) = smaller(one, refused)
    assert "PostgreSQL refuses the record: no" in letter.refusals[0].letter.message
    with pytest.raises(ConfigurationError, match="too many"):
        smaller(one, less)
    for batch, error in ((letter, refused), (two, asyncpg.UndefinedFunctionError("ours"))):
        with pytest.raises(type(error)):
            smaller(batch, error)


def test_a_record_given_up_is_told_with_its_time_and_its_remedy() -> None:
    """Whoever reads the letter knows what was tried."""
    assert "within 20 s, 3 times alone" in str(took_too_long_alone(3, 20.0))
