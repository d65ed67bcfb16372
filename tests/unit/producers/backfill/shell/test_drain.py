"""Two thousand gaps over five hundred symbols drain in virtual time, at the limits vendors declare, and live polls do not feel it.

The gate, the clients, the polls and the workers are the real ones; the network, Kafka and the table of jobs are played.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice, product
from string import ascii_uppercase
from typing import Any

import pytest

from infra.runtime.clock import rfc3339, wall_us
from producers.backfill.planning import Capacity, requests_for, sets_of
from producers.http.shell.client import VendorHttp
from producers.plan.plan import PollPlan
from producers.vendors.alpaca.shell.client import AlpacaApi
from producers.vendors.payloads import rfc3339_us
from producers.vendors.yahoo.shell.client import YahooApi
from schemas.backfill import BackfillJob, BackfillOrder
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, WallTime
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.providers.alpaca import FACTS as ALPACA
from schemas.providers.facts import ProviderFacts
from schemas.providers.yahoo import FACTS as YAHOO
from schemas.streams import StreamId
from tests.support.backfill_world import PlayedCollection, an_order
from tests.support.played_queue import PlayedQueue, collected_by, worked_off
from tests.support.played_vendors import Collecting, Said, a_chart, bars_of, play, virtual_clock
from tests.support.virtual_time import BEGIN_US, run

pytestmark = pytest.mark.slow

SYMBOLS = tuple(f"Z{a}{b}" for a, b in islice(product(ascii_uppercase, repeat=2), 500))
GAPS = 2_000
CAPACITY = Capacity(
    series=ALPACA.capabilities.bar_symbols_per_request, bars=ALPACA.capabilities.bars_per_page
)
WITHIN_S = 15 * 60.0
LATER = 1.2  # times as late as without a backlog
MORE = 1.25  # times as many requests as of a plan that sees all jobs at once; the workers see a thousand
SEED = 3


@cache
def minutes() -> list[int]:
    """Return the minutes of the sessions of two weeks, up to that of today."""
    days = calendar_of("SPY").sessions(BEGIN_US - 14 * DAY_US, BEGIN_US + 1)
    return [minute for day in days for minute in range(day.open, day.close, MINUTE_US)]


def gaps(count: int, provider: str) -> list[BackfillOrder]:
    """Return gaps in any order: half in outages of all symbols, a quarter single minutes, a quarter stretches up to 1.5 h."""
    rng = random.Random(count)
    over = minutes()[: bisect_left(minutes(), BEGIN_US - 30 * MINUTE_US)]
    stretches: set[tuple[str, int, int]] = set()
    for outage in range(count // 2 // len(SYMBOLS)):
        begin = over[(700 + 1_013 * outage) % (len(over) - 60)]
        stretches |= {(symbol, begin, begin + (20 + 7 * outage) * MINUTE_US) for symbol in SYMBOLS}
    while len(stretches) < count:
        length = rng.choice((1, rng.randint(2, 90)))
        begin = rng.choice(over[:-length])
        stretches.add((rng.choice(SYMBOLS), begin, begin + length * MINUTE_US))
    orders = [
        an_order(
            series=StreamId("bars", "1m", provider, symbol),
            from_time=EventTime(low),
            to_time=EventTime(high),
            tier="T0",
            gap_id=f"gap-{symbol}-{low}",
        )
        for symbol, low, high in sorted(stretches)
    ]
    rng.shuffle(orders)
    return orders


def fewest(count: int) -> int:
    """Return how many requests a plan of all gaps at once needs at Alpaca."""
    jobs = [
        BackfillJob(order=order, state="queued", attempts=0, enqueued_time=WallTime(1))
        for order in gaps(count, ALPACA.name)
    ]
    return len(sets_of(jobs, CAPACITY))


@cache
def a_bar(minute: int) -> str:
    volume = minute // MINUTE_US % 97 + 1
    return f'{{"t":"{rfc3339(EventTime(minute))}","o":9.5,"h":9.75,"l":9.25,"c":9.5,"v":{volume},"n":3,"vw":9.5}}'


@dataclass
class Market:
    """A vendor that has every minute of the sessions; keeps when live and past windows were asked for."""

    live: dict[str, list[float]] = field(default_factory=dict)
    past: list[float] = field(default_factory=list)
    largest: int = 0  # symbols of a request

    def asked(self, symbols: list[str], high: int) -> None:
        """Note a request for bars up to `high`, µs."""
        now_s = asyncio.get_running_loop().time()
        if high > wall_us() - 2 * MINUTE_US:
            self.live.setdefault(symbols[0], []).append(now_s)
        else:
            self.past.append(now_s)
            self.largest = max(self.largest, len(symbols))

    def alpaca(self, path: str, query: Mapping[str, str]) -> Said:
        """Answer with a page of bars, sorted by symbol and then by time, cut where the limit is."""
        assert path == "/v2/stocks/bars"
        low, high = (rfc3339_us(query[name], name) for name in ("start", "end"))
        symbols = query["symbols"].split(",")
        self.asked(symbols, high)
        found = minutes()[bisect_left(minutes(), low) : bisect_right(minutes(), min(high, wall_us()))]
        rows = [(symbol, minute) for symbol in sorted(symbols) for minute in found]
        begin, limit = int(query.get("page_token", "0")), int(query["limit"])
        bars: dict[str, list[str]] = {}
        for symbol, minute in rows[begin : begin + limit]:
            bars.setdefault(symbol, []).append(a_bar(minute))
        following = f'"{begin + limit}"' if begin + limit < len(rows) else "null"
        listed = ",".join(f'"{symbol}":[{",".join(each)}]' for symbol, each in bars.items())
        return Said(body=f'{{"bars":{{{listed}}},"next_page_token":{following}}}'.encode())

    def yahoo(self, path: str, query: Mapping[str, str]) -> Said:
        """Answer with the chart of one symbol."""
        self.asked([path], int(query["period2"]) * SECOND_US)
        return a_chart(path, query)


@dataclass
class Drain:
    """What became of the gaps beside live polls, and how late those came meanwhile, with and without them, in order.

    Meanwhile is a whole cadence at least: what gaps take of a limit live polls may miss a minute later.
    """

    queue: PlayedQueue
    market: Market
    took_s: float
    late_s: list[float]
    late_alone_s: list[float]

    def later(self, share: float) -> float:
        """Return how many times as late as without gaps this share of the polls came at most."""
        with_gaps, alone = (late_s[int(share * len(late_s))] for late_s in (self.late_s, self.late_alone_s))
        return with_gaps / alone


def drained(
    monkeypatch: pytest.MonkeyPatch,
    facts: ProviderFacts,
    client: Callable[[VendorHttp], Any],
    answering: Callable[[Market], Any],
    *,
    every_s: int,
    begin_s: float,
    lasts_s: float,
    polled: tuple[str, ...] = (),
    tick_s: float = 0.05,
) -> Drain:
    """Poll all symbols, or those `polled`, and after a while let the gaps come; the same without them before."""
    plan = PollPlan(bars=bars_of(facts, SYMBOLS, every_s=every_s), quotes=())
    phases: dict[str, int] = {}
    queue, alone, beside = PlayedQueue(), Market(), Market()

    async def note(collecting: Collecting) -> None:
        polls = collecting.polls.by_provider[facts.name].values()
        phases.update({poll.symbols[0]: poll.phase_us for poll in polls})

    async def work(collecting: Collecting) -> None:
        await asyncio.sleep(begin_s)
        queue.enqueue(gaps(GAPS, facts.name))
        await worked_off(queue, collected_by(collecting, facts.name))

    def late_s(market: Market) -> list[float]:
        return sorted(
            (BEGIN_US + int(moment * SECOND_US) - phases[path.rsplit("/", 1)[-1]])
            % (every_s * SECOND_US)
            / SECOND_US
            for path, times in market.live.items()
            for moment in times
            if begin_s <= moment < begin_s + max(took_s, every_s)
        )

    for market, run_beside in ((alone, note), (beside, work)):
        random.seed(SEED)
        play(
            monkeypatch, facts, client, plan, answering(market), hours=(begin_s + lasts_s) / 3_600, polled=polled,
            tick_s=tick_s, beside=run_beside,
        )  # fmt: skip
    assert not alone.past
    assert {path: len(times) for path, times in beside.live.items()} == {
        path: len(times) for path, times in alone.live.items()
    }
    took_s = max(moment for _, moment in queue.ended.values()) - begin_s
    return Drain(queue, beside, took_s, late_s(beside), late_s(alone))


@pytest.mark.parametrize(
    ("plan", "every_s", "begin_s"),
    [
        # Just before 500 polls come at once: what gaps take is missed by these.
        pytest.param("Basic", 300, 395.0, marks=pytest.mark.soak),
        # Among them: live polls take all of the 200 a minute, gaps wait.
        ("Basic", 300, 430.0),
        ("Plus", 60, 162.0),
    ],
)
def test_at_alpaca_two_thousand_gaps_are_gone_in_a_quarter_of_an_hour(
    monkeypatch: pytest.MonkeyPatch, plan: str, every_s: int, begin_s: float
) -> None:
    """By few more requests than a plan of all of them needs, and polls of all symbols go on as without them."""
    facts = replace(ALPACA, plans=tuple(each for each in ALPACA.plans if each.name == plan))
    found = drained(
        monkeypatch, facts, lambda http: AlpacaApi(http, {}), lambda market: market.alpaca,
        every_s=every_s, begin_s=begin_s, lasts_s=every_s + 5.0,
    )  # fmt: skip

    assert Counter(ending.state for ending, _ in found.queue.ended.values()) == {"done": GAPS}
    assert found.took_s <= WITHIN_S
    assert len(found.market.past) <= MORE * fewest(GAPS)
    assert found.market.largest == CAPACITY.series
    assert found.later(0.99) <= LATER
    assert found.later(0.5) <= LATER


def test_at_yahoo_a_quarter_of_an_hour_is_too_short_and_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """One symbol a request and 33 a minute, of which ten are live: what is left is used, and live polls do not feel it."""
    found = drained(
        monkeypatch, YAHOO, YahooApi, lambda market: market.yahoo,
        every_s=60, begin_s=180.0, lasts_s=WITHIN_S, polled=SYMBOLS[:10],
    )  # fmt: skip
    by_symbol: dict[str, list[tuple[EventTime, EventTime]]] = {}
    for order in gaps(GAPS, YAHOO.name):
        by_symbol.setdefault(order.series.symbol, []).append((order.from_time, order.to_time))
    needed = sum(
        len(requests_for(stretches, step_us=MINUTE_US, span_us=7 * DAY_US))
        for stretches in by_symbol.values()
    )
    assert YAHOO.limits.per_minute is not None
    room = YAHOO.limits.per_minute - 10 - 1  # what live polls took, and one more kept for them

    assert needed > room * WITHIN_S / 60.0
    assert len(found.market.past) >= 0.85 * room * WITHIN_S / 60.0
    assert len(found.queue.ended) >= 2.5 * len(found.market.past)
    assert found.market.largest == 1
    assert found.later(0.99) <= LATER


def test_requests_grow_no_faster_than_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The more there are the nearer they lie, and the more one request brings."""
    monkeypatch.setattr("infra.runtime.clock.time", virtual_clock())

    async def story(count: int) -> int:
        queue = PlayedQueue()
        collected = PlayedCollection(preferred=("alpaca",), capacities=CAPACITY)
        queue.enqueue(gaps(count, ALPACA.name))
        with suppress(TimeoutError):
            async with asyncio.timeout(600.0):
                await worked_off(queue, collected)
        assert len(queue.ended) == count
        return len(collected.together) + len(collected.asked)

    counts = [GAPS // 2, GAPS, 2 * GAPS]
    asked = [run(story(count)) for count in counts]

    per_gap = [made / count for made, count in zip(asked, counts, strict=True)]
    assert max(per_gap) == per_gap[0]
    assert asked[1] <= MORE * fewest(GAPS)
