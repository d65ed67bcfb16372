"""One poll of bars: what is remembered moves only when Kafka has confirmed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import pytest

from infra.runtime.clock import Market
from producers.plan.tasks import BarsTask
from producers.polling.shell.bars_poll import Backfilled, BarsPoll, Coverage
from producers.vendors.answers import Answer, BarsRequest, PollWindow, RejectedValue, Response
from schemas.answered import answered_of
from schemas.calendar.sessions import calendar_of
from schemas.errors import BrokerUnavailable, ProviderDeclined, ProviderRefused, ProviderUnavailable
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.partitions import partition_of
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY, a_bar_event
from tests.support.producer_fakes import FixedClock, RecordingTopics

SPY = calendar_of("SPY")
NOW = NINE_THIRTY + 3 * MINUTE_US
BARS = [a_bar_event(event_time=NINE_THIRTY + minute * MINUTE_US) for minute in range(3)]


class _Vendor:
    """Answers what it was given, or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.windows: list[PollWindow] = []

    async def bars(self, asked: BarsRequest) -> Response:
        self.windows.append(asked.window)
        return self._next("chart")

    def _next(self, endpoint: str) -> Response:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Response(endpoint=endpoint, received_time=7, answer=answer)


def bars_poll(vendor: _Vendor, raw: RecordingTopics, *, now: int = NOW, **changes: Any) -> BarsPoll:
    task = BarsTask(
        provider=changes.pop("provider", "yahoo"),
        symbol="SPY",
        interval="1m",
        every_us=MINUTE_US,
        overlap_us=5 * MINUTE_US,
    )
    market = Market(clock=FixedClock(now, changes.pop("speed", 1.0)), end=changes.pop("end", None))
    position = changes.pop("position", NINE_THIRTY)
    coverage = changes.pop("coverage", Coverage("yahoo", NINE_THIRTY))
    return BarsPoll(
        task, vendor, cast(Any, raw), market=market, calendar=SPY, position=position, coverage=coverage,
        phase_us=2 * SECOND_US,
    )  # fmt: skip


async def test_unchanged_bars_are_not_published_again() -> None:
    """The second poll asks for the overlap again and publishes only the news."""
    raw, corrected = RecordingTopics(), a_bar_event(close=167.31)
    poll = bars_poll(_Vendor(Answer(events=BARS), Answer(events=[corrected, *BARS[1:]])), raw)

    polled = await poll.poll(poll.symbols)
    await poll.poll(poll.symbols)

    assert raw.events == [*BARS, corrected]
    assert polled.due_us == NOW + 2 * SECOND_US


async def test_the_position_stays_where_kafka_did_not_confirm() -> None:
    """After a failed publication the same window is asked for, and everything is published."""
    raw, vendor = RecordingTopics(), _Vendor(Answer(events=BARS), Answer(events=BARS))
    raw.failing = [BrokerUnavailable("away")]
    poll = bars_poll(vendor, raw)

    with pytest.raises(BrokerUnavailable):
        await poll.poll(poll.symbols)
    await poll.poll(poll.symbols)

    assert vendor.windows[0] == vendor.windows[1]
    assert raw.events == BARS


async def test_the_position_stays_where_the_vendor_did_not_answer() -> None:
    """After an outage the same window is asked for."""
    vendor = _Vendor(ProviderUnavailable("down"), Answer(events=BARS))
    poll = bars_poll(vendor, RecordingTopics())

    with pytest.raises(ProviderUnavailable):
        await poll.poll(poll.symbols)
    await poll.poll(poll.symbols)

    assert vendor.windows[0] == vendor.windows[1]


async def test_what_an_answer_declares_of_its_delay_is_evidence() -> None:
    """Of what is served as of what is probed."""
    late = Answer(events=BARS, delay_s=1_234)
    poll = bars_poll(_Vendor(late, late), RecordingTopics())
    polled, probed = await poll.poll(poll.symbols), await poll.probe(poll.symbols)

    assert polled.evidence.delays_us == probed.evidence.delays_us == {"SPY": 1_234 * SECOND_US}


async def test_a_backlog_is_asked_for_at_once() -> None:
    """A window that ends before now is followed by the next without waiting for the cadence."""
    poll = bars_poll(_Vendor(Answer()), RecordingTopics(), now=NOW + 20 * DAY_US)

    assert (await poll.poll(poll.symbols)).due_us == 0


