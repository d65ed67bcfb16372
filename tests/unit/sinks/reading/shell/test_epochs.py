"""Records of a later leader epoch are found wherever they begin, and what looks like them is not taken for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError

from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from sinks.progress.positions import EpochStart
from sinks.reading.shell.epochs import FIRST_WINDOW, EpochSpan, newer_records

BARS, QUOTES = TopicPartition("bars.v1", 3), TopicPartition("quotes.v1", 3)


@dataclass
class Read:
    """A record of an epoch, or what the consumer says of the partition there."""

    place: TopicPartition
    at: int
    epoch: int | None = None
    code: int | None = None

    def topic(self) -> str:
        """Return the topic."""
        return self.place.topic

    def partition(self) -> int:
        """Return the partition."""
        return self.place.partition

    def offset(self) -> int:
        """Return the offset."""
        return self.at

    def leader_epoch(self) -> int | None:
        """Return the epoch."""
        return self.epoch

    def error(self) -> KafkaError | None:
        """Return the error, if it is one."""
        return None if self.code is None else KafkaError(self.code)


@dataclass
class Logs:
    """Partitions in memory: epochs by offset, and where each ends; control records have no epoch to be seen."""

    epochs: dict[TopicPartition, dict[int, int]]
    ends: dict[TopicPartition, int]
    assigned: list[dict[TopicPartition, int]] = field(default_factory=list)
    waiting: list[Read] = field(default_factory=list)

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read on from there, the partitions in turn as a consumer gives them."""
        self.assigned.append(dict(starts))
        by_place = [
            [Read(place, at, epoch) for at, epoch in sorted(self.epochs[place].items()) if at >= start]
            + [Read(place, self.ends[place], code=KafkaError._PARTITION_EOF)]  # noqa: SLF001
            for place, start in starts.items()
        ]
        longest = max(map(len, by_place))
        self.waiting = [each[n] for n in range(longest) for each in by_place if n < len(each)]

    def fetch(self, most: int, *, within_s: float) -> list[Read]:  # noqa: ARG002
        """Return some."""
        taken, self.waiting = self.waiting[:5], self.waiting[5:]
        return taken


def log(*epochs: tuple[int, range]) -> dict[int, int]:
    """Return the epoch of each record."""
    return {offset: epoch for epoch, offsets in epochs for offset in offsets}


def newer(logs: Logs, **spans: EpochSpan) -> dict[str, EpochStart]:
    """Return what is found, by the name of the stream."""
    places = {"bars": BARS, "quotes": QUOTES}
    found = newer_records(logs, {places[name]: span for name, span in spans.items()})  # type: ignore[arg-type]
    return {name: found[place] for name, place in places.items() if place in found}


@pytest.mark.parametrize("cut", [0, 1, 100, 860, 1_000 - FIRST_WINDOW, 1_000 - FIRST_WINDOW - 1, 998, 999])
def test_the_cut_is_found_however_deep_it_is(cut: int) -> None:
    """Also where several leaders followed each other since, and where the log begins after it."""
    middle = (cut + 1_000) // 2
    logs = Logs(
        {BARS: log((3, range(cut)), (5, range(cut, middle)), (6, range(middle, 1_200)))}, {BARS: 1_200}
    )
    epoch = 5 if middle > cut else 6

    assert newer(logs, bars=EpochSpan(start=0, end=1_000, epoch=3)) == {
        "bars": EpochStart(offset=cut, epoch=epoch)
    }
    begins = EpochSpan(start=cut + 1, end=1_000, epoch=3)
    assert newer(logs, bars=begins).get("bars", EpochStart(offset=cut + 1, epoch=6)).offset == cut + 1


def test_only_partitions_that_need_it_are_read_further_back() -> None:
    """Each with its own epoch and its own end; one reading for all."""
    logs = Logs(
        {
            BARS: log((3, range(100)), (4, range(100, 900))),
            QUOTES: log((1, range(400)), (2, range(400, 500))),
        },
        {BARS: 900, QUOTES: 500},
    )

    found = newer(
        logs, bars=EpochSpan(start=0, end=600, epoch=3), quotes=EpochSpan(start=0, end=410, epoch=1)
    )

    assert found == {"bars": EpochStart(offset=100, epoch=4), "quotes": EpochStart(offset=400, epoch=2)}
    assert [set(starts) for starts in logs.assigned[:2]] == [{BARS, QUOTES}, {BARS}]


def test_a_position_behind_control_records_of_a_later_epoch_is_no_cut() -> None:
    """They are never given, and the epoch noted with the position is that of the last record before them."""
    logs = Logs({BARS: log((3, range(140)), (4, range(146, 200)))}, {BARS: 200})

    assert newer(logs, bars=EpochSpan(start=100, end=146, epoch=3)) == {}


def test_a_log_without_a_record_to_tell_is_read_to_its_beginning() -> None:
    """Compacted away, or control records alone."""
    logs = Logs({BARS: log((3, range(1, 3)))}, {BARS: 1_000})

    assert newer(logs, bars=EpochSpan(start=0, end=1_000, epoch=3)) == {}
    assert logs.assigned[-1][BARS] <= 3
    assert newer(logs, bars=EpochSpan(start=1_000, end=1_000, epoch=3)) == {}


def test_records_without_an_epoch_prove_nothing() -> None:
    """An old broker's."""
    logs = Logs({BARS: dict.fromkeys(range(10), None)}, {BARS: 10})  # type: ignore[arg-type]

    assert newer(logs, bars=EpochSpan(start=0, end=10, epoch=3)) == {}


def test_what_an_open_transaction_hides_is_waited_for() -> None:
    """Else a log grown again would pass for whole as long as the first transaction after the cut is open."""
    logs = Logs({BARS: log((3, range(140)))}, {BARS: 140})

    with pytest.raises(BrokerUnavailable, match="open transaction"):
        newer(logs, bars=EpochSpan(start=100, end=150, epoch=3))


def test_a_log_that_changes_while_it_is_read_is_unavailable() -> None:
    """It is looked at anew."""
    logs = Logs({BARS: {}}, {BARS: 200})
    lost = Read(BARS, 100, code=KafkaError.OFFSET_OUT_OF_RANGE)
    logs.fetch = lambda most, *, within_s: [lost]  # type: ignore[method-assign] # noqa: ARG005

    with pytest.raises(BrokerUnavailable, match="cannot be read"):
        newer(logs, bars=EpochSpan(start=100, end=150, epoch=3))
