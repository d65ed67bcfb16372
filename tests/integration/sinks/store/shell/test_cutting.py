"""What PostgreSQL refuses or does not finish in time is written in parts: nothing stops a partition for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from schemas.clocks import CanonicalOffset
from schemas.errors import ConfigurationError, StoreOverrun, StoreUnavailable
from schemas.partitions import TopicPartition
from schemas.records import DeadLetter
from schemas.streams import Trade
from schemas.topics import TRADES, dead
from schemas.wire.codec import decode
from sinks.store.shell.writer import Store
from tests.support.builders import a_quote, a_trade
from tests.support.databases import execute
from tests.support.received import TOPIC_OF, home
from tests.support.sink_records import count, query
from tests.support.sink_writers import NOW, a_batch, a_minute, a_writer, logs, store

SLOW = """
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION slow();
"""
STUCK = """
    CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {where} THEN PERFORM pg_sleep(3); END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER stuck BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION stuck();
"""
FEW = """
    CREATE FUNCTION few() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT count(*) FROM arrived) > {most} THEN
            RAISE EXCEPTION 'too many rows at once' USING ERRCODE = '53400';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER few AFTER INSERT ON trades REFERENCING NEW TABLE AS arrived
        FOR EACH STATEMENT EXECUTE FUNCTION few();
"""


def trades(number: int, **changes: object) -> list[Trade]:
    """Return trades of one partition."""
    return [a_trade(raw_offset=n, trade_id=str(n), **changes) for n in range(number)]


def left_of(log: Sequence[Any], positions: Mapping[TopicPartition, CanonicalOffset]) -> list[Any]:
    """Return the records that are not stored, in the order of the log."""
    seen, left = Counter[TopicPartition](), []
    for record in log:
        place = TopicPartition(TOPIC_OF[type(record)], home(record.symbol))
        if seen[place] >= positions[place]:
            left.append(record)
        seen[place] += 1
    return left


async def letters_of(database: str) -> list[DeadLetter]:
    """Return the dead letters of trades that are to be published."""
    rows = await query(database, "SELECT value FROM outbox WHERE topic = $1 ORDER BY id", dead(TRADES))
    return [decode(dead(TRADES), row["value"], DeadLetter) for row in rows]


async def stored_after(database: str, log: Sequence[Any], *, within_s: float, attempts: int) -> int:
    """Take over, write what is left and lose the connection again and again; return in how many attempts all is stored."""
    target = Store(database, write_within_s=within_s)
    for attempt in range(1, attempts + 1):
        try:
            async with target.take_over(logs(), now_us=NOW) as writer:
                await writer.write(a_batch(writer, *left_of(log, writer.positions)))
                return attempt
        except StoreUnavailable:
            continue
    raise AssertionError(f"not stored after {attempts} attempts")


async def test_rows_the_database_refuses_are_dead_lettered_and_all_others_stored(database: str) -> None:
    """Poison among thousands of rows (a hundred stopped a partition for ever): each is found by cutting, alone."""
    await query(database, "ALTER TABLE trades ADD CHECK (price <> 666)")
    log = trades(1_500)
    bad = range(7, 1_500, 50)
    for number in bad:
        log[number] = a_trade(raw_offset=number, price=666.0)

    (written,) = await store(database, [*log, a_minute(0), a_quote()])

    assert await count(database, "v_trades") == 1_500 - len(bad)
    assert (await count(database, "v_bars"), await count(database, "v_quotes")) == (1, 1)
    letters = await letters_of(database)
    assert [letter.offset for letter in letters] == list(bad)
    assert all("PostgreSQL refuses the record" in letter.message for letter in letters)
    assert (written.outgoing, written.transactions > len(bad)) == (len(bad), True)
    (position,) = await query(
        database,
        "SELECT next_offset FROM sink_offsets WHERE topic = $1 AND partition = $2",
        TRADES,
        home("SPY"),
    )
    assert position["next_offset"] == 1_500


async def test_what_takes_too_long_is_stored_in_parts(database: str) -> None:
    """A batch that cannot be done within its time used to be tried for ever: here 2.4 s of work for a limit of 1 s."""
    await execute(database, SLOW)

    attempts = await stored_after(database, trades(600), within_s=1.0, attempts=8)

    assert attempts > 1
    assert await count(database, "v_trades") == 600


async def test_what_the_server_ends_is_stored_in_parts(database: str) -> None:
    """The server's own limit of a statement is as good a reason as ours."""
    await execute(database, SLOW)
    await query(database, f"ALTER DATABASE {database.rpartition('/')[2]} SET statement_timeout = '500ms'")

    attempts = await stored_after(database, trades(400), within_s=60.0, attempts=8)

    assert attempts > 1
    assert await count(database, "v_trades") == 400


