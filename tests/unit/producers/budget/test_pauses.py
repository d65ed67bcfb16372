"""What a vendor says about its patience, and how long it is left alone."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from producers.budget.pauses import (
    FIRST_BAN_US,
    FIRST_PAUSE_US,
    LONGEST_BAN_US,
    LONGEST_PAUSE_US,
    LONGEST_TOLD_US,
    Pause,
    Signal,
    parse_retry_after,
    read_signal,
)
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.providers.built_in import BUILT_IN
from schemas.providers.facts import RefusalWords

NOW = 1_381_152_600_000_000  # Mon, 07 Oct 2013 13:30:00 GMT
UNSAID = Signal(kind="throttled", wait_us=None, reason="status 429, too many requests")
FINNHUB = b'{"error":"API limit reached. Please try again later. Remaining Limit: 0"}'
POLYGON = b'{"status":"ERROR","request_id":"x","error":"You\'ve exceeded the maximum requests per minute, please wait"}'


def told(seconds: int) -> Signal:
    return Signal(kind="throttled", wait_us=seconds * SECOND_US, reason="status 429, too many requests")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="absent"),
        pytest.param("5", 5 * SECOND_US, id="seconds"),
        pytest.param(" 0 ", 0, id="now"),
        pytest.param("9" * 400, LONGEST_TOLD_US, id="for-ages"),
        pytest.param("Mon, 07 Oct 2013 13:30:30 GMT", 30 * SECOND_US, id="date"),
        pytest.param("Mon, 07 Oct 2013 13:29:30 GMT", 0, id="date-in-the-past"),
        pytest.param("soon", None, id="words"),
        pytest.param("²", None, id="digits-that-are-none"),
        pytest.param("-5", None, id="negative"),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: int | None) -> None:
    """What cannot be read is as good as absent, and nobody makes us wait longer than a day."""
    assert parse_retry_after(value, NOW) == expected


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "wait_s"),
    [
        pytest.param(200, {}, b'{"c":1}', None, None, id="data"),
        pytest.param(429, {}, b"", "throttled", None, id="polygon-empty"),
        pytest.param(429, {"retry-after": "7"}, b"Too Many Requests", "throttled", 7, id="retry-after"),
        pytest.param(429, {"X-Ratelimit-Reset": "1381152610"}, b'{"message":"too many requests."}', "throttled", 10, id="alpaca-reset"),
        pytest.param(429, {"Retry-After": "3", "X-Ratelimit-Reset": "1381152610"}, b"", "throttled", 3, id="both"),
        pytest.param(429, {"X-Ratelimit-Reset": "1381152500"}, b"", "throttled", None, id="reset-in-the-past"),
        pytest.param(200, {}, b"Edge: Too Many Requests", "throttled", None, id="yahoo-text-with-200"),
        pytest.param(200, {}, b"Too Many Requests" + b" " * 2_000, None, None, id="data-that-mentions-it"),
        pytest.param(429, {}, FINNHUB, "throttled", None, id="finnhub"),
        pytest.param(403, {}, FINNHUB, "banned", None, id="finnhub-403"),
        pytest.param(429, {}, POLYGON, "throttled", None, id="polygon"),
        pytest.param(429, {}, b'{"error":"API limit reached. Please sign up for a free account to continue"}', "no_key", None, id="finnhub-without-key"),
        pytest.param(403, {}, b'{"error":"You don\'t have access to this resource."}', None, None, id="unentitled"),
        pytest.param(999, {}, b"", "banned", None, id="yahoo-999"),
        pytest.param(200, {"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1381152610"}, b"{}", "exhausted", 10, id="last-one"),
        pytest.param(200, {"X-Ratelimit-Remaining": "5", "X-Ratelimit-Reset": "1381152610"}, b"{}", None, None, id="some-left"),
        pytest.param(200, {"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "soon"}, b"{}", None, None, id="no-time"),
        pytest.param(500, {}, b"Will be right back", None, None, id="outage"),
    ],
)  # fmt: skip
def test_each_vendors_words_are_understood(
    status: int, headers: dict[str, str], body: bytes, kind: str | None, wait_s: int | None
) -> None:
    """Status, headers and texts of every vendor; an ordinary answer is no signal."""
    words = RefusalWords()
    for facts in BUILT_IN.values():
        words += facts.words
    signal = read_signal(status, CIMultiDict(headers), body, NOW, words)

    assert (signal and signal.kind) == kind
    if signal is not None:
        assert signal.wait_us == (None if wait_s is None else wait_s * SECOND_US)


def refused_again(pause: Pause, signal: Signal) -> int:
    """Refuse the first request after the pause; return how long the next one is."""
    begun = pause.until_us
    pause.refused(signal, started_us=begun, now_us=begun)
    return pause.until_us - begun


@pytest.mark.parametrize("hours", [-30, -5, 0, 3, 20])
@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        pytest.param(200, {"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "{epoch}"}, 40, id="exhausted"),
        pytest.param(429, {"X-Ratelimit-Reset": "{epoch}"}, 40, id="reset"),
        pytest.param(429, {"Retry-After": "{http}"}, 40, id="date"),
        pytest.param(429, {"Retry-After": "6"}, 6, id="seconds"),
    ],
)
def test_a_moment_is_told_by_the_clock_of_who_tells_it(
    status: int, headers: dict[str, str], wait_s: int, hours: int
) -> None:
    """The answer's own date says what time it is there: a clock that is hours off, ours or theirs, makes no pause of hours."""
    theirs_s = NOW // SECOND_US + hours * 3_600
    at = {"epoch": theirs_s + 40, "http": formatdate(theirs_s + 40, usegmt=True)}
    given = {name: text.format(**at) for name, text in headers.items()} | {
        "Date": formatdate(theirs_s, usegmt=True)
    }
    signal = read_signal(status, CIMultiDict(given), b"{}", NOW)

    assert signal is not None
    assert signal.wait_us == wait_s * SECOND_US


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Oct 2013 13:30:00 GMT", "9" * 300])
def test_without_a_date_our_clock_is_asked(date: str) -> None:
    """As good as absent."""
    headers = CIMultiDict({"Date": date, "X-Ratelimit-Reset": str(NOW // SECOND_US + 9)})
    signal = read_signal(429, headers, b"", NOW)

    assert signal is not None
    assert signal.wait_us == 9 * SECOND_US


def test_an_unsaid_pause_doubles_and_a_minute_of_patience_makes_the_next_a_ban() -> None:
    """Two seconds, four, eight; once we waited a whole minute in vain it is no guess of ours that was too short."""
    pause = Pause()
    pause.until_us = NOW
    lengths = [refused_again(pause, UNSAID) // SECOND_US for _ in range(6)]

    assert lengths == [2, 4, 8, 16, 32, 64]
    assert pause.bans == 0
    assert refused_again(pause, UNSAID) == 128 * SECOND_US
    assert pause.bans == 1


def test_a_refusal_right_after_the_pause_the_vendor_set_is_a_ban() -> None:
    """The vendor said five seconds, we waited them, and it refuses again: longer, doubled, counted."""
    pause = Pause()
    pause.until_us = NOW
    lengths = [refused_again(pause, told(5)) for _ in range(4)]

    assert lengths == [5 * SECOND_US, FIRST_BAN_US, 2 * FIRST_BAN_US, 4 * FIRST_BAN_US]
    assert pause.bans == 3


def test_requests_under_way_do_not_double_the_pause() -> None:
    """Thirty that were sent together and are refused together are one refusal."""
    pause = Pause()
    news = [pause.refused(UNSAID, started_us=NOW, now_us=NOW + number) for number in range(1, 31)]

    assert news == [True] + [False] * 29
    assert pause.until_us <= NOW + 30 + FIRST_PAUSE_US
    assert pause.bans == 0


def test_an_answer_ends_the_doubling_but_not_one_from_before() -> None:
    """Only a request of after the pause began shows that the vendor has forgiven."""
    pause = Pause()
    pause.refused(UNSAID, started_us=NOW, now_us=NOW + 1)
    pause.answered(started_us=NOW)
    assert pause.testing
    pause.answered(started_us=pause.until_us)
    assert not pause.testing
    assert refused_again(pause, UNSAID) == FIRST_PAUSE_US


def test_an_exhausted_window_is_a_pause_and_no_refusal() -> None:
    """Nothing went wrong: nothing doubles, nothing has to be tested."""
    pause = Pause()
    pause.refused(
        Signal(kind="exhausted", wait_us=9 * SECOND_US, reason="none left"), started_us=NOW, now_us=NOW
    )

    assert (pause.until_us, pause.testing, pause.bans) == (NOW + 9 * SECOND_US, False, 0)


def test_a_remembered_pause_goes_on_and_the_next_refusal_is_a_ban() -> None:
    """A restart does not make the vendor forget."""
    pause = Pause()
    pause.remember(until_us=NOW + MINUTE_US, bans=2, reason="status 429", now_us=NOW)

    assert pause.until_us == NOW + MINUTE_US
    assert refused_again(pause, UNSAID) == 4 * FIRST_BAN_US
    assert pause.bans == 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["throttled", "banned", "exhausted", "answered"]),
            st.none() | st.integers(0, LONGEST_TOLD_US),
            st.integers(0, 2 * MINUTE_US),
        ),
        max_size=60,
    )
)
def test_a_pause_is_never_cut_short_and_never_longer_than_told_or_our_longest(
    events: list[tuple[str, int | None, int]],
) -> None:
    """Whatever a vendor says in whatever order, the end of the pause only moves on, and within bounds."""
    pause, now = Pause(), NOW
    for kind, wait_us, later in events:
        now, before = now + later, pause.until_us
        if kind == "answered":
            pause.answered(started_us=now)
        else:
            pause.refused(Signal(kind=kind, wait_us=wait_us, reason=""), started_us=now, now_us=now)  # type: ignore[arg-type]
        assert pause.until_us >= before
        assert pause.until_us <= max(before, now + max(wait_us or 0, LONGEST_BAN_US, LONGEST_PAUSE_US))
        if kind != "answered" and wait_us:
            assert pause.until_us >= now + wait_us
