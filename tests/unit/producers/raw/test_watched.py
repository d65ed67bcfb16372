"""Until when streams were watched, noted by group and taken up by whoever comes next."""

from __future__ import annotations

import pytest

from producers.raw.watched import LATEST_US, MAX_SYMBOLS, Received, WatchedStreams, watched_key
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.partitions import partition_of
from schemas.records import Watched
from schemas.streams import StreamId

QUOTES = StreamId("quotes", "", "yahoo", "SPY")
BARS = StreamId("bars", "1m", "yahoo", "SPY")
MOMENT = 1_790_000_000_000_000


def test_what_was_watched_is_known_beyond_what_is_stored() -> None:
    """A quiet stream was watched long after its last event; one nobody noted falls back on what is stored of it."""
    watched = WatchedStreams()
    watched.note([QUOTES], 500)

    assert watched.since([QUOTES, BARS], {QUOTES: 7, BARS: 9}) == {QUOTES: 500, BARS: 9}
    assert watched.since([BARS], {}) == {}


def test_a_series_is_known_by_itself_alone() -> None:
    """Another provider of its symbol is another series; what a predecessor noted counts."""
    watched = WatchedStreams()
    watched.note([QUOTES], 500)
    watched.take_up(Watched(channel="bars.1m", provider="yahoo", until={"SPY": 7}))
    known = [watched.knows(stream) for stream in (QUOTES, BARS, QUOTES._replace(provider="alpaca"))]

    assert known == [True, True, False]


def test_it_never_moves_back() -> None:
    """Answers of one stream may come out of order."""
    watched = WatchedStreams()
    watched.note([QUOTES], 500)
    watched.note([QUOTES], 400)

    assert watched.since([QUOTES], {}) == {QUOTES: 500}


def test_what_another_provider_watched_is_not_missing() -> None:
    """It served meanwhile; of another interval it says nothing."""
    watched = WatchedStreams()
    watched.note([BARS._replace(provider="alpaca"), BARS._replace(interval="5m", provider="alpaca")], 900)

    assert watched.since([BARS], {BARS: 9}) == {BARS: 900}
    assert watched.since([BARS._replace(interval="1h")], {}) == {}


def test_a_successor_takes_up_what_was_noted() -> None:
    """Record by record, whatever is older than what it watched itself."""
    first, second = WatchedStreams(), WatchedStreams()
    first.note([QUOTES, BARS], 500)
    second.note([BARS], 600)
    records = list(first.changed(4))
    for _, noted in records:
        second.take_up(noted)

    assert {partition for partition, _ in records} == {partition_of("SPY", 4)}
    assert second.since([QUOTES, BARS], {}) == {QUOTES: 500, BARS: 600}
    # Only its own is noted again.
    assert [key for _, noted in second.changed(4) for key in noted.until] == ["SPY"]


def test_a_group_is_noted_whole_and_only_when_something_in_it_changed() -> None:
    """Compaction keeps the newest record of a group, so that one says all of it."""
    watched = WatchedStreams()
    watched.note([QUOTES, QUOTES._replace(symbol="IBM")], 500)
    list(watched.changed(1))
    nothing = list(watched.changed(1))
    watched.note([QUOTES], 600)

    assert nothing == []
    assert list(watched.changed(1)) == [
        (0, Watched(channel="quotes", provider="yahoo", until={"SPY": 600, "IBM": 500}))
    ]
    assert watched_key(0, Watched(channel="bars.1m", provider="yahoo", until={})) == b"bars.1m:yahoo:0"


def test_a_record_is_bounded() -> None:
    """Those beyond fall back on what is stored of them."""
    watched = WatchedStreams()
    watched.note([QUOTES._replace(symbol=f"S{n}") for n in range(MAX_SYMBOLS + 5)], 500)
    ((_, record),) = watched.changed(1)

    assert len(record.until) == MAX_SYMBOLS


def test_what_is_given_up_is_told_whole_once_more_and_then_forgotten() -> None:
    """With what was in flight; later than that whoever owns it tells, and nothing of ours stands for it."""
    watched, ibm = WatchedStreams(), QUOTES._replace(symbol="IBM")
    watched.note([QUOTES, ibm, BARS], 500)
    list(watched.changed(1))
    watched.note([QUOTES], 600)
    watched.keep({BARS})
    watched.note([ibm], 650)

    told = [(noted.channel, dict(noted.until)) for _, noted in watched.changed(1)]
    known = watched.own(QUOTES), watched.own(ibm), watched.own(BARS)
    watched.note([ibm], 900)

    assert told == [("quotes", {"SPY": 600, "IBM": 650})]
    assert known == (None, None, 500)
    assert list(watched.changed(1)) == []
    watched.keep({QUOTES, ibm, BARS})
    watched.take_up(Watched(channel="quotes", provider="yahoo", until={"SPY": 600, "IBM": 650}))
    watched.note([QUOTES], 900)
    assert [dict(noted.until) for _, noted in watched.changed(1)] == [{"SPY": 900, "IBM": 650}]


