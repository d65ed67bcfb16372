"""One poll of an option chain: which expiries are asked for, what is published, and where one that failed goes on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import pytest

from infra.runtime.clock import Market
from producers.plan.tasks import OptionsTask
from producers.polling.shell.options_poll import OptionsPoll
from producers.vendors.answers import Answer, ChainRequest, RejectedValue, Response
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, WallTime, day_of
from schemas.errors import BrokerUnavailable, MarketDataError, NoData, ProviderThrottled, ProviderUnavailable
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY, a_leg, a_slice_event
from tests.support.producer_fakes import FixedClock, RecordingTopics

NOW = NINE_THIRTY + 3 * MINUTE_US
EVERY_US, FAR_US = 5 * MINUTE_US, 4 * HOUR_US
TODAY = day_of(calendar_of("SPY").date_of(NOW))
LISTED = tuple(Day(TODAY + days) for days in (4, 11, 18, 39, 67, 400))
BAD = RejectedValue(symbol="SPY", reason="invalid_record", message="strike 0", payload=b"{}")
Said = Answer | MarketDataError


def a_chain(*expiries: int, **said: Any) -> Answer:
    """Return an answer with a slice of each expiry."""
    return Answer(events=[a_slice_event(expiry=expiry, **said) for expiry in expiries])


class _Vendor:
    """Answers a question by its first expiry, or raises what is `said` of it; nothing is there of any other."""

    def __init__(self, said: dict[int, Said] | None = None, listed: Sequence[Day] | None = None) -> None:
        self.said: dict[int, Said] = dict(said or {})
        self.listed = listed
        self.asked: list[ChainRequest] = []
        self.listings = 0

    async def option_chain(self, asked: ChainRequest) -> Response:
        self.asked.append(asked)
        answer = self.said.get(asked.first, NoData("nothing of it"))
        if isinstance(answer, MarketDataError):
            raise answer
        return Response(endpoint="options", received_time=WallTime(7), answer=answer)

    async def option_expiries(self, symbol: str) -> Sequence[Day]:
        self.listings += 1
        if self.listed is None:
            raise NoData(f"no options of {symbol}")
        return self.listed

    def ranges(self) -> list[tuple[int, int]]:
        """Return what was asked for, in days from today."""
        return [(each.first - TODAY, each.last - TODAY) for each in self.asked]


def options_poll(vendor: _Vendor, raw: RecordingTopics, clock: FixedClock, **said: Any) -> OptionsPoll:
    """Return a poll of SPY's chain."""
    task: dict[str, Any] = {
        "provider": "polygon", "symbol": "SPY", "every_us": EVERY_US, "near_days": 45, "far_every_us": FAR_US,
        "is_by_expiry": False,
    }  # fmt: skip
    return OptionsPoll(
        OptionsTask(**(task | said)),
        vendor,
        cast(Any, raw),
        market=Market(clock=clock),
        calendar=calendar_of("SPY"),
        phase_us=SECOND_US,
    )


async def polled(poll: OptionsPoll, clock: FixedClock, *moments: int) -> None:
    """Poll at each moment; the vendor's errors are the poller's to deal with."""
    for moment in moments:
        clock.now = moment
        with suppress(MarketDataError):
            await poll.poll(poll.symbols)


def holes(raw: RecordingTopics) -> list[tuple[str, int | None, int, str]]:
    """Return what was told as missed: of whom, from when to when, and why."""
    return [(hole.symbol, hole.from_time, hole.to_time, hole.cause) for hole in raw.holes]


def published(raw: RecordingTopics) -> list[int]:
    """Return the expiries of the slices that were published, in days from today."""
    return [event["expiry"] - TODAY for event in raw.events]


async def test_all_expiries_are_asked_for_first_and_then_seldom() -> None:
    """In between the near ones; and again all of them when their time has come."""
    raw, clock, vendor = RecordingTopics(), FixedClock(NOW), _Vendor({TODAY: a_chain(TODAY + 4)})
    poll = options_poll(vendor, raw, clock)
    await polled(poll, clock, NOW, NOW + EVERY_US, NOW + FAR_US - 1, NOW + FAR_US)
    (_, far), *rest = vendor.ranges()
    assert far > 3650
    assert rest == [(0, 45), (0, 45), (0, far)]


