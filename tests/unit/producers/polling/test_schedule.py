"""When polls are due."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from producers.polling.schedule import CLOSED_EVERY_US, Due, Schedule, first_position, next_due, phase_of
from schemas.calendar.sessions import calendar_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US, micros
from tests.support.builders import NINE_THIRTY
from tests.support.memory import held_bytes

SPY, SIM = calendar_of("SPY"), calendar_of("SIM001")
EVERY = 60 * SECOND_US
FRIDAY_POST_CLOSE = NINE_THIRTY - 3 * DAY_US + 10 * HOUR_US + 30 * MINUTE_US


def test_a_minute_is_asked_for_shortly_after_its_end() -> None:
    """The poll of a one-minute cadence comes seconds after the minute is over, not somewhere within it."""
    due = next_due(NINE_THIRTY + 30 * SECOND_US, SPY, every_us=EVERY, phase_us=phase_of("SPY", 1, EVERY))

    assert 2 * SECOND_US <= due - NINE_THIRTY - MINUTE_US < 2 * SECOND_US + 100_000


@settings(deadline=None)
@given(now=st.integers(0, 10**10), every_s=st.integers(1, 3600), count=st.integers(1, 10_000), data=st.data())
def test_a_due_time_lies_after_now_and_at_most_one_cadence_away(
    now: int, every_s: int, count: int, data: st.DataObject
) -> None:
    """Whatever the place in the cadence, an open market is polled once per cadence."""
    every = every_s * SECOND_US
    phase_us = phase_of(data.draw(st.text(max_size=12)), count, every)

    assert now < next_due(now, SIM, every_us=every, phase_us=phase_us) <= now + every


def test_few_symbols_are_asked_for_soon_after_the_minutes_end() -> None:
    """Twenty symbols are spread over three seconds, not over the minute."""
    phases = [phase_of(f"SIM{number:03d}", 20, EVERY) for number in range(20)]

    assert min(phases) >= 2 * SECOND_US
    assert max(phases) < 2 * SECOND_US + 32 * 100_000


def test_ten_thousand_symbols_make_an_even_load() -> None:
    """No second of the minute is given more than a third more than its share, and none is left idle."""
    load = [0] * 60
    for number in range(10_000):
        load[phase_of(f"SIM{number:05d}", 10_000, EVERY) // SECOND_US] += 1

    assert load[:2] == [0, 0]
    assert max(load[2:]) < 1.33 * 10_000 / 58
    assert min(load[2:]) > 0.67 * 10_000 / 58


@settings(deadline=None)
@given(names=st.sets(st.text(min_size=1, max_size=8), min_size=2, max_size=50), more=st.integers(0, 9_000))
def test_a_symbol_that_is_added_moves_no_other(names: set[str], more: int) -> None:
    """Between two doublings of their number, and beyond 512 a minute, every place stays as it was."""
    count = 1_000 + more
    before = {name: phase_of(name, count, EVERY) for name in names}

    assert before == {name: phase_of(name, count + 1, EVERY) for name in names}
    assert phase_of("SPY", 33, EVERY) == phase_of("SPY", 64, EVERY)


def test_half_of_the_places_stay_when_the_stretch_doubles() -> None:
    """Where the spread must grow, only those move that go into the new half of it."""
    names = [f"SIM{number:03d}" for number in range(128)]
    moves = [(phase_of(name, 64, EVERY), phase_of(name, 65, EVERY)) for name in names]

    assert 32 < sum(before == after for before, after in moves) < 96
    assert all(after - before in (0, 64 * 100_000) for before, after in moves)


def test_a_closed_market_is_polled_slowly_and_the_opening_on_time() -> None:
    """Friday night every quarter of an hour; then exactly when Monday's pre-market opens."""
    night = FRIDAY_POST_CLOSE + HOUR_US
    before_open = NINE_THIRTY - 5 * HOUR_US - 35 * MINUTE_US

    assert next_due(night, SPY, every_us=EVERY, phase_us=0) == night + CLOSED_EVERY_US
    assert (
        next_due(before_open, SPY, every_us=EVERY, phase_us=5)
        == NINE_THIRTY - 5 * HOUR_US - 30 * MINUTE_US + 5
    )


def test_every_venue_is_asked_in_its_own_hours() -> None:
    """Frankfurt's floor trades until ten in the evening, Xetra until its auction; Tokyo's lunch is a part of its day."""
    for symbol, zone, clock, is_open in (
        ("BMW.F", "Europe/Berlin", "19:00", True),
        ("BMW.F", "Europe/Berlin", "21:59", True),
        ("BMW.F", "Europe/Berlin", "22:30", False),
        ("BMW.DE", "Europe/Berlin", "19:00", False),
        ("7203.T", "Asia/Tokyo", "12:00", True),
        ("7203.T", "Asia/Tokyo", "18:00", False),
    ):
        now = micros(datetime.fromisoformat(f"2024-07-02 {clock}").replace(tzinfo=ZoneInfo(zone)))
        due = next_due(now, calendar_of(symbol), every_us=EVERY, phase_us=2 * SECOND_US)
        assert (due - now <= EVERY) is is_open, (symbol, clock)


