"""A state saved part by part and taken up again decides as the one that lived on, wherever it was cut."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from schemas.answered import AnsweredStretch, answered_hint
from schemas.clocks import RawOffset
from schemas.errors import MalformedPayload
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US, SLOT_US
from schemas.partitions import partition_of
from schemas.records import Discontinuity, RawBlock
from schemas.streams import ACTION_STREAM, MACRO_STREAM, OPTION_STREAM
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TOPICS, RAW_TRADES, STATE, state_key
from schemas.wire.codec import MAX_RECORD_BYTES, encode
from stream_processors import memory, saving
from stream_processors.memory import PartitionState
from stream_processors.repeats import KnownFrame
from stream_processors.saving import Saved, Saving, standing, whole
from stream_processors.transaction import RawRecord, Transaction, transact
from stream_processors.versions import Latest, Slots
from tests.support import stream_values as values
from tests.support.builders import (
    NINE_THIRTY,
    a_bar_event,
    a_block,
    a_quote_event,
    a_slice_event,
    a_trade_event,
)

PARTITION = partition_of("SPY", 4)
NAMES = [name for name in (f"S{n}" for n in range(200)) if partition_of(name, 4) == PARTITION][:9]
PROVIDERS = ("yahoo", "alpaca", "polygon")
Pair = tuple[bytes, bytes]


def empty(raw_topic: str) -> PartitionState:
    """Return the empty state of the partition."""
    return PartitionState(raw_topic=raw_topic, partition=PARTITION, partitions=4)


def lived(raw_topic: str) -> PartitionState:
    """Return an empty state that saves itself."""
    state = empty(raw_topic)
    state.saver = Saving(state)
    return state


def an_event(raw_topic: str, random: Random, symbol: str, interval: str, now: int) -> dict[str, Any]:
    """Return an event of some moment: mostly recent, at times long ago, or ahead of its time."""
    length = SLOT_US[interval] if interval else SECOND_US
    back = random.choice([0, 1, 1, 2, 3, 40, 90, 2_000]) * length
    ahead = random.choice([0] * 20 + [3 * SECOND_US, 20 * HOUR_US])
    stamp = max(length, (now - back + ahead) // length * length)
    price = random.choice([167.0, 167.25, 167.5])
    if raw_topic == RAW_BARS:
        prices = {"open": price, "high": price, "low": price, "close": price}
        final = random.random() < 0.8
        return a_bar_event(symbol=symbol, interval=interval, event_time=stamp, final=final, **prices)
    if raw_topic == RAW_QUOTES:
        return a_quote_event(symbol=symbol, event_time=stamp, bid=price)
    if raw_topic == RAW_TRADES:
        return a_trade_event(symbol=symbol, event_time=stamp, price=price)
    named = random.randint(0, 40)
    if raw_topic == ACTION_STREAM.raw_topic:
        return values.an_event(
            ACTION_STREAM, symbol=symbol, event_time=stamp, action_id=str(named), amount=price
        )
    if raw_topic == OPTION_STREAM.raw_topic:
        return a_slice_event(symbol=symbol, event_time=stamp, expiry=17_000 + named, underlying_bid=price)
    return values.an_event(
        MACRO_STREAM, symbol=symbol, event_time=stamp, period_start=17_000 + named, value=price
    )


def a_random_block(raw_topic: str, random: Random, now: int) -> RawBlock:
    """Return a block of any kind: a poll, frames, a backfill, a discontinuity, a tick."""
    if random.random() < 0.1:
        return a_block(provider="", endpoint="tick")
    names = [random.choice(NAMES) for _ in range(random.randint(0, 5))]
    intervals = ("1m", "5m", "1h", "1d", "1wk") if raw_topic == RAW_BARS else ("",)
    events = [an_event(raw_topic, random, name, random.choice(intervals), now) for name in names]
    if raw_topic == RAW_TRADES:
        for event in events:
            event["frame_sequence"] = random.randint(0, 90)
            event["frame_hash"] = random.randint(0, 9)
    unseen = [
        Discontinuity(
            symbol=random.choice(NAMES),
            interval=random.choice(intervals),
            from_time=random.choice([None, now - 30 * MINUTE_US]),
            to_time=now - random.randint(0, 5) * MINUTE_US,
            cause="producer_down",
        )
        for _ in range(random.choice([0, 0, 0, 1, 2]))
    ]
    asked = [
        AnsweredStretch(symbol=name, interval=intervals[0], from_time=now - HOUR_US, to_time=now)
        for name in names[:1]
    ]
    backfill = random.random() < 0.15
    return a_block(
        *events,
        provider=random.choice(PROVIDERS),
        route="backfill" if backfill else "primary",
        hints=answered_hint(asked) if backfill else {},
        connection_id=random.choice(["", "a", "b"]),
        discontinuities=unseen,
    )


def a_log(raw_topic: str, random: Random, records: int) -> list[RawRecord]:
    """Return raw records with holes in their offsets, at times garbage, of a clock that steps back now and then."""
    log, offset, now = [], random.randint(0, 3), NINE_THIRTY
    for _ in range(records):
        now += random.choice([0, SECOND_US, MINUTE_US, MINUTE_US, 40 * MINUTE_US, -5 * SECOND_US])
        value = (
            b"garbage"
            if random.random() < 0.03
            else encode(raw_topic, a_random_block(raw_topic, random, now))
        )
        log.append(
            RawRecord(
                topic=raw_topic, partition=PARTITION, offset=offset, append_time=now, key=None, value=value
            )
        )
        offset += random.choice([1, 1, 1, 2])
    return log


def taken_over(raw_topic: str, kept: Sequence[Pair], log: Sequence[RawRecord]) -> PartitionState:
    """Return the state of a successor: what was saved, and what was processed on top of it."""
    saved, state = Saved(raw_topic, PARTITION), empty(raw_topic)
    for key, value in kept:
        saved.add(key, value)
    saver = Saving(state)
    if saved.restore(state):
        log = [record for record in log if record.offset >= state.next_offset]
    for record in log:
        saved.catch_up(state, record.offset)
        saver.processed_again(transact(state, record).events)
    saved.catch_up(state, RawOffset(state.next_offset))
    state.saver = saver
    return state


def said(done: Transaction) -> tuple[Any, ...]:
    """Return all of a transaction but what it saves."""
    return (done.canonical, done.evidence, done.dead, done.repeated, done.known_from)


def standing_of(state: PartitionState) -> dict[str, Any]:
    """Return what a state knows of its series, by name."""
    return {
        each.name: (
            each.seen_to,
            each.frontier,
            each.collecting,
            each.versions and each.versions.newest,
        )
        for each in state.held.values()
    }


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make rounds short and parts small, so that every cut falls into some round."""
    monkeypatch.setattr(saving, "ROUND_EVENTS", 60)
    monkeypatch.setattr(saving, "STEP_BYTES", 1_500)
    monkeypatch.setattr(memory, "CHUNK_SERIES", 3)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("raw_topic", RAW_TOPICS)
