"""Raw blocks of entries as several sources may tell them: again and again, in any order, corrected, moved and taken back."""

from __future__ import annotations

from random import Random
from typing import Any

from infra.runtime.kafka.publisher import Outgoing
from schemas.partitions import partition_of
from schemas.streams import ACTION_STREAM, MACRO_STREAM, Stream
from schemas.topics import DEFAULT_PARTITIONS
from schemas.wire.codec import encode
from tests.support.builders import a_block, an_action_event, an_observation_event

SYMBOLS = ("AAPL", "TWX", "BRK.B", "SIM001")
SERIES = ("FRED:UNRATE", "ECB:EXR.D.USD.EUR.SP00.A", "UST:10Y")
STAMP = 1_400_000_000_000_000


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
            state=random.choice(["announced", "announced", "announced", "cancelled"]),
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
            value=random.choice([4.6, 4.6, 4.6, -1.0, -2.0, None]),
            event_time=random.choice([now, -86_400_000_000]),
        )
        for period in random.sample(range(17_000, 17_010), 3)
        for vintage in (None, 17_050, 17_060)
    ]


OF = {
    ACTION_STREAM: (actions, ("action_id",), ("amount", "ex_date", "state")),
    MACRO_STREAM: (observations, ("period_start", "vintage_start"), ("value", "vintage_end")),
}
"""By stream: what is told, what names it, and what of it changes."""


def told_block(
    random: Random, prefix: str, number: int
) -> tuple[Stream, str, list[dict[str, Any]], Outgoing]:
    """Return the `number`-th poll's stream, provider, events, and the record of its raw topic."""
    stream = random.choice(list(OF))
    provider, events = random.choice(["yahoo", "polygon"]), OF[stream][0](random, STAMP + number)
    block = a_block(*events, provider=provider, endpoint=stream.name)
    home = partition_of(events[0]["symbol"], DEFAULT_PARTITIONS)
    record = Outgoing(
        topic=prefix + stream.raw_topic, partition=home, key=None, value=encode(stream.raw_topic, block)
    )
    return stream, provider, events, record
