"""Endings: a job is done, empty, given up or tried again by what its own stretch came to, whoever shared the request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from producers.backfill import endings
from producers.backfill.endings import (
    KEY_WAIT_S,
    RECENTLY_S,
    Again,
    Ending,
    Fetched,
    NeverGiven,
    Outages,
    after_failure,
    cause_for_good,
    ending_of,
    given_up_after,
    order_elsewhere,
)
from schemas.backfill import MAX_ATTEMPTS, BackfillJob, BackfillOrder, BackfillOrigin
from schemas.clocks import EventTime, WallTime
from schemas.errors import (
    BudgetExhausted,
    MarketDataError,
    ProviderBanned,
    ProviderDeclined,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ProviderUnentitled,
    UnknownSymbol,
)
from schemas.intervals import MINUTE_US
from schemas.streams import StreamId

LOW, HIGH = EventTime(600 * MINUTE_US), EventTime(630 * MINUTE_US)


def at(minute: int) -> EventTime:
    return EventTime(LOW + minute * MINUTE_US)


def a_job(low: int = 0, high: int = 30, attempts: int = 1, *, origin: BackfillOrigin = "gap") -> BackfillJob:
    order = BackfillOrder(
        job_id="j",
        series=StreamId("bars", "1m", "yahoo", "SPY"),
        from_time=at(low),
        to_time=at(high),
        tier="T0",
        origin=origin,
        source="sink",
    )
    return BackfillJob(order=order, state="running", attempts=attempts, enqueued_time=WallTime(1))


def fetched(*minutes: int, window: tuple[int, int] = (0, 30), answered: tuple[int, int] | None = (0, 30), **more: Any) -> Fetched:  # fmt: skip
    return Fetched(
        window=(at(window[0]), at(window[1])),
        starts=[at(minute) for minute in minutes],
        answered=[] if answered is None else [(at(answered[0]), at(answered[1]))],
        asked_to=more.pop("asked_to", at(window[1])),
        **more,
    )


def test_each_job_of_a_request_counts_its_own_bars() -> None:
    """The one before the stretch and the one at its end are another's."""
    came = [fetched(4, 5, 9, 10, window=(0, 30))]

    assert ending_of(a_job(5, 10), came) == Ending(state="done", rows=2, reason="")
    assert ending_of(a_job(6, 9), came).state == "empty"  # type: ignore[union-attr]


def test_nothing_is_empty_only_where_all_of_it_was_answered() -> None:
    """Values that could not be used, or a feed that has not come so far, prove nothing."""
    whole = [fetched(window=(0, 20), answered=(0, 20)), fetched(window=(20, 30), answered=(20, 30))]
    late = [fetched(answered=(0, 15))]
    half_read = [fetched(answered=None, is_lacking=True)]

    assert ending_of(a_job(), whole).state == "empty"  # type: ignore[union-attr]
    assert ending_of(a_job(), late) == Again(
        reason="the vendor has not come so far yet", asked_s=15 * 60.0, counted=False
    )
    again = ending_of(a_job(), half_read)
    assert isinstance(again, Again)
    assert again.counted


def test_what_lies_ahead_of_the_market_is_waited_for_where_it_is_a_hole() -> None:
    """Its last bar may be forming still, and nobody would ask for it again; what somebody wishes for is what there is now."""
    ahead = [fetched(window=(0, 30), answered=(0, 12), asked_to=at(12))]
    some = [fetched(3, window=(0, 30), answered=(0, 12), asked_to=at(12))]
    not_yet = Again(reason="the vendor has not come so far yet", asked_s=18 * 60.0, counted=False)

    assert ending_of(a_job(), ahead) == ending_of(a_job(), some) == not_yet
    assert ending_of(a_job(origin="user"), some) == Ending(state="done", rows=1, reason="")
    assert ending_of(a_job(origin="user"), ahead).state == "empty"  # type: ignore[union-attr]
    assert ending_of(a_job(origin="user"), [fetched(answered=None, asked_to=EventTime(0))]).state == "empty"  # type: ignore[union-attr]


def test_what_a_vendor_refuses_for_good_is_given_up_and_what_it_gave_is_kept() -> None:
    """Beyond its history: the older part of a stretch is given up, whether the younger came or not."""
    refused = NeverGiven(window=(at(0), at(20)), cause="refused", reason="beyond its history")
    younger = fetched(25, window=(20, 30), answered=(20, 30))
    quiet = fetched(window=(20, 30), answered=(20, 30))

    done, unrecoverable = (
        ending_of(a_job(10, 30), [refused, younger]),
        ending_of(a_job(10, 30), [refused, quiet]),
    )
    beside = ending_of(a_job(20, 30), [refused, younger])

    part = ((at(10), at(20)),)
    assert done == Ending(state="done", rows=1, reason="beyond its history", given_up=part, cause="refused")
    assert unrecoverable == Ending(
        state="unrecoverable", reason="beyond its history", given_up=part, cause="refused"
    )
    assert beside == Ending(state="done", rows=1, reason="")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (UnknownSymbol("no such thing"), "unknown_symbol"),
        (ProviderUnentitled("not in the plan"), "not_offered"),
        (ProviderDeclined("too long ago"), "refused"),
        (ProviderRefused("our key"), None),
        (ProviderUnavailable("down"), None),
        (ProviderThrottled("yahoo", 3.0), None),
    ],
)
def test_only_what_the_same_request_always_meets_is_for_good(
    error: MarketDataError, cause: str | None
) -> None:
    """A key may be mended, an outage ends, a pause is over one day."""
    assert cause_for_good(error) == cause


