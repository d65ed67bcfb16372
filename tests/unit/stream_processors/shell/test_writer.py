"""A broker's clock that is fast is told: in a gauge, in readiness, and once in the log."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, cast

import pytest

from infra.runtime.metrics import REGISTRY
from schemas.intervals import SECOND_US
from schemas.topics import RAW_BARS
from stream_processors.memory import PartitionState
from stream_processors.shell import writer as writing
from stream_processors.shell.rebuild import Standing
from stream_processors.shell.writer import PartitionWriter, ahead_detail
from stream_processors.transaction import Ends, RawLog, RawRecord, transact

WALL = 1_800_000_000 * SECOND_US


class _Kafka:
    """Takes everything."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: 0


def gauge() -> float | None:
    return REGISTRY.get_sample_value("mds_knowledge_ahead_seconds", {"topic": RAW_BARS, "partition": "1"})


def test_a_fast_clock_is_told_until_it_is_right_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten minutes ahead, told once; the gauge runs down with our clock, and is gone with the partition."""
    now = [WALL]
    monkeypatch.setattr(writing, "wall_us", lambda: now[0])
    monkeypatch.setattr(writing, "FencedWriter", lambda *_, **__: _Kafka())
    state = PartitionState(raw_topic=RAW_BARS, partition=1, partitions=4)
    owner = PartitionWriter("nowhere", RAW_BARS, 1, 4)
    monkeypatch.setattr(owner, "_reader", lambda **_: _Managed())
    monkeypatch.setattr(owner, "_log", lambda _: cast(Any, _Log(state)))
    monkeypatch.setattr(owner, "_topic_id", lambda: "one")
    owner.take_over()
    tick = RawRecord(
        topic=RAW_BARS, partition=1, offset=0, append_time=WALL + 600 * SECOND_US, key=None, value=b""
    )

    with caplog.at_level(logging.WARNING):
        for number in range(3):
            owner.commit([transact(state, replace(tick, offset=number))])
    ahead, detail = gauge(), ahead_detail(state.known_from)
    now[0] += 601 * SECOND_US
    caught_up, nothing = gauge(), ahead_detail(state.known_from)
    owner.close()

    assert (ahead, caught_up) == (pytest.approx(600.0, abs=0.1), 0.0)
    assert (detail, nothing) == ({"knowledge_ahead_s": 600.0}, {})
    assert len(caplog.records) == 1
    assert gauge() is None


class _Managed:
    def __enter__(self) -> _Managed:
        return self

    def __exit__(self, *_: object) -> None: ...


class _Log:
    def __init__(self, state: PartitionState) -> None:
        self._state = state

    def wait_decided(self, *_: object) -> None: ...

    def rebuild(self, _: str) -> Standing:
        return Standing(state=self._state, ends=Ends(canonical=0, evidence=0), raw=RawLog(topic_id="one"))
