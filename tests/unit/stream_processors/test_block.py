"""One block in: canonical events, evidence and dead letters out."""

from __future__ import annotations

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import permutations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answered import AnsweredStretch, answered_hint
from schemas.calendar.overlay import NO_OVERLAY, overlay_of
from schemas.calendar.sessions import calendar_of, calendars_in_force, put_in_force
from schemas.intervals import AHEAD_US, DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.ledger.gaps import gaps_of
from schemas.partitions import partition_of
from schemas.records import SERVED_ELSEWHERE, Discontinuity, Evidence, RawBlock
from schemas.streams import ACTION_STREAM, StreamId
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from schemas.wire.codec import parsed_schema
from stream_processors.block import Outputs, process
from stream_processors.evidence import MISSING
from stream_processors.memory import PartitionState
from stream_processors.versions import Slots
from tests.support.builders import (
    NINE_THIRTY,
    a_bar_event,
    a_block,
    a_quote_event,
    a_trade_event,
    an_action_event,
)
from tests.support.market_files import ticks

KNOWN = NINE_THIRTY + DAY_US


def state_of(raw_topic: str, symbol: str = "SPY") -> PartitionState:
    """Return the empty state of the partition `symbol` lives in."""
    return PartitionState(raw_topic=raw_topic, partition=partition_of(symbol, 4), partitions=4)


def run(state: PartitionState, *blocks: RawBlock) -> list[Outputs]:
    """Process blocks at offsets 0, 1, 2 ..."""
    return [process(state, offset, KNOWN, block) for offset, block in enumerate(blocks)]


def missing(output: Outputs) -> list[Evidence]:
    """Return the evidence that something is missing."""
    return [told for told in output.evidence if told.kind in MISSING]


def collected(output: Outputs) -> list[tuple[int, int | None]]:
    """Return from when to when something is collected."""
    return [(told.from_time, told.to_time) for told in output.evidence if told.kind == "collected"]


def bars(*minutes: int, **changes: Any) -> list[dict[str, Any]]:
    """Return one bar for each minute of the session."""
    return [a_bar_event(event_time=NINE_THIRTY + number * MINUTE_US, **changes) for number in minutes]


def told(from_time: int | None, to_time: int, *, interval: str = "", symbol: str = "SPY") -> Discontinuity:
    """Return a producer's word that it was down."""
    return Discontinuity(
        symbol=symbol, interval=interval, from_time=from_time, to_time=to_time, cause="producer_down"
    )


def test_only_what_changed_passes_with_its_place_in_the_block() -> None:
    """A poll repeats most of the chart."""
    state = state_of(RAW_BARS)
    first, second = run(state, a_block(*bars(0, 1)), a_block(*bars(0), *bars(1, close=167.4), *bars(2)))

    assert [index for index, _ in first.events] == [0, 1]
    assert [index for index, _ in second.events] == [1, 2]
    assert (first.repeated, second.repeated) == (0, 1)


def test_a_bar_told_again_in_the_shares_of_a_later_day_is_no_version_and_a_rebased_one_is() -> None:
    """Yahoo's bars of a week, asked for day after day: a day that went by is no news, a split is, with the day it is of."""
    state = state_of(RAW_BARS)
    said = {"adjustment_state": "split", "adjusted_through": 16_227}
    halved = {"open": 83.705, "high": 83.75, "low": 83.625, "close": 83.65, "volume": 24_000.0}
    first, again, silent, rebased = run(
        state,
        a_block(*bars(0, **said)),
        a_block(*bars(0, **(said | {"adjusted_through": 16_228}))),
        a_block(*bars(0, **(said | {"adjusted_through": None}))),
        a_block(*bars(0, **(said | halved | {"adjusted_through": 16_230}))),
    )

    assert [len(each.events) for each in (first, again, silent, rebased)] == [1, 0, 0, 1]
    assert (again.repeated, silent.repeated) == (1, 1)
    assert rebased.events[0][1]["adjusted_through"] == 16_230


def test_what_was_remembered_of_bars_of_version_1_is_what_those_of_version_2_say() -> None:
    """A processor that takes over after the update publishes no history again."""
    earlier, events = parsed_schema("raw_bars.v1"), bars(0, 1)
    assert isinstance(earlier, dict)
    contents = []
    for event in events:
        out = BytesIO()
        fastavro.schemaless_writer(out, earlier["fields"][-1]["type"]["items"], event)
        contents.append(out.getvalue())
    state = state_of(RAW_BARS)
    versions = state.series("yahoo", "SPY", "1m").versions
    assert isinstance(versions, Slots)
    for event, content in zip(events, contents, strict=True):
        versions.changes(event["event_time"], content)

    (output,) = run(state, a_block(*events))

    assert (output.events, output.repeated) == ([], 2)


