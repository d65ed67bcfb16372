"""Names of an instrument over time, by the renames that count at a moment: each symbol with the days on which it was borne; pure.

All renames of a day take place at its beginning: whoever took a symbol on the day another gave it up is another instrument. The walk
goes back from day to earlier day, so that no contradiction makes it endless; where sources leave open who bore a symbol, it ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from analytics.action_choice import ActionView, counting
from analytics.same_action import OTHERS_WITHIN_DAYS
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import CorporateAction

MOST_NAMES = 8  # of one instrument; a page token has room for no more
NameReason = Literal["several_new_names", "several_old_names", "too_many_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSpan:
    """A symbol that an instrument bore on the days [start, end), at the venue; None: nothing is told of an earlier, or a later one."""

    symbol: str
    start: Day | None = None
    end: Day | None = None

    def holds(self, day: Day) -> bool:
        """Whether it was borne on a day."""
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedName:
    """The rename to `symbol` on `day` that cannot be followed, and what is told of it."""

    symbol: str
    day: Day
    reason: NameReason
    told: tuple[CorporateAction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameChain:
    """The names of the bearer of a symbol, oldest first, without a gap; `sources` are all who told anything they depend on."""

    spans: tuple[NameSpan, ...]
    unresolved: UnresolvedName | None = None
    sources: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """One rename as its preferred source tells it; of several new names none can be followed."""

    old: str
    new: frozenset[str]
    day: Day
    provider: str
    told: tuple[CorporateAction, ...]


class Renames:
    """All renames that were told, in every version, by the symbols they are of and lead to."""

    def __init__(self) -> None:
        """Begin with none."""
        self._of: defaultdict[str, dict[tuple[str, int, int], CorporateAction]] = defaultdict(dict)
        self._into: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, versions: Iterable[CorporateAction]) -> None:
        """Take versions of renames; those that are here already change nothing."""
        for each in versions:
            self._of[each.symbol][each.provider, each.raw_offset, each.index] = each
            self._into[each.new_symbol].add(each.symbol)

    def leads_to(self, symbol: str) -> bool:
        """Whether anybody ever told of a rename to a symbol."""
        return symbol in self._into

    def chain(self, symbol: str, view: ActionView, *, told_by: KnowledgeTime, begun: Day | None) -> NameChain:
        """Return the names of the instrument that bears `symbol`, by what was told by a moment (µs).

        A rename counts from its ex-date on, up to the day `begun`; None: announced ones count as well.
        """
        walk = _Walk(view, told_by, begun)
        spans: list[NameSpan] = []
        name, end = symbol, None
        unresolved: UnresolvedName | None = None
        while True:
            move = walk.newest(self._moves_to(name, walk), before=end)
            if move is None:
                spans.append(NameSpan(symbol=name, end=end))
                break
            spans.append(NameSpan(symbol=name, start=move.day, end=end))
            reason = walk.doubt(move, len(spans))
            if reason is not None:
                unresolved = UnresolvedName(symbol=name, day=move.day, reason=reason, told=move.told)
                break
            name, end = move.old, move.day
        sources = frozenset(walk.sources)
        return NameChain(spans=tuple(reversed(spans)), unresolved=unresolved, sources=sources)

    def _moves_to(self, name: str, walk: _Walk) -> list[_Move]:
        olds = sorted(self._into.get(name, ()))
        return [move for old in olds for move in walk.moves(old, self._of[old].values()) if name in move.new]


class _Walk:
    """One walk back through the names of an instrument, and whose word it has taken."""

    def __init__(self, view: ActionView, told_by: KnowledgeTime, begun: Day | None) -> None:
        self._view, self._told_by, self._begun = view, told_by, begun
        self.sources: set[str] = set()

    def moves(self, old: str, versions: Iterable[CorporateAction]) -> Iterator[_Move]:
        """Yield the renames of a symbol, each occasion once."""
        told = (each for each in versions if each.known_from <= self._told_by)
        kept = [
            each
            for each in counting(told, self._view)
            if each.new_symbol != old and (self._begun is None or each.ex_date <= self._begun)
        ]
        self.sources.update(each.provider for each in kept)
        for occasion in _occasions(kept):
            yield self._once(old, occasion)

    def newest(self, moves: Sequence[_Move], *, before: Day | None) -> _Move | None:
        """Return the last move before a day, as the preferred of its sources tells it; of several at once that they are several."""
        earlier = [each for each in moves if before is None or each.day < before]
        if not earlier:
            return None
        last = max(each.day for each in earlier)
        near = [each for each in earlier if each.day >= last - OTHERS_WITHIN_DAYS]
        first = min(self._view.rank(each.provider) for each in near)
        best = [each for each in near if self._view.rank(each.provider) == first]
        told = tuple(action for each in best for action in each.told)
        newest = max(best, key=lambda each: each.day)
        if len({each.old for each in best}) == 1:
            return newest
        return _Move(old="", new=newest.new, day=newest.day, provider=newest.provider, told=told)

    def doubt(self, move: _Move, names: int) -> NameReason | None:
        """Return why the walk cannot follow a move after so many names; None where it can."""
        if not move.old:
            return "several_old_names"
        if len(move.new) > 1:
            return "several_new_names"
        return "too_many_names" if names == MOST_NAMES else None

    def _once(self, old: str, occasion: Sequence[CorporateAction]) -> _Move:
        """Return an occasion as the first source tells it that does not contradict itself, else as the first tells it."""
        by_source: defaultdict[str, list[CorporateAction]] = defaultdict(list)
        for each in sorted(occasion, key=lambda each: self._view.rank(each.provider)):
            by_source[each.provider].append(each)
        alone = [told for told in by_source.values() if len({each.new_symbol for each in told}) == 1]
        told = (alone or list(by_source.values()))[0]
        newest = max(told, key=lambda each: (each.known_from, each.raw_offset, each.index))
        return _Move(
            old=old,
            new=frozenset(each.new_symbol for each in told),
            day=newest.ex_date,
            provider=newest.provider,
            told=tuple(told),
        )


def _occasions(kept: Sequence[CorporateAction]) -> Iterator[list[CorporateAction]]:
    """Yield renames of one symbol, by ex-date, by occasion: within three days of the first."""
    occasion: list[CorporateAction] = []
    for each in kept:
        if occasion and each.ex_date - occasion[0].ex_date > OTHERS_WITHIN_DAYS:
            yield occasion
            occasion = []
        occasion.append(each)
    if occasion:
        yield occasion
