"""Corporate actions and vintages through the pipeline: told again and again, in any order, over kills; each version once."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

from infra.runtime.kafka.publisher import Outgoing
from schemas.partitions import partition_of
from schemas.streams import ACTION_STREAM, MACRO_STREAM, Stream
from schemas.topics import DEFAULT_PARTITIONS
from schemas.wire.codec import encode
from tests.support.builders import a_block, an_action_event, an_observation_event
from tests.support.eventually import eventually
from tests.support.oracle import canonical
from tests.support.sink_records import publish, query
from tests.support.system import System, system

WITHIN_S = 60.0
SYMBOLS = ("AAPL", "TWX", "BRK.B", "SIM001")
SERIES = ("FRED:UNRATE", "ECB:EXR.D.USD.EUR.SP00.A", "UST:10Y")
BLOCKS = 240
STAMP = 1_400_000_000_000_000
DAY = "(v.{0} - DATE '1970-01-01')"


def actions(random: Random, now: int) -> list[dict[str, Any]]:
    """Return a poll's answer on one symbol: some of ten actions, now and then one that changed, or moved to another day."""
    symbol = random.choice(SYMBOLS)
    return [
        an_action_event(
            symbol=symbol,
            action_id=f"action-{number}",
            type="cash_dividend",
            amount=random.choice([0.5, 0.5, 0.5, 0.55]),
            ex_date=16_000 + number + random.choice([0, 0, 0, 0, 3]),
            ratio_to=None,
            ratio_from=None,
            event_time=now,
        )
        for number in random.sample(range(10), 4)
    ]


def observations(random: Random, now: int) -> list[dict[str, Any]]:
    """Return a poll's answer on one series: vintages of some periods, one of a source without any, told before 1970."""
    symbol = random.choice(SERIES)
    return [
        an_observation_event(
            symbol=symbol,
            period_start=period,
            period_end=period + 30,
            vintage_start=vintage,
            vintage_end=random.choice([None, None, 17_100]) if vintage is not None else None,
            value=random.choice([4.6, 4.6, 4.6, -0.1, None]),
            event_time=random.choice([now, -86_400_000_000]),
        )
        for period in random.sample(range(17_000, 17_010), 3)
        for vintage in (None, 17_050, 17_060)
    ]


def outgoing(prefix: str, stream: Stream, events: list[dict[str, Any]], provider: str) -> Outgoing:
    """Return a raw block of events of one symbol."""
    block = a_block(*events, provider=provider, endpoint="actions")
    home = partition_of(events[0]["symbol"], DEFAULT_PARTITIONS)
    return Outgoing(
        topic=prefix + stream.raw_topic, partition=home, key=None, value=encode(stream.raw_topic, block)
    )


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


OF = {
    ACTION_STREAM: (actions, ("action_id",), ("amount", "ex_date")),
    MACRO_STREAM: (observations, ("period_start", "vintage_start"), ("value", "vintage_end")),
}


async def test_each_version_of_an_entry_is_stored_once_however_often_and_in_whatever_order_it_is_told(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Two providers, processor and sink killed while they work; a repeat is no version, there and back are three."""
    random = Random(20_161_202)
    told: dict[Stream, list[tuple[str, dict[str, Any]]]] = {stream: [] for stream in OF}
    with system(
        bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path, symbols=["SIM001"]
    ) as running:
        await _started(running)
        for number in range(BLOCKS):
            stream = random.choice(list(OF))
            provider, events = random.choice(["yahoo", "polygon"]), OF[stream][0](random, STAMP + number)
            await publish(kafka_bootstrap, [outgoing(topic_prefix, stream, events, provider)])
            told[stream] += [(provider, event) for event in events]
            if number in (80, 160):
                for name in ("stream_processors", "sinks"):
                    running.kill(name)
                await _started(running)

        for stream, (_, named, said) in OF.items():
            want = versions(told[stream], named, said)

            async def all_are_stored(
                stream: Stream = stream, named: Any = named, said: Any = said, want: Any = want
            ) -> bool:
                found = await stored(database, stream, named, said)
                return found == want

            await eventually(all_are_stored, within_s=WITHIN_S, every_s=0.5)
            records = [
                record
                for number in range(DEFAULT_PARTITIONS)
                for record in canonical(kafka_bootstrap, topic_prefix, stream.topic, number)
            ]
            changes = sum(len(contents) for contents in want.values())
            assert changes <= len(records) < len(told[stream])


async def _started(running: System) -> None:
    for name in ("sinks", "stream_processors"):
        running.start(name)
    await running.ready("sinks", "stream_processors")
