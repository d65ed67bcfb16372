"""Frames of a socket: read, or kept once with their bytes, and never with our key."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.runtime.metrics import REGISTRY
from producers.collecting.shell.frames import FrameReader
from producers.vendors.answers import Frame
from producers.vendors.finnhub.trades import parse_frame
from tests.support.producer_fakes import RecordingTopics
from tests.support.vendor_payloads import NINE_THIRTY_S, a_frame

KEY = "c0ffee-canary-0815"
ASKED: Mapping[str, str] = {"SPY": "SPY"}
TRADE = {"s": "SPY", "p": 1.0, "v": 1, "t": NINE_THIRTY_S * 1000}


def a_reader(raw: RecordingTopics) -> FrameReader:
    socket = SimpleNamespace(endpoint="socket", parse=parse_frame)
    return FrameReader(
        "framed", cast(Any, socket), cast(Any, raw), simulated=frozenset(), secrets=(KEY.encode(),)
    )


async def read(reader: FrameReader, payload: bytes) -> Frame | None:
    answer = await reader.read(payload, sequence=1, asked=ASKED)
    return None if answer is None else answer[0]


async def test_a_format_that_changed_is_kept_once() -> None:
    """However many frames of it come, there is one dead letter; another fault has its own, and what can be read is."""
    raw = RecordingTopics()
    reader = a_reader(raw)
    broken = [b'{"type":5,"data":[%d]}' % number for number in range(300)]
    outcomes = [await read(reader, payload) for payload in (*broken, b"{", b"[", a_frame(TRADE))]
    spared = {"provider": "framed", "endpoint": "socket"}

    assert outcomes[:-1] == [None] * 302
    assert [letter["payload"] for letter in raw.dead][:2] == [broken[0], b"{"]
    assert REGISTRY.get_sample_value("mds_dead_letters_spared_total", spared) == 302 - len(raw.dead)
    assert outcomes[-1] is not None
    assert len(outcomes[-1].answer.events) == 1


async def test_a_trade_that_cannot_be_costs_itself() -> None:
    """It is dead-lettered alone, each one: it is a value that is lost."""
    raw = RecordingTopics()
    frame = await read(a_reader(raw), a_frame(TRADE, TRADE | {"p": -1.0}, TRADE | {"p": -2.0}))

    assert frame is not None
    assert len(frame.answer.events) == 1
    assert [letter["symbol"] for letter in raw.dead] == ["SPY", "SPY"]


@pytest.mark.parametrize("trades_a_frame", [1, 7, 250])
async def test_trades_whose_format_changed_are_kept_ten_times_and_once_a_kind(trades_a_frame: int) -> None:
    """However they are cut into frames: ten in a row of which none can be used are no values, but the format.

    A trade that can be used makes the next ones values again.
    """
    raw = RecordingTopics()
    reader = a_reader(raw)
    renamed = {"s": "SPY", "price": 1.0, "v": 1, "t": NINE_THIRTY_S * 1000}
    for _ in range(1_750 // trades_a_frame):
        await read(reader, a_frame(*[renamed] * trades_a_frame))
    told = len(raw.dead)
    await read(reader, a_frame(TRADE | {"p": -3.0}))
    await read(reader, a_frame(TRADE))
    await read(reader, a_frame(renamed, renamed))

    assert told == 11
    assert len(raw.dead) == told + 1 + 2


async def test_the_key_is_struck_out_of_all_that_is_read() -> None:
    """Of words, of frames that are none and of trades that cannot be."""
    raw = RecordingTopics()
    reader = a_reader(raw)
    frame = await read(reader, b'{"type":"error","msg":"token %s may not"}' % KEY.encode())
    await read(reader, b'{"type": %s' % KEY.encode())
    await read(reader, a_frame(TRADE | {"s": KEY}))

    assert frame is not None
    assert frame.words == "token [redacted] may not"
    assert len(raw.dead) == 2
    assert KEY not in str(raw.dead)