def test_what_is_taken_up_is_not_forgotten_before_it_is_kept() -> None:
    """Between the two somebody waits for the database, and a note may be due."""
    watched = WatchedStreams()
    watched.keep({BARS})
    watched.take_up(Watched(channel="quotes", provider="yahoo", until={"SPY": 600}))
    list(watched.changed(1))
    watched.keep({QUOTES, BARS})

    assert watched.own(QUOTES) == 600


def test_who_failed_is_known_until_somebody_watches() -> None:
    """With the first cause, and since when; of what nobody ever watched there is nothing to say."""
    watched, new = WatchedStreams(), QUOTES._replace(symbol="IBM")
    watched.note([QUOTES], 500)
    watched.failed([QUOTES, new], "banned")
    watched.failed([QUOTES], "throttled")
    failed = list(watched.interrupted([new, QUOTES, BARS]))
    watched.note([QUOTES._replace(provider="alpaca")], 600)

    assert failed == [(QUOTES, 500, "banned")]
    assert list(watched.interrupted([QUOTES])) == []


def test_what_a_provider_that_is_gone_watched_still_counts() -> None:
    """The stream goes on with another; what is collected no more is forgotten, failures too."""
    watched, alpaca = WatchedStreams(), QUOTES._replace(provider="alpaca")
    watched.note([QUOTES, BARS], 500)
    watched.note([alpaca], 900)
    watched.failed([QUOTES, BARS], "refused")
    watched.keep({QUOTES})

    assert watched.since([QUOTES, BARS], {}) == {QUOTES: 900}
    assert list(watched.interrupted([QUOTES, BARS])) == [(QUOTES, 900, "refused")]


def a_connection() -> Received:
    received = Received()
    received.begin(MOMENT)
    return received


def test_a_frame_counts_up_to_its_oldest_trade() -> None:
    """Two seconds of trades in a frame: the next ones are gathered already, and a ping does not bring them."""
    received = a_connection()
    received.heard(MOMENT + 10 * SECOND_US, [MOMENT + 9 * SECOND_US, MOMENT + 8 * SECOND_US])
    assert received.until == MOMENT + 8 * SECOND_US

    received.heard(MOMENT + 11 * SECOND_US)
    assert received.until == MOMENT + 9 * SECOND_US


@pytest.mark.parametrize("late_us", [0, 7, 40 * MINUTE_US])
def test_a_late_feed_is_watched_as_much_later(late_us: int) -> None:
    """What it sent last was of then; what has happened since is on its way."""
    received = a_connection()
    now = MOMENT + 3 * LATEST_US
    received.heard(now, [now - late_us])

    assert received.until == now - late_us


def test_pings_alone_are_watched() -> None:
    """A quiet socket that says it lives has sent all it had; nothing was received before the first connection."""
    received = a_connection()
    received.heard(MOMENT + 60 * SECOND_US)

    assert received.until == MOMENT + 60 * SECOND_US
    assert Received().until is None


def test_what_is_reported_again_or_ahead_of_our_clock_delays_nothing() -> None:
    """A trade of yesterday among those of now, and a vendor whose clock is ahead of ours."""
    received = a_connection()
    received.heard(MOMENT + SECOND_US, [MOMENT - 2 * LATEST_US])
    assert received.until == MOMENT + SECOND_US

    received.heard(MOMENT + 2 * SECOND_US, [MOMENT + 5 * SECOND_US])
    assert received.until == MOMENT + 2 * SECOND_US


def test_a_late_trade_moves_nothing_back() -> None:
    """Not by one late trade, and not for those that were subscribed after it."""
    received = a_connection()
    received.heard(MOMENT + SECOND_US)
    received.heard(MOMENT + 2 * SECOND_US, [MOMENT - 5 * MINUTE_US])
    assert received.until == MOMENT + SECOND_US

    received.begin(MOMENT + 3 * SECOND_US)
    received.heard(MOMENT + 4 * SECOND_US)
    assert received.until == MOMENT + 3 * SECOND_US