async def test_without_a_pace_all_of_the_data_is_now() -> None:
    """At the simulator's speed `max` the window runs to the end of the recorded data."""
    vendor = _Vendor(Answer())
    poll = bars_poll(vendor, RecordingTopics(), speed=float("inf"), end=NOW + 60 * MINUTE_US)

    await poll.poll(poll.symbols)

    assert vendor.windows[0].end == NOW + 61 * MINUTE_US


async def test_a_rejected_value_is_dead_lettered_once() -> None:
    """The overlap brings the same bad row again; it does not become a second dead letter."""
    rejected = RejectedValue(symbol="SPY", reason="invalid", message="open is -1.0", payload=b"{}")
    raw = RecordingTopics()
    poll = bars_poll(_Vendor(*[Answer(rejected=[rejected])] * 3), raw)

    for _ in range(3):
        await poll.poll(poll.symbols)

    assert [(letter["topic"], letter["payload"]) for letter in raw.dead] == [("raw.bars.v1", b"{}")]


async def test_a_provider_that_takes_over_goes_on_where_the_other_had_come() -> None:
    """Its first window begins an overlap before the other's position; having none of its own, no earlier."""
    vendor, served = _Vendor(Answer(events=BARS)), Coverage("finnhub", NINE_THIRTY - 60 * MINUTE_US)
    poll = bars_poll(vendor, RecordingTopics(), position=None, coverage=served)
    served.position = NINE_THIRTY + MINUTE_US  # meanwhile

    await poll.poll(poll.symbols)

    assert vendor.windows[0].start == NINE_THIRTY - 4 * MINUTE_US
    assert (served.provider, served.position) == ("yahoo", NINE_THIRTY + 3 * MINUTE_US)


async def test_a_provider_that_comes_back_fills_its_own_stream() -> None:
    """What it did not collect while another served is fetched: its stream gets no hole."""
    vendor, served = _Vendor(Answer(events=BARS)), Coverage("finnhub", NINE_THIRTY + 30 * MINUTE_US)
    poll = bars_poll(
        vendor, RecordingTopics(), now=NOW + 40 * MINUTE_US, position=NINE_THIRTY, coverage=served
    )

    await poll.poll(poll.symbols)

    assert vendor.windows[0].start == NINE_THIRTY - 5 * MINUTE_US


async def test_a_provider_that_was_away_for_long_says_what_another_served_before_its_bars() -> None:
    """Else all of it would be absent. It is said again until Kafka has it, and no vendor is asked before."""
    raw, vendor = RecordingTopics(), _Vendor(Answer(events=BARS))
    served = Coverage("finnhub", NINE_THIRTY + MINUTE_US)
    own = NINE_THIRTY - 2 * DAY_US
    poll = bars_poll(vendor, raw, position=own, coverage=served)
    raw.failing = [BrokerUnavailable("no broker")]
    with pytest.raises(BrokerUnavailable):
        await poll.poll(poll.symbols)

    await poll.poll(poll.symbols)

    first, *others = [placed.block for placed in raw.placed]
    assert [(told.from_time, told.to_time, told.cause) for told in first.discontinuities] == [
        (own, NINE_THIRTY + MINUTE_US, "served_elsewhere")
    ]
    assert [len(first.events), *(len(block.events) for block in others)] == [0, 3]
    assert len(vendor.windows) == 1
    assert not any(block.discontinuities for block in others)


async def test_a_provider_that_goes_on_at_its_own_position_leaves_nothing_out() -> None:
    """It fetches what another served, so that what does not come is absent."""
    raw, served = RecordingTopics(), Coverage("finnhub", NINE_THIRTY + MINUTE_US)
    poll = bars_poll(_Vendor(Answer(events=BARS)), raw, position=NINE_THIRTY, coverage=served)

    await poll.poll(poll.symbols)

    assert not any(placed.block.discontinuities for placed in raw.placed)


async def test_a_probe_publishes_nothing_and_moves_nothing() -> None:
    """It asks for the newest bars alone, and what it saw is only evidence."""
    raw, vendor, served = RecordingTopics(), _Vendor(Answer(events=BARS)), Coverage("finnhub", NINE_THIRTY)
    poll = bars_poll(vendor, raw, position=None, coverage=served)

    polled = await poll.probe(["SPY"])

    assert (raw.placed, served.provider) == ([], "finnhub")
    assert vendor.windows[0].start == NOW - 5 * MINUTE_US
    assert polled.evidence.newest == {"SPY": NINE_THIRTY + 3 * MINUTE_US}


