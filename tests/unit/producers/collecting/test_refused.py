"""Which symbols a socket may not send: whom a complaint means, and when the doubt is over."""

from __future__ import annotations

import pytest

from infra.runtime.clock import monotonic_s
from producers.collecting.refused import DoubtedSymbols
from schemas.intervals import SECOND_US
from schemas.providers.facts import ANY_VENDOR

NOW = 1_790_000_000_000_000
ASKED = {name: name for name in ("SPY", "IBM", "F")} | {"BRK-B": "BRK.B", "BINANCE:BTCUSDT": "BTC-USDT"}


def a_connection() -> DoubtedSymbols:
    refused = DoubtedSymbols(ANY_VENDOR)
    refused.subscribed(ASKED.values(), NOW)
    return refused


@pytest.mark.parametrize(
    "words", ["Subscribing to too many symbols", "symbol limit exceeded", "TOO MANY SYMBOLS!"]
)
def test_a_complaint_without_a_name_means_all_that_sent_nothing(words: str) -> None:
    """Those whose trades came are served; of any other nobody knows."""
    refused = a_connection()
    refused.traded(["SPY", "IBM", "SPY"])

    assert refused.complained(words, ASKED, 0.0) == {"F", "BRK.B", "BTC-USDT"}
    assert refused.complained(words, ASKED, 0.0) == set()
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

    assert set(refused.complained(words, ASKED, 0.0)) == means


def test_the_first_trade_ends_the_doubt_with_the_time_it_lasted() -> None:
    """One that was named, or told of, was refused since it was subscribed, or since it was last told of."""
    refused = a_connection()
    refused.complained("too many symbols", ASKED, 0.0)
    refused.complained("invalid symbol F", ASKED, 0.0)

    assert refused.traded(["F"]) == {"F": NOW}
    assert refused.due(NOW + 60 * SECOND_US, 60.0) == dict.fromkeys(("SPY", "IBM", "BRK.B", "BTC-USDT"), NOW)
    assert refused.traded(["F", "IBM"]) == {"IBM": NOW + 60 * SECOND_US}
    assert set(refused.symbols) == {"SPY", "BRK.B", "BTC-USDT"}


def test_what_trades_before_anything_was_said_of_it_was_served_all_along() -> None:
    """A complaint for the eleventh symbol doubts the ten that have not traded yet in its first second, too."""
    refused = a_connection()
    refused.complained("too many symbols", ASKED, 0.0)
    assert refused.traded(["SPY", "IBM"]) == {}
    assert set(refused.symbols) == {"F", "BRK.B", "BTC-USDT"}
    refused.due(NOW + 60 * SECOND_US, 60.0)

    assert refused.traded(["SPY", "F"]) == {"F": NOW + 60 * SECOND_US}


def test_another_subscription_begins_anew() -> None:
    """Over a new connection, or of a symbol that comes again, nothing is known; what was served before, is to be shown again."""
    refused = a_connection()
    refused.traded(["SPY"])
    refused.complained("too many symbols", ASKED, 0.0)
    over = refused.unsubscribed(["F", "SPY"])
    refused.subscribed(["F", "SPY"], NOW + SECOND_US)

    assert over == {"F": NOW}
    assert set(refused.symbols) == {"IBM", "BRK.B", "BTC-USDT"}
    assert refused.complained("too many symbols", ASKED, 0.0) == {"F", "SPY"}
    assert refused.unsubscribed(["F"]) == {"F": NOW + SECOND_US}


def test_what_stays_refused_is_told_after_a_minute_and_ever_less_often() -> None:
    """A day of it is some thirty stretches, each beginning where the one before ended."""
    refused = a_connection()
    refused.traded(["IBM", "F", "BRK.B", "BTC-USDT"])
    refused.complained("too many symbols", ASKED, 0.0)
    told = [
        (second, since)
        for second in range(86_400)
        if (since := refused.due(NOW + second * SECOND_US, second))
    ]
    moments = [second for second, _ in told]

    assert moments[:7] == [60, 180, 420, 900, 1_860, 3_780, 7_380]
    assert len(moments) < 30
    assert [since["SPY"] for _, since in told] == [
        NOW,
        *(NOW + second * SECOND_US for second in moments[:-1]),
    ]
    assert a_connection().due(NOW, 1e9) == {}


def test_who_is_subscribed_no_more_is_not_doubted() -> None:
    """Neither left out one by one nor with the connection: another may collect it, and nobody waits for its trade."""
    refused = a_connection()
    refused.unsubscribed(["F", "BRK.B"])
    assert refused.complained("too many symbols", ASKED, 0.0) == {"SPY", "IBM", "BTC-USDT"}
    assert refused.complained("invalid symbol F", ASKED, 0.0) == set()

    assert refused.disconnected() == dict.fromkeys(("SPY", "IBM", "BTC-USDT"), NOW)
    refused.subscribed(["IBM"], NOW + SECOND_US)
    assert not refused.symbols
    assert refused.complained("too many symbols", ASKED, 0.0) == {"IBM"}


def test_complaints_that_go_on_put_nobody_off() -> None:
    """Each symbol is told a minute after its own complaint, though another one comes every half a minute."""
    refused = DoubtedSymbols(ANY_VENDOR)
    asked = {f"S{number}": f"S{number}" for number in range(40)}
    refused.subscribed(asked, NOW)
    told: dict[str, list[int]] = {}
    for second in range(1_200):
        if second % 30 == 0:
            refused.complained(f"invalid symbol: S{second // 30}", asked, second)
        for symbol in refused.due(NOW + second * SECOND_US, second):
            told.setdefault(symbol, []).append(second)

    assert told["S0"] == [60, 180, 420, 900]
    assert [told[f"S{number}"][0] for number in range(38)] == [60 + 30 * number for number in range(38)]


def test_a_complaint_for_each_symbol_costs_as_many_steps_as_there_are_symbols() -> None:
    """Twenty thousand of the same words, or each with its own name: neither looks at all the others every time."""
    asked = {f"S{number}": f"S{number}" for number in range(20_000)}
    for words in ("too many symbols", "invalid symbol: S{}"):
        refused = DoubtedSymbols(ANY_VENDOR)
        refused.subscribed(asked, NOW)
        begun_s = monotonic_s()
        doubted = [len(refused.complained(words.format(number), asked, 0.0)) for number in range(20_000)]

        assert sum(doubted) == 20_000
        assert monotonic_s() - begun_s < 10.0  # half a minute and more where each looks at all
