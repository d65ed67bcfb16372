"""Types of option strategies as data: the legs each is made of, the view of the market it suits, how its margin is reckoned.

Names and legs are the usual ones (The Options Industry Council, strategy guide). Strikes of a type ascend and are named by
their place; where three or four are needed, wings are of equal width in USD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

View = Literal["bullish", "bearish", "neutral", "volatile"]
MarginRule = Literal["paid", "defined_risk", "covered_call", "cash_secured", "short_pair", "collar"]
MARGIN_RULES: tuple[MarginRule, ...] = (
    "paid",
    "defined_risk",
    "covered_call",
    "cash_secured",
    "short_pair",
    "collar",
)
VIEWS: tuple[View, ...] = ("bullish", "bearish", "neutral", "volatile")


@dataclass(frozen=True, slots=True)
class TypeLeg:
    """One option of a type: `quantity` bought (> 0) or sold (< 0) of the strike at `place`, in the `later` expiry or the first."""

    quantity: int
    right: Literal["C", "P"]
    place: int = 0
    later: bool = False

    @property
    def is_call(self) -> bool:
        """Whether it is a call."""
        return self.right == "C"


@dataclass(frozen=True, slots=True)
class StrategyType:
    """A type of strategy: what it is made of, per share of the underlying, and what it is for."""

    name: str
    view: View
    margin: MarginRule
    legs: tuple[TypeLeg, ...]
    shares: int = 0

    @property
    def strikes(self) -> int:
        """Number of different strikes."""
        return 1 + max(leg.place for leg in self.legs)

    @property
    def spans_expiries(self) -> bool:
        """Whether it is made of two expiries, so that its payoff needs a model."""
        return any(leg.later for leg in self.legs)


def _type(name: str, view: View, margin: MarginRule, *legs: str, shares: int = 0) -> StrategyType:
    """Return a type of legs written as `+1C0`: quantity, right, place of the strike, and `>` for the later expiry."""
    parsed = (
        TypeLeg(int(text[:2]), "C" if text[2] == "C" else "P", int(text[3]), text.endswith(">"))
        for text in legs
    )
    return StrategyType(name, view, margin, tuple(parsed), shares)


STRATEGY_TYPES: tuple[StrategyType, ...] = (
    _type("long_call", "bullish", "paid", "+1C0"),
    _type("long_put", "bearish", "paid", "+1P0"),
    _type("covered_call", "bullish", "covered_call", "-1C0", shares=1),
    _type("cash_secured_put", "bullish", "cash_secured", "-1P0"),
    _type("bull_call_spread", "bullish", "defined_risk", "+1C0", "-1C1"),
    _type("bear_call_spread", "bearish", "defined_risk", "-1C0", "+1C1"),
    _type("bull_put_spread", "bullish", "defined_risk", "+1P0", "-1P1"),
    _type("bear_put_spread", "bearish", "defined_risk", "-1P0", "+1P1"),
    _type("long_straddle", "volatile", "paid", "+1P0", "+1C0"),
    _type("short_straddle", "neutral", "short_pair", "-1P0", "-1C0"),
    _type("long_strangle", "volatile", "paid", "+1P0", "+1C1"),
    _type("short_strangle", "neutral", "short_pair", "-1P0", "-1C1"),
    _type("call_butterfly", "neutral", "defined_risk", "+1C0", "-2C1", "+1C2"),
    _type("put_butterfly", "neutral", "defined_risk", "+1P0", "-2P1", "+1P2"),
    _type("iron_butterfly", "neutral", "defined_risk", "+1P0", "-1P1", "-1C1", "+1C2"),
    _type("iron_condor", "neutral", "defined_risk", "+1P0", "-1P1", "-1C2", "+1C3"),
    _type("call_calendar", "neutral", "paid", "-1C0", "+1C0>"),
    _type("put_calendar", "neutral", "paid", "-1P0", "+1P0>"),
    _type("collar", "bullish", "collar", "+1P0", "-1C1", shares=1),
)
MOST_LEGS = max(len(each.legs) for each in STRATEGY_TYPES)