def test_a_forming_bar_is_a_version_but_moves_no_frontier() -> None:
    """Minute 1 is still missing when minute 2 is final."""
    state = state_of(RAW_BARS)
    outputs = run(state, a_block(*bars(0), *bars(1, final=False)), a_block(*bars(2)))

    assert len(outputs[0].events) == 2
    assert [(told.from_time, told.expected) for told in missing(outputs[1])] == [(NINE_THIRTY + MINUTE_US, 1)]


def test_evidence_says_everything_about_itself() -> None:
    """Whose, of which stretch, of what kind, why, and its place in the log."""
    (output,) = run(state_of(RAW_BARS), a_block(*bars(0, 3, 5)))
    first = NINE_THIRTY + MINUTE_US
    told = Evidence(
        kind="absent",
        stream="bars.1m:yahoo:SPY",
        symbol="SPY",
        provider="yahoo",
        interval="1m",
        from_time=first,
        to_time=first + 2 * MINUTE_US,
        cause="missing_bars",
        expected=2,
        detector="processor",
        known_from=KNOWN,
        raw_offset=0,
        index=1,
    )

    begun = replace(
        told, kind="collected", from_time=NINE_THIRTY, to_time=None, cause="", expected=0, index=0
    )
    assert output.evidence[:2] == [begun, told]
    assert [each.index for each in output.evidence] == [0, 1, 2]


def test_a_series_is_told_to_be_collected_once_from_its_first_value_on() -> None:
    """Of every kind of stream; nothing is missing before."""
    for raw_topic, event in (
        (RAW_QUOTES, a_quote_event),
        (RAW_TRADES, a_trade_event),
        (RAW_BARS, a_bar_event),
    ):
        outputs = run(
            state_of(raw_topic),
            a_block(event(event_time=NINE_THIRTY + 2 * MINUTE_US)),
            a_block(event(event_time=NINE_THIRTY)),
            a_block(event(event_time=NINE_THIRTY + 3 * MINUTE_US)),
        )

        assert [collected(output) for output in outputs] == [[(NINE_THIRTY + 2 * MINUTE_US, None)], [], []]
        assert [missing(output) for output in outputs] == [[], [], []]


def test_what_is_collected_begins_with_the_earliest_value_of_its_first_block() -> None:
    """A response may carry them in any order."""
    for raw_topic, event in (
        (RAW_QUOTES, a_quote_event),
        (RAW_TRADES, a_trade_event),
        (RAW_BARS, a_bar_event),
    ):
        events = [event(event_time=NINE_THIRTY + number * MINUTE_US) for number in (4, 1, 5)]
        (output,) = run(state_of(raw_topic), a_block(*events))

        assert collected(output) == [(NINE_THIRTY + MINUTE_US, None)]


def test_bars_are_collected_from_the_first_that_is_judged() -> None:
    """So that what is told to be absent is what follows later: nothing is missing before a forming bar is final."""
    outputs = run(state_of(RAW_BARS), a_block(*bars(0, final=False)), a_block(*bars(3)), a_block(*bars(5)))

    assert [collected(output) for output in outputs] == [[], [(NINE_THIRTY + 3 * MINUTE_US, None)], []]
    assert [(told.from_time, told.expected) for told in missing(outputs[2])] == [
        (NINE_THIRTY + 4 * MINUTE_US, 1)
    ]


@pytest.mark.parametrize("raw_topic", [RAW_BARS, RAW_QUOTES])
def test_what_nobody_watched_is_collected_from_there_on(raw_topic: str) -> None:
    """A producer says what it was blind to before anything came: what is missing after it is told, too."""
    interval = "1m" if raw_topic == RAW_BARS else ""
    blind = told(NINE_THIRTY, NINE_THIRTY + 2 * MINUTE_US, interval=interval)
    (output,) = run(state_of(raw_topic), a_block(discontinuities=[blind]))

    assert collected(output) == [(NINE_THIRTY, None)]


def test_a_block_is_judged_at_its_end() -> None:
    """A response may carry its bars in any order."""
    (output,) = run(state_of(RAW_BARS), a_block(*bars(4, 1, 0, 2)))

    assert [told.from_time for told in missing(output)] == [NINE_THIRTY + 3 * MINUTE_US]


def test_streams_of_two_providers_and_intervals_are_apart() -> None:
    """Values of two providers are never compared."""
    state = state_of(RAW_BARS)
    outputs = run(
        state,
        a_block(*bars(0)),
        a_block(*bars(0), provider="finnhub"),
        a_block(*bars(0, interval="5m")),
    )

    assert [len(output.events) for output in outputs] == [1, 1, 1]


def test_one_bad_event_harms_no_other() -> None:
    """It becomes a dead letter with its reason, place and content."""
    (output,) = run(state_of(RAW_BARS), a_block(*bars(0), *bars(1, open=float("nan")), *bars(2)))

    assert [index for index, _ in output.events] == [0, 2]
    (letter,) = output.dead
    assert (letter.stage, letter.reason, letter.topic, letter.offset, letter.index) == (
        "processor",
        "invalid",
        RAW_BARS,
        0,
        1,
    )
    assert json.loads(letter.payload)["open"] == "nan"