@pytest.mark.parametrize(
    ("error", "asked_s", "counted"),
    [
        (ProviderThrottled("yahoo", 30.0), 30.0, False),
        (ProviderThrottled("yahoo"), None, False),
        (ProviderBanned("yahoo", 900.0), 900.0, False),
        (BudgetExhausted("yahoo", 7.0, limit="5 a minute", setting="per_minute"), 7.0, False),
        (ProviderRefused("our key"), KEY_WAIT_S, False),
        (ProviderUnavailable("down"), None, True),
    ],
)
def test_a_job_is_not_charged_for_what_it_has_no_part_in(
    error: MarketDataError, asked_s: float | None, counted: bool
) -> None:
    """Else a pause of an hour would end every job of the hour."""
    again = after_failure(error)

    assert (again.asked_s, again.counted) == (asked_s, counted)
    assert given_up_after(a_job(attempts=MAX_ATTEMPTS), again) is None or counted


def test_a_job_that_failed_too_often_is_dead_with_its_last_reason() -> None:
    """The whole stretch is given up then; one attempt before it is tried again."""
    again = Again(reason="status 503")

    assert given_up_after(a_job(attempts=MAX_ATTEMPTS - 1), again) is None
    assert given_up_after(a_job(attempts=MAX_ATTEMPTS), again) == Ending(
        state="dead", reason="status 503", given_up=((LOW, HIGH),), cause="tried_too_often"
    )


OF_FINNHUB = BackfillOrder(
    job_id="j",
    series=StreamId("bars", "5m", "finnhub", "IBM"),
    from_time=EventTime(100),
    to_time=EventTime(200),
    tier="T1",
    origin="gap",
    source="sink",
    gap_id="g",
)


def asked(order: BackfillOrder, *providers: str) -> list[str]:
    """Return who is asked, one after the other, while nobody has it."""
    found = []
    following = order_elsewhere(order, providers)
    while following is not None:
        assert (following.from_time, following.to_time, following.tier, following.origin) == (
            100,
            200,
            "T1",
            "gap",
        )
        assert (following.series.symbol, following.series.interval) == ("IBM", "5m")
        assert following.gap_id == ""  # the gap is of another series
        found.append(following.series.provider)
        following = order_elsewhere(following, providers)
    return found


@pytest.mark.parametrize(
    ("providers", "wanted"),
    [
        (("yahoo", "finnhub", "alpaca", "polygon"), ["yahoo", "alpaca", "polygon"]),
        (("finnhub",), []),
        ((), []),
        (("polygon", "yahoo"), ["polygon", "yahoo"]),  # who had the gap is asked no more
    ],
)
def test_each_other_provider_is_asked_once_in_the_order_of_preference(
    providers: tuple[str, ...], wanted: list[str]
) -> None:
    """Whoever's gap it was is not asked again at the end of the row."""
    assert asked(OF_FINNHUB, *providers) == wanted


def test_told_twice_it_is_the_same_order_and_that_of_another_job_is_another() -> None:
    """A worker that dies between the two words does no harm."""
    first, again = (order_elsewhere(OF_FINNHUB, ["yahoo"]) for _ in range(2))
    other = order_elsewhere(replace(OF_FINNHUB, job_id="k"), ["yahoo"])

    assert first == again
    assert first is not None
    assert other is not None
    assert first.job_id != other.job_id


@pytest.mark.parametrize("origin", ["user", "absence", "bulk"])
def test_who_asks_for_one_provider_means_that_one(origin: str) -> None:
    """And minutes without a trade are no reason to ask everybody for them."""
    assert order_elsewhere(replace(OF_FINNHUB, origin=origin), ["yahoo"]) is None  # type: ignore[arg-type]


def test_one_that_left_the_configuration_ends_the_row() -> None:
    """Where it stood nobody knows any more."""
    following = order_elsewhere(OF_FINNHUB, ["yahoo", "alpaca"])

    assert following is not None
    assert order_elsewhere(following, ["alpaca", "polygon"]) is None


def test_the_first_failure_is_an_outage_where_nobody_was_answered_lately() -> None:
    """A minute is lately: an outage that just began is taken for a failure, once."""
    assert not Outages().is_outage(["a"], now_s=500.0, silent_s=RECENTLY_S - 1)
    assert Outages().is_outage(["a"], now_s=500.0, silent_s=RECENTLY_S)


def test_the_next_one_is_where_nobody_was_answered_since_the_one_before() -> None:
    """However briefly that is ago, and however often it goes on; an answer to somebody makes it a failure of this one."""
    known = Outages()
    known.is_outage(["a", "b"], now_s=100.0, silent_s=2.0)

    assert known.is_outage(["a"], now_s=107.0, silent_s=9.0)
    assert known.is_outage(["b"], now_s=107.0, silent_s=7.0)
    assert not known.is_outage(["a"], now_s=120.0, silent_s=12.9)
    assert known.is_outage(["a", "new"], now_s=130.0, silent_s=22.9), "by the newest of those that are known"
    assert not known.is_outage(["never"], now_s=130.0, silent_s=22.9)


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who failed longest ago is forgotten first, and its next failure is its first."""
    monkeypatch.setattr(endings, "REMEMBERED", 2)
    known = Outages()
    for number, name in enumerate(("a", "b", "a", "c")):
        known.is_outage([name], now_s=float(number), silent_s=1.0)

    assert not known.is_outage(["b"], now_s=10.0, silent_s=9.5)
    assert known.is_outage(["a"], now_s=10.0, silent_s=9.5) is False, "it went when b came again"
    assert known.is_outage(["b"], now_s=11.0, silent_s=1.0)
