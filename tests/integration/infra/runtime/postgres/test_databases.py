"""Databases beside the live one: made once, dropped whoever looks at them, and known while a replay fills them."""

from __future__ import annotations

import uuid

import pytest

from infra.runtime.postgres.databases import (
    create_where_missing,
    drop_database,
    finish,
    is_same,
    keep_plan,
    plan_in,
    with_database,
)
from schemas.errors import ConfigurationError, StoreUnavailable
from tests.support.sink_records import query


async def test_a_database_is_made_once_and_dropped(postgres_admin: str) -> None:
    """Whatever its name holds; dropping what is not there is nothing."""
    name = f't_"{uuid.uuid4().hex[:8]}; DROP'
    there = "SELECT count(*) FROM pg_database WHERE datname = $1"
    try:
        assert await create_where_missing(postgres_admin, name)
        assert not await create_where_missing(postgres_admin, name)
        assert (await query(postgres_admin, there, name))[0][0] == 1
    finally:
        await drop_database(postgres_admin, name)
        await drop_database(postgres_admin, name)
    assert (await query(postgres_admin, there, name))[0][0] == 0


async def test_a_database_is_known_by_another_spelling(database: str, postgres_admin: str) -> None:
    """Another one of the server is not it, and neither is one that cannot be asked."""
    alias = database.replace("127.0.0.1", "localhost") + "?application_name=alias"
    assert alias != database
    away = ("postgresql://nobody@127.0.0.1:1/none", with_database(database, "is_not_there"))

    assert await is_same(database, database)
    assert await is_same(database, alias)
    assert not await is_same(database, postgres_admin)
    for each in away:
        assert not await is_same(database, each)
        assert not await is_same(each, database)


async def test_a_server_that_is_away_is_said_to_be() -> None:
    """As one that may come back."""
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await drop_database("postgresql://nobody@127.0.0.1:1/none", "none")


async def test_a_database_says_which_replay_fills_it_until_that_is_done(database: str) -> None:
    """A second one is refused; afterwards no position and nothing to publish is left."""
    assert await plan_in(database) is None
    await keep_plan(database, b'{"partitions": 4}')
    with pytest.raises(ConfigurationError, match="another replay"):
        await keep_plan(database, b"{}")
    assert await plan_in(database) == b'{"partitions": 4}'
    insert = "INSERT INTO outbox (topic, partition, key, value) VALUES ('gaps.v1', 0, '', '')"
    await query(database, insert)

    await finish(database)

    assert await plan_in(database) is None
    assert (await query(database, "SELECT count(*) FROM outbox"))[0][0] == 0
    assert with_database("postgresql://u:p@h:5/live?a=b", "other") == "postgresql://u:p@h:5/other?a=b"
