"""Which part of a plan one of several replicas collects: the symbols of the partitions it owns; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from producers.plan.plan import PollPlan
from schemas.partitions import partition_of


def owned_part(plan: PollPlan, owned: frozenset[int], partitions: int) -> PollPlan:
    """Return what a plan asks for of the symbols in the `owned` ones of so many `partitions`."""
    if len(owned) == partitions:
        return plan

    def kept(symbols: Iterable[str]) -> tuple[str, ...]:
        return tuple(symbol for symbol in symbols if partition_of(symbol, partitions) in owned)

    quotes = [replace(task, symbols=kept(task.symbols)) for task in plan.quotes]
    trades = [replace(task, symbols=kept(task.symbols)) for task in plan.trades]
    return PollPlan(
        bars=[task for task in plan.bars if kept((task.symbol,))],
        quotes=[task for task in quotes if task.symbols],
        trades=[task for task in trades if task.symbols],
    )
