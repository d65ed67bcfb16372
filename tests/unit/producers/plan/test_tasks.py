"""Tasks name what they poll, of whom, and by which name that one is chosen."""

from __future__ import annotations

import pytest

from producers.plan.tasks import ActionsTask, BarsTask, MacroTask, PolledTask, QuotesTask, TradesTask
from schemas.streams import StreamId

BARS = BarsTask(provider="yahoo", symbol="SPY", interval="5m", every_us=1, overlap_us=1)
QUOTES = QuotesTask(provider="yahoo", symbols=("SPY", "IBM"), every_us=1)
ACTIONS = ActionsTask(provider="polygon", symbols=("SPY", "IBM"), every_us=1, back_days=1, ahead_days=1)
MACRO = MacroTask(provider="fred", series="FRED:GDPC1", every_us=1)


@pytest.mark.parametrize(
    ("task", "capability", "routed_as", "names"),
    [
        (BARS, "bars:5m", "bars:5m", ["SPY"]),
        (QUOTES, "quotes", "quotes", ["SPY", "IBM"]),
        (ACTIONS, "actions", "actions", ["SPY", "IBM"]),
        (MACRO, "macro", "macro:fred", ["FRED:GDPC1"]),
    ],
)
def test_a_task_is_polled_by_capability_and_symbol_and_routed_by_name(
    task: PolledTask, capability: str, routed_as: str, names: list[str]
) -> None:
    """Whoever is asked, the slot is one; only sources of series are chosen each by its own name."""
    assert task.capability == capability
    assert task.routed_as == routed_as
    assert list(task.poll_keys) == [(capability, name) for name in names]
    assert [stream.symbol for stream in task.streams] == names
    assert {stream.provider for stream in task.streams} == {task.provider}


def test_series_bear_their_channel() -> None:
    """With the interval of bars, and without one of all others."""
    trades = TradesTask(provider="finnhub", symbols=("SPY",))

    assert BARS.stream == StreamId("bars", "5m", "yahoo", "SPY")
    assert [task.streams[0].channel for task in (BARS, QUOTES, ACTIONS, MACRO, trades)] == [
        "bars.5m", "quotes", "actions", "macro", "trades",
    ]  # fmt: skip