def test_the_last_minutes_are_still_asked_for_after_the_close() -> None:
    """Late feeds show the last bars some minutes after the post-market has ended."""
    now = FRIDAY_POST_CLOSE + 10 * MINUTE_US

    assert next_due(now, SPY, every_us=EVERY, phase_us=0) - now <= EVERY


def test_a_new_symbol_begins_with_the_trading_day() -> None:
    """On a Monday with its pre-market, on a Sunday with Friday's."""
    monday = NINE_THIRTY - 5 * HOUR_US - 30 * MINUTE_US

    assert first_position(NINE_THIRTY + HOUR_US, SPY) == monday
    assert first_position(NINE_THIRTY - DAY_US, SPY) == monday - 3 * DAY_US


def test_a_schedule_gives_what_is_due_on_both_clocks_longest_due_first() -> None:
    """A stream waits for its market time and for its pause."""
    schedule: Schedule[int] = Schedule()
    schedule.add(1, due_us=100, not_before_s=0.0)
    schedule.add(2, due_us=50, not_before_s=0.0)
    schedule.add(3, due_us=10, not_before_s=9.0)

    assert schedule.take(60, 1.0) == Due(2, 50)
    assert schedule.take(60, 1.0) is None
    assert [schedule.take(200, 10.0) for _ in range(3)] == [Due(3, 10), Due(1, 100), None]


def test_a_stream_added_again_is_due_at_its_newer_time_only() -> None:
    """One place a key: a changed cadence is no second poll."""
    schedule: Schedule[str] = Schedule()
    schedule.add("SPY", due_us=10, not_before_s=0.0)
    schedule.add("SPY", due_us=90, not_before_s=0.0)

    assert schedule.take(50, 1.0) is None
    assert [schedule.take(99, 1.0) for _ in range(2)] == [Due("SPY", 90), None]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "discard", "take"]), st.integers(0, 9), st.integers(0, 50)),
        max_size=200,
    )
)
def test_a_schedule_loses_and_repeats_nothing(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is added, discarded and taken in between, it holds what a plain mapping would."""
    schedule: Schedule[int] = Schedule()
    model: dict[int, int] = {}
    for now, (step, key, due) in enumerate(steps):
        if step == "add":
            schedule.add(key, due_us=due, not_before_s=float(now))
            model[key] = due
        elif step == "discard":
            assert schedule.discard(key) == (model.pop(key, None) is not None)
        else:
            taken = schedule.take(due, float(now))
            longest = min((at for at in model.values() if at <= due), default=None)
            assert (None if taken is None else taken.due_us) == longest
            assert taken is None or model.pop(taken.key) == taken.due_us
        assert len(schedule) == len(model)


def test_nobody_starves_where_more_is_due_than_can_be_polled() -> None:
    """With room for half of the polls, each stream still gets its turn, and as often as any other."""
    schedule: Schedule[int] = Schedule()
    for key in range(100):
        schedule.add(key, due_us=key + 1, not_before_s=0.0)
    turns = dict.fromkeys(range(100), 0)
    for now in range(1_000, 11_000, 2):  # a poll each 2 µs, where a cadence of 100 µs asks for one each µs
        due = schedule.take(now, 1.0)
        assert due is not None
        turns[due.key] += 1
        schedule.add(due.key, due_us=now + 100, not_before_s=0.0)

    assert max(turns.values()) - min(turns.values()) <= 1


def test_discarding_over_and_over_keeps_the_schedule_small() -> None:
    """Symbols that come and go leave nothing behind."""

    def after(symbols: int) -> Schedule[int]:
        schedule: Schedule[int] = Schedule()
        for number in range(symbols):
            schedule.add(number, due_us=10**9, not_before_s=float(number % 2))
            schedule.take(0, 0.5)
            schedule.discard(number)
        return schedule

    assert len(after(10_000)) == 0
    assert held_bytes(lambda: after(10_000)) < 2 * held_bytes(lambda: after(500))


def test_beyond_what_its_calendar_knows_a_market_is_polled_as_if_it_were_open() -> None:
    """Nobody says that it is closed in 2037, or was in 1993."""
    horizon, begins = SPY.horizon, SPY.known_from
    assert horizon is not None and begins is not None
    for now in (horizon, horizon + 100 * DAY_US, begins - DAY_US):
        assert next_due(now, SPY, every_us=EVERY, phase_us=0) <= now + EVERY
    assert next_due(horizon - MINUTE_US, SPY, every_us=EVERY, phase_us=0) > horizon
