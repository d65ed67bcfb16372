"""Plans of the statistics on journals much longer than the window asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.operations.shell.statistics import VIEWS
from gateway.operations.statistics import Statement
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.pool import connection, pool
from tests.support.plans import plan_of

VALUES = {
    "capability": "'quotes'", "provider": "NULL", "tier": "NULL", "start": "'2026-04-07 18:00 UTC'", "step_s": "360",
    "limit": "20",
}  # fmt: skip
STATEMENTS = [
    pytest.param(statement, id=f"{view.endpoint.path} {number}")
    for view in VIEWS
    for number, statement in enumerate(view.statements)
]


@pytest.fixture
async def session(large_database: str) -> AsyncIterator[Connection]:
    """A connection to the large database, as the gateway has them."""
    async with pool(large_database, service="test") as opened, connection(opened, within_s=60.0) as borrowed:
        yield borrowed


@pytest.mark.parametrize("capability", ["'quotes'", "NULL"])
@pytest.mark.parametrize("statement", STATEMENTS)
async def test_a_window_reads_no_more_of_a_journal_than_lies_in_it(
    session: Connection, statement: Statement, capability: str
) -> None:
    """The last six hours of weeks."""
    given = VALUES | {"capability": capability}
    plan = await plan_of(session, statement.text, ", ".join(given[name] for name in statement.parameters))

    assert plan.is_bounded, plan
