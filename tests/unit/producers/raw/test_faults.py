"""The same fault again: known by what is wrong, wherever in the answer and with whatever value."""

from __future__ import annotations

import pytest

from producers.raw.faults import KEPT_S, MOST_KINDS, KnownFaults

BARS = ("alpaca", "bars")


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("alpaca bars: bars.SPY.1.v: Field required", "alpaca bars: bars.SPY.77.v: Field required"),
        ("alpaca bars: bars.SPY.1.v: Field required", "alpaca bars: bars.BRK.B.0.v: Field required"),
        (
            "yahoo chart: meta.symbol is '^GSPC', asked was 'IBM'",
            "yahoo chart: meta.symbol is 'F', asked was 'BTC-USD'",
        ),
        ("yahoo chart: not JSON: line 1 column 5", "yahoo chart: not JSON: line 3 column 1207"),
    ],
)
def test_a_fault_is_known_wherever_it_stands(first: str, again: str) -> None:
    """Rows, symbols and values vary; the fault is one."""
    faults = KnownFaults()

    assert faults.is_new(BARS, first, 0.0)
    assert not faults.is_new(BARS, again, 1.0)


def test_another_fault_endpoint_or_vendor_is_news() -> None:
    """Each is told once."""
    faults, v = KnownFaults(), "bars.SPY.1.v: Field required"
    assert faults.is_new(BARS, v, 0.0)
    assert faults.is_new(BARS, "bars.SPY.1.o: Field required", 0.0)
    assert faults.is_new(BARS, "bars.SPY.1.v: Input should be a number", 0.0)
    assert faults.is_new(("alpaca", "snapshots"), v, 0.0)
    assert faults.is_new(("polygon", "bars"), v, 0.0)


def test_symbols_in_small_letters_are_those_that_were_asked_for() -> None:
    """What was asked is known by the caller, however it is spelt."""
    faults = KnownFaults()
    assert faults.is_new(BARS, "no bars of brk-b", 0.0, symbols=["brk-b"])
    assert not faults.is_new(BARS, "no bars of spy", 0.0, symbols=["spy"])


def test_a_symbol_of_one_letter_is_no_letter_of_a_word() -> None:
    """One fault of all of them is one kind: they may not use up the day's letters of an endpoint."""
    faults, symbols = KnownFaults(), ["F", "I", "A", "M", "o", "T", "BRK.B", "1"]
    news = [
        faults.is_new(BARS, f"alpaca bars: bars.{symbol}.1.v: Input A Missing, Field", 0.0, symbols=[symbol])
        for symbol in symbols
    ]

    assert news == [True] + [False] * 7


def test_a_days_letters_of_an_endpoint_are_bounded() -> None:
    """A vendor that words each fault anew gets so many; the next day a fault that lasts is told again."""
    faults = KnownFaults()
    words = [f"{'x' * length} is wrong" for length in range(1, 10 * MOST_KINDS)]

    assert sum(faults.is_new(BARS, word, 5.0) for word in words) == MOST_KINDS
    assert not faults.is_new(BARS, words[0], KEPT_S)
    assert sum(faults.is_new(BARS, word, 5.0 + KEPT_S) for word in words) == MOST_KINDS
