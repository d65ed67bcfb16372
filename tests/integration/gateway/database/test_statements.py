"""Plans of all SQL of market data on a large database: indexes everywhere, and partitions of the time asked for only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import chain

import pytest

from gateway.database import basis_statements, ledger_statements, option_statements, statements
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.pool import connection, pool
from tests.support.plans import nodes, plan_of

DAY, MONTH = "'2026-03-05 UTC', '2026-03-06 UTC'", "'2026-02-01 UTC', '2026-03-01 UTC'"
ALL = "'-infinity', 'infinity'"
NOW = "'2026-05-01 UTC'"
MINUTES = "stream_id_of('bars', '1m', 'yahoo', 'S70')"
QUOTES = "stream_id_of('quotes', '', 'yahoo', 'S70')"
OPTIONS = "stream_id_of('options', '', 'yahoo', 'S70')"
SPAN = "'2026-03-01 UTC', '2026-05-02 UTC'"
# of a month's sessions
TIMES = f"ARRAY{[f'2026-04-{day:02} 20:30 UTC' for day in range(9, 31)]}::timestamptz[]"
YEARS = "'1970-01-01 UTC', '2100-01-01 UTC'"
TRADES = "stream_id_of('trades', '', 'yahoo', 'S70')"
HUNDRED = f"ARRAY{[f'S{10 * n}' for n in range(1, 101)]}"


def ids(kind: str, interval: str) -> str:
    """Return the numbers of a hundred series as SQL."""
    names = ", ".join(f"stream_id_of('{kind}', '{interval}', 'yahoo', 'S{10 * n}')" for n in range(1, 101))
    return f"ARRAY[{names}]"


STARTS = f"ARRAY[{MINUTES}], ARRAY[{{0}}::timestamptz], ARRAY[{{1}}::timestamptz], {{2}}, {NOW}"
SYMBOLS = "ARRAY['S70', 'S80', 'NOPE']"
EDGES = "ARRAY['S70', 'S70'], " + ", ".join(
    f"ARRAY['2026-03-05 {begin} UTC'::timestamptz, '2026-03-05 {begin} UTC']" for begin in ("00:00", "24:00", "14:30", "21:00")
)  # fmt: skip
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
    ("version before", statements.VERSIONS_BEFORE,
     f"'S70', '1m', '2026-03-05 UTC', '2026-03-05 00:00:01 UTC', NULL, {NOW}, 99999999999999", 2),
    ("edges of days", basis_statements.EDGES_OF_DAYS, f"{EDGES}, {DAY}, {NOW}", 2),
    ("edges of days far apart", basis_statements.EDGES_OF_DAYS, f"{EDGES}, {ALL}, {NOW}", 8),
    ("told before", basis_statements.TOLD_BEFORE,
     f"'S70', '1m', {DAY}, ARRAY['yahoo'], ARRAY['2026-03-05 08:00 UTC'::timestamptz], ARRAY[99999999999999], ARRAY[{NOW}::timestamptz]", 1),
    ("kept from", statements.KEPT_FROM, "ARRAY['bars', 'quotes']", 0),
    ("edges", statements.BAR_EDGES, f"'S70', '1m', {MONTH}, NULL, {NOW}", 2),
    ("earliest known", statements.EARLIEST_KNOWN, f"'S70', ARRAY['1m', '1d'], {MONTH}, NULL", 2),
    ("known before", statements.KNOWN_BEFORE, f"'S70', ARRAY['1m', '1d'], {MONTH}, NULL, '2025-01-01 UTC'", 2),
    ("known before now", statements.KNOWN_BEFORE, f"'S70', ARRAY['1m'], {MONTH}, 'yahoo', {NOW}", 2),
    ("sources", statements.SOURCES, "'S70'", 0),
    ("known symbols", statements.KNOWN_SYMBOLS, SYMBOLS, 0),
    ("known among a hundred", statements.KNOWN_SYMBOLS, HUNDRED, 0),
    ("series", statements.SERIES, f"{SYMBOLS}, NULL, ARRAY['1m', '1d']", 0),
    ("series of a hundred", statements.SERIES, f"{HUNDRED}, 'yahoo', ARRAY['1m']", 0),
    ("kept quotes", statements.NEWEST_KEPT["quotes"], f"{ids('quotes', '')}, false", 0),
    ("kept bars", statements.NEWEST_KEPT["bars"], f"{ids('bars', '1m')}, true", 0),
    ("newest quotes", statements.NEWEST_OF["quotes"], f"ARRAY[{QUOTES}], '2026-04-06 UTC', '2026-04-07 UTC', {NOW}, false, ARRAY['52,53']", 1),
    ("newest trades", statements.NEWEST_OF["trades"], f"ARRAY[{TRADES}], '2026-04-06 UTC', '2026-04-07 UTC', {NOW}, false, ARRAY['52,53']", 1),
    ("newest bars", statements.NEWEST_OF["bars"], f"ARRAY[{MINUTES}], '2026-02-06 UTC', '2026-02-07 UTC', {NOW}, true, ARRAY['']", 2),
    ("newest of a hundred", statements.NEWEST_OF["quotes"],
     f"{ids('quotes', '')}, '2026-04-06 UTC', '2026-04-07 UTC', {NOW}, false, ARRAY['52,53']", 1),
    *(
        (f"present gaps{backwards}{what}", text, f"{given}, {ALL}, {after}, 1000", 0)
        for backwards, text, after in (
            ("", ledger_statements.PRESENT_GAPS[0], "'-infinity', ''"),
            (" backwards", ledger_statements.PRESENT_GAPS[1], "'infinity', 'x'"),
        )
        for what, given in (("", "NULL, NULL, NULL"), (" that are open", "ARRAY['1m'], NULL, 'open'"))
    ),
    ("filling gaps", ledger_statements.FILLING_GAPS[0], f"NULL, NULL, 'filling', {ALL}, '-infinity', '', 1000", 0),
    ("filling gaps backwards", ledger_statements.FILLING_GAPS[1], f"ARRAY['1m'], 'yahoo', 'filling', {ALL}, 'infinity', 'x', 1000", 0),
    ("evidence of a day", ledger_statements.EVIDENCE, f"'S70', {DAY}, {NOW}, NULL, NULL", 0),
    ("all evidence", ledger_statements.EVIDENCE, f"'S70', {ALL}, {NOW}, ARRAY['1m'], 'yahoo'", 0),
    ("first evidence", ledger_statements.FIRST_EVIDENCE, f"'S70', {NOW}", 0),
    ("evidence known", ledger_statements.EVIDENCE_KNOWN, "'S70'", 0),
    ("reaches", ledger_statements.REACHES, f"ARRAY[{MINUTES}]", 0),
    ("reaches of a hundred", ledger_statements.REACHES, ids("bars", "1m"), 0),
    ("horizons", ledger_statements.HORIZONS, f"ARRAY[{MINUTES}], {MONTH}, {NOW}", 2),
    ("horizons of all time", ledger_statements.HORIZONS, f"ARRAY[{MINUTES}], {ALL}, {NOW}", 8),
    ("stored starts of a day", ledger_statements.STORED_STARTS, STARTS.format(DAY.partition(",")[0], DAY.partition(",")[2], DAY), 2),
    ("stored starts of a month", ledger_statements.STORED_STARTS, STARTS.format(MONTH.partition(",")[0], MONTH.partition(",")[2], MONTH), 2),
    ("collected", ledger_statements.COLLECTED, "'bars.1m:yahoo:S70'", 0),
    ("first hole", ledger_statements.FIRST_HOLE, "'S70', 'bars.1m:yahoo:S70', '2026-01-01 UTC'", 0),
    ("first absence", ledger_statements.FIRST_ABSENCE, f"{MINUTES}, '2026-01-06 UTC'", 0),
    ("cursor", ledger_statements.CURSOR, MINUTES, 0),
    ("cursors", ledger_statements.CURSORS_OF_SYMBOL, "'S70'", 0),
    ("renames", statements.RENAMES, "'-infinity', '-infinity', 0, 0, 5000", 0),
    ("new renames", statements.RENAMES, "'2026-03-05 UTC', '2026-03-05 UTC', 0, 0, 5000", 0),
    ("closes", statements.PREVIOUS_CLOSES,
     f"ARRAY[{MINUTES}], ARRAY[false], ARRAY['2026-03-20 UTC'::timestamptz], '2026-03-10 UTC', '2026-03-20 UTC', {NOW}, false", 2),
    ("newest slices", option_statements.NEWEST_SLICES, f"'S70', NULL, {SPAN}, {NOW}", 2),
    ("newest slices of a provider", option_statements.NEWEST_SLICES, f"'S70', 'yahoo', {SPAN}, '2026-04-02 UTC'", 2),
    ("newest slices long ago", option_statements.NEWEST_SLICES, f"'S70', NULL, {YEARS}, '2026-01-20 UTC'", 4),
    ("newest slices before all", option_statements.NEWEST_SLICES, f"'S70', NULL, {YEARS}, '2025-01-01 UTC'", 4),
    ("newest slices at moments", option_statements.NEWEST_AT_MOMENTS, f"'S70', NULL, {SPAN}, {TIMES}, {TIMES}", 2),
    ("newest slices at moments of a provider", option_statements.NEWEST_AT_MOMENTS, f"'S70', 'yahoo', {SPAN}, {TIMES}, {TIMES}", 2),
    ("newest slices at moments long ago", option_statements.NEWEST_AT_MOMENTS, f"'S70', NULL, {YEARS}, {TIMES}, {TIMES}", 4),
    ("first slice", option_statements.FIRST_SLICE, f"'S70', NULL, {YEARS}", 4),
    ("first slice of none", option_statements.FIRST_SLICE, f"'S70', 'polygon', {YEARS}", 4),
    ("slices at places", option_statements.SLICES_AT,
     f"ARRAY[{OPTIONS}, {OPTIONS}], ARRAY['2026-03-05 08:00 UTC'::timestamptz, '2026-03-06 UTC'], ARRAY[6553600, 1], '2026-03-05 UTC', '2026-03-07 UTC'", 1),
    ("quotes of slices at places", option_statements.QUOTES_OF_SLICES_AT,
     f"ARRAY[{OPTIONS}, {OPTIONS}], ARRAY['2026-03-05 08:00 UTC'::timestamptz, '2026-03-06 UTC'], ARRAY[6553600, 1], '2026-03-05 UTC', '2026-03-07 UTC'", 1),
    ("quotes beside", option_statements.QUOTES_BESIDE,
     f"'S70', ARRAY['2026-04-06 15:00 UTC'::timestamptz], ARRAY[{NOW}::timestamptz], 60000000, '2026-04-06 14:59 UTC', '2026-04-06 15:01 UTC'", 1),
    ("yields", option_statements.YIELDS, f"ARRAY['UST:1M', 'UST:3M', 'UST:1Y', 'UST:2Y', 'UST:10Y'], 20500, 20515, {NOW}", 0),
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
    modules = statements, ledger_statements, basis_statements, option_statements
    for name, value in chain.from_iterable(vars(module).items() for module in modules):
        if name.isupper() and not name.startswith("_"):
            there_are |= {value} if isinstance(value, str) else set()
            there_are |= set(value.values()) if isinstance(value, dict) else set()

    assert {text for text in there_are if "SELECT" in text} <= looked_at


@pytest.mark.parametrize(
    ("index", "text", "values"),
    [
        (
            "gaps_by_time",
            ledger_statements.PRESENT_GAPS[0],
            f"NULL, NULL, NULL, {ALL}, '-infinity', '', 1000",
        ),
        ("gap_evidence_in_order", ledger_statements.FIRST_EVIDENCE, f"'S70', {NOW}"),
    ],
)
async def test_without_its_index_the_ledger_would_be_read_whole(
    session: Connection, index: str, text: str, values: str
) -> None:
    """So each is needed, and the look at plans sees it."""
    transaction = session.transaction()
    await transaction.start()
    await session.execute(f"DROP INDEX {index}")
    # The other one answers, in no order: by reading all that is told of a symbol.
    if index == "gap_evidence_in_order":
        await session.execute("DROP INDEX gap_evidence_of_a_symbol")
    plan = await plan_of(session, text, values)
    await transaction.rollback()

    assert not plan.is_bounded


CORRECTED = (
    "SELECT count(*) FROM bars_superseded WHERE stream_id = stream_id_of('bars', '1m', 'yahoo', 'S70')"
)


async def test_an_older_version_is_looked_for_only_where_there_is_one(session: Connection) -> None:
    """As of a moment before all of them, each bar asked for one before it: of a year that was imported, half a million times."""
    given = f"'S70', '1m', {ALL}, NULL, '2025-01-01 UTC', 1000, NULL"
    await session.execute(f"PREPARE looking AS {statements.LATEST_BARS_ASCENDING}")
    plan = await session.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE looking ({given})")
    looks = sum(
        node["Actual Loops"]
        for node in nodes(json.loads(plan)[0]["Plan"])
        if node.get("Relation Name", "").startswith("bars_superseded")
    )

    assert 0 < looks <= await session.fetchval(CORRECTED)
