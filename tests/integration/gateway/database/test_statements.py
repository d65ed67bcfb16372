"""Plans of all SQL of market data on a large database: indexes everywhere, and partitions of the time asked for only."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.database import statements
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.pool import connection, pool
from tests.support.plans import plan_of

DAY, MONTH = "'2026-03-05 UTC', '2026-03-06 UTC'", "'2026-02-01 UTC', '2026-03-01 UTC'"
ALL = "'-infinity', 'infinity'"
NOW = "'2026-05-01 UTC'"
MINUTES = "stream_id_of('bars', '1m', 'yahoo', 'S70')"
QUOTES = "stream_id_of('quotes', '', 'yahoo', 'S70')"
TRADES = "stream_id_of('trades', '', 'yahoo', 'S70')"
HUNDRED = f"ARRAY{[f'S{10 * n}' for n in range(1, 101)]}"


def ids(kind: str, interval: str) -> str:
    """Return the numbers of a hundred series as SQL."""
    names = ", ".join(f"stream_id_of('{kind}', '{interval}', 'yahoo', 'S{10 * n}')" for n in range(1, 101))
    return f"ARRAY[{names}]"


GAPS = "NULL, NULL, '-infinity', 'infinity', 'infinity'"
SYMBOLS = "ARRAY['S70', 'S80', 'NOPE']"
# What each statement is run with, and how many partitions it may open at most: of bars a month is two of them.
CASES: list[tuple[str, str, str, int]] = [
    ("watermarks", statements.WATERMARKS, "", 0),
    ("watermark", statements.WATERMARK, "'bars.v1', 0", 0),
    *(
        (f"{name} {what}", text, f"'S70', '1m', {span}, {provider}, {NOW}, {rows}, {sessions}", most)
        for name, text in (
            ("bars", statements.LATEST_BARS_ASCENDING), ("bars backwards", statements.LATEST_BARS_DESCENDING),
        )
        for what, span, provider, rows, sessions, most in (
            ("of a day", DAY, "NULL", 1000, "NULL", 2), ("of a month", MONTH, "'yahoo'", 10000, "ARRAY[2]", 2),
            ("of all time", ALL, "NULL", 1000, "NULL", 8),
        )
    ),
    ("all versions of a day", statements.ALL_BARS, f"'S70', '1m', {DAY}, NULL, {NOW}, 1000, NULL, '-infinity', -1", 2),
    ("all versions", statements.ALL_BARS, f"'S70', '1m', {ALL}, NULL, {NOW}, 1000, NULL, '2026-02-07 UTC', 10", 8),
    ("kept from", statements.KEPT_FROM, "ARRAY['bars', 'quotes']", 0),
    ("edges", statements.BAR_EDGES, f"'S70', '1m', {MONTH}, NULL, {NOW}", 2),
    ("first known", statements.FIRST_KNOWN, f"'S70', ARRAY['1m', '1d'], {MONTH}, NULL", 2),
    ("providers", statements.PROVIDERS, "'S70'", 0),
    ("known symbols", statements.KNOWN_SYMBOLS, SYMBOLS, 0),
    ("known among a hundred", statements.KNOWN_SYMBOLS, HUNDRED, 0),
    ("series", statements.SERIES, f"{SYMBOLS}, NULL, '1m'", 0),
    ("series of a hundred", statements.SERIES, f"{HUNDRED}, 'yahoo', '1m'", 0),
    ("kept quotes", statements.NEWEST_KEPT["quotes"], f"{ids('quotes', '')}, false", 0),
    ("kept bars", statements.NEWEST_KEPT["bars"], f"{ids('bars', '1m')}, true", 0),
    ("newest quotes", statements.NEWEST_OF["quotes"], f"ARRAY[{QUOTES}], '2026-04-06 UTC', '2026-04-07 UTC', {NOW}, false", 1),
    ("newest trades", statements.NEWEST_OF["trades"], f"ARRAY[{TRADES}], '2026-04-06 UTC', '2026-04-07 UTC', {NOW}, false", 1),
    ("newest bars", statements.NEWEST_OF["bars"], f"ARRAY[{MINUTES}], '2026-02-06 UTC', '2026-02-07 UTC', {NOW}, true", 2),
    ("newest of a hundred", statements.NEWEST_OF["quotes"],
     f"{ids('quotes', '')}, '2026-04-06 UTC', '2026-04-07 UTC', {NOW}, false", 1),
    *(
        (f"gaps{' of a symbol' if of_symbol else ''}{' backwards' if descending else ''}{what}",
         statements.gaps(of_symbol=of_symbol, descending=descending),
         f"{symbol}, NULL, {given}, {after}, 1000", 0)
        for of_symbol, symbol in ((True, "'S70'"), (False, "NULL"))
        for descending, after in ((False, "'-infinity', ''"), (True, "'infinity', 'x'"))
        for what, given in (("", GAPS), (" that are open", f"NULL, 'open', {GAPS.partition(', NULL, ')[2]}"))
    ),
    ("cursor", statements.CURSOR, f"{MINUTES}, 'bars.1m:yahoo:S70'", 0),
    ("cursors", statements.CURSORS_OF_SYMBOL, "'S70'", 0),
    ("closes", statements.PREVIOUS_CLOSES,
     f"ARRAY[{MINUTES}], ARRAY['2026-03-20 UTC'::timestamptz], {NOW}, '2026-03-10 UTC', '2026-03-20 UTC'", 2),
]  # fmt: skip


@pytest.fixture
async def session(large_database: str) -> AsyncIterator[Connection]:
    """A connection to the large database, as the gateway has them."""
    async with pool(large_database, service="test") as opened, connection(opened, within_s=60.0) as borrowed:
        yield borrowed


@pytest.mark.parametrize(
    ("text", "values", "most"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
async def test_no_big_table_is_read_whole_and_few_partitions_are_opened(
    session: Connection, text: str, values: str, most: int
) -> None:
    """Also once the server has run the statement often, and might have one plan for all values."""
    plan = await plan_of(session, text, values)

    assert plan.is_bounded, plan
    assert len(plan.partitions) <= most, plan


def test_every_statement_has_its_plan_looked_at() -> None:
    """A new one needs a case here."""
    looked_at = {text for _, text, _, _ in CASES}
    there_are = set()
    for name, value in vars(statements).items():
        if name.isupper() and not name.startswith("_"):
            there_are |= {value} if isinstance(value, str) else set()
            there_are |= set(value.values()) if isinstance(value, dict) else set()
    there_are |= {statements.gaps(of_symbol=a, descending=b) for a in (True, False) for b in (True, False)}

    assert {text for text in there_are if "SELECT" in text} <= looked_at


@pytest.mark.parametrize(
    ("index", "of_symbol", "symbol"),
    [("gaps_of_a_symbol", True, "'S70'"), ("gaps_by_time", False, "NULL")],
)
async def test_without_its_index_the_ledger_would_be_read_whole(
    session: Connection, index: str, of_symbol: bool, symbol: str
) -> None:
    """So each of the two is needed, and the look at plans sees it."""
    values = f"{symbol}, NULL, {GAPS}, '-infinity', '', 1000"
    transaction = session.transaction()
    await transaction.start()
    await session.execute(f"DROP INDEX {index}")
    plan = await plan_of(session, statements.gaps(of_symbol=of_symbol, descending=False), values)
    await transaction.rollback()

    assert not plan.is_bounded
