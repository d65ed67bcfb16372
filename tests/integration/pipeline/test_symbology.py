"""Symbols at work: producers ask vendors by their names and leave out what names nothing; the gateway says which."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from infra.runtime.map_folder import load_symbology
from schemas.intervals import DAY_US, HOUR_US
from schemas.symbology.naming import naming_day
from schemas.topics import RAW_BARS, RAW_QUOTES
from tests.support.builders import NINE_THIRTY, a_bar, a_quote
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest
from tests.support.producer_processes import (
    as_json,
    configuration,
    day_bounds,
    file_rows,
    file_time,
    producer,
    raw_blocks,
    raw_events,
    simulator,
)

DAY, NEXT_DAY = "20131007", "20131008"
BOTH = "bars: {provider: yahoo}, quotes: {provider: yahoo, every_s: 5}"
META = "20120518,fb,Q\n20220608,fb,Q\n20501231,meta,Q\n"
OLD_TWO, NEW_TWO = "19980102,two\n20131231,two\n", "20130102,two\n20501231,two\n"


def maps(folder: Path, market_data: Path) -> Path:
    """Return a folder of the real map files, one rename, and one ticker that two companies claim in 2013."""
    place = folder / "map_files"
    shutil.copytree(market_data / "equity_daily" / "map_files", place)
    for name, text in (("meta", META), ("two.1", OLD_TWO), ("two", NEW_TWO)):
        (place / f"{name}.csv").write_text(text, "ascii")
    return place


async def test_a_producer_asks_by_the_vendors_name_and_leaves_out_what_names_nothing(
    market_data: Path, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """BRK.B is asked as BRK-B and stored as BRK.B; META is not asked in 2013, nor what is ambiguous or misspelt."""
    market = tmp_path / "market"
    source = market_data / "equity_minute" / "spy" / f"{DAY}_trade.zip"
    (market / "equity_minute" / "brk-b").mkdir(parents=True)
    shutil.copy(source, market / "equity_minute" / "brk-b")
    for other in ("spy", "meta", "two"):
        shutil.copytree(market / "equity_minute" / "brk-b", market / "equity_minute" / other)
    start = datetime.fromtimestamp(day_bounds(DAY)[0] / 1_000_000, UTC).isoformat()
    env = configuration(tmp_path, symbols="[META, BRK.B, TWO, BTC/USD, SPY]", streams=BOTH)
    env["MDS_MAP_FILES"] = str(maps(tmp_path, market_data))
    expected = {file_time(DAY, row[0]) for row in file_rows(market_data, "equity_minute", "SPY", DAY)}

    async with simulator(data=market, start=start, speed="max") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as process:

            async def collected(symbol: str) -> bool:
                bars = await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, symbol)
                quotes = await raw_events(kafka_bootstrap, topic_prefix, RAW_QUOTES, symbol)
                starts = {event["event_time"] for event in bars if event["symbol"] == symbol}
                return expected <= starts and symbol in {event["symbol"] for event in quotes}

            for symbol in ("SPY", "BRK.B"):
                await eventually(lambda symbol=symbol: collected(symbol), within_s=60.0, every_s=0.5)
            lines = [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]
    left_out = {
        entry["symbol"]: entry["reason"] for entry in lines if entry.get("event") == "symbol_not_collected"
    }
    stored = [
        entry.block
        for topic in (RAW_BARS, RAW_QUOTES)
        for entry in await raw_blocks(kafka_bootstrap, topic_prefix, topic, None)
    ]

    assert set(left_out) == {"META", "TWO", "BTC/USD"}
    assert "use FB" in left_out["META"]
    assert "TWO@1998-01-02 and TWO@2013-01-02" in left_out["TWO"]
    assert "did you mean BTC-USD" in left_out["BTC/USD"]
    assert {event["symbol"] for block in stored for event in block.events} == {"SPY", "BRK.B"}
    told = {hole.symbol for block in stored for hole in block.discontinuities}
    assert told <= {"SPY", "BRK.B"}  # nobody misses what was never asked for
    assert not as_json(simulation)["faults"]


async def test_a_rename_is_followed_on_its_day_while_running(
    market_data: Path, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Up to its last day the old name is asked for, from the next on the new one; no restart, never both."""
    source = market_data / "equity_minute" / "spy"
    for ticker, day in (("fb", DAY), ("meta", NEXT_DAY)):
        place = tmp_path / "market" / "equity_minute" / ticker
        place.mkdir(parents=True)
        shutil.copy(source / f"{day}_trade.zip", place)
    (tmp_path / "map_files").mkdir()
    (tmp_path / "map_files" / "meta.csv").write_text(f"20120518,fb,Q\n{DAY},fb,Q\n20501231,meta,Q\n", "ascii")
    env = configuration(tmp_path, symbols="[FB, META]", streams="bars: {provider: yahoo}")
    env["MDS_MAP_FILES"] = str(tmp_path / "map_files")
    start, turn = (day_bounds(day)[0] + 7 * HOUR_US for day in (DAY, NEXT_DAY))
    begin = datetime.fromtimestamp(start / 1_000_000, UTC).isoformat()

    async with simulator(data=tmp_path / "market", start=begin, speed="60") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as process:

            async def collected(symbol: str) -> bool:
                return bool(await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, symbol))

            await eventually(lambda: collected("FB"), within_s=60.0, every_s=0.5)
            assert not await collected("META")
            simulation.view.clock.step_to(turn)
            await eventually(lambda: collected("META"), within_s=60.0, every_s=0.5)
            assert process.process.poll() is None
            lines = [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]

    bars = await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, None)
    days = {(bar["symbol"], naming_day(bar["event_time"])) for bar in bars}
    assert days == {("FB", naming_day(start)), ("META", naming_day(turn))}
    left_out = [entry["symbol"] for entry in lines if entry.get("event") == "symbol_not_collected"]
    assert left_out == ["META", "FB"]