@pytest.mark.parametrize(
    ("raw_topic", "event"),
    [
        pytest.param(RAW_BARS, a_bar_event(symbol=""), id="no symbol"),
        pytest.param(RAW_BARS, a_bar_event(interval="2m"), id="unknown interval"),
        pytest.param(RAW_QUOTES, a_quote_event(symbol="AAPL"), id="another partition's symbol"),
        pytest.param(RAW_QUOTES, a_quote_event(bid=-1.0), id="negative quote"),
        pytest.param(RAW_TRADES, a_trade_event(size=float("inf")), id="infinite size"),
    ],
)
def test_impossible_events_are_dead_letters(raw_topic: str, event: dict[str, Any]) -> None:
    """Of every topic and rule."""
    assert partition_of("AAPL", 4) != partition_of("SPY", 4)
    (output,) = run(state_of(raw_topic), a_block(event))

    assert output.events == []
    assert len(output.dead) == 1


def test_a_block_without_provider_holds_no_event() -> None:
    """Only a tick names none; nothing may be stored as from nobody."""
    (output,) = run(state_of(RAW_QUOTES), a_block(a_quote_event(), provider="", discontinuities=[told(1, 2)]))

    assert output.events == []
    assert sorted(letter.index for letter in output.dead) == [-1, 0]


def test_a_tick_becomes_nothing() -> None:
    """It only moves progress."""
    for raw_topic in (RAW_QUOTES, RAW_TRADES, RAW_BARS):
        assert run(state_of(raw_topic), a_block(provider="", endpoint="tick")) == [Outputs()]


def test_quotes_are_versions_and_old_ones_pass() -> None:
    """The newest is compared here, older ones by the sink."""
    old, new = a_quote_event(), a_quote_event(event_time=NINE_THIRTY + 5)
    (output,) = run(state_of(RAW_QUOTES), a_block(old, new, new, a_quote_event(bid=1.0), old))

    assert [index for index, _ in output.events] == [0, 1, 3, 4]


