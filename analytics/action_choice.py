"""Choice of the corporate actions that count: known by a moment, told once, and by whom where sources disagree.

Sources are matched by what happens within a few days, since the day is one of the things they disagree on. Used is the first
source of the configured order; among splits one that the prices of its day contradict gives way to one that they do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from analytics.action_effects import (
    SHARES,
    Effect,
    RawSessions,
    ShareSteps,
    price_effect,
    share_effect,
)
from analytics.same_action import Kind, groups, is_same, kind_of, one_each
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import CorporateAction

PRICE_TOLERANCE = 0.25
Knowledge = Literal["known", "published"]
_UNIX_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionView:
    """Through whose eyes actions are read: what was known, or published, by `as_of`, and which provider is preferred.

    `published` reads the past with what was imported later: a version counts from the moment it was published, else from the end
    of the day it was declared, else from the start of its ex-date; its answers change with an import, those of `known` never do.
    """

    as_of: KnowledgeTime
    knowledge: Knowledge
    providers: Sequence[str]
    calendar: Calendar

    def counts(self, version: CorporateAction) -> bool:
        """Whether a version was there by the moment."""
        moment = version.known_from if self.knowledge == "known" else self._published(version)
        return moment <= self.as_of

    def told_day(self, version: CorporateAction) -> Day:
        """Return the venue's day a version was received on."""
        return Day(self.calendar.date_of(version.received_time).toordinal() - _UNIX_EPOCH)

    def rank(self, provider: str) -> tuple[int, str]:
        """Return the place of a provider in the configured order; those it does not name come last, by their names."""
        place = self.providers.index(provider) if provider in self.providers else len(self.providers)
        return place, provider

    def _published(self, version: CorporateAction) -> int:
        if version.published_at is not None:
            return version.published_at
        if version.declared_date is not None:
            return self._day_start_us(version.declared_date + 1) - 1
        return self._day_start_us(version.ex_date)

    def _day_start_us(self, day: int) -> int:
        return self.calendar.day_start(date.fromordinal(day + _UNIX_EPOCH))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionConflict:
    """Sources that disagree: the effects `used`, those of the others, and whether order or the prices of the day decided."""

    used: tuple[Effect, ...]
    others: tuple[Effect, ...]
    decided_by: Literal["order", "price"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNote:
    """Something that was done with an action beyond applying it."""

    action: CorporateAction
    remark: Literal["ratio_of_one", "told_twice", "ex_date_moved", "price_check_failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionChoice:
    """The actions that count, each as its effect in the order of ex-dates, and what was decided on the way."""

    effects: tuple[Effect, ...]
    conflicts: tuple[ActionConflict, ...]
    notes: tuple[ActionNote, ...]


def counting(versions: Iterable[CorporateAction], view: ActionView) -> list[CorporateAction]:
    """Return the newest version of each action that was there by the moment, without those it cancels, in an order of their own."""
    newest: dict[tuple[str, str], CorporateAction] = {}
    for version in versions:
        name = version.provider, version.action_id
        if view.counts(version) and (name not in newest or _place(version) > _place(newest[name])):
            newest[name] = version
    kept = [each for each in newest.values() if each.state != "cancelled"]
    return sorted(kept, key=lambda each: (each.ex_date, view.rank(each.provider), each.action_id))


def _place(version: CorporateAction) -> tuple[int, int, int]:
    return version.known_from, version.raw_offset, version.index


def choose(versions: Iterable[CorporateAction], view: ActionView, sessions: RawSessions) -> ActionChoice:
    """Return the actions of one symbol that count, of all versions of all providers; `sessions` are its raw prices as known then."""
    notes: list[ActionNote] = []
    dated = [
        (each, sessions.first_from(each.ex_date))
        for each in counting(versions, view)
        if each.type != "delisting"
    ]
    notes += [ActionNote(action=each, remark="ex_date_moved") for each, ex in dated if ex != each.ex_date]
    shares = [share_effect(each, ex) for each, ex in dated if each.type in SHARES]
    notes += [
        ActionNote(action=each.action, remark="ratio_of_one") for each in shares if _changes_nothing(each)
    ]
    picked = _Picked(view, sessions, notes)
    picked.take("shares", [each for each in shares if not _changes_nothing(each)], picked.share_source)
    steps = ShareSteps(picked.effects)
    by_kind: dict[Kind, list[Effect]] = {}
    for each, ex in dated:
        if each.type not in SHARES:
            effect = price_effect(each, ex, view.told_day(each), sessions, steps)
            by_kind.setdefault(kind_of(each), []).append(effect)
    for kind in sorted(by_kind):
        picked.take(kind, by_kind[kind], picked.price_source)
    return ActionChoice(
        effects=tuple(
            sorted(picked.effects, key=lambda each: (each.ex, each.action.provider, each.action.action_id))
        ),
        conflicts=tuple(picked.conflicts),
        notes=tuple(notes),
    )


def _changes_nothing(effect: Effect) -> bool:
    return effect.reason is None and effect.before == effect.after


Told = dict[str, list[Effect]]
"""What each provider tells of one occasion, in the configured order."""


class _Picked:
    """The effects picked so far, with the conflicts on the way."""

    def __init__(self, view: ActionView, sessions: RawSessions, notes: list[ActionNote]) -> None:
        self._view, self._sessions, self._notes = view, sessions, notes
        self.effects: list[Effect] = []
        self.conflicts: list[ActionConflict] = []

    def take(self, kind: Kind, effects: Sequence[Effect], source: Callable[[Told], str]) -> None:
        """Pick one source for each occasion among the effects of one kind; `source` names it where several speak."""
        for occasion in groups(kind, effects):
            told: Told = {}
            for each in sorted(occasion, key=lambda each: self._view.rank(each.action.provider)):
                told.setdefault(each.action.provider, []).append(each)
            told = {provider: self._once(kind, each) for provider, each in told.items()}
            used = source(told)
            self.effects += told[used]
            self._compare(told, used)
            if kind == "shares" and any(self._fits(each) is False for each in told[used]):
                self._notes += [
                    ActionNote(action=each.action, remark="price_check_failed") for each in told[used]
                ]

    def share_source(self, told: Told) -> str:
        """Return the first provider whose split can be computed and is not contradicted by prices, else the first that can be."""
        usable = [provider for provider, effects in told.items() if not _unresolved(effects)] or list(told)
        fitting = [name for name in usable if all(self._fits(each) is not False for each in told[name])]
        return (fitting or usable)[0]

    def price_source(self, told: Told) -> str:
        """Return the first provider all of whose effects can be computed, else the first."""
        usable = [provider for provider, effects in told.items() if not _unresolved(effects)]
        return (usable or list(told))[0]

    def _once(self, kind: Kind, effects: Sequence[Effect]) -> list[Effect]:
        """Return what one provider tells without repeats; of splits that contradict each other the one that prices allow."""
        distinct = one_each(effects, self._fits)
        kept = {id(each) for each in distinct}
        self._notes += [
            ActionNote(action=each.action, remark="told_twice") for each in effects if id(each) not in kept
        ]
        if kind != "shares" or len(distinct) == 1:
            return distinct
        fitting = [each for each in distinct if self._fits(each)]
        if len(fitting) == 1:
            return fitting
        return [replace(each, before=1.0, after=1.0, reason="ratio_contradicted") for each in distinct]

    def _compare(self, told: Told, used: str) -> None:
        """Note a conflict where another provider says something else that can be computed."""
        others = [
            effects
            for provider, effects in told.items()
            if provider != used and not _unresolved(effects) and not is_same(effects, told[used])
        ]
        if others and not _unresolved(told[used]):
            is_first = used == next(name for name, effects in told.items() if not _unresolved(effects))
            self.conflicts.append(
                ActionConflict(
                    used=tuple(told[used]),
                    others=tuple(each for effects in others for each in effects),
                    decided_by="order" if is_first else "price",
                )
            )

    def _fits(self, effect: Effect) -> bool | None:
        """Whether prices moved as a change of shares says: |ln(open·ratio/C₋)| < 0.25; None where they are not known."""
        opened, closed = self._sessions.open_on(effect.ex), self._sessions.close_before(effect.ex)
        if opened is None or closed is None or effect.reason is not None or not effect.of_shares:
            return None
        return abs(math.log(opened * effect.ratio / closed)) < PRICE_TOLERANCE


def _unresolved(effects: Sequence[Effect]) -> bool:
    return any(each.reason is not None for each in effects)
