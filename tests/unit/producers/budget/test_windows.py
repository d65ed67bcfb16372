"""Windows of starts: a day in slots that is stored with a reserve, and minutes that remember an earlier process."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.budget.windows import SLOT_US, SLOTS_PER_DAY, DayCount, SlidingWindow
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from tests.support.memory import held_bytes

NOW = 1_790_000_000_000_000


@given(
    st.lists(st.tuples(st.integers(0, 40 * MINUTE_US), st.booleans(), st.booleans()), max_size=80),
    st.integers(0, 60),
)
def test_the_store_never_holds_fewer_than_were_made(steps: list[tuple[int, bool, bool]], block: int) -> None:
    """Whoever waits for a block and is then killed at any moment left at least as many in the store as it made."""
    day, now, store = DayCount(), NOW, {}
    for later, write, request in steps:
        now += later
        if write:
            changes = day.unstored(now, block=block)
            for slot, change in changes.items():
                store[slot] = store.get(slot, 0) + change
            day.stored(changes)
        if request and day.granted > 0:
            day.add(now, "live")
        assert sum(store.values()) >= day.used(now)

    changes = day.unstored(now, block=0)
    for slot, change in changes.items():
        store[slot] = store.get(slot, 0) + change
    counting = {slot: count for slot, count in store.items() if count}
    successor = DayCount()
    successor.remember(counting.items())
    assert successor.used(now) == day.used(now)


@given(
    st.lists(
        st.tuples(st.integers(0, 2 * MINUTE_US), st.integers(0, 20 * SECOND_US)), min_size=1, max_size=40
    ),
    st.integers(1, 10),
)
def test_a_request_counts_for_a_window_from_its_end_and_a_little_longer(
    steps: list[tuple[int, int]], limit: int
) -> None:
    """When the window says there is room at a later moment, then at that moment there is."""
    window, now = SlidingWindow("minute", MINUTE_US), NOW
    for pause, took in steps:
        now += pause
        at = window.earliest(now, limit, "live")
        assert now <= at <= now + MINUTE_US * 1_001 // 1_000
        assert window.earliest(at, limit, "live") == at
        now = at
        window.add(now, "live")
        assert window.earliest(now, 1, "live") == now + window.length_us
        now += took
        window.end(now, "live")
        assert window.used(now) <= limit
        assert window.earliest(now, 1, "live") == now + window.length_us


def test_what_is_under_way_takes_its_place_however_long() -> None:
    """An hour on its way is an hour and a minute of its place; taken back it never had one."""
    window, hour = SlidingWindow("minute", MINUTE_US), 60 * MINUTE_US
    window.add(NOW, "live")
    window.add(NOW + 1, "backfill")
    assert window.earliest(NOW + hour, 2, "live") > NOW + hour
    window.take_back("backfill")
    assert window.earliest(NOW + hour, 2, "live") == NOW + hour
    window.end(NOW + hour, "live")

    assert window.earliest(NOW + hour + 7, 1, "live") == NOW + hour + window.length_us
    assert window.used(NOW + hour + window.length_us) == 0


def test_a_day_is_kept_in_few_slots_whatever_its_requests() -> None:
    """A week at a request a second costs no more memory than a day of slots."""

    def after(days: int) -> DayCount:
        day = DayCount()
        for second in range(0, days * 24 * 3_600, 60):
            day.add(NOW + second * 1_000_000, "live")
            day.used(NOW + second * 1_000_000)
        return day

    assert held_bytes(lambda: after(4)) < 1.5 * held_bytes(lambda: after(2))
    assert after(2).used(NOW + 9 * DAY_US) == 0
    assert SLOT_US * SLOTS_PER_DAY == DAY_US