@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.soak) for n in range(4, 40))]
)
def test_a_state_taken_over_any_number_of_times_is_the_one_that_lived(raw_topic: str, seed: int) -> None:
    """Several providers, long intervals, backfills, old and future stamps, discontinuities, garbage, clocks that step."""
    random = Random(seed)
    log = a_log(raw_topic, random, 600)
    alive, owner, kept = lived(raw_topic), lived(raw_topic), list[Pair]()
    takeovers = 0
    for done, record in enumerate(log):
        if random.random() < 0.03:
            owner, takeovers = taken_over(raw_topic, kept, log[:done]), takeovers + 1
            assert standing_of(owner) == standing_of(alive)
            assert owner.known_from == alive.known_from
        transaction = transact(owner, record)
        kept += transaction.saved
        assert said(transaction) == said(transact(alive, record))

    assert takeovers > 3
    rounds = sum(key == state_key(raw_topic, PARTITION, -1, -1) for key, _ in kept)
    assert rounds > 0, "the log was too short to save anything"


@pytest.mark.usefixtures("small")
def test_what_compaction_leaves_is_enough() -> None:
    """The newest record of each key, wherever the others were."""
    log = a_log(RAW_BARS, Random(5), 200)
    state = lived(RAW_BARS)
    kept = [pair for record in log for pair in transact(state, record).saved]
    successor = taken_over(RAW_BARS, list(dict(kept).items()), log)

    assert standing_of(successor) == standing_of(state)


