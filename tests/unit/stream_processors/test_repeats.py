"""Occurrences: only a frame's own bytes on its own connection are a repeat."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream_processors.repeats import MAX_CONNECTIONS, REMEMBERED_FRAMES, Frame, Occurrences

SPY = 7


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