async def test_only_slices_that_changed_are_published() -> None:
    """What Kafka did not confirm is news again; what it did is none until it differs."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    raw.failing = [BrokerUnavailable("away")]
    vendor = _Vendor({TODAY: a_chain(TODAY + 4, TODAY + 11)})
    poll = options_poll(vendor, raw, clock)
    with pytest.raises(BrokerUnavailable):
        await poll.poll(poll.symbols)
    assert raw.events == []
    await polled(poll, clock, NOW + EVERY_US, NOW + 2 * EVERY_US)
    assert published(raw) == [4, 11]
    moved = a_slice_event(a_leg(bid=1.21), expiry=TODAY + 11)
    vendor.said[TODAY] = Answer(events=[a_slice_event(expiry=TODAY + 4), moved])
    clock.now = NOW + 3 * EVERY_US
    said = await poll.poll(poll.symbols)
    assert published(raw) == [4, 11, 11]
    assert said.events == {"SPY": 1}


async def test_slices_of_another_underlying_are_not_taken() -> None:
    """A vendor that answers another question than it was asked is not believed."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({TODAY: a_chain(TODAY + 4, symbol="IBM")})
    await polled(options_poll(vendor, raw, clock), clock, NOW)
    assert raw.events == []


async def test_a_poll_that_failed_at_its_third_expiry_goes_on_there() -> None:
    """Within its cadence: what was answered is published and not asked for again; after it all begins anew."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    said: dict[int, Said] = {day: a_chain(day) for day in LISTED}
    vendor = _Vendor(said | {LISTED[2]: ProviderThrottled("yahoo", 30.0)}, LISTED)
    poll = options_poll(vendor, raw, clock, is_by_expiry=True, provider="yahoo")
    with pytest.raises(ProviderThrottled):
        await poll.poll(poll.symbols)
    assert vendor.ranges() == [(4, 4), (11, 11), (18, 18)]
    assert published(raw) == [4, 11]

    vendor.said[LISTED[2]] = a_chain(LISTED[2])
    vendor.asked.clear()
    await polled(poll, clock, NOW + MINUTE_US)
    assert vendor.ranges() == [(18, 18), (39, 39)]
    assert published(raw) == [4, 11, 18, 39]
    assert vendor.listings == 1

    vendor.said[LISTED[1]] = ProviderThrottled("yahoo", 30.0)
    vendor.asked.clear()
    await polled(poll, clock, NOW + EVERY_US, NOW + 2 * EVERY_US)
    assert vendor.ranges() == [(4, 4), (11, 11)] * 2  # the cadence is over: from the beginning


async def test_of_expiries_one_by_one_the_nearest_so_many_are_asked_for() -> None:
    """The list is asked for with the whole chain only."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({day: a_chain(day) for day in LISTED}, LISTED)
    poll = options_poll(vendor, raw, clock, is_by_expiry=True, max_expiries=6, near_days=20)
    await polled(poll, clock, NOW, NOW + EVERY_US)
    assert [first for first, _ in vendor.ranges()] == [4, 11, 18, 39, 67, 400, 4, 11, 18]
    assert vendor.listings == 1


async def test_an_expiry_of_which_there_is_nothing_does_not_end_the_poll() -> None:
    """A contract may have been taken from the list since."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({day: a_chain(day) for day in LISTED if day != LISTED[1]}, LISTED)
    await polled(options_poll(vendor, raw, clock, is_by_expiry=True), clock, NOW)
    assert published(raw) == [4, 18, 39]


@pytest.mark.parametrize("is_by_expiry", [False, True])
async def test_what_has_no_options_is_asked_again_in_a_day(
    caplog: pytest.LogCaptureFixture, is_by_expiry: bool
) -> None:
    """It is said, and its provider is judged by it; other symbols are not."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    poll = options_poll(_Vendor(), raw, clock, is_by_expiry=is_by_expiry)
    with caplog.at_level(logging.WARNING):
        said = await poll.poll(poll.symbols)
    assert said.due_us == NOW + DAY_US
    assert said.evidence.absent == ("SPY",)
    assert [each.message for each in caplog.records] == ["symbol_without_options"]
    assert raw.placed == []


