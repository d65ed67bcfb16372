"""Ages of what is stored, at each scrape: they grow while nothing is stored, and go with the partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from infra.runtime.clock import SimulatorMarketClock, wall_us
from infra.runtime.metrics import REGISTRY
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.partitions import TopicPartition
from schemas.streams import StreamId
from schemas.topics import BARS, TRADES
from sinks.batch.freshness import reached
from sinks.store.shell import ages as under_test
from sinks.store.shell.ages import StoreAges
from tests.support.builders import NINE_THIRTY
from tests.support.eventually import eventually
from tests.support.producer_fakes import FixedClock

SERIES = StreamId("bars", "1m", "yahoo", "SPY")
NAMES = (
    "ingestion_lag_seconds",
    "mds_session_open",
    "mds_watermark_lag_seconds",
    "mds_watermark_timestamp_seconds",
)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Leave no gauge to the next test."""
    yield
    StoreAges(FixedClock(0)).forget()


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_lag_and_session_follow_the_market_clock_alone() -> None:
    """Nothing is stored meanwhile: the lag grows with every scrape, and is 0 with the session over."""
    market = FixedClock(NINE_THIRTY + MINUTE_US)
    StoreAges(market).show(reached({SERIES: NINE_THIRTY}), {})

    seen = []
    for hours in (0, 1, 5, 10, 24 * 2):
        market.now = NINE_THIRTY + MINUTE_US + hours * HOUR_US
        seen.append(
            (shown("ingestion_lag_seconds", interval="1m"), shown("mds_session_open", calendar="XNYS"))
        )

    assert seen[:4] == [(0.0, 1.0), (3_600.0, 1.0), (18_000.0, 1.0), (0.0, 0.0)]
    assert seen[4] in [(48 * 3_600.0, 1.0), (0.0, 0.0)]


def test_the_watermark_gets_older_while_nothing_moves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On wall time, since it is knowledge time, and whatever the market does."""
    now = [wall_us()]
    monkeypatch.setattr(under_test, "wall_us", lambda: now[0])
    place = {"topic": BARS, "partition": "2"}
    StoreAges(FixedClock(NINE_THIRTY + 2 * DAY_US)).show(
        {}, {TopicPartition(BARS, 2): now[0] - 3 * SECOND_US}
    )

    first = shown("mds_watermark_lag_seconds", **place)
    now[0] += HOUR_US

    assert (first, shown("mds_watermark_lag_seconds", **place)) == (3.0, 3_603.0)
    assert shown("mds_watermark_timestamp_seconds", **place) == (now[0] - HOUR_US) / SECOND_US - 3


def test_nothing_is_said_of_partitions_that_were_given_up() -> None:
    """Nor of what they were the only ones to hold; their next owner says it."""
    ages = StoreAges(FixedClock(NINE_THIRTY))
    ages.show(reached({SERIES: NINE_THIRTY}), {TopicPartition(TRADES, 1): 5})

    ages.forget()

    left = [family.name for family in REGISTRY.collect() if family.samples]
    assert not set(NAMES) & set(left)


async def test_a_new_owner_begins_with_what_is_stored() -> None:
    """Its lag is there, and as old as it is, before anything new arrives: if ever."""
    ages = StoreAges(FixedClock(NINE_THIRTY + HOUR_US))
    ages.begin({SERIES: NINE_THIRTY - DAY_US})

    await eventually(lambda: shown("ingestion_lag_seconds", interval="1m") is not None, within_s=30)

    assert (shown("ingestion_lag_seconds", interval="1m") or 0.0) >= 3_600.0


async def test_what_was_given_up_while_it_was_loaded_is_not_shown() -> None:
    """A take-over that is over before its calendars were loaded leaves nothing behind."""
    ages = StoreAges(FixedClock(NINE_THIRTY))
    ages.begin({SERIES: NINE_THIRTY})
    ages.forget()
    for _ in range(20):
        await asyncio.sleep(0.01)

    assert shown("ingestion_lag_seconds", interval="1m") is None


def test_a_clock_that_was_never_heard_tells_no_age() -> None:
    """Neither 0 nor half a century: NaN, and the other metrics are there."""
    StoreAges(SimulatorMarketClock("http://127.0.0.1:1")).show(reached({SERIES: NINE_THIRTY}), {})

    lag, is_open = shown("ingestion_lag_seconds", interval="1m"), shown("mds_session_open", calendar="XNYS")

    assert lag is not None
    assert lag != lag  # noqa: PLR0124 - NaN
    assert is_open != is_open  # noqa: PLR0124