def test_a_whole_state_is_saved_once_where_there_was_none() -> None:
    """Of a log written before states were saved; its standing is of the beginning, and the parts are younger."""
    log = a_log(RAW_BARS, Random(1), 120)
    state = taken_over(RAW_BARS, (), log[:100])
    state.saver = Saving(state).beginning_with(whole(state))
    kept = [pair for record in log[100:] for pair in transact(state, record).saved]
    successor = taken_over(RAW_BARS, kept, log)

    assert successor.next_offset > log[100].offset
    assert standing_of(successor) == standing_of(state)


@pytest.mark.parametrize("raw_topic", RAW_TOPICS)
def test_what_was_deleted_unprocessed_is_told_of_every_series_over_two_takeovers(raw_topic: str) -> None:
    """Truncated, taken over, one symbol goes on, taken over again: the other's hour is lost as visibly."""
    symbols, hour = NAMES[:2], NINE_THIRTY + HOUR_US
    interval = "1m" if raw_topic == RAW_BARS else ""

    def at(offset: int, moment: int, *names: str) -> RawRecord:
        random = Random(0)
        events = [an_event(raw_topic, random, name, interval, moment) for name in names]
        for event in events:
            event.update({"event_time": moment} | ({"final": True} if raw_topic == RAW_BARS else {}))
        value = encode(raw_topic, a_block(*events))
        return RawRecord(
            topic=raw_topic, partition=PARTITION, offset=offset, append_time=moment, key=None, value=value
        )

    first, second, third = (
        at(0, NINE_THIRTY, *symbols),
        at(10, hour, symbols[0]),
        at(11, hour + 9, symbols[1]),
    )
    before = empty(raw_topic)
    transact(before, first)
    saved = list(whole(before))
    # records 1 to 9 are deleted
    state = taken_over(raw_topic, saved, ())
    state.next_offset = 10
    state.forget_contents()
    state.torn, state.torn_from = True, state.known_from
    torn = standing(state)
    state.saver = Saving(state).beginning_with([torn])
    done = transact(state, second)

    told = {
        (each.symbol, each.from_time, each.to_time) for each in done.evidence if each.cause == "log_truncated"
    }
    begins = NINE_THIRTY + MINUTE_US if raw_topic == RAW_BARS else NINE_THIRTY
    assert told == {("", NINE_THIRTY, hour)} | {(name, begins, hour) for name in symbols}
    again = taken_over(raw_topic, [*saved, *done.saved], [second])
    assert standing_of(again) == standing_of(state)
    assert (again.torn, again.torn_from, again.whole_from) == (False, None, 10)
    assert not [each for each in transact(again, third).evidence if each.cause == "log_truncated"]
    assert done.saved[0] == torn, "the first transaction says so, whatever becomes of the next"
    replayed = taken_over(raw_topic, [*saved, torn], [second])
    assert standing_of(replayed) == standing_of(state)


def test_contents_saved_before_a_hole_in_the_log_are_compared_with_nothing() -> None:
    """What was deleted may have said more: A, something else, and A again must not look like A twice."""
    for raw_topic, event in ((RAW_BARS, a_bar_event()), (RAW_QUOTES, a_quote_event())):
        state = empty(raw_topic)
        record = RawRecord(
            topic=raw_topic,
            partition=PARTITION,
            offset=4,
            append_time=NINE_THIRTY + HOUR_US,
            key=None,
            value=encode(raw_topic, a_block(event)),
        )
        transact(state, record)
        kept = list(whole(state))
        assert transact(taken_over(raw_topic, kept, ()), record).canonical == []
        state.next_offset = 9
        state.forget_contents()

        after = taken_over(raw_topic, [*kept, standing(state)], ())

        assert len(transact(after, record).canonical) == 1


