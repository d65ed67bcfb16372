"""The strategies with versions: of slots, of the newest moment, of entries.

A version equals the current one of its key or is new, and is never mistaken for an older one.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.intervals import DAY_US, MINUTE_US
from schemas.topics import RAW_BARS, RAW_QUOTES
from schemas.wire.splicing import event_bytes
from stream_processors.versions import (
    ENTRIES,
    Entries,
    Latest,
    Room,
    Slots,
    digest,
)
from tests.support.builders import NINE_THIRTY, a_bar_event, a_quote_event

A, B = b"a", b"b"
SIZE = 1_536


def slots(slot_us: int = MINUTE_US, room: Room | None = None) -> Slots:
    """Return the memory of a series of minutes."""
    return Slots(slot_us, SIZE, room or Room())


def test_a_value_and_its_repeat_are_one_version() -> None:
    """The second delivery says nothing new."""
    bars, quote = slots(), Latest()

    assert [bars.changes(NINE_THIRTY, A), bars.changes(NINE_THIRTY, A)] == [True, False]
    assert [quote.changes(NINE_THIRTY, A), quote.changes(NINE_THIRTY, A)] == [True, False]


def test_there_and_back_again_is_three_versions() -> None:
    """A → B → A: compared with the current version, not with any that ever was."""
    bars, quote = slots(), Latest()

    assert [bars.changes(NINE_THIRTY, content) for content in (A, B, A)] == [True] * 3
    assert [quote.changes(NINE_THIRTY, content) for content in (A, B, A)] == [True] * 3


def test_what_is_older_than_remembered_passes() -> None:
    """The sink compares it with what is stored."""
    bars, quote = slots(), Latest()
    bars.changes(NINE_THIRTY, A)
    bars.changes(NINE_THIRTY + SIZE * MINUTE_US, A)
    quote.changes(NINE_THIRTY, A)
    quote.changes(NINE_THIRTY + 1, A)

    assert bars.changes(NINE_THIRTY, A)
    assert not bars.changes(NINE_THIRTY + SIZE * MINUTE_US, A)
    assert quote.changes(NINE_THIRTY, A)


def test_two_stamps_of_one_slot_are_two_keys() -> None:
    """A vendor that moves its daily stamp from midnight to the open did not repeat itself: content covers the stamp."""
    bars = slots(DAY_US)
    midnight = NINE_THIRTY // DAY_US * DAY_US

    for stamp in (midnight, NINE_THIRTY):
        event = a_bar_event(interval="1d", event_time=stamp)
        assert bars.changes(stamp, event_bytes(RAW_BARS, event))
        assert not bars.changes(stamp, event_bytes(RAW_BARS, event))


def test_content_is_all_that_an_event_says() -> None:
    """Every price, size, state and stamp; who gave it and when it was received is no part of an event."""
    bar, quote = event_bytes(RAW_BARS, a_bar_event()), event_bytes(RAW_QUOTES, a_quote_event())

    for name, other in (
        ("final", False),
        ("session", "pre"),
        ("close", 167.4),
        ("event_time", NINE_THIRTY + 1),
    ):
        assert event_bytes(RAW_BARS, a_bar_event(**{name: other})) != bar
    assert event_bytes(RAW_QUOTES, a_quote_event(ask_size=None)) != quote


def test_a_digest_is_the_same_in_every_process() -> None:
    """It is saved: what Python salts would make everything look new after a restart."""
    assert digest(b"a") == 3405396810240292928
    assert digest(b"") != 0


def test_contents_take_room_only_once_there_are_some_and_give_it_back() -> None:
    """What is forgotten counts as changed, and the newest stays the newest."""
    room = Room()
    bars = slots(room=room)
    assert room.used == 0
    bars.changes(NINE_THIRTY, A)
    assert room.used == SIZE * 8
    bars.forget()

    assert (room.used, bars.held) == (0, False)
    assert bars.changes(NINE_THIRTY, A)
    assert not bars.changes(NINE_THIRTY, A)
    assert bars.changes(NINE_THIRTY - SIZE * MINUTE_US, A)


@given(
    st.lists(
        st.tuples(st.integers(min_value=0, max_value=3 * SIZE), st.sampled_from("ABC")),
        min_size=1,
        max_size=200,
    )
)
def test_deduplication_agrees_with_remembering_everything(deliveries: list[tuple[int, str]]) -> None:
    """Within the window a bar passes exactly when it differs from its key's current version."""
    bars, current, newest = slots(), dict[int, str](), -1
    for number, content in deliveries:
        newest = max(newest, number)
        changed = bars.changes(number * MINUTE_US, f"{number} {content}".encode())
        if number > newest - SIZE:
            assert changed == (current.get(number) != content)
        current[number] = content


@given(st.lists(st.tuples(st.integers(min_value=1, max_value=50), st.sampled_from("AB")), max_size=60))
def test_deduplication_is_idempotent(deliveries: list[tuple[int, str]]) -> None:
    """What passed, delivered again as it passed, passes only where a later version lies between."""
    first, second = Latest(), Latest()
    passed = [(t, c) for t, c in deliveries if first.changes(t, c.encode())]

    assert [(t, c) for t, c in passed if second.changes(t, c.encode())] == passed


def test_an_entry_told_again_is_no_version_and_one_that_changes_is() -> None:
    """Whatever lies between: entries have no order."""
    entries = Entries(Room())
    told = [
        (b"split-7", A),
        (b"dividend-3", A),
        (b"split-7", A),
        (b"split-7", B),
        (b"dividend-3", A),
        (b"split-7", A),
    ]

    assert [entries.tells(name, content) for name, content in told] == [True, True, False, True, False, True]


def test_equal_contents_of_two_entries_are_two_values() -> None:
    """Also where their names begin alike: where one ends is no matter of what follows."""
    entries = Entries(Room())

    assert [entries.tells(b"1", b"12"), entries.tells(b"11", b"2")] == [True, True]


@given(st.lists(st.tuples(st.integers(0, 5 * ENTRIES), st.sampled_from("ABC")), max_size=400))
def test_nothing_new_of_an_entry_is_ever_taken_for_a_repeat(told: list[tuple[int, str]]) -> None:
    """However many share a place: at worst a repeat passes, which the sink compares."""
    entries, current = Entries(Room()), dict[int, str]()
    for name, content in told:
        is_new = entries.tells(str(name).encode(), content.encode())
        assert is_new or current[name] == content
        current[name] = content


def test_entries_outlive_the_process_part_by_part() -> None:
    """What is saved and taken up knows the same repeats, and takes its room."""
    room = Room()
    entries, successor = Entries(Room()), Entries(room)
    names = [f"entry {number}".encode() for number in range(100)]
    for name in names:
        entries.tells(name, A)
    for place in range(entries.unsaved.bit_length()):
        successor.restore(place, entries.part(place))

    again = [(entries.tells(name, A), successor.tells(name, A)) for name in names]
    assert all(ours == theirs for ours, theirs in again)
    assert sum(ours for ours, _ in again) < len(names) // 2
    assert room.used == ENTRIES * 8
