"""Which symbols a socket may not send: whom a complaint means, and when the doubt is over."""

from __future__ import annotations

import pytest

from producers.collecting.refused import RefusedSymbols
from schemas.intervals import SECOND_US
from schemas.providers.facts import ANY_VENDOR

NOW = 1_790_000_000_000_000
ASKED = {name: name for name in ("SPY", "IBM", "F")} | {"BRK-B": "BRK.B", "BINANCE:BTCUSDT": "BTC-USDT"}


def a_connection() -> RefusedSymbols:
    refused = RefusedSymbols(ANY_VENDOR)
    refused.subscribed(ASKED.values(), NOW)
    return refused


@pytest.mark.parametrize(
    "words", ["Subscribing to too many symbols", "symbol limit exceeded", "TOO MANY SYMBOLS!"]
)
def test_a_complaint_without_a_name_means_all_that_sent_nothing(words: str) -> None:
    """Those whose trades came are served; of any other nobody knows."""
    refused = a_connection()
    refused.traded(["SPY", "IBM", "SPY"])

    assert refused.complained(words, ASKED) == {"F", "BRK.B", "BTC-USDT"}
    assert refused.complained(words, ASKED) == set()
    assert set(refused.symbols) == {"F", "BRK.B", "BTC-USDT"}


@pytest.mark.parametrize(
    ("words", "means"),
    [
        ("Invalid symbol BRK-B", {"BRK.B"}),
        ("invalid symbol: 'F', unknown", {"F"}),
        ("you are not entitled to [BINANCE:BTCUSDT]", {"BTC-USDT"}),
        ("too many symbols (F, IBM).", {"F", "IBM"}),
        ("internal error", set()),
        ("", set()),
    ],
)
def test_a_complaint_with_a_name_means_that_symbol(words: str, means: set[str]) -> None:
    """In the vendor's spelling, also where it was served until then; what is no refusal means nobody."""
    refused = a_connection()
    refused.traded(["IBM"])

    assert set(refused.complained(words, ASKED)) == means


def test_the_first_trade_ends_the_doubt_with_the_time_it_lasted() -> None:
    """A quiet symbol was in doubt since it was subscribed, or since it was last told of."""
    refused = a_connection()
    refused.complained("too many symbols", ASKED)

    assert refused.traded(["F"]) == {"F": NOW}
    assert refused.taken(NOW + 60 * SECOND_US) == dict.fromkeys(("SPY", "IBM", "BRK.B", "BTC-USDT"), NOW)
    assert refused.traded(["F", "IBM"]) == {"IBM": NOW + 60 * SECOND_US}
    assert set(refused.symbols) == {"SPY", "BRK.B", "BTC-USDT"}


def test_another_subscription_begins_anew() -> None:
    """Over a new connection, or of a symbol that comes again, nothing is known; what was served before, is to be shown again."""
    refused = a_connection()
    refused.traded(["SPY"])
    refused.complained("too many symbols", ASKED)
    over = refused.ended(["F", "SPY"])
    refused.subscribed(["F", "SPY"], NOW + SECOND_US)

    assert over == {"F": NOW}
    assert set(refused.symbols) == {"IBM", "BRK.B", "BTC-USDT"}
    assert refused.complained("too many symbols", ASKED) == {"F", "SPY"}
    assert refused.ended(["F"]) == {"F": NOW + SECOND_US}
