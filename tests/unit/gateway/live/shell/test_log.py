"""A log that is not what it was is never an unknown error for the live side, and never a silent end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.live.shell.log import LogDoubtful, LogReplaced, collect, ends_partition
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogEvent
from schemas.errors import BrokerUnavailable
from tests.support.log_messages import CHANGED, END_OF_PARTITION, FATAL, TRANSPORT, record, said

WITHIN_S = 60.0


@pytest.mark.parametrize(("code", "event"), CHANGED)
def test_each_code_of_a_changed_log_is_raised(code: int, event: LogEvent) -> None:
    """A lost position voids what clients know; of an unknown topic the epoch must be looked at before it is read on."""
    with pytest.raises(LogReplaced if event is LogEvent.POSITION_LOST else LogDoubtful, match="t/0"):
        ends_partition(said(code))


def test_a_dead_consumer_ends_the_session_too() -> None:
    """It would give nothing for ever."""
    with pytest.raises(BrokerUnavailable, match="dead"):
        ends_partition(said(FATAL))


def test_the_end_of_a_partition_is_told_from_what_passes_by_itself() -> None:
    """Only the end says how far a partition was read."""
    assert ends_partition(said(END_OF_PARTITION))
    assert not ends_partition(said(TRANSPORT))


class Fetched:
    """Gives these messages at once, and then nothing."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)

    def fetch(self, most: int, *, within_s: float) -> Sequence[Message]:
        """Return them."""
        del within_s
        given, self._messages = self._messages[:most], []
        return given


@pytest.mark.parametrize("code", [code for code, _ in CHANGED])
def test_each_code_ends_a_bounded_read_at_once(code: int) -> None:
    """Nobody waits a whole deadline for a log that is gone, and it is never called whole."""
    with pytest.raises(BrokerUnavailable, match="not what it was"):
        collect(Fetched(record(5), said(code)), 4, 9, monotonic_s() + WITHIN_S)


def test_a_bounded_read_says_up_to_where_it_is_whole() -> None:
    """Up to what was asked, or to where the log ends; in time it may be less, and nothing at all is no answer."""
    assert collect(Fetched(record(5), record(11)), 4, 9, monotonic_s() + WITHIN_S)[1] == 9
    assert collect(Fetched(record(5)), 4, 5, monotonic_s() + WITHIN_S)[1] == 5
    found, to = collect(Fetched(record(5)), 4, 9, 0.0)
    assert ([message.offset() for message in found], to) == ([5], 5)
    with pytest.raises(BrokerUnavailable, match="in time"):
        collect(Fetched(), 4, 9, 0.0)
