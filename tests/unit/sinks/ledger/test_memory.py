"""The book moves cursors, and says where bars arrived."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.intervals import AHEAD_US, DAY_US, MINUTE_US
from schemas.streams import Bar, StreamId
from sinks.batch.batch import Rows, assemble
from sinks.ledger.cursors import Cursor
from sinks.ledger.memory import Book, Changes, newest_rows
from sinks.ledger.reach import Reach
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade
from tests.support.received import a_part, home

KEY = StreamId("bars", "1m", "yahoo", "SPY")


def at(number: int) -> int:
    """Return a minute of the session."""
    return NINE_THIRTY + number * MINUTE_US


def a_minute(number: int, **changes: object) -> Bar:
    """Return the bar of a minute."""
    fields: dict[str, object] = {"event_time": at(number), "raw_offset": number}
    return a_bar(**(fields | changes))


def rows_of(*records: object) -> Rows:
    """Return the rows of one table."""
    return assemble([a_part(records)])[0].rows[0]  # type: ignore[arg-type]


def observe(book: Book, rows: Rows) -> Changes:
    """Observe and apply."""
    changes = book.observe([rows])
    book.apply(changes)
    return changes


def test_bars_arrive_where_they_may_have_been_missing() -> None:
    """From the earliest to the newest of a batch, by series; the cursor goes from the first ever to the newest."""
    book = Book()
    observe(book, rows_of(a_minute(0)))

    changes = observe(book, rows_of(a_minute(1), a_minute(4)))

    assert book.cursors[KEY] == Cursor(start=at(0), last_seen=at(4))
    (arrived,) = changes.arrivals.values()
    assert list(changes.arrivals) == ["bars.1m:yahoo:SPY"]
    assert (arrived.series, arrived.stretch, arrived.starts()) == (KEY, (at(1), at(4)), [at(1), at(4)])


def test_a_stamp_of_the_future_moves_nothing_and_is_compared() -> None:
    """Up to five seconds ahead clocks differ; beyond, what comes until then would pass for late."""
    book, known = Book(), at(3)
    changes = observe(book, rows_of(a_minute(2, known_from=known), a_minute(700, known_from=known)))

    assert book.cursors[KEY] == Cursor(start=at(2), last_seen=at(2))
    assert [each.starts() for each in changes.arrivals.values()] == [[at(2), at(700)]]
    rows = rows_of(
        a_minute(4, known_from=at(4) - AHEAD_US), a_minute(5, known_from=at(5) - AHEAD_US - 1), a_minute(6)
    )
    assert book.new_keys(rows).tolist() == [True, False, True]


def test_a_bar_that_comes_again_in_its_time_is_compared_with_what_was_stamped_ahead() -> None:
    """In one batch as in two: its key is stored already."""
    ahead, again = a_minute(7, raw_offset=1, known_from=at(2)), a_minute(7, raw_offset=2, known_from=at(8))

    assert Book().new_keys(rows_of(ahead, again)).tolist() == [False, False]


def test_a_stamp_of_the_future_arrives_where_it_lies() -> None:
    """Alone, too: it fills its slot, and what is told missing there may be read before it."""
    changes = observe(book := Book(), rows_of(a_minute(700, known_from=at(3))))

    assert book.cursors == {}
    assert [(each.stretch, each.starts()) for each in changes.arrivals.values()] == [
        ((at(700), at(700)), [at(700)])
    ]


def test_a_daily_bar_arrives_in_its_day() -> None:
    """What is missing is told in days, and a daily bar is stamped anywhere in its own."""
    day = at(0) // DAY_US * DAY_US
    (arrived,) = Book().observe([rows_of(a_bar(interval="1d", event_time=at(0)))]).arrivals.values()

    reach = Reach(bits={arrived.series: (day, day + 1)})
    assert arrived.stretch == (day, at(0))
    assert reach.of_bits(arrived.series, arrived.stretch)


def test_series_of_evidence_are_noted_where_no_row_says_their_partition() -> None:
    """So that what is kept of them can be named."""
    changes = observe(Book(), rows_of(a_minute(2)))
    other = KEY._replace(symbol="QQQ")
    changes.note({KEY: 99, other: 1})

    assert changes.partitions == {KEY: home("SPY"), other: 1}


def test_a_forming_bar_moves_nothing() -> None:
    """It is not history yet: the final one opens its key, also where both come in one batch."""
    book = Book()
    changes = observe(book, rows_of(a_minute(0), a_minute(3, final=False)))

    assert book.cursors[KEY].last_seen == at(0)
    assert [each.starts() for each in changes.arrivals.values()] == [[at(0)]]
    assert book.new_keys(rows_of(a_minute(3, final=False), a_minute(3), a_minute(4))).tolist() == [
        *(False, True, True),
    ]


def test_a_series_with_nothing_final_is_known_without_a_cursor() -> None:
    """It has its row in the table of series from the first bar on."""
    book = Book()
    changes = observe(book, rows_of(a_minute(3, final=False)))

    assert (changes.partitions, changes.cursors, book.series) == ({KEY: home("SPY")}, {}, {KEY})


def test_loaded_cursors_are_frontiers() -> None:
    """After taking over, rows at or below what is stored are compared."""
    book = Book()
    book.load({KEY: Cursor(start=at(0), last_seen=at(7))})

    assert book.new_keys(rows_of(a_minute(7), a_minute(8), a_minute(8))).tolist() == [False, True, False]
    assert observe(book, rows_of(a_minute(6))).cursors[KEY] == Cursor(start=at(0), last_seen=at(7))


@pytest.mark.parametrize("interval", ["1wk", "7m"])
def test_intervals_without_a_rule_have_nothing_missing(interval: str) -> None:
    """They are stored, and nothing is expected of them."""
    book = Book()

    assert not observe(
        book, rows_of(a_minute(0, interval=interval), a_minute(300, interval=interval))
    ).arrivals


def test_trades_are_always_new_and_quotes_are_not() -> None:
    """A trade is an occurrence; a quote of a stored moment is compared."""
    book = Book()
    observe(book, rows_of(a_quote()))

    assert book.new_keys(rows_of(a_trade(), a_trade())).all()
    assert not book.new_keys(rows_of(a_quote())).any()


def test_the_newest_of_the_chosen_rows_is_that_of_each_stream() -> None:
    """By event time, of two at one moment the later in the log; streams without a chosen row have none."""
    moments = ((1, "a"), (2, "a"), (1, "b"), (3, "a"), (2, "a"), (0, "a"))
    rows = rows_of(*(a_quote(event_time=at(n), provider=p) for n, p in moments))

    chosen = newest_rows(rows, np.array([True, True, False, False, True, True]))

    assert chosen.tolist() == [4]
    assert newest_rows(rows, np.zeros(6, np.bool_)).tolist() == []
    assert sorted(newest_rows(rows, np.ones(6, np.bool_)).tolist()) == [2, 3]