REFUSED = RejectedValue(symbol="SPY", reason="invalid", message="no price", payload=b"{}")
BACKFILLED = (NINE_THIRTY - DAY_US, NINE_THIRTY - DAY_US + 3 * MINUTE_US)


async def test_a_backfill_says_for_which_stretch_it_is_all_there_is() -> None:
    """With values or without: what is not in the answer does not exist. Bars that were not over are not spoken of."""
    old = a_bar_event(event_time=BACKFILLED[0] + MINUTE_US)
    raw = RecordingTopics()
    poll = bars_poll(_Vendor(Answer(events=[old]), Answer(), Answer()), raw)

    await poll.backfill(*BACKFILLED, job_id="b1")
    await poll.backfill(*BACKFILLED, job_id="b2")
    await poll.backfill(NOW - MINUTE_US, NOW + MINUTE_US, job_id="b3")

    told = [answered_of(entry.block.hints) for entry in raw.placed]
    assert [[(one.symbol, one.interval, one.from_time, one.to_time) for one in each] for each in told] == [
        [("SPY", "1m", *BACKFILLED)],
        [("SPY", "1m", *BACKFILLED)],
        [("SPY", "1m", NOW - MINUTE_US, NOW)],
    ]
    assert {entry.block.route for entry in raw.placed} == {"backfill"}
    assert {entry.partition for entry in raw.placed} == {partition_of("SPY", 4)}


async def test_a_backfill_returns_what_came_and_how_far_it_is_all_there_is() -> None:
    """A feed that says it is late has not come to the end of the stretch yet; what lies ahead was not asked for."""
    late = Answer(events=[BARS[0]], delay_s=65)
    vendor = _Vendor(late, Answer(events=[BARS[1]], rejected=[REFUSED]))
    poll = bars_poll(vendor, RecordingTopics())

    came = await poll.backfill(NINE_THIRTY, NOW + 10 * MINUTE_US, job_id="b1")
    half_read = await poll.backfill(NINE_THIRTY, NOW, job_id="b2")
    ahead = await poll.backfill(NOW + 5 * MINUTE_US, NOW + 9 * MINUTE_US, job_id="b3")

    assert (came.starts, came.asked_to, came.is_lacking) == ((NINE_THIRTY,), NOW, False)
    assert [(each.from_time, each.to_time) for each in came.answered] == [
        (NINE_THIRTY, NINE_THIRTY + 55 * SECOND_US)
    ]
    assert (half_read.starts, half_read.answered, half_read.is_lacking) == (
        (NINE_THIRTY + MINUTE_US,),
        (),
        True,
    )
    assert (ahead, len(vendor.windows)) == (Backfilled(), 2)


async def test_what_a_vendor_keeps_no_more_is_no_proof_that_there_was_nothing() -> None:
    """A backfill is refused; a live poll goes on from there, as over any other empty window."""
    raw = RecordingTopics()
    poll = bars_poll(_Vendor(Answer(too_old=True), Answer(too_old=True)), raw)

    with pytest.raises(ProviderDeclined, match="so long ago"):
        await poll.backfill(*BACKFILLED, job_id="b1")
    assert raw.placed == []
    assert (await poll.poll(poll.symbols)).events == {"SPY": 0}


async def test_live_polls_remember_what_they_rejected_though_a_backfill_was_between() -> None:
    """The same bad value is one dead letter, not one after every backfill."""
    raw = RecordingTopics()
    answer = Answer(events=BARS, rejected=[REFUSED])
    poll = bars_poll(_Vendor(answer, Answer(), answer), raw)

    await poll.poll(poll.symbols)
    await poll.backfill(*BACKFILLED, job_id="b1")
    await poll.poll(poll.symbols)

    assert len(raw.dead) == 1


async def test_a_backfill_of_which_values_were_refused_is_not_all_there_is() -> None:
    """What the vendor gave and we could not read exists."""
    raw = RecordingTopics()

    await bars_poll(_Vendor(Answer(events=[BARS[0]], rejected=[REFUSED])), raw).backfill(
        NINE_THIRTY, NINE_THIRTY + MINUTE_US, job_id="b1"
    )

    assert [answered_of(entry.block.hints) for entry in raw.placed] == [()]


