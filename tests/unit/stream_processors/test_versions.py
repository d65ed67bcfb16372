"""The three strategies: versions of slots, versions of the newest moment, and occurrences.

A version equals the current one of its key or is new, and is never mistaken for an older one; of occurrences only a
frame's own bytes on its own connection are a repeat.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.intervals import DAY_US, MINUTE_US
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM
from stream_processors.versions import (
    MAX_CONNECTIONS,
    REMEMBERED_FRAMES,
    SLOTS,
    Latest,
    Occurrences,
    Slots,
    content_of,
)
from tests.support.builders import NINE_THIRTY, a_bar_event, a_quote_event, a_trade_event

A, B = ("a",), ("b",)


def test_a_value_and_its_repeat_are_one_version() -> None:
    """The second delivery says nothing new."""
    bars, quote = Slots(MINUTE_US), Latest()

    assert [bars.changes(NINE_THIRTY, A), bars.changes(NINE_THIRTY, A)] == [True, False]
    assert [quote.changes(NINE_THIRTY, A), quote.changes(NINE_THIRTY, A)] == [True, False]


def test_there_and_back_again_is_three_versions() -> None:
    """A → B → A: compared with the current version, not with any that ever was."""
    bars, quote = Slots(MINUTE_US), Latest()

    assert [bars.changes(NINE_THIRTY, content) for content in (A, B, A)] == [True] * 3
    assert [quote.changes(NINE_THIRTY, content) for content in (A, B, A)] == [True] * 3


def test_what_is_older_than_remembered_passes() -> None:
    """The sink compares it with what is stored."""
    bars, quote = Slots(MINUTE_US), Latest()
    bars.changes(NINE_THIRTY, A)
    bars.changes(NINE_THIRTY + SLOTS * MINUTE_US, A)
    quote.changes(NINE_THIRTY, A)
    quote.changes(NINE_THIRTY + 1, A)

    assert bars.changes(NINE_THIRTY, A)
    assert not bars.changes(NINE_THIRTY + SLOTS * MINUTE_US, A)
    assert quote.changes(NINE_THIRTY, A)


def test_two_stamps_of_one_slot_are_two_keys() -> None:
    """A vendor that moves its daily stamp from midnight to the open did not repeat itself."""
    bars = Slots(DAY_US)
    midnight = NINE_THIRTY // DAY_US * DAY_US

    assert bars.changes(midnight, A)
    assert bars.changes(NINE_THIRTY, A)


def test_content_is_what_a_value_says_and_not_when() -> None:
    """Clocks are no content; every price, size and state is."""
    bar, quote = content_of(BAR_STREAM), content_of(QUOTE_STREAM)

    assert bar(a_bar_event()) == bar(a_bar_event(event_time=1, symbol="X"))
    assert bar(a_bar_event()) != bar(a_bar_event(final=False))
    assert bar(a_bar_event()) != bar(a_bar_event(session="pre"))
    assert quote(a_quote_event()) != quote(a_quote_event(ask_size=None))
    assert content_of(TRADE_STREAM)(a_trade_event()) == content_of(TRADE_STREAM)(a_trade_event(price=1.0))


@given(
    st.lists(
        st.tuples(st.integers(min_value=0, max_value=3 * SLOTS), st.sampled_from("ABC")),
        min_size=1,
        max_size=200,
    )
)
def test_deduplication_agrees_with_remembering_everything(deliveries: list[tuple[int, str]]) -> None:
    """Within the window a bar passes exactly when it differs from its key's current version."""
    bars, current, newest = Slots(MINUTE_US), dict[int, str](), -1
    for number, content in deliveries:
        newest = max(newest, number)
        changed = bars.changes(number * MINUTE_US, (content,))
        if number > newest - SLOTS:
            assert changed == (current.get(number) != content)
        current[number] = content


@given(st.lists(st.tuples(st.integers(min_value=1, max_value=50), st.sampled_from("AB")), max_size=60))
def test_deduplication_is_idempotent(deliveries: list[tuple[int, str]]) -> None:
    """What passed, delivered again as it passed, passes only where a later version lies between."""
    first, second = Latest(), Latest()
    passed = [(t, c) for t, c in deliveries if first.changes(t, (c,))]

    assert [(t, c) for t, c in passed if second.changes(t, (c,))] == passed


def test_equal_bytes_in_another_frame_of_the_connection_are_a_repeat() -> None:
    """The vendor sent the frame twice."""
    history = Occurrences()

    assert [history.repeats("c", sequence, 7) for sequence in (1, 2, 3)] == [False, True, True]


def test_a_frame_split_over_blocks_is_one_frame() -> None:
    """All events of one sequence share its fate."""
    history = Occurrences()

    assert [history.repeats("c", 1, 7), history.repeats("c", 1, 7)] == [False, False]
    assert [history.repeats("c", 2, 7), history.repeats("c", 2, 7)] == [True, True]
    assert not history.repeats("c", 1, 7)


def test_another_connection_or_none_repeats_nothing() -> None:
    """Two sockets deliver the same market twice only if the vendor says so; a request has no frames."""
    history = Occurrences()
    history.repeats("c", 1, 7)

    assert not history.repeats("d", 2, 7)
    assert [history.repeats("", sequence, 7) for sequence in (1, 2)] == [False, False]


def test_a_repeat_further_back_passes() -> None:
    """Beyond the last 64 frames equal bytes are taken for a new event."""
    near, far = Occurrences(), Occurrences()
    for history, others in ((near, REMEMBERED_FRAMES - 1), (far, REMEMBERED_FRAMES)):
        history.repeats("c", 0, 7)
        for sequence in range(1, others + 1):
            history.repeats("c", sequence, 100 + sequence)

    assert near.repeats("c", 1_000, 7)
    assert not far.repeats("c", 1_000, 7)


def test_the_connection_silent_longest_is_forgotten() -> None:
    """Memory is bounded however often a socket reconnects."""
    history = Occurrences()
    history.repeats("first", 1, 7)
    for number in range(MAX_CONNECTIONS):
        history.repeats(f"c{number}", 1, 7)

    assert not history.repeats("first", 2, 7)
    assert history.repeats(f"c{MAX_CONNECTIONS - 1}", 2, 7)


@given(st.lists(st.integers(min_value=0, max_value=5), max_size=100))
def test_distinct_frames_all_pass_and_repeats_of_them_do_not(hashes: list[int]) -> None:
    """Among fewer frames than are remembered, each hash passes exactly once."""
    history, known = Occurrences(), set[int]()
    for sequence, frame_hash in enumerate(hashes[:REMEMBERED_FRAMES]):
        assert history.repeats("c", sequence, frame_hash) == (frame_hash in known)
        known.add(frame_hash)
