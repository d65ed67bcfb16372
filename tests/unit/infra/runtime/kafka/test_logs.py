"""What an error says of a log, and reading a stretch of it to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import (
    POSITION_LOST,
    TOPIC_UNKNOWN,
    LogEvent,
    LogReader,
    event_of,
    newest,
    records_between,
)
from schemas.errors import BrokerUnavailable
from tests.support.log_messages import CHANGED, END_OF_PARTITION, TRANSPORT, Given, record, said

UNKNOWN_PARTITION, TIMED_OUT = KafkaError._UNKNOWN_PARTITION, KafkaError._TIMED_OUT  # noqa: SLF001


@pytest.mark.parametrize(("code", "event"), CHANGED)
def test_every_code_of_a_changed_log_says_what_must_be_looked_at(code: int, event: LogEvent) -> None:
    """A lost position is known to be lost; of an unknown topic only its id tells."""
    assert event_of(KafkaError(code)) is event
    assert event.log_changed


def test_no_code_of_a_changed_log_is_left_out() -> None:
    """The table of the tests is the set of the code."""
    assert {code for code, _ in CHANGED} == POSITION_LOST | TOPIC_UNKNOWN


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (KafkaError(END_OF_PARTITION), LogEvent.END),
        (KafkaError(TRANSPORT), LogEvent.PASSING),
        (KafkaError(KafkaError.REQUEST_TIMED_OUT, "slow", False, True), LogEvent.PASSING),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), LogEvent.NOT_ALLOWED),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID), LogEvent.DEAD),
        (KafkaError(TRANSPORT, "gone", True), LogEvent.DEAD),
    ],
)
def test_no_other_error_says_that_the_log_changed(error: KafkaError, event: LogEvent) -> None:
    """An outage passes, the end is news, and a client that is dead reads nothing more."""
    assert event_of(error) is event
    assert not event.log_changed


class Endless:
    """A partition that somebody writes faster than it is read, without every third offset."""

    def __init__(self) -> None:
        self._next = 0

    def assign(self, starts: Mapping[tuple[str, int], int]) -> None:
        """Begin there."""
        self._next = starts["t", 0]

    def fetch(self, most: int, *, within_s: float) -> list[Message]:
        """Return as many records as were asked for; there are always more."""
        del within_s
        first, self._next = self._next, self._next + min(most, 50)
        return [record(offset) for offset in range(first, self._next) if offset % 3]


@pytest.mark.parametrize("end", [100, 101, 102])
def test_reading_up_to_an_offset_never_follows_a_writer(end: int) -> None:
    """It ends though no end of partition comes, also where the last offset is a control record's."""
    read = [message.offset() for message in records_between(Endless(), "t", 0, 4, end)]

    assert read == [offset for offset in range(4, end) if offset % 3]


class Scripted:
    """A partition that gives these messages, one at a time, and then nothing."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = list(messages)

    def assign(self, starts: Mapping[tuple[str, int], int]) -> None:
        """Begin anywhere."""

    def fetch(self, most: int, *, within_s: float) -> list[Message]:
        """Return the next."""
        del most, within_s
        return [self._messages.pop(0)] if self._messages else []


def offsets_of(*messages: Message) -> list[int]:
    """Return what is read of these messages."""
    return [cast(int, message.offset()) for message in records_between(Scripted(messages), "t", 0, 0)]


def test_reading_goes_on_over_what_passes_and_ends_where_the_partition_does() -> None:
    """A connection that broke is made again by the client; what comes after the end is not asked for."""
    end = said(END_OF_PARTITION)

    assert offsets_of(record(3), said(TRANSPORT), record(4), end, record(5)) == [3, 4]


@pytest.mark.parametrize(("name", "number"), [("t", 1), ("other", 0)])
def test_what_a_client_still_has_of_another_partition_is_not_taken_for_this_ones(
    name: str, number: int
) -> None:
    """Neither its end nor its records, whose offsets may be above the last that is asked for."""
    ended = Given(9, KafkaError(END_OF_PARTITION), name, number)
    late = Given(99, None, name, number)
    messages = [cast(Message, each) for each in (ended, late)]
    messages = [*messages, record(3), cast(Message, ended), record(4), said(END_OF_PARTITION)]

    assert offsets_of(*messages) == [3, 4]
    bounded = records_between(Scripted(messages), "t", 0, 0, 5)
    assert [message.offset() for message in bounded] == [3, 4]


@pytest.mark.parametrize("code", [*POSITION_LOST, *TOPIC_UNKNOWN, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_a_log_that_changed_cannot_be_read_to_its_end(code: int) -> None:
    """To go on would be to leave records out."""
    with pytest.raises(BrokerUnavailable, match="t/0 cannot be read"):
        offsets_of(record(3), said(code))


def test_a_partition_that_gives_nothing_is_not_taken_for_its_end() -> None:
    """Silence is no end of partition."""
    with pytest.raises(BrokerUnavailable, match="gave nothing"):
        offsets_of(record(3))


class Kept:
    """A partition that holds these offsets of [10, 1000); which stretches were read is kept."""

    def __init__(self, *offsets: int) -> None:
        self._offsets, self.starts = offsets, list[int]()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Where it starts and ends."""
        del topic, partition
        return 10, 1_000

    def read(self, topic: str, partition: int, start: int, end: int | None = None) -> Iterator[Message]:
        """Read a stretch."""
        del topic, partition
        self.starts.append(start)
        return (record(offset) for offset in self._offsets if start <= offset < (end or 0))


