"""Values are versions of a key: equal to the current one or new, and never mistaken for an older one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.intervals import DAY_US, MINUTE_US
from stream_processors.versions import (
    SLOTS,
    BarVersions,
    QuoteVersion,
    bar_content,
    quote_content,
)
from tests.support.builders import NINE_THIRTY, a_bar_event, a_quote_event

A, B = ("a",), ("b",)


def test_a_value_and_its_repeat_are_one_version() -> None:
    """The second delivery says nothing new."""
    bars, quote = BarVersions(MINUTE_US), QuoteVersion()

    assert [bars.changes(NINE_THIRTY, A), bars.changes(NINE_THIRTY, A)] == [True, False]
    assert [quote.changes(NINE_THIRTY, A), quote.changes(NINE_THIRTY, A)] == [True, False]


def test_there_and_back_again_is_three_versions() -> None:
    """A → B → A: compared with the current version, not with any that ever was."""
    bars, quote = BarVersions(MINUTE_US), QuoteVersion()

    assert [bars.changes(NINE_THIRTY, content) for content in (A, B, A)] == [True] * 3
    assert [quote.changes(NINE_THIRTY, content) for content in (A, B, A)] == [True] * 3


def test_what_is_older_than_remembered_passes() -> None:
    """The sink compares it with what is stored."""
    bars, quote = BarVersions(MINUTE_US), QuoteVersion()
    bars.changes(NINE_THIRTY, A)
    bars.changes(NINE_THIRTY + SLOTS * MINUTE_US, A)
    quote.changes(NINE_THIRTY, A)
    quote.changes(NINE_THIRTY + 1, A)

    assert bars.changes(NINE_THIRTY, A)
    assert not bars.changes(NINE_THIRTY + SLOTS * MINUTE_US, A)
    assert quote.changes(NINE_THIRTY, A)


def test_two_stamps_of_one_slot_are_two_keys() -> None:
    """A vendor that moves its daily stamp from midnight to the open did not repeat itself."""
    bars = BarVersions(DAY_US)
    midnight = NINE_THIRTY // DAY_US * DAY_US

    assert bars.changes(midnight, A)
    assert bars.changes(NINE_THIRTY, A)


def test_content_is_what_a_value_says_and_not_when() -> None:
    """Clocks are no content; every price, size and state is."""
    assert bar_content(a_bar_event()) == bar_content(a_bar_event(event_time=1, symbol="X"))
    assert bar_content(a_bar_event()) != bar_content(a_bar_event(final=False))
    assert quote_content(a_quote_event()) != quote_content(a_quote_event(ask_size=None))


@given(
    st.lists(
        st.tuples(st.integers(min_value=0, max_value=3 * SLOTS), st.sampled_from("ABC")),
        min_size=1,
        max_size=200,
    )
)
def test_deduplication_agrees_with_remembering_everything(deliveries: list[tuple[int, str]]) -> None:
    """Within the window a bar passes exactly when it differs from its key's current version."""
    bars, current, newest = BarVersions(MINUTE_US), dict[int, str](), -1
    for number, content in deliveries:
        newest = max(newest, number)
        changed = bars.changes(number * MINUTE_US, (content,))
        if number > newest - SLOTS:
            assert changed == (current.get(number) != content)
        current[number] = content


@given(st.lists(st.tuples(st.integers(min_value=1, max_value=50), st.sampled_from("AB")), max_size=60))
def test_deduplication_is_idempotent(deliveries: list[tuple[int, str]]) -> None:
    """What passed, delivered again as it passed, passes only where a later version lies between."""
    first, second = QuoteVersion(), QuoteVersion()
    passed = [(t, c) for t, c in deliveries if first.changes(t, (c,))]

    assert [(t, c) for t, c in passed if second.changes(t, (c,))] == passed
