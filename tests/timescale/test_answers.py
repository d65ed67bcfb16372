"""Plain PostgreSQL and TimescaleDB answer alike: the same rows stored late, every public view, every statement of the gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.database import ledger_statements as ledger
from gateway.database import option_statements, statements
from gateway.database.rows import bits_of
from infra.runtime.postgres.timescale import move_database
from schemas.identity import stream_id_of
from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import BAR_STREAM, Bar, StreamId
from schemas.tables import INDEX_BITS
from sinks.store.shell.rows import WritePath
from tests.support.builders import NINE_THIRTY, a_quote, a_slice, a_trade, an_observation
from tests.support.sink_writers import a_minute
from tests.support.timescale_bridge import Bridge
from tests.support.timescale_rows import plain_database, run_job, store, told, values

Records = Sequence[Any]  # of one kind
Asked = tuple[str, tuple[Any, ...]]
FROM, TO = NINE_THIRTY - DAY_US, NINE_THIRTY + 9 * DAY_US
KNOWN = NINE_THIRTY + 10 * DAY_US  # by raw_offset after that: the order of knowledge is the order of our log
LATE = 10_000  # raw_offset of what is stored when its days are compressed
AS_OF = (KNOWN + 100, KNOWN + LATE + 20, KNOWN + 3 * LATE, KNOWN + 10**6)
COMPRESSED = """
    SELECT count(*) FILTER (WHERE is_compressed) AS compressed, count(*) AS chunks FROM timescaledb_information.chunks
    WHERE hypertable_name = $1"""


def bar(moment: int, at: int, **changes: Any) -> Bar:
    """Return a bar of that moment, known as the place in our log says."""
    return a_minute(0, event_time=moment, raw_offset=at, known_from=KNOWN + at, **changes)


def first() -> Iterator[Records]:
    """Yield what is stored first: of each kind some, over a week, and a bar still forming."""
    moments = [NINE_THIRTY + day * DAY_US + minute * MINUTE_US for day in range(7) for minute in range(30)]
    yield [bar(moment, at) for at, moment in enumerate(moments)]
    yield [bar(moment, at, provider="polygon", close=167.35) for at, moment in enumerate(moments[::3])]
    yield [
        a_quote(event_time=moment, raw_offset=at, known_from=KNOWN + at) for at, moment in enumerate(moments)
    ]
    yield [
        a_trade(event_time=moment, raw_offset=at, known_from=KNOWN + at) for at, moment in enumerate(moments)
    ]
    yield [
        a_slice(event_time=moment, raw_offset=at, known_from=KNOWN + at, expiry=16_026 + 7 * (at % 3))
        for at, moment in enumerate(moments)
    ]
    yield [
        an_observation(symbol=f"UST:{tenor}", provider="treasury", raw_offset=at, known_from=KNOWN + at)
        for at, tenor in enumerate(("3M", "10Y"))
    ]
    yield [bar(NINE_THIRTY + 8 * DAY_US, 5_000, final=False)]


def late() -> Iterator[Records]:
    """Yield what comes when those days are compressed: told again, corrected, back again, all of it at once, and absent before."""
    moments = [
        NINE_THIRTY + day * DAY_US + minute * MINUTE_US for day in range(7) for minute in range(0, 40, 5)
    ]
    changes: list[Mapping[str, Any]] = [
        {}, {"close": 9.0}, {"close": 8.0, "route": "shadow"}, {}, {"volume": 0.0, "session": "pre"},
    ]  # fmt: skip
    turns = [
        [bar(moment, LATE * turn + at, **change) for at, moment in enumerate(moments)]
        for turn, change in enumerate(changes, 1)
    ]
    yield from turns
    yield [record for turn in turns[:3] for record in turn]
    for place in (LATE, 2 * LATE):
        known = KNOWN + place
        yield [
            a_quote(event_time=m, raw_offset=place + at, known_from=known + at, bid=1.0)
            for at, m in enumerate(moments)
        ]
        yield [
            a_slice(event_time=m, raw_offset=place + at, known_from=known + at, underlying_price=1.0)
            for at, m in enumerate(moments)
        ]
    for _ in range(2):
        yield [
            a_trade(event_time=m, raw_offset=LATE + at, known_from=KNOWN + LATE + at)
            for at, m in enumerate(moments)
        ]


def asked() -> Iterator[Asked]:
    """Yield every statement of market data with values: both providers and one, all sessions and one, four moments of knowledge."""
    ids = [
        stream_id_of(StreamId("bars", "1m", "yahoo", "SPY")), stream_id_of(StreamId("quotes", "", "yahoo", "SPY")),
        stream_id_of(StreamId("trades", "", "yahoo", "SPY")),
    ]  # fmt: skip
    regular = [bits_of(BAR_STREAM, "session", "regular")]
    for as_of in AS_OF:
        for provider, sessions in ((None, None), ("yahoo", regular)):
            span = ("SPY", "1m", FROM, TO, provider, as_of)
            yield statements.LATEST_BARS_ASCENDING, (*span, 500, sessions)
            yield statements.LATEST_BARS_DESCENDING, (*span, 40, sessions)
            yield statements.ALL_BARS, (*span, 100, sessions, NINE_THIRTY + DAY_US, 7)
            yield statements.BAR_EDGES, span
            moment, place = NINE_THIRTY + DAY_US, (LATE + 10) << INDEX_BITS
            yield statements.VERSIONS_BEFORE, ("SPY", "1m", moment, moment + 1, provider, as_of, place)
        for statement in statements.NEWEST_OF.values():
            yield statement, (ids, FROM, TO, as_of, False, ["52,53"] * len(ids))
            yield statement, (ids, FROM, TO, as_of, True, [""] * len(ids))
        opens = NINE_THIRTY + 3 * DAY_US
        yield statements.PREVIOUS_CLOSES, ([ids[0]] * 2, [False, True], [opens] * 2, FROM, TO, as_of, False)
        yield statements.KNOWN_BEFORE, ("SPY", ["1m"], FROM, TO, None, as_of)
    yield statements.EARLIEST_KNOWN, ("SPY", ["1m"], FROM, TO, None)
    yield statements.SOURCES, ("SPY",)
    yield statements.RENAMES, (FROM, FROM, 0, 0, 5_000)
    yield statements.KNOWN_SYMBOLS, (["SPY", "NOPE"],)
    yield statements.SERIES, (["SPY"], None, ["1m"])
    yield from asked_of_options()
    yield ledger.CURSOR, (ids[0],)
    yield ledger.COLLECTED, ("bars.1m:yahoo:SPY",)
    yield ledger.FIRST_HOLE, ("SPY", "bars.1m:yahoo:SPY", FROM)
    yield ledger.FIRST_ABSENCE, (ids[0], FROM)
    yield ledger.FIRST_EVIDENCE, ("SPY", AS_OF[-1])
    yield ledger.EVIDENCE_KNOWN, ("SPY",)
    yield ledger.REACHES, (ids,)
    for as_of in AS_OF:
        yield ledger.EVIDENCE, ("SPY", FROM, TO, as_of, None, None)
        yield ledger.HORIZONS, (ids, FROM, TO, as_of)
        yield ledger.STORED_STARTS, ([ids[0]], [FROM], [TO], FROM, TO, as_of)
    yield ledger.CURSORS_OF_SYMBOL, ("SPY",)
    yield statements.WATERMARKS, ()
    yield statements.WATERMARK, ("bars.v1", 0)
    yield statements.KEPT_FROM, (["bars", "quotes"],)
    for statement in statements.NEWEST_KEPT.values():
        yield statement, (ids, True)
    for statement in ledger.PRESENT_GAPS:
        yield statement, (None, None, None, FROM, TO, FROM, "", 10)


def asked_of_options() -> Iterator[Asked]:
    """Yield every statement of option chains: the newest slices as of each moment, and slices of places that there are."""
    options = stream_id_of(StreamId("options", "", "yahoo", "SPY"))
    for as_of in AS_OF:
        for provider in (None, "yahoo"):
            yield option_statements.NEWEST_SLICES, ("SPY", provider, FROM, TO, as_of)
            yield (
                option_statements.NEWEST_AT_MOMENTS,
                ("SPY", provider, FROM, TO, list(AS_OF), [as_of] * len(AS_OF)),
            )
        yield option_statements.QUOTES_BESIDE, ("SPY", [NINE_THIRTY], [as_of], MINUTE_US, FROM, TO)
        yield option_statements.YIELDS, (["UST:3M", "UST:10Y"], 0, 40_000, as_of)
    yield option_statements.FIRST_SLICE, ("SPY", None, FROM, TO)
    # the first slice of all, and one that was told late
    places = [options] * 2, [NINE_THIRTY] * 2, [0, LATE << INDEX_BITS]
    yield option_statements.SLICES_AT, (*places, FROM, TO)
    yield option_statements.QUOTES_OF_SLICES_AT, (*places, FROM, TO)


async def answers(bridge: Bridge) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Return what views and statements say."""
    return [
        *(await told(bridge)).items(),
        *[(statement, await values(bridge, statement, *given)) for statement, given in asked()],
    ]