def even(message: Message) -> int | None:
    """Return an even offset, None for an odd one."""
    offset = message.offset() or 0
    return None if offset % 2 else offset


@pytest.mark.parametrize(
    ("offsets", "found", "starts"),
    [
        pytest.param((994, 996, 997), 996, [992], id="near the end"),
        pytest.param((400, 990, 995), 990, [992, 984], id="only farther back"),
        pytest.param((11, 13), None, [992, 984, 968, 936, 872, 744, 488, 10], id="none: the log begins"),
        pytest.param((), None, [992, 984, 968, 936, 872, 744, 488, 10], id="nothing but aborted records"),
    ],
)
def test_the_newest_that_counts_is_looked_for_until_the_log_begins(
    offsets: tuple[int, ...], found: int | None, starts: list[int]
) -> None:
    """No count of offsets says how many records they hold, so the stretch is doubled."""
    log = Kept(*offsets)

    assert newest(cast(LogReader, log), "t", 0, even, window=8) == (found, 1_000)
    assert log.starts == starts


class Forgetful:
    """A client that waits in vain for a leader until somebody asks what the cluster looks like, as librdkafka at times does."""

    def __init__(self, code: int) -> None:
        self._code, self._knows, self.waited_s = code, False, list[float]()

    def get_watermark_offsets(self, _: object, *, timeout: float) -> tuple[int, int]:
        """Return the bounds of a partition."""
        self._look(timeout)
        return 3, 8

    def offsets_for_times(self, places: Sequence[TopicPartition], *, timeout: float) -> list[TopicPartition]:
        """Return an offset for each."""
        self._look(timeout)
        return [TopicPartition(each.topic, each.partition, 5) for each in places]

    def _look(self, timeout_s: float) -> None:
        self.waited_s.append(timeout_s)
        if not self._knows:
            raise KafkaException(KafkaError(self._code))

    def list_topics(self, topic: str, *, timeout: float) -> None:
        """Find the leaders out."""
        assert (topic, timeout > 0) == ("bars.v1", True)
        self._knows = True

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("code", [UNKNOWN_PARTITION, TIMED_OUT])
def test_a_client_that_waits_in_vain_for_a_leader_looks_anew(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No try takes the whole time; what will never be answered is refused when it is over."""
    with LogReader("127.0.0.1:9", "test", within_s=30.0) as reader:
        for asked in (partial(reader.bounds, "bars.v1", 1), partial(reader.offset_at, "bars.v1", 1, 0)):
            client = Forgetful(code)
            monkeypatch.setattr(reader, "_consumer", client)
            assert asked() in ((3, 8), 5)
            assert len(client.waited_s) == 2
            assert max(client.waited_s) < 30.0
    with LogReader("127.0.0.1:9", "test", within_s=0.3) as reader:
        monkeypatch.setattr(reader, "_consumer", Forgetful(KafkaError.TOPIC_AUTHORIZATION_FAILED))
        with pytest.raises(BrokerUnavailable, match="bars"):
            reader.bounds("bars.v1", 1)