async def test_near_expiries_without_anything_are_no_reason_to_wait() -> None:
    """The chain may be of far expiries alone."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({TODAY: a_chain(TODAY + 100)})
    poll = options_poll(vendor, raw, clock)
    await polled(poll, clock, NOW)
    vendor.said.clear()
    clock.now = NOW + EVERY_US
    said = await poll.poll(poll.symbols)
    assert NOW + EVERY_US < said.due_us <= NOW + 2 * EVERY_US
    assert said.evidence.absent == ()


async def test_strikes_are_asked_for_about_the_newest_price_of_the_underlying() -> None:
    """Which only the first answer tells; one without it leaves the one before."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({TODAY: a_chain(TODAY + 4)})
    poll = options_poll(vendor, raw, clock, moneyness=(0.8, 1.25))
    await polled(poll, clock, NOW)
    vendor.said[TODAY] = a_chain(TODAY + 4, underlying_bid=None, underlying_price=None)
    await polled(poll, clock, NOW + EVERY_US, NOW + 2 * EVERY_US)
    vendor.said[TODAY] = a_chain(TODAY + 4, underlying_price=200.0)
    await polled(poll, clock, NOW + 3 * EVERY_US, NOW + 4 * EVERY_US)
    mid = (167.4 + 167.41) / 2
    spots = [None, mid, mid, mid, 200.0]
    assert [each.strikes for each in vendor.asked] == [
        None if spot is None else pytest.approx((0.8 * spot, 1.25 * spot)) for spot in spots
    ]


async def test_single_values_that_were_rejected_are_dead_once() -> None:
    """Those of far expiries are not forgotten over answers of the near ones."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({TODAY: Answer(events=a_chain(TODAY + 4).events, rejected=[BAD])})
    poll = options_poll(vendor, raw, clock)
    await polled(poll, clock, NOW)
    vendor.said[TODAY] = a_chain(TODAY + 4)
    await polled(poll, clock, NOW + EVERY_US)
    vendor.said[TODAY] = Answer(events=a_chain(TODAY + 4).events, rejected=[BAD])
    await polled(poll, clock, NOW + FAR_US)
    assert [each["reason"] for each in raw.dead] == ["invalid_record"]


async def test_polls_that_failed_are_a_hole_once_one_is_answered() -> None:
    """From the last answer to the next, with the cause of the first failure."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({TODAY: a_chain(TODAY + 4)})
    poll = options_poll(vendor, raw, clock)
    await polled(poll, clock, NOW)
    vendor.said[TODAY] = ProviderThrottled("polygon", 30.0)
    await polled(poll, clock, NOW + EVERY_US)
    vendor.said[TODAY] = ProviderUnavailable("down")
    end = NOW + 6 * EVERY_US
    await polled(poll, clock, NOW + 2 * EVERY_US)
    vendor.said[TODAY] = a_chain(TODAY + 4)
    await polled(poll, clock, end, end + EVERY_US)
    assert holes(raw) == [("SPY", NOW, end, "throttled")]
    assert raw.watched.knows(StreamId("options", "", "polygon", "SPY"))


async def test_a_failure_that_is_made_up_for_is_not_told() -> None:
    """Two cadences more than were due may pass."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({TODAY: a_chain(TODAY + 4)})
    poll = options_poll(vendor, raw, clock)
    await polled(poll, clock, NOW)
    vendor.said[TODAY] = ProviderUnavailable("down")
    await polled(poll, clock, NOW + EVERY_US)
    vendor.said[TODAY] = a_chain(TODAY + 4)
    await polled(poll, clock, NOW + 2 * EVERY_US)
    assert holes(raw) == []


async def test_a_probe_publishes_nothing_and_asks_for_the_near_expiries() -> None:
    """What it brought is news to the poll after it."""
    raw, clock = RecordingTopics(), FixedClock(NOW)
    vendor = _Vendor({TODAY: a_chain(TODAY + 4)})
    poll = options_poll(vendor, raw, clock)
    await poll.probe(poll.symbols)
    assert raw.placed == []
    assert vendor.ranges() == [(0, 45)]
    await polled(poll, clock, NOW)
    assert published(raw) == [4]
