"""Dead events that come in again, on a real broker and database: once, whatever dies on the way, and with what came out seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from gateway.dead_events.judging import names_letter
from gateway.dead_events.shell import replaying
from infra.runtime.kafka.publisher import Outgoing
from schemas.dead_events import KEPT_PAYLOAD_BYTES
from schemas.partitions import partition_of
from schemas.topics import BARS, DEFAULT_PARTITIONS, RAW_BARS, RAW_QUOTES, RAW_TRADES
from schemas.topics import dead as dead_topic
from schemas.wire.codec import encode
from tests.conftest import free_port
from tests.support.backfill_jobs import acts
from tests.support.builders import (
    NINE_THIRTY,
    a_bar,
    a_bar_event,
    a_block,
    a_quote,
    a_quote_event,
    a_trade,
    a_trade_event,
)
from tests.support.dead_letters import of_event
from tests.support.dead_rows import dead, indexed, stands
from tests.support.dying_replay import replay_and_die
from tests.support.eventually import eventually
from tests.support.gateway_rest import Rest, rest
from tests.support.processor_workers import Log, Raw, worker
from tests.support.sink_records import count, publish, query, sink_process

PATH = "/ops/dlq/events"
WITHIN_S = 60.0
SPY = partition_of("SPY", DEFAULT_PARTITIONS)
ELSEWHERE = (SPY + 1) % DEFAULT_PARTITIONS
Outcome = tuple[int, dict[str, Any]]


@pytest.fixture
async def gateway(kafka_bootstrap: str, topic_prefix: str, database: str) -> AsyncIterator[Rest]:
    """A gateway on the test's own topics."""
    async with rest(
        database, env={"MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix}
    ) as running:
        yield running


@pytest.fixture
def log(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Log]:
    """Give a reader of what was written."""
    reader = Log(kafka_bootstrap, topic_prefix)
    yield reader
    reader.close()


async def replay(gateway: Rest, **asked: Any) -> Outcome:
    """Ask for a replay and return the answer."""
    status, _, body = await gateway.ask("POST", f"{PATH}/replay", params=asked)
    return status, body


def came(log: Log, topic: str, partition: int = SPY) -> list[str]:
    """Return the letter of each raw record that came from one."""
    named = (names_letter(topic, message.value()) for message in log.messages(topic, partition))
    return [letter for letter in named if letter]


async def test_what_was_refused_by_mistake_is_in_topic_and_database_once(
    gateway: Rest, kafka_bootstrap: str, topic_prefix: str, database: str, log: Log, tmp_path: Path
) -> None:
    """A producer that hashed symbols wrongly: its bars died, beside one that never can be; the rest is told and done."""
    raw = Raw(kafka_bootstrap, topic_prefix)
    wrong = a_block(a_bar_event(), a_bar_event(low=500.0), a_bar_event())
    raw.send(RAW_BARS, ELSEWHERE, encode(RAW_BARS, wrong))
    env = {"MDS_SIMULATOR_SPEED": "1"}
    with worker(kafka_bootstrap, topic_prefix, tmp_path) as process:
        await eventually(
            process.sees(lambda: len(log.letters(RAW_BARS)) == 3), within_s=WITHIN_S, every_s=0.3
        )
        with sink_process(kafka_bootstrap, topic_prefix, database, free_port(), **env):

            async def are_known() -> bool:
                return await count(database, "dead_events") == 3

            await eventually(are_known, within_s=WITHIN_S, every_s=0.3)
            first, bad, twin = await stands(database)
            end = len(log.messages(RAW_BARS, SPY))
            status, told = await replay(gateway)
            assert status == 200
            assert [row["verdict"] for row in told["data"]] == ["kept", "refused", "repeat"]
            assert (told["data"][0]["record"]["symbol"], told["data"][0]["topic"]) == ("SPY", BARS)
            assert (told["meta"]["verdicts"], told["meta"]["published"]) == (
                {"kept": 1, "refused": 1, "repeat": 1},
                0,
            )
            assert came(log, RAW_BARS) == []
            assert len(log.messages(RAW_BARS, SPY)) - end <= 2  # ticks

            status, done = await replay(gateway, kind=RAW_BARS, dry_run="false")
            assert (status, done["meta"]["published"]) == (200, 1)
            place = done["data"][0]["published"]
            assert place.startswith(f"{RAW_BARS}/{SPY}/")
            await eventually(
                process.sees(lambda: len(log.values(BARS, SPY)) == 1), within_s=WITHIN_S, every_s=0.3
            )
            (bar,) = log.values(BARS, SPY)
            assert (bar["route"], bar["close"], bar["raw_offset"]) == (
                "backfill",
                167.3,
                int(place.rpartition("/")[2]),
            )

            async def is_stored() -> bool:
                return await count(database, "bars") == 1

            await eventually(is_stored, within_s=WITHIN_S, every_s=0.3)
            assert await stands(database) == {first: "replayed", bad: "open", twin: "open"}
            status, again = await replay(gateway, event_id=first, dry_run="false")
            assert (status, again["code"], again["state"], again["note"]) == (
                409,
                "wrong_state",
                "replayed",
                place,
            )
            status, later = await replay(gateway, event_id=twin, dry_run="false")
            assert (status, later["data"][0]["verdict"], later["meta"]["published"]) == (200, "repeat", 0)
            assert "what is stored" in later["data"][0]["detail"]
    assert len(came(log, RAW_BARS)) == 1
    assert len(log.values(BARS, SPY)) == len(log.all_values(BARS)) == 1
    assert [each[1] for each in await acts(gateway.database)] == ["dead_event.replay"]
    rows = await query(database, "SELECT close, route FROM v_bars")
    assert [tuple(row) for row in rows] == [(167.3, "backfill")]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_gateway_killed_on_the_way_publishes_nothing_twice(
    gateway: Rest,
    kafka_bootstrap: str,
    topic_prefix: str,
    database: str,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """Whoever replays next asks the log: what is there stays replayed, what is not comes in, each once."""
    await dead(database, [of_event(RAW_TRADES, a_trade_event(), 1)])
    (dead_id,) = await stands(database)
    await asyncio.to_thread(replay_and_die, kafka_bootstrap, topic_prefix, database, dead_id, when)
    assert await stands(database) == {dead_id: "replaying"}
    assert len(came(log, RAW_TRADES)) == (1 if when == "after" else 0)
    status, early = await replay(gateway, event_id=dead_id, dry_run="false")
    assert (status, early["state"]) == (409, "replaying")  # what it sent may still be on its way

    monkeypatch.setattr(replaying, "DECIDED_AFTER_S", 0.0)
    status, told = await replay(gateway, event_id=dead_id, dry_run="false")
    if when == "after":
        assert (status, told["state"]) == (409, "replayed")
    else:
        assert (status, told["meta"]["published"], told["meta"]["settled"]) == (200, 1, 1)
    status, told = await replay(gateway, event_id=dead_id, dry_run="false")
    assert (status, told["code"]) == (409, "wrong_state")
    assert await stands(database) == {dead_id: "replayed"}
    assert len(came(log, RAW_TRADES)) == 1


async def test_of_many_who_replay_at_once_each_event_is_published_by_one(
    gateway: Rest, database: str, log: Log
) -> None:
    """The others are told to come again, or that it was done."""
    await dead(
        database,
        [
            of_event(RAW_TRADES, a_trade_event(event_time=a_trade_event()["event_time"] + n), n)
            for n in range(40)
        ],
    )
    answers = await asyncio.gather(*(replay(gateway, kind=RAW_TRADES, dry_run="false") for _ in range(8)))

    assert {status for status, _ in answers} <= {200, 503}
    assert sum(body["meta"]["published"] for status, body in answers if status == 200) == 40
    assert {body["code"] for status, body in answers if status == 503} <= {"busy"}
    assert len(came(log, RAW_TRADES)) == len(set(came(log, RAW_TRADES))) == 40
    assert set((await stands(database)).values()) == {"replayed"}


async def test_what_is_stored_is_only_replaced_when_told_so(gateway: Rest, database: str, log: Log) -> None:
    """What became known later may be right; and what says the same, or was the same occurrence, brings nothing."""
    await gateway.store(
        a_bar(close=167.29),
        a_bar(symbol="KO"),
        a_quote(),
        a_trade(trade_id="7"),
        a_trade(trade_id="8", index=1),
    )
    events = [
        of_event(RAW_BARS, a_bar_event(), 1), of_event(RAW_BARS, a_bar_event(symbol="KO"), 2), of_event(RAW_QUOTES, a_quote_event(), 3),
        of_event(RAW_QUOTES, a_quote_event(bid=167.0), 4), of_event(RAW_TRADES, a_trade_event(trade_id="7"), 5),
        of_event(RAW_TRADES, a_trade_event(trade_id="9"), 6), of_event(RAW_TRADES, a_trade_event(trade_id=None), 7),
    ]  # fmt: skip
    await dead(database, events)
    _, told = await replay(gateway)
    assert [row["verdict"] for row in told["data"]] == [
        "replaces",
        "repeat",
        "repeat",
        "replaces",
        "repeat",
        "kept",
        "kept",
    ]
    assert (told["data"][0]["stored"]["close"], told["data"][0]["record"]["close"]) == (167.29, 167.3)

    _, done = await replay(gateway, symbol="SPY", provider="yahoo", dry_run="false")
    assert [row["event_id"] for row in done["data"] if row["published"]] == [
        row["event_id"] for row in told["data"][5:]
    ]
    assert came(log, RAW_BARS) == came(log, RAW_QUOTES) == []
    _, done = await replay(gateway, kind=RAW_BARS, dry_run="false", replace="true")
    assert [bool(row["published"]) for row in done["data"]] == [True, False]
    assert len(came(log, RAW_BARS)) == 1


async def test_a_large_record_is_read_from_its_topic_while_that_keeps_it(
    gateway: Rest, kafka_bootstrap: str, topic_prefix: str, database: str, log: Log
) -> None:
    """The database keeps the begin of it; once the letter is deleted it is told, and then forgotten."""
    symbols = ["SPY", "KO", "IBM", "QQQ", "MSFT"]
    block = a_block(
        *(
            a_trade_event(symbol=symbol, trade_id=None, event_time=NINE_THIRTY + n)
            for n in range(60)
            for symbol in symbols
        )
    )
    value = encode(RAW_TRADES, block)
    assert len(value) > 2 * KEPT_PAYLOAD_BYTES
    said = of_event(RAW_TRADES, a_trade_event(), 1).letter
    sent = replace(said, index=-1, reason="unknown_schema", provider="", symbol="", payload=value)
    await publish(
        kafka_bootstrap,
        [
            Outgoing(
                topic=topic_prefix + dead_topic(RAW_TRADES),
                partition=2,
                value=encode(dead_topic(RAW_TRADES), sent),
            )
        ]
        * 2,
    )
    async with indexed(kafka_bootstrap, topic_prefix, database) as letters:
        await letters.read()
        one, other = await stands(database)
        _, done = await replay(gateway, event_id=one, dry_run="false")
        assert (done["data"][0]["verdict"], done["data"][0]["records"]) == ("kept", 300)
        homes = {partition_of(symbol, DEFAULT_PARTITIONS) for symbol in symbols}
        assert {int(place.split("/")[1]) for place in done["data"][0]["published"].split()} == homes
        assert all(len(came(log, RAW_TRADES, home)) == 1 for home in homes)

        admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
        (deleted,) = admin.delete_records(
            [TopicPartition(topic_prefix + dead_topic(RAW_TRADES), 2, 2)]
        ).values()
        await asyncio.to_thread(deleted.result, WITHIN_S)
        _, told = await replay(gateway, event_id=other)
        assert (told["data"][0]["verdict"], "deleted the letter" in told["data"][0]["detail"]) == (
            "not_replayable",
            True,
        )
        await letters.read()
        assert await stands(database) == {}
