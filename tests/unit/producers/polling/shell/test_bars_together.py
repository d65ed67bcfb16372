"""Past bars of several symbols in one request: each is a backfill of its own, with its job and the stretch it is all there is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from infra.runtime.clock import Market
from producers.http.shell.body import MalformedResponse
from producers.plan.tasks import BarsTask
from producers.polling.shell.attempts import Attempts
from producers.polling.shell.bars_poll import Backfilled, BarsPoll, Coverage
from producers.polling.shell.bars_together import PUBLISHED_AT_ONCE, PastPart, backfill_together
from producers.polling.slots import Duty
from producers.vendors.answers import Answer, BarsRequest, RejectedValue, Response
from schemas.answered import answered_of
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, MarketTime
from schemas.errors import (
    BrokerUnavailable,
    MarketDataError,
    ProviderDeclined,
    ProviderThrottled,
    ProviderUnavailable,
    UnknownSymbol,
)
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.partitions import partition_of
from tests.support.builders import NINE_THIRTY, a_bar_event
from tests.support.producer_fakes import FixedClock, RecordingTopics, a_router, a_status

NOW = NINE_THIRTY + 40 * MINUTE_US
Given = Answer | MarketDataError


class Vendor:
    """Answers each symbol as told, or raises."""

    def __init__(self, given: Mapping[str, Given] | MarketDataError) -> None:
        self.given = given
        self.asked: list[Sequence[BarsRequest]] = []

    async def bars(self, asked: BarsRequest) -> Response:
        """Never: they are asked for together."""
        raise AssertionError(asked)

    async def bars_of(self, asked: Sequence[BarsRequest]) -> Mapping[str, Response | MarketDataError]:
        """Answer."""
        self.asked.append(asked)
        if isinstance(self.given, MarketDataError):
            raise self.given
        return {
            symbol: Response(endpoint="bars", received_time=7, answer=each)
            if isinstance(each, Answer)
            else each
            for symbol, each in self.given.items()
        }


def at(minute: int) -> EventTime:
    return EventTime(NINE_THIRTY + minute * MINUTE_US)


def bars(symbol: str, *minutes: int) -> list[Any]:
    return [a_bar_event(symbol=symbol, event_time=at(minute)) for minute in minutes]


def parts(vendor: Vendor, raw: RecordingTopics, **stretches: tuple[int, int]) -> list[PastPart]:
    def poll(symbol: str) -> BarsPoll:
        task = BarsTask(
            provider="alpaca", symbol=symbol, interval="1m", every_us=MINUTE_US, overlap_us=5 * MINUTE_US
        )
        return BarsPoll(
            task, vendor, cast(Any, raw), market=Market(clock=FixedClock(NOW)), calendar=calendar_of(symbol),
            position=NINE_THIRTY, coverage=Coverage("alpaca", NINE_THIRTY), phase_us=2 * SECOND_US,
        )  # fmt: skip

    return [
        PastPart(
            poll=poll(symbol), start=MarketTime(at(low)), end=MarketTime(at(high)), job_id=f"job-{symbol}"
        )
        for symbol, (low, high) in stretches.items()
    ]


async def test_each_is_a_block_of_its_own_partition_job_and_stretch() -> None:
    """What lies outside its stretch is nobody's wish; who has nothing is told as who has none."""
    raw = RecordingTopics()
    vendor = Vendor(
        {"SPY": Answer(events=bars("SPY", 1, 2, 9)), "IBM": Answer(), "F": Answer(events=bars("F", 8))}
    )

    came = await backfill_together(parts(vendor, raw, SPY=(1, 4), IBM=(3, 5), F=(0, 30)), cast(Any, raw))

    (asked,) = vendor.asked
    assert [(each.symbol, each.window.start, each.window.end, each.purpose) for each in asked] == [
        ("SPY", at(1), at(4), "backfill"),
        ("IBM", at(3), at(5), "backfill"),
        ("F", at(0), at(30), "backfill"),
    ]
    assert [(list(each.starts), each.asked_to) for each in came if isinstance(each, Backfilled)] == [
        ([at(1), at(2)], at(4)),
        ([], at(5)),
        ([at(8)], at(30)),
    ]
    told = {entry.block.job_id: (entry.partition, answered_of(entry.block.hints)) for entry in raw.placed}
    assert {entry.block.route for entry in raw.placed} == {"backfill"}
    assert told.keys() == {"job-SPY", "job-IBM", "job-F"}
    for name, (low, high) in {"SPY": (1, 4), "IBM": (3, 5), "F": (0, 30)}.items():
        partition, (said,) = told[f"job-{name}"]
        assert (partition, said.symbol, said.from_time, said.to_time) == (
            partition_of(name, 4),
            name,
            at(low),
            at(high),
        )


