"""Dead events in a real PostgreSQL: what it costs to look for those somebody left behind."""

from __future__ import annotations

import asyncpg

from infra.runtime.postgres import dead_events as store
from infra.runtime.postgres.codec import register_times
from schemas.topics import RAW_QUOTES
from tests.support.builders import a_quote_event
from tests.support.dead_letters import of_event
from tests.support.dead_rows import dead, stands
from tests.support.growth import CountingConnection

SIZES = (10, 20, 40)


async def test_however_many_were_left_behind_one_statement_finds_them(database: str) -> None:
    """Each with its claim and its age by the database's clock."""
    await dead(database, [of_event(RAW_QUOTES, a_quote_event(), number) for number in range(SIZES[-1])])
    ids = [*await stands(database)]
    connection = await asyncpg.connect(database, connection_class=CountingConnection)
    await register_times(connection)
    counts = []
    for size in SIZES:
        claims = [store.Intent(dead_id=each, topic=RAW_QUOTES, ended={3: each}) for each in ids[:size]]
        await store.claim(connection, claims, actor="ann")
        await connection.execute(
            "UPDATE dead_events SET claimed_time = claimed_time - interval '1 h' WHERE dead_id = $1", ids[0]
        )
        CountingConnection.forget()
        found = await store.left_behind(connection, limit=size)
        counts.append(CountingConnection.statements)
        assert [(each.event.dead_id, dict(each.claim.ended)) for each in found] == [
            (each, {3: each}) for each in ids[:size]
        ]
        assert found[0].age_s > 3_600
        assert all(0 <= each.age_s < 3_600 for each in found[1:])
    await connection.close()
    assert counts == [1, 1, 1]
