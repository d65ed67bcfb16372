"""Corporate actions and vintages through the pipeline: told again and again, in any order, over kills; each version once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

from schemas.streams import Stream
from schemas.topics import DEFAULT_PARTITIONS
from tests.support.eventually import eventually
from tests.support.oracle import canonical
from tests.support.sink_records import publish, query
from tests.support.system import ROOT, System, system
from tests.support.told_entries import OF, told_block

WITHIN_S = 60.0
# The partitions of whoever was killed.
SOON_GIVEN_AWAY = {"PROCESSORS_SESSION_TIMEOUT_S": "6", "SINKS_SESSION_TIMEOUT_S": "6"}
BLOCKS, TOLD_AT_ONCE, ASKED_EVERY = 240, 8, 40
ASKED = (
    ("/stocks/AAPL/actions", {"knowledge": "known"}),
    ("/stocks/TWX/actions", {"knowledge": "known", "revisions": "all"}),
    ("/factors/macro/FRED:UNRATE/history", {"knowledge": "known", "units": "chg"}),
    ("/factors/macro/UST:10Y/history", {"knowledge": "known", "revisions": "all"}),
)
DAY = "(v.{0} - DATE '1970-01-01')"


def versions(
    told: list[tuple[str, dict[str, Any]]], named: tuple[str, ...], said: tuple[str, ...]
) -> dict[Any, list[Any]]:
    """Return by entry what is told of it in order, without what equals the version before."""
    kept: dict[Any, list[Any]] = defaultdict(list)
    for provider, event in told:
        entry = (event["symbol"], provider, *(event[name] for name in named))
        content = tuple(event[name] for name in said)
        if not kept[entry] or kept[entry][-1] != content:
            kept[entry].append(content)
    return dict(kept)


async def stored(
    dsn: str, stream: Stream, named: tuple[str, ...], said: tuple[str, ...]
) -> dict[Any, list[Any]]:
    """Return by entry the contents of its versions in the view, in the order of the log."""
    days = {"ex_date", "period_start", "vintage_start", "vintage_end"}
    read = [DAY.format(name) if name in days else f"v.{name}" for name in (*named, *said)]
    rows = await query(
        dsn,
        f"SELECT v.symbol, v.provider, {', '.join(read)} FROM v_{stream.name} v ORDER BY v.position",  # noqa: S608
    )
    kept: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        values = tuple(row)
        kept[values[: 2 + len(named)]].append(values[2 + len(named) :])
    return dict(kept)


async def test_each_version_of_an_entry_is_stored_once_however_often_and_in_whatever_order_it_is_told(
    kafka_bootstrap: str, topic_prefix: str, database: str, second_database: str, tmp_path: Path
) -> None:
    """Two providers, processor and sink killed while they work; a repeat is no version, there and back are three.

    What was answered meanwhile as of a moment is answered in the end, in one piece and by pages, and from a replay as well.
    """
    random = Random(20_161_202)
    told: dict[Stream, list[tuple[str, dict[str, Any]]]] = {stream: [] for stream in OF}
    answers: list[tuple[str, dict[str, str], list[Any]]] = []
    with system(
        bootstrap=kafka_bootstrap,
        dsn=database,
        prefix=topic_prefix,
        folder=tmp_path,
        symbols=["SIM001"],
        settings=SOON_GIVEN_AWAY,
    ) as running:
        running.start("simulator")
        await running.ready("simulator")
        running.start("gateway")
        await _started(running)
        await running.ready("gateway")
        for number in range(0, BLOCKS, TOLD_AT_ONCE):
            if number % ASKED_EVERY == 0:
                answers += await _answers(running)
            records = []
            for each in range(number, number + TOLD_AT_ONCE):
                stream, provider, events, record = told_block(random, topic_prefix, each)
                records.append(record)
                told[stream] += [(provider, event) for event in events]
            await publish(kafka_bootstrap, records)
            if number in (80, 160):
                for name in ("stream_processors", "sinks"):
                    running.kill(name)
                await _started(running)

        for stream in OF:
            await _is_stored(kafka_bootstrap, topic_prefix, database, stream, told[stream])
        assert {path for path, _, _ in answers} == {path for path, _ in ASKED}
        for path, asked, rows in answers:
            for limit in ("10000", "17"):
                assert await _rows(running, path, asked | {"limit": limit}) == rows, (path, asked, limit)
        await _replay(running, kafka_bootstrap, topic_prefix, second_database)
    for stream in OF:
        statement = f"SELECT * FROM v_{stream.name} ORDER BY stream_id, position"  # noqa: S608
        assert await query(second_database, statement) == await query(database, statement)


async def _is_stored(
    bootstrap: str, prefix: str, dsn: str, stream: Stream, told: list[tuple[str, dict[str, Any]]]
) -> None:
    """Wait until the database holds each version of what was told once; the topic holds them, and few repeats."""
    _, named, said = OF[stream]
    want = versions(told, named, said)

    async def all_are_stored() -> bool:
        found = await stored(dsn, stream, named, said)
        return found == want

    await eventually(all_are_stored, within_s=WITHIN_S, every_s=0.5)
    records = [
        record
        for number in range(DEFAULT_PARTITIONS)
        for record in canonical(bootstrap, prefix, stream.topic, number)
    ]
    assert sum(len(contents) for contents in want.values()) <= len(records) < len(told)


async def _rows(running: System, path: str, question: dict[str, str]) -> list[Any]:
    """Return the rows of an answer, page by page."""
    rows, asked = list[Any](), dict(question)
    while True:
        status, body = await running.get(path, **asked)
        assert status == 200, body
        rows += body["data"]
        if body["next_page_token"] is None:
            return rows
        asked["page_token"] = body["next_page_token"]


async def _answers(running: System) -> list[tuple[str, dict[str, str], list[Any]]]:
    """Ask everything as of now; return the questions with that moment, and what was answered."""
    found = list[tuple[str, dict[str, str], list[Any]]]()
    for path, asked in ASKED:
        status, body = await running.get(path, **asked)
        if status == 200 and body["data"]:
            found.append((path, asked | {"as_of": body["meta"]["as_of"]}, body["data"]))
    return found


async def _replay(running: System, bootstrap: str, prefix: str, dsn: str) -> None:
    """Let the replay's own commands fill an empty database."""
    read = f"{sys.executable} -m stream_processors replay --bootstrap {bootstrap} --prefix {prefix}"
    script = f"{read} | {sys.executable} -m sinks replay --partitions {DEFAULT_PARTITIONS}"
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "-o", "pipefail", "-c", script], cwd=ROOT, env=running.env | {"SINKS_REPLAY_DSN": dsn},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


async def _started(running: System) -> None:
    for name in ("sinks", "stream_processors"):
        running.start(name)
    await running.ready("sinks", "stream_processors")
