"""Same action, told more than once: by one source under two names, or by two sources on days and in numbers that may differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from analytics.action_effects import CASH, SHARES, Effect
from schemas.entries import CorporateAction

Kind = str
"""What tells of the same thing: shares, cash, or the type of any other action."""
# A split is not followed by another within a week; funds pay dividends every week.
SHARES_WITHIN_DAYS = 7
OTHERS_WITHIN_DAYS = 3
# of ratios and of the part paid out; sources round
SAME = 1e-3


def kind_of(action: CorporateAction) -> Kind:
    """Return the kind of an action."""
    if action.type in SHARES:
        return "shares"
    return "cash" if action.type in CASH else action.type


def groups(kind: Kind, effects: Sequence[Effect]) -> Iterator[list[Effect]]:
    """Yield the effects of one kind by occasion: within a week of the first of shares, within three days of others."""
    most_days = SHARES_WITHIN_DAYS if kind == "shares" else OTHERS_WITHIN_DAYS
    occasion: list[Effect] = []
    for each in sorted(effects, key=lambda each: (each.ex, each.action.provider, each.action.action_id)):
        if occasion and each.ex - occasion[0].ex > most_days:
            yield occasion
            occasion = []
        occasion.append(each)
    if occasion:
        yield occasion


def one_each(effects: Sequence[Effect], fits: Callable[[Effect], bool | None]) -> list[Effect]:
    """Return one of those effects of one provider's that say the same of an occasion: the one that prices allow, else the one told last."""
    said: dict[tuple[object, ...], Effect] = {}
    for each in effects:
        words = _words(each)
        held = said.get(words)
        if held is None or _weight(each, fits) > _weight(held, fits):
            said[words] = each
    return list(said.values())


def _words(effect: Effect) -> tuple[object, ...]:
    """Return what an action says, its day and its name aside."""
    action = effect.action
    if effect.of_shares:
        return ("shares", None if effect.reason else round(math.log(effect.ratio), 5))
    return (action.type, action.amount, action.price_factor, action.child_symbol)


def _weight(effect: Effect, fits: Callable[[Effect], bool | None]) -> tuple[int, int, int, int]:
    action = effect.action
    return fits(effect) is True, action.known_from, action.raw_offset, action.index


def is_same(some: Sequence[Effect], others: Sequence[Effect]) -> bool:
    """Whether two providers say the same of an occasion: as many effects, on the same days, in the same numbers."""
    if len(some) != len(others):
        return False
    pairs = zip(sorted(some, key=_numbers), sorted(others, key=_numbers), strict=True)
    return all(
        one.ex == other.ex and _near(one.ratio, other.ratio) and _near(1.0 - one.kept, 1.0 - other.kept)
        for one, other in pairs
    )


def _numbers(effect: Effect) -> tuple[float, ...]:
    return effect.ex, effect.ratio, effect.kept


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= SAME * max(abs(one), abs(other))