async def test_the_limit_outlives_the_connection_and_grows_back(database: str) -> None:
    """Only the first batch of many is tried whole."""
    await execute(database, SLOW)
    target, log = (
        Store(database, write_within_s=1.5),
        trades(400),
    )  # 1.6 s of sleep at least, half of it 0.8 s
    with pytest.raises(StoreOverrun):
        async with target.take_over(logs(), now_us=NOW) as writer:
            await writer.write(a_batch(writer, *log))
    async with target.take_over(logs(), now_us=NOW) as writer:
        halved = await writer.write(a_batch(writer, *log))
        await query(database, "DROP TRIGGER slow ON trades")
        sizes = []
        for round_ in range(1, 12):
            more = [a_trade(raw_offset=1_000 * round_ + n) for n in range(400)]
            sizes.append((await writer.write(a_batch(writer, *more))).transactions)

    assert halved.transactions == 2
    assert (sizes[0], sizes[-1]) == (2, 1)


async def test_a_statement_too_large_for_the_server_is_cut(database: str) -> None:
    """TimescaleDB refuses to decompress more than so many rows for one statement (53400): fewer at once pass."""
    await execute(database, FEW.format(most=30))

    (written,) = await store(database, trades(100))

    assert await count(database, "v_trades") == 100
    assert (written.transactions, written.refusals) == (4, [])


async def test_one_record_too_large_for_the_server_is_the_operators_matter(database: str) -> None:
    """It is not the record's fault, so it is no dead letter."""
    await execute(database, FEW.format(most=0))

    with pytest.raises(ConfigurationError, match="too many rows at once"):
        await store(database, trades(3))
    assert await count(database, "outbox") == 0


async def test_a_writer_told_to_stop_stops_between_two_parts(database: str) -> None:
    """Partitions that were taken away are left within one transaction; what is stored stays."""
    await execute(database, FEW.format(most=30))
    async with a_writer(database) as writer:
        written = await writer.write(a_batch(writer, *trades(100)), go_on=lambda: False)

        assert written.transactions == 1
        assert await count(database, "v_trades") == writer.positions[TRADES, home("SPY")] == 25


@pytest.mark.parametrize("beside", ["IBM", "QQQ"])
async def test_a_record_that_takes_too_long_alone_is_dead_lettered(database: str, beside: str) -> None:
    """It was tried for ever, and its partition stood; others of its partition and of others are stored."""
    assert (home("IBM"), home("QQQ") == home("SPY")) == (home("SPY"), False)
    await execute(database, STUCK.format(where="NEW.price IN (666, 667)"))
    log: list[Any] = [a_trade(raw_offset=n, trade_id=str(n), price=100.0) for n in range(40)]
    log[7], log[8] = a_trade(raw_offset=7, price=666.0), a_trade(raw_offset=8, price=667.0)
    log += [a_trade(symbol=beside, raw_offset=100 + n, trade_id=str(n)) for n in range(40)]

    await stored_after(database, log, within_s=1.0, attempts=30)

    letters = await letters_of(database)
    assert await count(database, "v_trades") == 78
    assert [letter.offset for letter in letters] == [7, 8]
    assert all("within 1 s, 3 times alone, and stored others" in letter.message for letter in letters)
    (left,) = await query(database, "SELECT count(*) FROM trades WHERE price IN (666, 667)")
    assert left["count"] == 0


async def test_a_slow_record_with_nothing_beside_it_does_not_wait_for_company(database: str) -> None:
    """That the database lets the sink take over is enough where there is no other record to try."""
    await execute(database, STUCK.format(where="NEW.price = 666"))

    attempts = await stored_after(database, [a_trade(price=666.0)], within_s=1.0, attempts=5)

    assert attempts == 4
    assert [letter.offset for letter in await letters_of(database)] == [0]


async def test_nothing_is_given_up_while_the_database_stores_nothing(database: str) -> None:
    """Every row is slow, so it is no record's fault; they are stored once it is well again."""
    await execute(database, STUCK.format(where="true"))
    log = [a_trade(raw_offset=0), a_trade(symbol="IBM", raw_offset=1), a_trade(symbol="QQQ", raw_offset=2)]
    target = Store(database, write_within_s=1.0)
    for _ in range(8):
        with pytest.raises(StoreOverrun):
            async with target.take_over(logs(), now_us=NOW) as writer:
                await writer.write(a_batch(writer, *log))
    assert (await count(database, "outbox"), await count(database, "v_trades")) == (0, 0)
    await execute(database, "DROP TRIGGER stuck ON trades")

    async with target.take_over(logs(), now_us=NOW) as writer:
        await writer.write(a_batch(writer, *log))

    assert (await count(database, "outbox"), await count(database, "v_trades")) == (0, 3)