def test_equal_trades_are_all_kept_and_a_frame_sent_again_is_not() -> None:
    """Identity is the occurrence: of one moment all are real, in one frame or in many; what steps back was sent again."""
    equal = [a_trade_event(frame_sequence=1 + n // 3, frame_hash=7) for n in range(9)]
    spread = [a_trade_event(event_time=NINE_THIRTY + n, frame_sequence=8, frame_hash=8) for n in range(3)]
    again = [event | {"frame_sequence": 9} for event in spread]
    named = [a_trade_event(trade_id="t", frame_sequence=10 + n, frame_hash=9) for n in range(2)]
    (output,) = run(state_of(RAW_TRADES), a_block(*equal, *spread, *again, *named, connection_id="c1"))

    assert [index for index, _ in output.events] == [*range(12), 15]
    assert output.repeated == 4


def test_downtime_of_a_quote_or_trade_stream_is_a_gap_from_its_last_event() -> None:
    """And is claimed once, however often the producer says so."""
    for raw_topic, event in ((RAW_QUOTES, a_quote_event()), (RAW_TRADES, a_trade_event())):
        end = NINE_THIRTY + MINUTE_US
        outputs = run(
            state_of(raw_topic),
            a_block(event),
            a_block(discontinuities=[told(None, end)]),
            a_block(discontinuities=[told(None, end), told(NINE_THIRTY, end + 5)]),
        )

        assert [(g.from_time, g.to_time, g.cause, g.expected) for g in missing(outputs[1])] == [
            (NINE_THIRTY, end, "producer_down", 0)
        ]
        assert [(g.from_time, g.to_time) for g in missing(outputs[2])] == [(end, end + 5)]


def test_downtime_of_bars_is_counted_and_its_late_bars_reveal_nothing_more() -> None:
    """The block that brings the missing bars back does not hide that they were missing."""
    state = state_of(RAW_BARS)
    back = told(None, NINE_THIRTY + 4 * MINUTE_US, interval="1m")
    outputs = run(
        state, a_block(*bars(0, 1)), a_block(*bars(2, 3, 4), discontinuities=[back]), a_block(*bars(6))
    )

    assert [(g.cause, g.from_time, g.expected) for g in missing(outputs[1])] == [
        ("producer_down", NINE_THIRTY + 2 * MINUTE_US, 2)
    ]
    assert [(g.cause, g.from_time) for g in missing(outputs[2])] == [
        ("missing_bars", NINE_THIRTY + 5 * MINUTE_US)
    ]


def test_raw_records_deleted_unprocessed_are_told_at_once_of_the_partition_then_of_all_its_series() -> None:
    """A tick tells the partition's loss; the first block with events bounds what each series may have lost, quiet ones too."""
    state = state_of(RAW_TRADES)
    last, first = NINE_THIRTY + MINUTE_US, NINE_THIRTY + 9 * MINUTE_US
    run(state, a_block(a_trade_event(event_time=last)), a_block(a_trade_event(), provider="polygon"))
    state.torn, state.torn_from = set(state.held), KNOWN - MINUTE_US

    tick, impossible, first_block, later = run(
        state,
        a_block(provider="", endpoint="tick"),
        a_block(a_trade_event(event_time=KNOWN * 2)),
        a_block(*(a_trade_event(event_time=first - n, frame_sequence=3, frame_hash=3) for n in (0, 5))),
        a_block(a_trade_event(event_time=first + DAY_US // 24, frame_sequence=4, frame_hash=4)),
    )

    assert [(g.stream, g.symbol, g.from_time, g.to_time, g.cause) for g in missing(tick)] == [
        (f"raw.trades.v1/{state.partition}", "", KNOWN - MINUTE_US, KNOWN, "log_truncated")
    ]
    assert (missing(impossible), missing(later)) == ([], [])
    assert [(g.provider, g.from_time, g.to_time, g.cause) for g in missing(first_block)] == [
        ("polygon", NINE_THIRTY, first, "log_truncated"),
        ("yahoo", last, first, "log_truncated"),
    ]


def test_a_truncated_log_of_entries_is_told_up_to_when_the_next_one_was_told_whatever_day_it_is_about() -> (
    None
):
    """What was said months ago says nothing of until when nothing was heard."""
    state = state_of(ACTION_STREAM.raw_topic, "AAPL")
    told_last = an_action_event(event_time=NINE_THIRTY - 90 * DAY_US)
    process(state, 0, NINE_THIRTY, a_block(told_last))
    state.torn = True

    output = process(state, 5, KNOWN, a_block(told_last))

    assert [(g.stream, g.from_time, g.to_time, g.cause) for g in missing(output)] == [
        ("actions:yahoo:AAPL", NINE_THIRTY, KNOWN, "log_truncated")
    ]


def test_a_truncated_log_of_bars_costs_the_ended_bars_up_to_the_newest_that_comes() -> None:
    """One that comes in the block fills what it was told to cost; the one in progress is not missing."""
    state = state_of(RAW_BARS)
    run(state, a_block(*bars(0, 1)))
    state.torn = set(state.held)

    (output,) = run(state, a_block(*bars(4, 6)))

    assert [(g.from_time, g.to_time, g.expected, g.cause) for g in missing(output)] == [
        (NINE_THIRTY + 2 * MINUTE_US, NINE_THIRTY + 6 * MINUTE_US, 4, "log_truncated")
    ]


def test_a_bar_that_is_not_over_is_not_missing() -> None:
    """A producer back within a bar: of each interval only what had ended was missed."""
    back = NINE_THIRTY + 5 * HOUR_US + 32 * MINUTE_US + 30 * SECOND_US  # 15:02:30
    expected = {
        "1m": (NINE_THIRTY + MINUTE_US, back - 30 * SECOND_US),
        "15m": (NINE_THIRTY + 15 * MINUTE_US, NINE_THIRTY + 330 * MINUTE_US),
        "1h": (NINE_THIRTY + HOUR_US, NINE_THIRTY + 5 * HOUR_US),
        "1d": None,
    }
    for interval, blind in expected.items():
        outputs = run(
            state_of(RAW_BARS),
            a_block(a_bar_event(event_time=NINE_THIRTY, interval=interval)),
            a_block(discontinuities=[told(None, back, interval=interval)]),
        )

        assert [(g.from_time, g.to_time) for g in missing(outputs[1])] == ([] if blind is None else [blind])


def test_one_stamp_of_the_future_hides_nothing() -> None:
    """It is stored, and what is missed in the open market afterwards is still missed."""
    for raw_topic, event, interval in (
        (RAW_TRADES, a_trade_event, ""),
        (RAW_QUOTES, a_quote_event, ""),
        (RAW_BARS, a_bar_event, "1m"),
    ):
        state, known = state_of(raw_topic), NINE_THIRTY + HOUR_US
        ahead = known + 20 * HOUR_US
        first = process(state, 0, known, a_block(event(event_time=NINE_THIRTY), event(event_time=ahead)))
        down = told(NINE_THIRTY + HOUR_US, NINE_THIRTY + 2 * HOUR_US, interval=interval)
        later = process(state, 1, known + 2 * HOUR_US, a_block(discontinuities=[down]))

        assert len(first.events) == 2
        assert [(g.kind, g.from_time, g.to_time) for g in missing(later) if g.kind == "blind"] == [
            ("blind", NINE_THIRTY + HOUR_US, NINE_THIRTY + 2 * HOUR_US)
        ]
        assert missing(first) == []


def test_a_year_nobody_watched_is_one_range_cut_to_when_the_market_was_open() -> None:
    """Not one for each of its 252 days, and none where the market was closed all the time."""
    state, year = state_of(RAW_TRADES), NINE_THIRTY + 365 * DAY_US
    outputs = run(
        state,
        a_block(a_trade_event()),
        a_block(discontinuities=[told(NINE_THIRTY + 12 * HOUR_US, NINE_THIRTY + 15 * HOUR_US)]),
    )
    (lost,) = missing(process(state, 2, year + DAY_US, a_block(discontinuities=[told(None, year)])))

    assert missing(outputs[1]) == []
    assert (lost.kind, lost.from_time) == ("blind", NINE_THIRTY + 18 * HOUR_US + 30 * MINUTE_US)
    assert lost.to_time == year


@pytest.mark.parametrize("cause", ["producer_down", SERVED_ELSEWHERE])
@pytest.mark.parametrize(
    ("raw_topic", "event", "interval"),
    [(RAW_BARS, a_bar_event, "1m"), (RAW_QUOTES, a_quote_event, ""), (RAW_TRADES, a_trade_event, "")],
)
def test_a_producer_with_a_fast_clock_speaks_of_no_time_that_has_not_come(
    cause: str, raw_topic: str, event: Callable[..., dict[str, Any]], interval: str
) -> None:
    """Back an hour early by its own clock: what is missed within that hour is missed."""
    state, known = state_of(raw_topic), NINE_THIRTY + HOUR_US
    process(state, 0, known, a_block(event(event_time=NINE_THIRTY)))
    early = replace(told(None, known + HOUR_US, interval=interval), cause=cause)
    process(state, 1, known, a_block(discontinuities=[early]))

    down = told(known + MINUTE_US, known + 9 * MINUTE_US, interval=interval)
    later = process(state, 2, known + DAY_US, a_block(discontinuities=[down]))
    assert [(each.from_time, each.to_time) for each in missing(later) if each.cause == "producer_down"] == [
        (known + MINUTE_US, known + 9 * MINUTE_US)
    ]


@pytest.mark.parametrize("ahead_s", [7, 90, 4_000])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("symbol", ["SPY", "EURUSD=X", "BTC-USD"])
@pytest.mark.parametrize(
    ("raw_topic", "event", "interval"),
    [(RAW_BARS, a_bar_event, "1m"), (RAW_QUOTES, a_quote_event, ""), (RAW_TRADES, a_trade_event, "")],
)
def test_what_nobody_watched_is_as_long_by_whatever_clock_it_was_told(
    raw_topic: str,
    event: Callable[..., dict[str, Any]],
    interval: str,
    symbol: str,
    ahead_s: int,
    *,
    restarted: bool,
) -> None:
    """Eleven minutes and a half by a producer's clock that is ahead of the broker's, or beside one that is behind."""
    state, known, ahead = state_of(raw_topic, symbol), NINE_THIRTY + 3 * HOUR_US, ahead_s * SECOND_US
    if not restarted:
        process(
            state, 0, known, a_block(event(symbol=symbol, event_time=known + ahead // MINUTE_US * MINUTE_US))
        )
    down, up = known + 20 * SECOND_US, known + 710 * SECOND_US
    hole = told(down + ahead, up + ahead, interval=interval, symbol=symbol)
    (lost,) = missing(process(state, 1, up, a_block(discontinuities=[hole])))

    assert up - 2 * MINUTE_US < lost.to_time <= up + AHEAD_US
    assert lost.to_time - lost.from_time >= (10 if raw_topic == RAW_BARS else 11) * MINUTE_US


@pytest.mark.parametrize("symbol", ["SPY", "7203.T", "0700.HK", "EURUSD=X", "BTC-USD"])
@pytest.mark.parametrize("raw_topic", [RAW_BARS, RAW_QUOTES, RAW_TRADES])
def test_what_nobody_watched_is_told_in_whatever_order_a_block_says_it(raw_topic: str, symbol: str) -> None:
    """A producer that names the later stretch first, or one inside another, loses none of the time of both."""
    noon = {"7203.T": -NINE_THIRTY % DAY_US, "0700.HK": -NINE_THIRTY % DAY_US + 2 * HOUR_US}.get(
        symbol, HOUR_US
    )
    interval, begin = "1m" if raw_topic == RAW_BARS else "", NINE_THIRTY + noon
    apart, within = ((3, 7), (12, 31), (31, 44)), ((5, 40), (9, 20), (None, 11))
    for stretches, whole in ((apart, [(3, 7), (12, 31), (31, 44)]), (within, [(1, 11), (11, 40)])):
        for order in permutations(stretches):
            state = state_of(raw_topic, symbol)
            event = {RAW_BARS: a_bar_event, RAW_QUOTES: a_quote_event, RAW_TRADES: a_trade_event}[raw_topic]
            run(state, a_block(event(symbol=symbol, event_time=begin)))
            holes = [
                told(None if first is None else begin + first * MINUTE_US, begin + after * MINUTE_US, interval=interval, symbol=symbol)
                for first, after in order
            ]  # fmt: skip
            (output,) = run(state, a_block(discontinuities=holes))

            found = [
                ((each.from_time - begin) // MINUTE_US, (each.to_time - begin) // MINUTE_US)
                for each in output.evidence
                if each.kind == "blind" and each.to_time is not None
            ]
            first = whole[0] if raw_topic == RAW_BARS or whole[0][0] != 1 else (0, whole[0][1])
            assert found == [first, *whole[1:]], order


def ledger(outputs: Sequence[Outputs], horizon: int) -> list[tuple[int, int, str, str]]:
    """Return from when to when bars of SPY are missing, why and how sure that is, by what these blocks became."""
    told = [each for output in outputs for each in output.evidence]
    stored = sorted({event["event_time"] for output in outputs for _, event in output.events})
    series = StreamId("bars", "1m", "yahoo", "SPY")
    found = gaps_of(series, told, stored, horizon=horizon, start=stored[0], end=horizon)
    return [(gap.from_time, gap.to_time, gap.cause, gap.confidence) for gap in found]


def days(*numbers: int) -> list[dict[str, Any]]:
    """Return two bars, minutes 0 and 1, of each of these days after the first."""
    return [each | {"event_time": each["event_time"] + n * DAY_US} for n in numbers for each in bars(0, 1)]


def known_later(state: PartitionState, *blocks: RawBlock) -> list[Outputs]:
    """Process blocks, all of them known when the last of their bars is long over."""
    return [process(state, n, KNOWN + 999 * DAY_US, block) for n, block in enumerate(blocks)]


@pytest.mark.parametrize("raw_topic", [RAW_BARS, RAW_QUOTES])
def test_what_another_provider_served_is_neither_absent_nor_blind(raw_topic: str) -> None:
    """Away for two days, a provider misses only what it watched: the minute before it left, and the one after it returned."""
    state, event = state_of(raw_topic), a_bar_event if raw_topic == RAW_BARS else a_quote_event
    own, back = NINE_THIRTY + 3 * MINUTE_US, NINE_THIRTY + 2 * DAY_US
    served = Discontinuity(
        symbol="SPY", interval="1m" if raw_topic == RAW_BARS else "", from_time=own, to_time=back, cause=SERVED_ELSEWHERE
    )  # fmt: skip
    before, told, after = known_later(
        state,
        a_block(event(event_time=NINE_THIRTY), event(event_time=NINE_THIRTY + MINUTE_US)),
        a_block(discontinuities=[served]),
        a_block(event(event_time=back + MINUTE_US)),
    )

    (elsewhere,) = (each for each in told.evidence if each.cause == SERVED_ELSEWHERE)
    assert (elsewhere.kind, elsewhere.from_time) == ("collected", own)
    assert not any(each.kind == "blind" for output in (before, told, after) for each in output.evidence)
    if raw_topic == RAW_BARS:
        assert ledger([before, told, after], back + MINUTE_US) == [
            (own - MINUTE_US, own, "missing_bars", "inferred"),
            (back, back + MINUTE_US, "missing_bars", "inferred"),
        ]


def test_a_ticker_that_is_used_again_has_no_absent_bars_but_a_silence() -> None:
    """Nobody can say that it was watched between: one gap, inferred, of its own cause, and judged again from there on."""
    outputs = known_later(state_of(RAW_BARS), a_block(*days(0)), a_block(*days(140)), a_block(*days(141)))

    close, again = NINE_THIRTY + 390 * MINUTE_US, NINE_THIRTY + 140 * DAY_US
    (silence,) = missing(outputs[1])
    assert (silence.kind, silence.cause, silence.from_time) == (
        "blind",
        "long_silence",
        NINE_THIRTY + 2 * MINUTE_US,
    )
    assert silence.expected > 30_000
    found = ledger(outputs, again + DAY_US)
    assert found[0] == (silence.from_time, silence.to_time, "long_silence", "inferred")
    assert [each[2:] for each in found[1:]] == [("missing_bars", "inferred")]
    assert found[0][0] < close


def backfill(*events: dict[str, Any], answered: Sequence[AnsweredStretch] = ()) -> RawBlock:
    """Return the answer to a backfill."""
    return replace(a_block(*events), route="backfill", hints=answered_hint(answered), job_id="b1")


def test_a_backfill_is_a_range_of_its_own_whichever_came_first() -> None:
    """A day of 2021 and live bars of 2024 say nothing of the years between, in either order."""
    old = [a_bar_event(event_time=NINE_THIRTY - 900 * DAY_US + n * MINUTE_US) for n in range(3)]
    live = bars(0, 1)
    ranges = [(old[0]["event_time"], old[-1]["event_time"] + MINUTE_US), (NINE_THIRTY, None)]
    for blocks in ([backfill(*old), a_block(*live)], [a_block(*live), backfill(*old)]):
        outputs = run(state_of(RAW_BARS), *blocks)

        assert sorted((r for o in outputs for r in collected(o)), key=lambda r: r[0]) == ranges
        assert [missing(output) for output in outputs] == [[], []]


def test_what_a_vendor_was_asked_for_again_and_has_not_got_does_not_exist() -> None:
    """The stretch asked for is collected and proven, with values or without; who asked is named."""
    start, end = NINE_THIRTY - DAY_US, NINE_THIRTY - DAY_US + HOUR_US
    asked = AnsweredStretch(symbol="SPY", interval="1m", from_time=start, to_time=end)
    (output,) = run(state_of(RAW_BARS), backfill(answered=[asked]))

    assert [(g.kind, g.from_time, g.to_time, g.job_id) for g in output.evidence] == [
        ("collected", start, end, "b1"),
        ("empty", start, end, "b1"),
    ]


def test_what_nobody_will_give_is_told_with_its_cause_and_is_not_collected_by_that() -> None:
    """A gap ends by it; of quotes and trades as well, and only a backfill may say so."""
    start, end = NINE_THIRTY - DAY_US, NINE_THIRTY - DAY_US + HOUR_US
    for topic, interval in ((RAW_BARS, "1m"), (RAW_QUOTES, ""), (RAW_TRADES, "")):
        said = AnsweredStretch(
            symbol="SPY", interval=interval, from_time=start, to_time=end, given_up="no_interface"
        )
        (output,) = run(state_of(topic), backfill(answered=[said]))
        (live,) = run(state_of(topic), replace(backfill(answered=[said]), route="primary"))

        assert [(g.kind, g.from_time, g.to_time, g.cause, g.job_id) for g in output.evidence] == [
            ("unrecoverable", start, end, "no_interface", "b1")
        ]
        assert live.evidence == []


@pytest.mark.parametrize(
    "hint",
    [
        "{",
        "{}",
        '[["SPY","1m",5]]',
        '[["SPY","1m",9,5]]',
        '[["","1m",5,9]]',
        '[["SPY","7m",5,9]]',
        "[" * 9_999,
    ],
)
def test_an_impossible_stretch_asked_for_is_a_dead_letter(hint: str) -> None:
    """The values that came are kept."""
    (output,) = run(state_of(RAW_BARS), replace(backfill(*bars(0)), hints={"answered": hint}))

    assert [letter.index for letter in output.dead] == [-1]
    assert (len(output.events), collected(output)) == (1, [(NINE_THIRTY, NINE_THIRTY + MINUTE_US)])


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(told(None, KNOWN + 2 * DAY_US, interval="1m"), id="ends in the future"),
        pytest.param(told(-1, NINE_THIRTY, interval="1m"), id="begins before 1970"),
        pytest.param(told(None, NINE_THIRTY, interval="7m"), id="unknown interval"),
        pytest.param(told(None, NINE_THIRTY, interval="1m", symbol=""), id="no symbol"),
    ],
)
def test_an_impossible_discontinuity_is_a_dead_letter(wrong: Discontinuity) -> None:
    """It takes nothing else with it."""
    (output,) = run(state_of(RAW_BARS), a_block(*bars(0), discontinuities=[wrong]))

    assert [letter.index for letter in output.dead] == [-1]
    assert len(output.events) == 1


@given(
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from([167.3, 167.4])), max_size=30), st.integers(1, 30)
)
def test_what_is_processed_twice_changes_nothing_and_blocks_do_not_matter(
    deliveries: list[tuple[int, float]], size: int
) -> None:
    """However the bars are cut into blocks, the same versions pass, in the same order."""
    events = [bar for number, close in deliveries for bar in bars(number, close=close)]
    whole, cut = state_of(RAW_BARS), state_of(RAW_BARS)
    chunks = [events[start : start + size] for start in range(0, len(events), size)]

    passed = [event for output in run(whole, a_block(*events)) for _, event in output.events]
    passed_cut = [event for output in run(cut, *(a_block(*c) for c in chunks)) for _, event in output.events]
    newest = {event["event_time"]: dict(event) for event in passed}
    again = run(whole, a_block(*newest.values()))

    assert passed == passed_cut
    assert again[0].events == []


def read_bars(file: Path, symbol: str) -> list[dict[str, Any]]:
    """Return the day's real bars as a producer would send them."""
    midnight = datetime.strptime(file.name[:8], "%Y%m%d").replace(tzinfo=ZoneInfo("America/New_York"))
    start = round(midnight.astimezone(UTC).timestamp()) * 1_000_000
    with zipfile.ZipFile(file) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = list(csv.reader(io.StringIO(text)))
    return [
        a_bar_event(
            symbol=symbol,
            event_time=start + int(row[0]) * 1_000,
            **{
                name: int(cell) / 10_000
                for name, cell in zip(("open", "high", "low", "close"), row[1:5], strict=True)
            },
            volume=float(row[5]),
        )
        for row in rows
    ]


def missing_minutes(gaps: Sequence[Evidence]) -> list[str]:
    """Return New York clock times of the bars the evidence says are missing."""
    starts = [moment for gap in gaps for moment in range(gap.from_time, gap.to_time or 0, MINUTE_US)]
    return [
        datetime.fromtimestamp(moment / 1_000_000, ZoneInfo("America/New_York")).strftime("%H:%M")
        for moment in starts
    ]


@pytest.mark.parametrize("chunk", [1, 7, 2_000])
def test_the_gaps_of_goog_are_exactly_the_minutes_without_a_trade(market_data: Path, chunk: int) -> None:
    """GOOG, 2015-12-28: eight minutes of the session have no bar, in whatever blocks the day comes."""
    events = read_bars(market_data / "equity_minute" / "goog" / "20151228_trade.zip", "GOOG")
    state = replace(state_of(RAW_BARS, "GOOG"))
    blocks = [a_block(*events[start : start + chunk]) for start in range(0, len(events), chunk)]
    outputs = [process(state, n, events[-1]["event_time"] + DAY_US, block) for n, block in enumerate(blocks)]
    gaps = [gap for output in outputs for gap in missing(output)]

    assert missing_minutes(gaps) == ["12:08", "12:15", "12:31", "12:44", "12:47", "13:27", "14:03", "14:40"]
    assert {gap.kind for gap in gaps} == {"absent"}
    assert sum(len(output.events) for output in outputs) == len(events)


@pytest.mark.parametrize(
    ("symbol", "day", "absent"), [("TWX", "20140606", 3), ("SPY", "20131007", 0), ("GOOG", "20151224", None)]
)
def test_real_days_have_the_gaps_the_files_have(
    market_data: Path, symbol: str, day: str, absent: int | None
) -> None:
    """TWX lacks three minutes of its session, SPY none; a half day ends at 13:00."""
    events = read_bars(market_data / "equity_minute" / symbol.lower() / f"{day}_trade.zip", symbol)
    output = process(state_of(RAW_BARS, symbol), 0, events[-1]["event_time"] + DAY_US, a_block(*events))

    minutes = missing_minutes(missing(output))
    assert output.dead == []
    assert all(minute < "13:00" for minute in minutes if day == "20151224")
    assert absent is None or len(minutes) == absent


@pytest.fixture
def _restored() -> Iterator[None]:
    yield
    put_in_force(NO_OVERLAY)


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("symbol", ["SPY", "VOD.L", "7203.T"])
def test_a_closed_day_of_the_overlay_is_no_gap_from_the_next_block_on(symbol: str) -> None:
    """A series that is already known is judged by it, too; a day before it was told stays a gap."""
    calendar, state = calendar_of(symbol), state_of(RAW_BARS, symbol)
    days = list(calendar.sessions(NINE_THIRTY, NINE_THIRTY + 9 * DAY_US))
    name, closed = calendar.name, datetime.fromtimestamp(days[3].day / 1e6, UTC).date().isoformat()

    def last_of(place: int) -> dict[str, Any]:
        return a_bar_event(symbol=symbol, event_time=days[place].parts[-1][1] - MINUTE_US)

    def first_of(place: int) -> dict[str, Any]:
        return a_bar_event(symbol=symbol, event_time=days[place].open)

    known = KNOWN + 9 * DAY_US
    blocks = [a_block(last_of(0)), a_block(first_of(2)), a_block(last_of(2)), a_block(first_of(4))]
    found = [process(state, 0, known, blocks[0]), process(state, 1, known, blocks[1])]
    before = state.calendars
    put_in_force(overlay_of({name: [closed]}, {}))
    state.judge_by(calendars_in_force())
    found += [process(state, 2, known, blocks[2]), process(state, 3, known, blocks[3])]

    assert [len(missing(each)) for each in found] == [0, 1, 1, 0]
    assert state.calendars is calendars_in_force() is not before
    assert state.calendars.fingerprint != before.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 50])
def test_of_real_trades_one_a_frame_none_is_taken_for_a_repeat(market_data: Path, frames: int) -> None:
    """SPY of 2013-10-07: 69,703 of 250,601 share millisecond, price and size with another."""
    state, connection, published, block = state_of(RAW_TRADES), "c1", 0, list[dict[str, Any]]()
    real = ticks(market_data, "SPY", "20131007")
    for number, (moment, price, size) in enumerate(real, 1):
        said = zlib.crc32(f"{moment} {price} {size}".encode())
        block.append(
            a_trade_event(event_time=moment, price=price, size=size, frame_sequence=number, frame_hash=said)
        )
        if len(block) == frames or number == len(real):
            published += len(process(state, number, KNOWN, a_block(*block, connection_id=connection)).events)
            block = []

    assert (len(real), published) == (250_601, 250_601)