def test_what_was_forgotten_for_want_of_room_is_not_believed_from_what_was_saved_of_it() -> None:
    """A is saved, B replaces it and is forgotten before it is saved: A again is news to a successor, too."""
    state, first, then = empty(RAW_BARS), a_bar_event(), a_bar_event(close=167.4)
    records = [
        RawRecord(
            topic=RAW_BARS,
            partition=PARTITION,
            offset=offset,
            append_time=NINE_THIRTY + HOUR_US,
            key=None,
            value=encode(RAW_BARS, a_block(event)),
        )
        for offset, event in enumerate([first, then, first])
    ]
    transact(state, records[0])
    kept = list(whole(state))
    transact(state, records[1])
    for series in state.held.values():
        assert series.versions is not None
        series.versions.forget()
    kept += [*saving.changed(state), standing(state)]

    assert len(transact(taken_over(RAW_BARS, kept, ()), records[2]).canonical) == 1


def test_no_part_is_larger_than_a_record_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the longest names a series can have, every slot full and every connection remembered."""
    monkeypatch.setattr(memory, "check_symbol", lambda *_: None)
    state = empty(RAW_BARS)
    for number in range(memory.CHUNK_SERIES):
        series = state.series("\U0001f600" * 64, f"{number:04}" + "\U0001f600" * 124, "1m")
        assert isinstance(series.versions, Slots)
        for place in range(1_536):
            series.versions.changes(NINE_THIRTY + place * MINUTE_US, b"x")
    for name in range(256):
        frames = [(n, KnownFrame(-n - (1 << 62), True, 1 << 31, 1 << 62)) for n in range(64)]
        state.frames.restore(f"{name:03}" + "\U0001f600" * 125, frames)

    assert max(len(value) for _, value in whole(state)) < MAX_RECORD_BYTES * 3 // 4


def test_only_what_changed_is_saved_again() -> None:
    """A day's bar costs its own chunk, not those of minutes."""
    state = empty(RAW_BARS)

    def one(offset: int, interval: str, day: int = 0) -> None:
        stamp = NINE_THIRTY // SLOT_US["1d"] * SLOT_US["1d"]
        event = a_bar_event(interval=interval, event_time=stamp, volume=float(offset))
        record = RawRecord(
            topic=RAW_BARS, partition=PARTITION, offset=offset, append_time=NINE_THIRTY + day, key=None,
            value=encode(RAW_BARS, a_block(event)),
        )  # fmt: skip
        transact(state, record)

    one(0, "1m")
    one(1, "1d")
    assert len(list(whole(state))) == 5
    one(2, "1d")
    keys = [key for key, _ in saving.changed(state)]

    assert keys == [state_key(RAW_BARS, PARTITION, 1, places) for places in (-1, 0)]


def test_parts_of_neighbours_and_foreign_records_are_not_ours() -> None:
    """Three lanes share a partition of the topic."""
    state = empty(RAW_QUOTES)
    kept = [
        *whole(state),
        (b"", b"x"),
        (b"a:b", b"x"),
        (None, b"x"),
        (state_key(RAW_QUOTES, 9, -1, -1), b"x"),
    ]
    saved = Saved(RAW_TRADES, PARTITION)
    for key, value in kept:
        saved.add(key, value)

    assert not saved.restore(empty(RAW_TRADES))


def test_a_part_that_is_none_is_named() -> None:
    """Rather than to go on with half of what was known."""
    saved = Saved(RAW_QUOTES, PARTITION)
    saved.add(state_key(RAW_QUOTES, PARTITION, -1, -1), b"garbage")

    with pytest.raises(MalformedPayload, match=STATE):
        saved.restore(empty(RAW_QUOTES))


def test_the_newest_value_survives_as_what_it_was() -> None:
    """Equal to itself and to nothing else, whatever the process salts its hashes with."""
    lives, follows = Latest(), Latest()
    lives.changes(NINE_THIRTY, b"a")
    follows.restore(lives.newest, lives.digest())

    assert not follows.changes(NINE_THIRTY, b"a")
    assert follows.changes(NINE_THIRTY, b"b")
