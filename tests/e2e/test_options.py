"""A real day of option chains through the whole pipeline, as each of three vendors tells it: every quote of every slice, everywhere."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import yaml

from gateway.options.chain import IMPLIED
from infra.runtime.clock import rfc3339
from infra.runtime.kafka.topics import ensure_topics
from schemas.clocks import Day, date_of
from schemas.partitions import partition_of
from schemas.streams import OPTION_STREAM
from schemas.symbols.occ import OptionContract, spelled
from schemas.topics import DEFAULT_PARTITIONS
from tests.support import oracle
from tests.support.databases import execute, lay_out, with_database
from tests.support.eventually import eventually
from tests.support.market_files import at
from tests.support.option_minutes import MINUTE_MS, dollars, filed_contracts, milliseconds
from tests.support.system import ROOT, System, subset, system
from tests.support.watcher import Watcher, watching

pytestmark = pytest.mark.slow

PREFIX, DATABASE, SYMBOL, DAY = "options.", "real_options", "GOOG", "20151224"
MIDNIGHT_US = at(DAY, "00:00")
WITHIN_S = 150.0
POLL_US = 10 * MINUTE_MS * 1_000  # of market time between the first page of an answer and its last
SLICES = 30  # of each vendor before the next one is asked
CHAIN = re.compile(rb'"request_id":"[^"]*",')


@dataclass
class Told:
    """A system that was told a day's chains by one vendor after the other, and what a client was answered meanwhile."""

    system: System
    watcher: Watcher
    data: Path
    bootstrap: str
    dsn: str
    answers: list[tuple[str, bytes]] = field(default_factory=list)


