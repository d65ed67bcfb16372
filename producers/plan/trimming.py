"""Leaves out of a plan what cannot be asked for: symbols that name nothing, or more than one thing, that day.

Symbols whose partitions another replica owns are left out too.

Each is left out alone, with the reason: asking a vendor for a symbol that was handed on to another company would
store that company's prices under the old one's name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from producers.plan.plan import PollPlan
from schemas.configuration.model import Provider
from schemas.errors import UnknownSymbol
from schemas.partitions import partition_of
from schemas.providers.facts import ProviderFacts
from schemas.symbology.naming import Symbology


@dataclass(frozen=True, slots=True, order=True)
class LeftOut:
    """A symbol that is not collected from a provider, and why; `code` is a stable word."""

    symbol: str
    provider: str
    code: str
    why: str


def nameable(
    plan: PollPlan, symbology: Symbology, day: date, facts: Mapping[str, ProviderFacts]
) -> tuple[PollPlan, list[LeftOut]]:
    """Return the plan without what its providers (`facts` by name) cannot name on `day`, and what was left out."""
    left_out: set[LeftOut] = set()

    def kept(provider: Provider, symbols: Collection[str]) -> tuple[str, ...]:
        found = {symbol: _fault(facts[provider], symbol, symbology, day) for symbol in symbols}
        left_out.update(fault for fault in found.values() if fault is not None)
        return tuple(symbol for symbol, fault in found.items() if fault is None)

    bars = [task for task in plan.bars if kept(task.provider, (task.symbol,))]
    quotes = [replace(task, symbols=kept(task.provider, task.symbols)) for task in plan.quotes]
    trades = [replace(task, symbols=kept(task.provider, task.symbols)) for task in plan.trades]
    actions = [replace(task, symbols=kept(task.provider, task.symbols)) for task in plan.actions]
    smaller = PollPlan(
        bars=bars,
        quotes=[task for task in quotes if task.symbols],
        trades=[task for task in trades if task.symbols],
        actions=[task for task in actions if task.symbols],
        options=[task for task in plan.options if kept(task.provider, (task.symbol,))],
        macro=plan.macro,  # a series has the name its source gave it, whatever the day
    )
    return smaller, sorted(left_out)


def nameless(plan: PollPlan, kept: PollPlan) -> Mapping[str, Sequence[str]]:
    """Return by capability the symbols that `plan` asks for and that no provider of what was `kept` of it has."""
    found: dict[str, list[str]] = {}
    for capability, providers in plan.named.items():
        asked = {symbol for symbols in kept.named.get(capability, {}).values() for symbol in symbols}
        wanted = {symbol for symbols in providers.values() for symbol in symbols}
        if left := sorted(wanted - asked):
            found[capability] = left
    return found


def _fault(facts: ProviderFacts, symbol: str, symbology: Symbology, day: date) -> LeftOut | None:
    try:
        symbology.resolve(symbol, day)
        facts.vendor_symbol(symbol)
    except UnknownSymbol as error:
        return LeftOut(symbol, facts.name, error.reason, str(error))
    return None


def owned_part(plan: PollPlan, owned: frozenset[int], partitions: int) -> PollPlan:
    """Return what a plan asks for of the symbols in the `owned` ones of so many `partitions`."""
    if len(owned) == partitions:
        return plan

    def kept(symbols: Iterable[str]) -> tuple[str, ...]:
        return tuple(symbol for symbol in symbols if partition_of(symbol, partitions) in owned)

    quotes = [replace(task, symbols=kept(task.symbols)) for task in plan.quotes]
    trades = [replace(task, symbols=kept(task.symbols)) for task in plan.trades]
    actions = [replace(task, symbols=kept(task.symbols)) for task in plan.actions]
    return PollPlan(
        bars=[task for task in plan.bars if kept((task.symbol,))],
        quotes=[task for task in quotes if task.symbols],
        trades=[task for task in trades if task.symbols],
        actions=[task for task in actions if task.symbols],
        macro=[task for task in plan.macro if kept((task.series,))],
        options=[task for task in plan.options if kept((task.symbol,))],
    )