async def test_a_poll_watches_what_its_answer_covers_once_it_is_confirmed() -> None:
    """Up to the moment it was asked, values or none; a publication that failed watched nothing."""
    stream = StreamId("bars", "1m", "yahoo", "SPY")
    raw = RecordingTopics()
    raw.failing = [BrokerUnavailable("away")]
    poll = bars_poll(_Vendor(Answer(events=BARS), Answer()), raw)

    with pytest.raises(BrokerUnavailable):
        await poll.poll(poll.symbols)
    before = raw.watched.since([stream], {})
    await poll.poll(poll.symbols)

    assert (before, raw.watched.since([stream], {})) == ({}, {stream: NOW})


async def failing(minutes: int, *, answered: tuple[int, ...]) -> list[tuple[int, int, str]]:
    """Poll each minute, refused but for those answered; return what was told as missed: minutes from NOW, and why."""
    raw, vendor = RecordingTopics(), _Vendor()
    poll = bars_poll(vendor, raw)
    clock = cast(FixedClock, poll._market.clock)  # noqa: SLF001 - time passes
    for minute in range(minutes):
        clock.now = NOW + minute * MINUTE_US
        vendor.answers = [Answer(events=BARS) if minute in answered else ProviderRefused("not in the plan")]
        with suppress(ProviderRefused):
            await poll.poll(poll.symbols)
    return [
        ((hole.from_time - NOW) // MINUTE_US, (hole.to_time - NOW) // MINUTE_US, hole.cause)
        for entry in raw.placed
        for hole in entry.block.discontinuities
        if hole.from_time is not None
    ]


async def test_bars_nobody_gave_for_an_hour_are_told_as_blind_with_the_cause() -> None:
    """So that what the vendor no longer has, when it is back, is missing for a reason; what it has fills the gap."""
    assert await failing(130, answered=(0,)) == [(0, 61, "refused"), (61, 121, "refused")]
    assert await failing(110, answered=(0, 55)) == []
    assert await failing(119, answered=(0, 55)) == [(55, 116, "refused")]


async def test_a_backlog_that_fails_once_is_not_blind() -> None:
    """It lay behind already, and is fetched later."""
    raw, vendor = RecordingTopics(), _Vendor(Answer(), ProviderUnavailable("down"))
    poll = bars_poll(vendor, raw, now=NOW + 20 * DAY_US)

    await poll.poll(poll.symbols)
    with pytest.raises(ProviderUnavailable):
        await poll.poll(poll.symbols)

    assert [entry for entry in raw.placed if entry.block.discontinuities] == []


async def test_a_symbol_tried_of_the_next_one_in_vain_goes_on_where_it_was() -> None:
    """Nobody has newer bars for a day: the other says once that it never served before, and nothing that comes is skipped."""
    raw, coverage = RecordingTopics(), Coverage("yahoo", NINE_THIRTY)
    late = [a_bar_event(event_time=NINE_THIRTY + DAY_US + minute * MINUTE_US) for minute in range(3)]
    yahoo, alpaca = _Vendor(Answer(events=BARS)), _Vendor()
    first = bars_poll(yahoo, raw, coverage=coverage)
    other = bars_poll(alpaca, raw, coverage=coverage, position=None, provider="alpaca")
    clocks = [cast(FixedClock, poll._market.clock) for poll in (first, other)]  # noqa: SLF001 - time passes
    await first.poll(first.symbols)
    for minute in range(10, 24 * 60, 10):
        for clock in clocks:
            clock.now = NOW + minute * MINUTE_US
        tried, vendor = (other, alpaca) if minute % 60 == 0 else (first, yahoo)
        vendor.answers = [Answer()]
        await tried.poll(tried.symbols)
    yahoo.answers = [Answer(events=late)]
    clocks[0].now = NOW + DAY_US
    await first.poll(first.symbols)

    said = [(placed.block.provider, hole) for placed in raw.placed for hole in placed.block.discontinuities]
    assert [(who, hole.from_time, hole.cause) for who, hole in said] == [("alpaca", None, "served_elsewhere")]
    assert yahoo.windows[-1].start <= NOW
    assert raw.events == [*BARS, *late]
