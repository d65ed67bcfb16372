"""The look at the collection: who may be asked, who else has a symbol, and how what is given up is said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from producers.backfill.endings import Ending, given_up
from producers.backfill.planning import Capacity
from producers.backfill.shell.collected import Collected
from producers.polling.shell.bars_poll import Backfilled
from schemas.answered import answered_of
from schemas.configuration.model import parse_configuration
from schemas.partitions import partition_of
from schemas.providers.built_in import BUILT_IN
from schemas.streams import StreamId
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from tests.support.backfill_world import PARTITIONS, YAHOO_SPY, a_job, minute
from tests.support.producer_fakes import RecordingTopics

TEXT = """
symbols: [SPY]
streams: {bars: {providers: [alpaca, yahoo, finnhub]}}
backfill: {concurrency: 7}
"""


def a_collection(*polled: StreamId, open_to: tuple[str, ...] = ()) -> Any:
    """Return a collection of three providers that polls these series."""
    polls = {(each.provider, f"bars:{each.interval}", each.symbol): each for each in polled}
    vendors = SimpleNamespace(
        apis=dict.fromkeys(("alpaca", "yahoo", "finnhub")),
        may_ask=lambda name, stream, purpose: (stream, purpose) == ("bars", "backfill") and name in open_to,
    )
    return SimpleNamespace(
        configuration=parse_configuration(TEXT, source="test"),
        vendors=vendors,
        lacking={"polygon": "no key"},
        polls=SimpleNamespace(bars=lambda *key: polls.get(key)),
    )


def collected(collection: Any, raw: RecordingTopics | None = None, owned: frozenset[int] = frozenset()) -> Collected:  # fmt: skip
    return Collected(collection, cast(Any, raw or RecordingTopics()), lambda: owned)


def test_before_anything_is_collected_nothing_may_be_asked() -> None:
    """And the settings are those of the defaults."""
    look = collected(SimpleNamespace(configuration=None, vendors=None, lacking={}))

    assert (look.providers, look.open_to_us(), look.others(YAHOO_SPY)) == (frozenset(), frozenset(), ())
    assert (look.settings.concurrency, look.partitions, look.owns("SPY")) == (4, frozenset(), False)


def test_it_follows_what_is_collected_now() -> None:
    """Settings, partitions, and who is open for the past of bars."""
    home = partition_of("SPY", PARTITIONS)
    look = collected(a_collection(YAHOO_SPY, open_to=("yahoo",)), owned=frozenset({home}))

    assert (look.settings.concurrency, look.waiting) == (7, {"polygon"})
    assert look.providers == {"alpaca", "yahoo", "finnhub"}
    assert look.open_to_us() == {"yahoo"}
    assert look.owns("SPY")
    assert look.poll_of(YAHOO_SPY) == YAHOO_SPY
    assert look.poll_of(YAHOO_SPY._replace(interval="5m")) is None


def test_others_are_those_that_have_the_symbol_in_the_order_of_preference() -> None:
    """Of quotes there are none: nobody gives their past."""
    have = [YAHOO_SPY._replace(provider=name) for name in ("yahoo", "alpaca")]
    look = collected(a_collection(*have))

    assert look.others(YAHOO_SPY) == ["alpaca", "yahoo"]
    assert look.others(StreamId("quotes", "", "yahoo", "SPY")) == ()


@pytest.mark.parametrize(
    ("name", "interval", "topic"),
    [("bars", "1m", RAW_BARS), ("quotes", "", RAW_QUOTES), ("trades", "", RAW_TRADES)],
)
async def test_what_is_given_up_is_a_backfill_without_values_in_the_series_own_topic(
    name: Any, interval: str, topic: str
) -> None:
    """With the stretch, the cause and the job; nothing is said of nothing."""
    raw, topics = RecordingTopics(), list[str]()
    publish = raw.publish

    async def noted(topic: str, placed: Any) -> None:
        topics.append(topic)
        await publish(topic, placed)

    raw.publish = noted  # type: ignore[method-assign]
    job = a_job(3, 9, series=StreamId(name, interval, "yahoo", "SPY"))
    look = collected(a_collection(), raw)
    await look.tell_given_up(job, given_up(job, "unrecoverable", "no_interface", "none gives it"))
    await look.tell_given_up(job, Ending(state="done", rows=1, reason=""))

    (entry,) = raw.placed
    (said,) = answered_of(entry.block.hints)
    assert topics == [topic]
    assert entry.partition == partition_of("SPY", PARTITIONS)
    assert (entry.block.provider, entry.block.route, entry.block.job_id, entry.block.events) == (
        "yahoo",
        "backfill",
        job.order.job_id,
        (),
    )
    assert (said.symbol, said.interval, said.from_time, said.to_time, said.given_up) == (
        "SPY",
        interval,
        minute(3),
        minute(9),
        "no_interface",
    )


async def test_what_one_request_may_hold_is_a_fact_of_the_provider() -> None:
    """Of bars; one symbol where nothing is said, and before anything is collected."""
    collection = a_collection()
    collection.vendors.facts = BUILT_IN
    look, bare = (
        collected(collection),
        collected(SimpleNamespace(configuration=None, vendors=None, lacking={})),
    )
    alpaca = YAHOO_SPY._replace(provider="alpaca")

    assert look.capacity(alpaca) == Capacity(series=100, bars=10_000)
    assert [
        look.capacity(each)
        for each in (YAHOO_SPY, alpaca._replace(name="quotes"), alpaca._replace(provider="acme"))
    ] == [Capacity()] * 3
    assert bare.capacity(alpaca) == Capacity()


async def test_windows_of_several_series_are_handed_on_with_their_jobs() -> None:
    """In their order, to whoever polls them."""
    asked: list[Any] = []

    async def backfill_together(parts: Any) -> list[Backfilled]:
        asked.extend(parts)
        return [Backfilled()] * len(parts)

    collection = a_collection()
    collection.attempts = SimpleNamespace(backfill_together=backfill_together)
    polls: list[Any] = ["poll of SPY", "poll of IBM"]
    windows = [(minute(0), minute(4)), (minute(2), minute(3))]
    came = await collected(collection).fetch_together(list(zip(polls, windows, ["j1", "j2"], strict=True)))

    assert came == [Backfilled(), Backfilled()]
    assert [(part.poll, part.start, part.end, part.job_id) for part in asked] == [
        ("poll of SPY", minute(0), minute(4), "j1"),
        ("poll of IBM", minute(2), minute(3), "j2"),
    ]
