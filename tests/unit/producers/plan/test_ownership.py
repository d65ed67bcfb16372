"""The parts of all replicas together are the plan."""

from __future__ import annotations

from producers.plan.ownership import owned_part
from producers.plan.plan import BarsTask, PollPlan, QuotesTask, TradesTask
from schemas.partitions import partition_of

SYMBOLS = tuple(f"SIM{number:03d}" for number in range(40))
PLAN = PollPlan(
    bars=[
        BarsTask(provider="yahoo", symbol=symbol, interval="1m", every_us=60, overlap_us=300)
        for symbol in SYMBOLS
    ],
    quotes=[QuotesTask(provider="yahoo", symbols=SYMBOLS, every_us=5)],
    trades=[TradesTask(provider="finnhub", symbols=SYMBOLS)],
)


def test_replicas_share_a_plan_without_overlap_or_rest() -> None:
    """Two owners of two partitions each: every symbol of every stream is in exactly one part."""
    parts = [owned_part(PLAN, frozenset(owned), 4) for owned in ({0, 2}, {1, 3})]

    for part, owned in zip(parts, ({0, 2}, {1, 3}), strict=True):
        mine = {symbol for symbol in SYMBOLS if partition_of(symbol, 4) in owned}
        assert {task.symbol for task in part.bars} == mine
        assert {symbol for task in part.quotes for symbol in task.symbols} == mine
        assert {symbol for task in part.trades for symbol in task.symbols} == mine


def test_who_owns_all_has_the_plan_and_who_owns_nothing_nothing() -> None:
    """A standby has no empty requests."""
    assert owned_part(PLAN, frozenset(range(4)), 4) is PLAN
    assert owned_part(PLAN, frozenset(), 4) == PollPlan(bars=[], quotes=[], trades=[])
