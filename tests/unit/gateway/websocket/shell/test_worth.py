"""Worth of streams at this moment: one judgement for all clients, and what overrides it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.live.feeds import Feeds
from gateway.live.streams import parse_stream
from gateway.websocket.shell import worth
from gateway.websocket.shell.worth import Worth
from schemas.clocks import MarketTime
from schemas.deriving import record_fields
from schemas.intervals import HOUR_US
from schemas.partitions import TopicPartition, partition_of
from schemas.streams import MACRO_STREAM, STREAMS, Stream
from tests.support.live_feeds import PARTITIONS, apply_trade, empty_feeds
from tests.support.stream_values import an_event

SPY = parse_stream("trades:best:SPY")


@dataclass
class Live:
    """What Worth needs of LiveStreams."""

    feeds: Feeds = field(default_factory=empty_feeds)
    exhausted: set[str] = field(default_factory=set)


@dataclass
class Clock:
    """Market time stands still."""

    at: int = HOUR_US
    speed: float = 1.0
    known: bool = True

    def now_us(self) -> MarketTime:
        """Return it."""
        return MarketTime(self.at)


def a_worth(live: Live, *, collected: bool | None = True) -> Worth:
    """Return the worth of streams of `live`, of which every symbol is configured, or none."""
    given: Any = live
    return Worth(given, Clock(), lambda _: collected)


def code(judging: Worth, name: str = "trades:best:SPY") -> str | None:
    """Return the word for a stream."""
    found = judging.of(parse_stream(name))
    return None if found is None else found.code


def test_a_stream_without_providers_says_so_whatever_its_age() -> None:
    """Of best alone: a provider's own stream is judged by its values."""
    live = Live(exhausted={"trades"})
    apply_trade(live.feeds, 0)
    assert code(a_worth(live)) == "provider_down"
    assert code(a_worth(live), "trades:finnhub:SPY") != "provider_down"


@pytest.mark.parametrize(
    ("collected", "expected"), [(True, "no_value"), (False, "not_collected"), (None, "no_value")]
)
def test_a_symbol_that_nobody_collects_says_so(collected: bool | None, expected: str) -> None:
    """One that is configured has no value yet; where nothing is known of it, nothing is claimed."""
    assert code(a_worth(Live(), collected=collected)) == expected


def test_gaps_have_no_worth() -> None:
    """They are news of others."""
    assert code(a_worth(Live()), "gaps:best:SPY") is None


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_stream_of_every_declaration_can_be_judged_with_a_record_and_without(stream: Stream) -> None:
    """Entries do not age with the market; a declaration nobody can judge would end its first subscriber's connection."""
    symbol = "FRED:UNRATE" if stream is MACRO_STREAM else "SPY"
    live, name = Live(), f"{stream.channel('1m')}:best:{symbol}"
    before = a_worth(live).of(parse_stream(name))
    place = TopicPartition(stream.topic, partition_of(symbol, PARTITIONS))
    known = {
        "provider": "yahoo",
        "route": "primary",
        "received_time": HOUR_US,
        "known_from": HOUR_US,
        "raw_offset": 1,
        "index": 0,
    }
    event = an_event(stream, symbol=symbol, event_time=HOUR_US, interval="1m") | known
    live.feeds.begin(place, 0)
    live.feeds.apply(place, 0, 0, {field.name: event[field.name] for field in record_fields(stream)})

    after = a_worth(live).of(parse_stream(name))
    if stream.versions == "entries":
        assert (before, after) == (None, None)
    else:
        assert before is not None
        assert after is not None
        assert (before.code, after.last_event_ts) == ("no_value", HOUR_US)


def test_a_stream_is_judged_once_a_second_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask; then anew."""
    live, now = Live(), [0.0]
    monkeypatch.setattr(worth, "monotonic_s", lambda: now[0])
    judging = a_worth(live)
    assert code(judging) == "no_value"
    apply_trade(live.feeds, 0)
    assert code(judging) == "no_value"
    now[0] += worth.HOLDS_S
    assert code(judging) != "no_value"