def test_every_statement_of_market_data_is_asked() -> None:
    """One that is new gets its line above."""
    known: list[str] = []
    for name, value in [
        *vars(statements).items(), *vars(ledger).items(), *vars(option_statements).items(),
    ]:  # fmt: skip
        if name.isupper() and not name.startswith("_") and isinstance(value, str | Mapping):
            known += value.values() if isinstance(value, Mapping) else [value]

    assert {text for text in known if "SELECT" in text} <= {statement for statement, _ in asked()}


async def test_rows_late_for_compressed_days_are_told_as_plain_postgresql_tells_them(
    timescale_process: Bridge,
) -> None:
    """Version by version, by every view and statement, known then and now."""
    bridge: Any = timescale_process
    await plain_database(bridge)
    for records in first():
        await store(bridge, records)
    for records in late():
        await store(bridge, records, WritePath.STAGED)
    plain = await answers(bridge)

    await plain_database(bridge)
    for records in first():
        await store(bridge, records)
    await move_database(bridge, print)
    await run_job(bridge, "policy_compression")
    for name in ("bars", "quotes", "trades"):
        ((compressed, chunks),) = await values(bridge, COMPRESSED, name)
        assert compressed == chunks > 0
    for records in late():
        await store(bridge, records, WritePath.STAGED)
    hypertables = await answers(bridge)

    for (what, wanted), (_, found) in zip(plain, hypertables, strict=True):
        assert found == wanted, what
    assert sum(bool(rows) for _, rows in plain) > 40
    assert len(plain[1][1]) > 400  # versions of bars
