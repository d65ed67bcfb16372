"""What waits for a lane is bounded by bytes and number, and a transaction by what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from infra.runtime.clock import monotonic_s
from schemas.calendar.overlay import NO_OVERLAY, overlay_of
from schemas.calendar.sessions import calendars_in_force, put_in_force
from schemas.partitions import TopicPartition
from schemas.topics import RAW_QUOTES
from schemas.wire.codec import encode
from stream_processors.memory import PartitionState
from stream_processors.shell.lane import Backlog, Lane, TransactionLimits
from stream_processors.transaction import RawRecord
from tests.support.builders import NINE_THIRTY, a_block, a_quote_event


def record(offset: int, value: bytes = b"") -> RawRecord:
    """Return a record with these bytes."""
    return RawRecord(
        topic=RAW_QUOTES, partition=2, offset=offset, append_time=NINE_THIRTY, key=None, value=value
    )


def quotes(number: int, events: int) -> bytes:
    """Return a block of so many quotes, every one another value."""
    made = (
        a_quote_event(event_time=NINE_THIRTY + number * 1_000 + place, bid=float(place))
        for place in range(events)
    )
    return encode(RAW_QUOTES, a_block(*made))


def lane(*values: bytes, most_bytes: int = 1_000_000) -> Lane:
    """Return a lane with records waiting."""
    backlog = Backlog(most_bytes=most_bytes, most_records=10_000)
    state = PartitionState(raw_topic=RAW_QUOTES, partition=2, partitions=4)
    made = Lane(TopicPartition(RAW_QUOTES, 2), state, writer=None, backlog=backlog)  # type: ignore[arg-type]
    for offset, value in enumerate(values):
        asyncio.run(_put(backlog, record(offset, value)))
    return made


async def _put(backlog: Backlog, one: RawRecord) -> None:
    await asyncio.wait_for(backlog.put(one), 2)


@pytest.mark.parametrize(
    ("sizes", "admitted"),
    [
        pytest.param([1] * 9, 5, id="many small ones, by number"),
        pytest.param([40] * 9, 3, id="by bytes"),
        pytest.param([1_000, 1], 1, id="one larger than all room"),
        pytest.param([0] * 9, 5, id="none has bytes"),
    ],
)
async def test_room_is_bounded_by_bytes_and_by_number(sizes: list[int], admitted: int) -> None:
    """A record larger than the room is admitted alone: nothing stays out for ever."""
    backlog = Backlog(most_bytes=100, most_records=5)
    waiting = [asyncio.ensure_future(backlog.put(record(n, bytes(size)))) for n, size in enumerate(sizes)]
    await asyncio.sleep(0.01)
    assert len(backlog) == admitted
    assert [each.done() for each in waiting] == [n < admitted for n in range(len(sizes))]

    for offset in range(len(sizes)):
        await asyncio.wait_for(backlog.filled(), 2)
        assert backlog.take().offset == offset
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert not backlog.full


async def test_a_closed_backlog_holds_nobody_and_takes_nothing() -> None:
    """Who waited for room goes on, and what it brought is the successor's."""
    backlog = Backlog(most_bytes=100, most_records=1)
    await backlog.put(record(0))
    waiting = asyncio.ensure_future(backlog.put(record(1)))
    await asyncio.sleep(0)
    backlog.close()
    await asyncio.wait_for(waiting, 2)
    await backlog.put(record(2))

    assert len(backlog) == 0


@pytest.mark.parametrize(
    ("limits", "blocks"),
    [
        pytest.param(TransactionLimits(blocks=700, events=4_000), 600, id="small blocks share one"),
        pytest.param(TransactionLimits(blocks=7, events=4_000), 7, id="by blocks"),
        pytest.param(TransactionLimits(blocks=700, events=30), 30, id="by events"),
        pytest.param(TransactionLimits(blocks=700, events=4_000, bytes=1), 1, id="by bytes"),
    ],
)
def test_a_transaction_holds_as_much_as_its_limits_allow(limits: TransactionLimits, blocks: int) -> None:
    """Six hundred blocks of one event wait."""
    waiting = lane(*(quotes(number, 1) for number in range(600)))

    taken = asyncio.run(waiting.next_blocks(limits))

    assert [one.raw_offset for one in taken] == list(range(blocks))
    assert waiting.state.next_offset == blocks
    assert len(waiting.backlog) == 600 - blocks


@pytest.mark.parametrize(
    ("waits", "most_bytes", "gathers"),
    [(1, 1_000_000, True), (4, 1_000_000, False), (2, 1, False)],
    ids=["little to do", "a whole transaction", "no room for more"],
)
async def test_blocks_are_gathered_only_while_there_is_room_for_more(
    waits: int, most_bytes: int, *, gathers: bool
) -> None:
    """Right after a commit the next waits for the broker's markers, but never with a full backlog."""
    waiting = Lane(
        TopicPartition(RAW_QUOTES, 2),
        PartitionState(raw_topic=RAW_QUOTES, partition=2, partitions=4),
        writer=None,  # type: ignore[arg-type]
        backlog=Backlog(most_bytes=most_bytes, most_records=10),
    )
    putting = [asyncio.ensure_future(waiting.backlog.put(record(n, quotes(n, 1)))) for n in range(waits)]
    await asyncio.sleep(0)
    waiting.committed_at_s = monotonic_s() + 60
    taking = asyncio.ensure_future(waiting.next_blocks(TransactionLimits(blocks=4, events=4_000)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert taking.done() is not gathers
    taking.cancel()
    for each in putting:
        each.cancel()


def test_a_lane_owes_progress_from_when_it_was_given_something() -> None:
    """Idleness before that is no debt."""
    one = lane()
    one.moved_at_s = 0.0
    assert not one.owes

    one.hear(0)
    assert one.owes
    assert monotonic_s() - one.moved_at_s < 60

    one.moved_at_s = 1.0
    one.hear(1)
    assert one.moved_at_s == 1.0, "more of the same debt"

    one.committed(1)
    assert not one.owes


@pytest.fixture
def _other_calendars_end() -> Iterator[None]:
    yield
    put_in_force(NO_OVERLAY)


@pytest.mark.usefixtures("_other_calendars_end")
def test_a_transaction_is_judged_by_one_book_of_calendars() -> None:
    """Also where another comes in force meanwhile: progress names one, and a replay asks for it."""
    made, limits = (
        lane(*(quotes(number, 1) for number in range(4))),
        TransactionLimits(blocks=2, events=99, bytes=10_000),
    )
    taken = made.backlog.take

    def closing_at_once() -> RawRecord:
        put_in_force(overlay_of({"XNYS": ["2024-07-03"]}, {}))
        return taken()

    made.backlog.take = closing_at_once  # type: ignore[method-assign]
    first, second = (asyncio.run(asyncio.wait_for(made.next_blocks(limits), 10)) for _ in range(2))

    assert [[block.raw_offset for block in run] for run in (first, second)] == [[0, 1], [2, 3]]
    assert [len({block.calendars for block in run}) for run in (first, second)] == [1, 1]
    assert first[0].calendars != second[0].calendars == calendars_in_force().fingerprint