async def test_a_batch_rejects_symbols_one_by_one(database: str, market_data: Path, tmp_path: Path) -> None:
    """Unknown, ambiguous, malformed and empty each have their code; every other symbol has its price."""
    known = load_symbology(maps(tmp_path, market_data))
    async with rest(database, symbology=known) as gateway:
        gateway.clock.now = NINE_THIRTY
        gateway.live.put(a_quote(), a_quote(symbol="TWO"))
        await gateway.store(a_bar(symbol="BRK.B"), a_bar(symbol="QQQ-X"), a_bar(symbol="IWM", interval="1d"))
        asked = ["SPY", "META", "TWO", "BRK-B", "spy", "IWM", "BRK.B", "NOPE", "QQQ-X"]
        status, _, answer = await gateway.ask(
            "POST", "/stocks/batch", data=json.dumps({"symbols": asked, "fields": ["price"]})
        )

        assert status == 200
        assert set(answer["data"]) == {
            "SPY",
            "BRK.B",
            "QQQ-X",
        }  # stored before this spelling was refused: served
        assert answer["unresolved"] == [
            {"symbol": "META", "code": "unknown_symbol", "candidates": ["FB"]},
            {
                "symbol": "TWO",
                "code": "ambiguous_symbol",
                "candidates": ["TWO@1998-01-02", "TWO@2013-01-02"],
            },
            {"symbol": "BRK-B", "code": "unknown_symbol", "candidates": ["BRK.B"]},
            {"symbol": "spy", "code": "not_a_symbol", "candidates": ["SPY"]},
            {"symbol": "IWM", "code": "no_value"},
            {"symbol": "NOPE", "code": "unknown_symbol"},
        ]


async def test_a_price_says_what_a_batch_says(database: str, market_data: Path, tmp_path: Path) -> None:
    """One path, one symbol: ambiguous is a wrong parameter, a former or foreign spelling a 404 with the right one."""
    known = load_symbology(maps(tmp_path, market_data))
    async with rest(database, symbology=known) as gateway:
        gateway.live.put(a_quote(symbol="TWO"))
        status, _, problem = await gateway.ask("GET", "/stocks/TWO/price")
        assert (status, problem["errors"][0]["code"]) == (422, "ambiguous_symbol")
        assert "TWO@2013-01-02" in problem["detail"]
        gateway.clock.now = NINE_THIRTY + 365 * DAY_US  # in 2014 one company is left that is called so
        assert (await gateway.get("/stocks/TWO/price"))["data"]["symbol"] == "TWO"
        for symbol, meant in (("META", "FB"), ("BRK-B", "BRK.B")):
            status, _, problem = await gateway.ask("GET", f"/stocks/{symbol}/price")
            assert (status, problem["code"]) == (404, "unknown_symbol")
            assert f"did you mean {meant}?" in problem["detail"]
        status, _, problem = await gateway.ask("GET", "/stocks/BRK-B/history")
        assert (status, "did you mean BRK.B?" in problem["detail"]) == (404, True)


async def test_bars_of_an_ambiguous_symbol_are_refused_with_the_candidates(
    database: str, market_data: Path, tmp_path: Path
) -> None:
    """`history` and `intraday` guess no more than `price` does, though bars are stored under the symbol."""
    known = load_symbology(maps(tmp_path, market_data))
    async with rest(database, symbology=known) as gateway:
        gateway.clock.now = NINE_THIRTY
        await gateway.store(a_bar(symbol="TWO"))
        for path in ("history", "intraday"):
            status, _, problem = await gateway.ask("GET", f"/stocks/TWO/{path}")
            assert (status, problem["errors"][0]["code"]) == (422, "ambiguous_symbol")
            assert "TWO@1998-01-02 and TWO@2013-01-02" in problem["detail"]
            assert "correct the map files" in problem["detail"]
        status, _, problem = await gateway.ask("GET", "/stocks/META/history")
        assert (status, "did you mean FB?" in problem["detail"]) == (404, True)


async def test_a_symbol_with_quotes_and_no_bars_yet_is_known(database: str) -> None:
    """Seen on the live topics and not stored: no rows, and not that nothing is known of it."""
    async with rest(database) as gateway:
        gateway.live.put(a_quote(symbol="SPY"))
        for path in ("history", "intraday"):
            assert (await gateway.get(f"/stocks/SPY/{path}"))["data"] == []
            assert (await gateway.ask("GET", f"/stocks/NOPE/{path}"))[0] == 404