async def test_what_becomes_of_one_is_that_one_s() -> None:
    """Unknown, no longer kept, not spoken of, half read: the others have theirs, and nothing is proven of it."""
    raw = RecordingTopics()
    refused = RejectedValue(symbol="T", reason="invalid", message="no price", payload=b"{}")
    given: dict[str, Given] = {
        "SPY": Answer(events=bars("SPY", 1)),
        "GONE": UnknownSymbol("GONE"),
        "OLD": Answer(too_old=True),
        "T": Answer(events=bars("T", 1), rejected=[refused]),
    }
    wanted = dict.fromkeys(("SPY", "GONE", "OLD", "T", "LEFT"), (0, 3))

    came = await backfill_together(parts(Vendor(given), raw, **wanted), cast(Any, raw))

    assert [type(each) for each in came] == [
        Backfilled, UnknownSymbol, ProviderDeclined, Backfilled, ProviderUnavailable,
    ]  # fmt: skip
    assert isinstance(came[3], Backfilled)
    assert (came[3].is_lacking, came[3].answered, len(raw.dead)) == (True, (), 1)
    assert [(entry.block.job_id, bool(entry.block.hints)) for entry in raw.placed] == [
        ("job-SPY", True),
        ("job-T", False),
    ]


async def test_what_lies_ahead_of_the_market_is_not_asked_for() -> None:
    """Alone it costs no request; beside others it is left out of theirs."""
    raw, vendor = RecordingTopics(), Vendor({"SPY": Answer()})

    alone = await backfill_together(parts(vendor, raw, F=(60, 70)), cast(Any, raw))
    both = await backfill_together(parts(vendor, raw, F=(60, 70), SPY=(1, 3)), cast(Any, raw))

    assert (alone, both[0]) == ([Backfilled()], Backfilled())
    assert [[each.symbol for each in asked] for asked in vendor.asked] == [["SPY"]]


async def test_many_bars_are_published_in_pieces() -> None:
    """Encoding all of them at once would hold up the loop."""
    raw, sizes = RecordingTopics(), list[int]()
    publish = raw.publish

    async def noted(topic: str, placed: Any) -> None:
        sizes.append(sum(len(entry.block.events) for entry in placed))
        await publish(topic, placed)

    raw.publish = noted  # type: ignore[method-assign]
    names = [f"A{letter}" for letter in "BCDEFGHIJKLMNOPQRSTUVWXYZ"] * 3
    wanted = {f"{name}{'XYZ'[number // 25]}": (0, 40) for number, name in enumerate(names)}
    vendor = Vendor({name: Answer(events=bars(name, *range(40))) for name in wanted})

    await backfill_together(parts(vendor, raw, **wanted), cast(Any, raw))

    assert sum(sizes) == 75 * 40
    assert max(sizes) < PUBLISHED_AT_ONCE + 40


@pytest.mark.parametrize(
    "error",
    [
        ProviderThrottled("alpaca", 3.0),
        MalformedResponse("x", endpoint="bars", received_time=1, payload=b"{"),
    ],
)
async def test_attempts_return_what_became_of_all_and_dead_letter_what_nobody_can_read(
    error: MarketDataError,
) -> None:
    """Once, in the name of no symbol of several; what became of one, in its name."""
    raw = RecordingTopics()
    attempts = Attempts(
        raw=cast(Any, raw), status=a_status("alpaca"), router=a_router("alpaca"), duty=Duty(4)
    )
    own = MalformedResponse("SPY: no bar", endpoint="bars", received_time=1, payload=b"[7]")

    whole = await attempts.backfill_together(parts(Vendor(error), raw, SPY=(0, 3), IBM=(0, 3)))
    told = len(raw.dead)
    each = await attempts.backfill_together(
        parts(Vendor({"SPY": own, "IBM": Answer()}), raw, SPY=(0, 3), IBM=(0, 3))
    )

    assert whole is error
    assert told == isinstance(error, MalformedResponse)
    assert not isinstance(each, MarketDataError)
    assert each[0] is own
    assert [letter["symbol"] for letter in raw.dead[told:]] == ["SPY"]


async def test_a_broker_that_is_gone_is_raised() -> None:
    """Nobody's job ends by it."""
    raw = RecordingTopics()
    raw.failing = [BrokerUnavailable("away")]
    attempts = Attempts(
        raw=cast(Any, raw), status=a_status("alpaca"), router=a_router("alpaca"), duty=Duty(4)
    )
    with pytest.raises(BrokerUnavailable):
        await attempts.backfill_together(
            parts(Vendor({"SPY": Answer(), "IBM": Answer()}), raw, SPY=(0, 3), IBM=(0, 3))
        )
