"""The three strategies: versions of slots, versions of the newest moment, and occurrences.

A version equals the current one of its key or is new, and is never mistaken for an older one; of occurrences only a
frame's own bytes on its own connection are a repeat.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.intervals import DAY_US, MINUTE_US
from schemas.topics import RAW_BARS, RAW_QUOTES
from schemas.wire.splicing import event_bytes
from stream_processors.versions import (
    MAX_CONNECTIONS,
    REMEMBERED_FRAMES,
    Frame,
    Latest,
    Occurrences,
    Room,
    Slots,
    digest,
)
from tests.support.builders import NINE_THIRTY, a_bar_event, a_quote_event

A, B = b"a", b"b"
SIZE, SPY = 1_536, 7


def slots(slot_us: int = MINUTE_US, room: Room | None = None) -> Slots:
    """Return the memory of a series of minutes."""
    return Slots(slot_us, SIZE, room or Room())


def lone(sequence: int, content: int, stamp: int | None = None) -> Frame:
    """Return a frame of one trade: `content` is its stamp, too, where none is given."""
    moment = content if stamp is None else stamp
    return Frame(sequence, content, SPY, moment, moment, trades=1, named=False)


def named(sequence: int, content: int) -> Frame:
    """Return a frame of one trade with the vendor's id."""
    return Frame(sequence, content, SPY, 1, 1, trades=1)


def repeats(history: Occurrences, connection: str, *frames: Frame) -> list[bool]:
    """Return the fates of frames that come one in a block."""
    return [history.repeats(connection, [frame])[0] for frame in frames]


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


def test_equal_lone_trades_are_all_real() -> None:
    """Equal trades of one moment are as common as any: a frame of one says nothing of whether it was sent before."""
    history = Occurrences()

    assert repeats(history, "c", *(lone(n, 7) for n in range(9))) == [False] * 9
    assert repeats(history, "c", lone(10, 8), lone(11, 7)) == [False, False]


def test_runs_of_equal_trades_within_a_moment_are_real() -> None:
    """A B A B at one millisecond is the market, not the vendor's repetition: nothing steps back."""
    history = Occurrences()

    assert history.repeats("c", [lone(n, n % 2, 5) for n in range(40)]) == [False] * 40


def test_a_run_sent_again_after_a_resubscription_is_a_repeat() -> None:
    """Whole where it comes in one block; where it comes frame by frame its first cannot be told from a trade."""
    sent, again = [lone(n, n) for n in range(1, 5)], [lone(10 + n, n) for n in range(1, 4)]
    together, apart, shorter = Occurrences(), Occurrences(), Occurrences()
    for history in (together, apart, shorter):
        assert history.repeats("c", sent) == [False] * 4

    assert together.repeats("c", [*again, lone(20, 99)]) == [True] * 3 + [False]
    assert repeats(apart, "c", *again) == [False, True, True]
    assert shorter.repeats("c", again[1:]) == [True, True]


def test_frames_in_another_order_are_no_run() -> None:
    """Late trades come as they come."""
    history = Occurrences()
    history.repeats("c", [lone(n, n) for n in range(5)])

    assert history.repeats("c", [lone(10, 3), lone(11, 1), lone(12, 0)]) == [False] * 3


def test_another_symbols_clock_says_nothing() -> None:
    """Its trades may be newer all the time, as those of a venue that reports late are old."""
    history, other = Occurrences(), Frame(3, 9, 8, 99, 99, trades=1, named=False)

    assert history.repeats("c", [lone(1, 7), lone(2, 7), other, lone(4, 7), lone(5, 7)]) == [False] * 5


def test_a_frame_of_two_moments_is_a_repeat_and_one_of_one_moment_is_not() -> None:
    """Two trades at two moments do not happen twice; two of one moment do."""
    history = Occurrences()
    spread = [Frame(n, 7, SPY, 1, 2, trades=2, named=False) for n in (1, 2)]
    equal = [Frame(n, 8, SPY, 2, 2, trades=2, named=False) for n in (3, 4)]

    assert history.repeats("c", spread + equal) == [False, True, False, False]


def test_a_stamp_of_the_future_makes_nothing_step_back() -> None:
    """It is no newest moment of its symbol."""
    frame = Frame(1, 7, SPY, 50)
    frame.add(SPY, 50, named=False, ahead=False)
    frame.add(SPY, 99, named=False, ahead=True)
    frame.add(SPY + 1, 70, named=False, ahead=False)

    assert (frame.oldest, frame.newest, frame.trades, frame.named) == (50, 50, 3, False)


def test_an_equal_frame_of_named_trades_is_a_repeat() -> None:
    """The vendor's own ids say so, whenever it comes."""
    history = Occurrences()

    assert history.repeats("c", [named(1, 7), named(2, 7)]) == [False, True]


def test_a_frame_split_over_blocks_is_one_frame() -> None:
    """All events of one sequence share its fate."""
    history = Occurrences()

    assert repeats(history, "c", named(1, 7), lone(1, 7)) == [False, False]
    assert repeats(history, "c", named(2, 7), lone(2, 7)) == [True, True]
    assert repeats(history, "c", lone(1, 7)) == [False]


def test_another_connection_or_none_repeats_nothing() -> None:
    """Two sockets deliver the same market twice only if the vendor says so; a request has no frames."""
    history = Occurrences()
    history.repeats("c", [named(1, 7)])

    assert history.repeats("d", [named(2, 7)]) == [False]
    assert history.repeats("", [named(n, 7) for n in (1, 2)]) == [False, False]


def test_a_repeat_further_back_passes() -> None:
    """Beyond the last 64 frames equal bytes are taken for a new event."""
    near, far = Occurrences(), Occurrences()
    for history, others in ((near, REMEMBERED_FRAMES - 1), (far, REMEMBERED_FRAMES)):
        history.repeats("c", [named(0, 7)] + [named(n, 100 + n) for n in range(1, others + 1)])

    assert near.repeats("c", [named(1_000, 7)]) == [True]
    assert far.repeats("c", [named(1_000, 7)]) == [False]


def test_the_connection_silent_longest_is_forgotten() -> None:
    """Memory is bounded however often a socket reconnects."""
    history = Occurrences()
    history.repeats("first", [named(1, 7)])
    for number in range(MAX_CONNECTIONS):
        history.repeats(f"c{number}", [named(1, 7)])

    assert history.repeats("first", [named(2, 7)]) == [False]
    assert history.repeats(f"c{MAX_CONNECTIONS - 1}", [named(2, 7)]) == [True]


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 5)), max_size=200))
def test_what_is_known_of_frames_is_counted_right(sent: list[tuple[int, int]]) -> None:
    """However sequences come again with other bytes: equal to one of the last frames, or to none."""
    history, last = Occurrences(), dict[int, int]()
    for sequence, content in sent:
        (repeat,) = history.repeats("c", [named(sequence, content)])
        if last.get(sequence) != content:
            assert repeat == (content in last.values())
            last.pop(sequence, None)
            last[sequence] = content
            if len(last) > REMEMBERED_FRAMES:
                del last[next(iter(last))]
