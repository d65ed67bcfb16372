"""What may end the process is asked before a block goes out, never after."""

from __future__ import annotations

from typing import Any, cast

import pytest

from infra.runtime.kafka.publisher import Publisher
from producers.raw.blocks import Placed, blank_block
from producers.raw.shell.topics import RawTopics
from schemas.topics import DEFAULT_PARTITIONS, RAW_TRADES
from tests.support.producer_fakes import RecordingPublisher


class Frozen(Exception):
    """Stands for the end of the process."""


def a_block() -> Placed:
    """Return a block without events for partition 0."""
    return Placed(partition=0, block=blank_block("finnhub", "trades", 1))


async def test_nothing_goes_out_of_a_process_that_was_frozen() -> None:
    """A check that leaves does so before the record is handed to Kafka; one that does not is passed."""

    def leave() -> None:
        raise Frozen

    sent: Any = RecordingPublisher()
    with pytest.raises(Frozen):
        await RawTopics(cast(Publisher, sent), DEFAULT_PARTITIONS, prefix="", check=leave).publish(
            RAW_TRADES, [a_block()]
        )
    assert sent.records == []

    await RawTopics(cast(Publisher, sent), DEFAULT_PARTITIONS, prefix="").publish(RAW_TRADES, [a_block()])
    assert len(sent.records) == 1