@pytest.fixture(scope="module")
def told(
    market_data: Path, kafka_bootstrap: str, postgres_admin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    """Play GOOG's half day before Christmas 2015, a market minute a second, to a client that asks all the while."""
    folder = tmp_path_factory.mktemp("options")
    ensure_topics(kafka_bootstrap, prefix=PREFIX)
    dsn = asyncio.run(_database(postgres_admin))
    data = subset(
        market_data, folder, f"options/minute/goog/{DAY}_*.zip", f"equity_minute/goog/{DAY}_*.zip",
        "macro/us_macro_vintages.csv.gz",
    )  # fmt: skip
    settings = {
        "MDS_SIMULATOR_DATA": str(data), "MDS_SIMULATOR_SPEED": "60", "MDS_SIMULATOR_START": "2015-12-24T09:35:00-05:00",
    }  # fmt: skip
    with system(
        bootstrap=kafka_bootstrap, dsn=dsn, prefix=PREFIX, folder=folder, symbols=[SYMBOL], settings=settings,
        streams=_streams("polygon"),
    ) as running:  # fmt: skip
        asyncio.run(_start(running))
        with watching(running.socket_url, [f"options:best:{SYMBOL}"]) as watcher:
            found = Told(running, watcher, market_data, kafka_bootstrap, dsn)
            asyncio.run(_played(found, folder / "mds.yaml"))
            yield found


def _streams(provider: str) -> dict[str, Any]:
    return {
        "quotes": {"providers": ["yahoo"]},
        "options": {"providers": [provider], "every_s": 300, "far_every_s": 900, "max_expiries": 40},
    }


async def _database(admin: str) -> str:
    await execute(admin, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    await execute(admin, f"CREATE DATABASE {DATABASE}")
    dsn = with_database(admin, DATABASE)
    await lay_out(dsn)
    return dsn


async def _start(running: System) -> None:
    running.start("simulator")
    await running.ready("simulator")
    await running.start_services()


async def _played(told: Told, config: Path) -> None:
    for provider in ("polygon", "alpaca", "yahoo"):
        text = yaml.safe_dump({"symbols": [SYMBOL], "streams": _streams(provider)})
        await asyncio.to_thread(config.write_text, text, "utf-8")
        await _post(told.system.url + "/ops/reload")

        async def stored(provider: str = provider) -> bool:
            told.answers.append(await _asked(told.system))
            count = len(await _rows(told.dsn, f"SELECT FROM v_options WHERE provider = '{provider}'"))
            assert count >= SLICES, f"{count} slices of {provider} stored"
            return True

        await eventually(stored, within_s=WITHIN_S, every_s=1.0)
    told.system.terminate("producers")
    told_last = max((each["raw_offset"], each["index"]) for each in _slices(told))

    async def settled() -> bool:
        (row,) = await _rows(told.dsn, "SELECT max((raw_offset << 16) + idx) FROM v_options")
        assert row[0] == (told_last[0] << 16) + told_last[1]
        seen = told.watcher.transcripts[f"options:best:{SYMBOL}"].records
        assert f".{told_last[0]}.{told_last[1]}." in seen[max(seen)]["event_id"]
        return True

    await eventually(settled, within_s=60.0)


async def _post(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url) as answer:
        assert answer.status in (200, 202), await answer.text()


async def _asked(running: System, **parameters: str) -> tuple[str, bytes]:
    """Return the as_of and the bytes of the whole chain, without the id of the request."""
    query = {"limit": "5000", **parameters}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{running.url}/options/{SYMBOL}/chain", params=query) as answer,
    ):
        body = await answer.read()
        found = re.search(rb'"as_of":"([^"]*)"', body)
        return "" if found is None else found[1].decode(), CHAIN.sub(b"", body)


async def _rows(dsn: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


def _slices(told: Told) -> list[dict[str, Any]]:
    partition = partition_of(SYMBOL, DEFAULT_PARTITIONS)
    return oracle.canonical(told.bootstrap, PREFIX, OPTION_STREAM.topic, partition)


def _contract(told_slice: dict[str, Any], leg: dict[str, Any]) -> str:
    expiry = date_of(Day(told_slice["expiry"]))
    contract = OptionContract(told_slice["root"], expiry, leg["right"], round(leg["strike"] * 1000))
    return spelled(contract)


@pytest.mark.parametrize("provider", ["polygon", "alpaca"])
async def test_every_quote_of_every_slice_is_the_files_at_its_minute(told: Told, provider: str) -> None:
    """Of each contract the last row that was over while the vendor was asked, which at this speed takes minutes of the market."""
    filed = {
        each.name: each.rows
        for each in filed_contracts(told.data, "quote", milliseconds("16:00:00"), lasting_ms=MINUTE_MS)
    }
    slices = [each for each in _slices(told) if each["provider"] == provider]
    quoted = 0
    for each in slices:
        for leg in each["legs"]:
            rows = filed[_contract(each, leg)]
            ends = [MIDNIGHT_US + (int(row[0]) + MINUTE_MS) * 1_000 for row in rows]
            asked_us = each["event_time"] - POLL_US
            if leg["quote_time"] is None:
                assert not ends or ends[0] > asked_us
                continue
            quoted += 1
            place = ends.index(leg["quote_time"])
            assert place == len(ends) - 1 or ends[place + 1] > asked_us
            assert (leg["bid"] or 0.0, leg["ask"] or 0.0) == (
                dollars(rows[place][4]),
                dollars(rows[place][9]),
            )

    assert len(slices) >= SLICES
    assert quoted > 5_000


async def test_a_vendor_without_stamps_of_quotes_tells_a_minute_of_the_file(told: Told) -> None:
    """Yahoo's chain is that of some minute at or after the newest stamp in it."""
    slices = [each for each in _slices(told) if each["provider"] == "yahoo"]
    filed = {
        each.name: {(dollars(row[4]), dollars(row[9])) for row in each.rows}
        for each in filed_contracts(told.data, "quote", milliseconds("16:00:00"), lasting_ms=MINUTE_MS)
    }

    assert len(slices) >= SLICES
    for each in slices:
        for leg in each["legs"]:
            if leg["bid"] is not None or leg["ask"] is not None:
                assert (leg["bid"] or 0.0, leg["ask"] or 0.0) in filed[_contract(each, leg)]


async def test_table_and_client_have_what_the_topic_has(told: Told) -> None:
    """Every slice once, in order, with all of its legs."""
    slices = _slices(told)
    stored = await _rows(
        told.dsn,
        "SELECT provider, root, expiry - DATE '1970-01-01' AS expiry, raw_offset, idx, leg_strike, leg_bid, leg_ask, leg_open_interest"
        " FROM v_options ORDER BY position",
    )
    known = {(row["raw_offset"], row["idx"]): row for row in stored}
    for each in slices:
        row = known[each["raw_offset"], each["index"]]
        assert (row["provider"], row["root"], row["expiry"]) == (
            each["provider"],
            each["root"],
            each["expiry"],
        )
        for name in ("strike", "bid", "ask", "open_interest"):
            assert list(row[f"leg_{name}"]) == [leg[name] for leg in each["legs"]]

    seen = told.watcher.transcripts[f"options:best:{SYMBOL}"]
    by_place = {(each["raw_offset"], each["index"]): each for each in slices}
    assert len(stored) == len(slices)
    assert (seen.breaks, seen.order_kept) == ([], True)
    assert len(seen.records) > SLICES
    for record in seen.records.values():
        _, offset, index, _ = record["event_id"].split(".")
        each = by_place[int(offset), int(index)]
        assert record["legs"]["strike"] == [leg["strike"] for leg in each["legs"]]
        assert record["legs"]["bid"] == [leg["bid"] for leg in each["legs"]]


async def test_what_was_answered_is_answered_again_to_the_byte(told: Told) -> None:
    """At moments between polls, of three vendors, with volatilities and greeks; whatever became known since."""
    answers = {as_of: body for as_of, body in told.answers if as_of and b'"data":[{' in body}
    assert len(answers) >= 5
    chosen = sorted(answers)[:: max(1, len(answers) // 8)]
    for as_of in chosen:
        _, again = await _asked(told.system, as_of=as_of)
        assert again == answers[as_of]
    assert any(b'"iv_status":"ok"' in answers[as_of] for as_of in chosen)


async def test_greeks_that_a_client_was_sent_are_those_of_the_chain_when_its_slice_became_known(
    told: Told,
) -> None:
    """Of slices of all vendors, each a message behind its slice; asked for at the end, with all that became known since."""
    seen = told.watcher.transcripts[f"options:best:{SYMBOL}"]
    sent = [
        (seen.records[offset], values) for offset, values in seen.greeks.items() if offset in seen.records
    ]
    chosen = sent[:: max(1, len(sent) // 24)]
    async with aiohttp.ClientSession() as session:
        for record, values in chosen:
            query = {
                "as_of": rfc3339(values["known_from"]), "provider": record["provider"], "root": values["root"],
                "expiry": values["expiry"], "layout": "columns", "adjusted": "include", "max_age_s": "86400", "limit": "5000",
                "fields": ",".join((*IMPLIED, "event_id")),
            }  # fmt: skip
            async with session.get(f"{told.system.url}/options/{SYMBOL}/chain", params=query) as answer:
                body = await answer.json()
            assert answer.status == 200, body
            assert set(body["data"].pop("event_id")) == {values["event_id"]} == {record["event_id"]}
            assert body["data"] == {name: values[name] for name in IMPLIED}
            assert len(values["iv"]) == len(record["legs"]["strike"])

    # of each poll the newest of each expiry alone, once a poll has come whole before the next
    assert len(sent) > SLICES
    assert {record["provider"] for record, _ in chosen} == {"polygon", "alpaca", "yahoo"}
    assert sum(values["iv_status"].count("ok") for _, values in sent) > 1_000


async def test_a_replay_into_an_empty_database_gives_identical_slices(told: Told, database: str) -> None:
    """The raw log alone rebuilds them, known_from and position included."""
    python = sys.executable
    read = f"{python} -m stream_processors replay --bootstrap {told.bootstrap} --prefix {PREFIX}"
    script = f"{read} | {python} -m sinks replay --partitions {DEFAULT_PARTITIONS}"
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-o", "pipefail", "-c", script],
        cwd=ROOT,
        env=told.system.env | {"SINKS_REPLAY_DSN": database},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    digest = "SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY stream_id, position)) FROM v_options t"

    async def equal() -> bool:
        live, again = [tuple((await _rows(dsn, digest))[0]) for dsn in (told.dsn, database)]
        assert live == again
        assert live[0] >= 3 * SLICES
        return True

    await eventually(equal, within_s=60.0, every_s=1.0)
