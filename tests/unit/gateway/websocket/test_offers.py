"""Streams that can come, and how those that cannot are refused."""

from __future__ import annotations

import pytest

from gateway.live.streams import parse_stream
from gateway.websocket.offers import Offers, collected
from schemas.configuration.streams import EVERYTHING, Streams, TradesStream
from schemas.streams import STREAMS
from tests.support.live_feeds import apply_trade, empty_feeds

KNOWN = ("yahoo", "finnhub", "alpaca")


def refused(name: str, *, streams: Streams | None = EVERYTHING) -> tuple[str, str] | None:
    """Return (slug, message) of the refusal of a stream nothing was seen of."""
    result = Offers(KNOWN, lambda: streams).refusal(parse_stream(name), None)
    return None if result is None else (result["error"]["slug"], result["error"]["message"])


@pytest.mark.parametrize(
    "name",
    ["quotes:best:SPY", "quotes:finnhub:SPY", "trades:finnhub:SPY", "bars.1m:yahoo:SPY", "gaps:alpaca:SPY"],
)
def test_what_is_collected_is_welcome(name: str) -> None:
    """Of best, and of each of its providers; gaps may be of any."""
    assert refused(name) is None


@pytest.mark.parametrize(
    ("name", "slug", "instead"),
    [
        ("quotes:finnhubb:SPY", "unknown_provider", "finnhub"),
        ("gaps:nobody:SPY", "unknown_provider", "best"),
        ("bars.1mo:best:SPY", "not_collected", "bars.1m"),
        ("trades:alpaca:SPY", "not_collected", "finnhub"),
    ],
)
def test_what_cannot_come_is_refused_with_what_there_is(name: str, slug: str, instead: str) -> None:
    """A typo is not silent for ever."""
    told = refused(name)
    assert told is not None
    assert (told[0], instead in told[1]) == (slug, True)


def test_without_a_configuration_only_unknown_providers_are_refused() -> None:
    """Nobody knows then what is collected."""
    assert refused("bars.1mo:alpaca:SPY", streams=None) is None
    assert refused("bars.1mo:nobody:SPY", streams=None) is not None


def test_what_has_come_is_served_whoever_it_is_from() -> None:
    """A provider of a third party that is not installed here, or a stream that was configured yesterday."""
    feed = apply_trade(empty_feeds(), 0, provider="acme")
    offers = Offers(KNOWN, lambda: Streams(trades=TradesStream(provider="finnhub")))
    assert offers.refusal(parse_stream("trades:acme:SPY"), feed) is None
    assert offers.refusal(parse_stream("trades:other:SPY"), feed) is not None


def test_channels_are_those_of_the_configuration() -> None:
    """With the providers of each."""
    assert collected(EVERYTHING) == {
        "quotes": ("yahoo", "finnhub"),
        "trades": ("finnhub",),
        "bars.1m": ("yahoo",),
    }


def test_everything_that_is_collected_is_offered_by_its_channels() -> None:
    """A stream of the configuration that is left out here would be refused as not collected."""
    everything = Streams.model_validate(
        {
            "quotes": {"provider": "yahoo"}, "trades": {"provider": "finnhub"}, "bars": {"provider": "yahoo"},
            "actions": {"providers": ["polygon", "alpaca"]}, "macro": {"keys": ["cpi", "ecb_deposit"]},
                "options": {"providers": ["polygon"]},
        }
    )  # fmt: skip
    offered = collected(everything)

    assert {channel.partition(".")[0] for channel in offered} == {stream.name for stream in STREAMS}
    assert (offered["actions"], offered["macro"]) == (("polygon", "alpaca"), ("ecb", "fred"))
