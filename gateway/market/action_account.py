"""Account of an adjusted answer, in its `meta`: which corporate actions it applies, which it cannot, where sources disagree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from analytics.action_choice import ActionChoice, ActionConflict, Knowledge
from analytics.adjustment import ActionSchedule, Adjustment, BarFactors
from gateway.database.versions import BarBasis, BarVersion
from gateway.http.columns import DATE, NUMBER, TEXT, TIME, WHOLE, Column, or_null, record, rows, words_of
from gateway.http.moments import rfc3339
from gateway.http.problems import FieldError
from gateway.market.bars import MIXED
from schemas.clocks import Day, iso_day
from schemas.entries import CorporateAction

BASIS_UNCERTAIN = "basis_uncertain"
_AMOUNTS = ("ratio_to", "ratio_from", "amount", "price_factor")

CITED = (
    Column("provider", TEXT, "Who tells it."),
    Column("action_id", TEXT, "Its name there: see GET /stocks/{symbol}/actions."),
    Column("type", TEXT, "What is done."),
    Column("ex_date", DATE, "First day the price is without it, at the venue."),
    Column("known_from", TIME, "Moment this version was first known here.", "UTC"),
    Column("ratio_to", NUMBER, "Shares after, of `ratio_from` before.", always=False),
    Column("ratio_from", NUMBER, "Shares before.", always=False),
    Column("amount", NUMBER, "Cash a share, in `currency`.", always=False),
    Column("price_factor", NUMBER, "The vendor's own factor for prices before.", always=False),
    Column("currency", TEXT, "Of the amount.", always=False),
)
_REASON = Column("reason", TEXT, "Why nobody can say what it does to prices.")
_CONFLICT = (
    Column("used", rows(record(*CITED)), "What the source says that is used."),
    Column("others", rows(record(*CITED)), "What others say of the same occasion."),
    Column("decided_by", words_of(("order", "price")), "The order of sources, or the prices of the day."),
)
_UNCERTAIN = (
    Column("symbol", TEXT, "The symbol as given."),
    Column("code", words_of((BASIS_UNCERTAIN,)), "Why these bars cannot be adjusted."),
    Column("provider", TEXT, "Whose bars they are; mixed where derived ones are of several."),
    Column("start", TIME, "The earliest of them.", "UTC"),
    Column("last", TIME, "The latest of them.", "UTC"),
    Column("row_count", WHOLE, "How many in a row.", "rows"),
)
ADJUSTED_META = (
    Column(
        "unresolved",
        rows(record(*_UNCERTAIN)),
        "Bars whose basis nobody can tell: left out of adjusted answers, unless their provider is named.",
    ),
    Column("basis", DATE, "With adjustment: day whose shares adjusted prices are in.", always=False),
    Column("knowledge", words_of(("known", "published")), "With adjustment: as asked.", always=False),
    Column(
        "actions_applied",
        WHOLE,
        "With adjustment: how many corporate actions lie between these rows and the basis and are applied.",
        always=False,
    ),
    Column(
        "unresolved_actions",
        rows(record(*CITED, _REASON)),
        "With adjustment: those between them that cannot be applied; rows before their ex-dates lack them.",
        always=False,
    ),
    Column(
        "action_conflicts",
        rows(record(*_CONFLICT)),
        "With adjustment: where sources disagree on what is applied.",
        always=False,
    ),
    Column(
        "factor_source",
        or_null(TEXT),
        "With adjustment: who tells of what is applied, mixed where several do; null where nothing is.",
        always=False,
    ),
)


def lone_basis(given: Iterable[str]) -> Iterator[FieldError]:
    """Complain of a `basis` of prices that are as they are stored."""
    if "basis" in given and "adjustment" not in given:
        detail = "basis is of adjusted prices; give adjustment=raw, split or all, or leave basis out"
        yield FieldError(param="basis", code="needs_adjustment", detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionAccount:
    """The actions an answer was adjusted for, from which follows what it says of them.

    `pins` are what its next pages must share: the day of the basis, and up to when what was told counts (µs).
    """

    adjustment: Adjustment
    knowledge: Knowledge
    basis: Day
    told_by: int
    schedule: ActionSchedule
    choice: ActionChoice
    sources: frozenset[str]

    @property
    def pins(self) -> tuple[int, ...]:
        """Numbers that the pages of one answer share beside its moment."""
        return self.basis, self.told_by

    @property
    def is_final(self) -> bool:
        """Whether the answer of a past moment can never change: an import adds to what was published, a configuration orders sources."""
        return self.knowledge == "known" and len(self.sources) <= 1

    def meta(self, symbol: str, bars: Sequence[BarVersion]) -> dict[str, Any]:
        """Return what `meta` says of the bars of a page, those that are left out among them."""
        factors = self._between([bar.basis for bar in bars if bar.basis and not bar.basis.uncertain])
        counting = {id(each) for each in (*factors.applied, *factors.unresolved)}
        sources = {each.action.provider for each in factors.applied}
        return {
            "unresolved": list(_uncertain(symbol, bars)),
            "basis": iso_day(self.basis),
            "knowledge": self.knowledge,
            "actions_applied": len(factors.applied),
            "unresolved_actions": [
                cited(each.action) | {"reason": each.reason} for each in factors.unresolved
            ],
            "action_conflicts": [
                _conflict(each)
                for each in self.choice.conflicts
                if any(id(used) in counting for used in each.used)
            ],
            "factor_source": MIXED if len(sources) > 1 else next(iter(sources), None),
        }

    def _between(self, told: Sequence[BarBasis]) -> BarFactors:
        # Of what is made of several days both ends.
        days = np.array([day for each in told for day in each.days], np.int64)
        basis = np.array([day for each in told for day in each.shares_of], np.int64)
        return self.schedule.factors(days, basis, target=self.basis, adjustment=self.adjustment)


def _uncertain(symbol: str, bars: Sequence[BarVersion]) -> Iterator[dict[str, Any]]:
    """Yield the stretches of uncertain bars in a row, each of one provider."""
    for (doubted, provider), stretch in groupby(bars, key=lambda bar: (_in_doubt(bar), bar.provider)):
        if doubted:
            moments = [bar.event_time for bar in stretch]
            yield {
                "symbol": symbol, "code": BASIS_UNCERTAIN, "provider": provider, "start": rfc3339(min(moments)),
                "last": rfc3339(max(moments)), "row_count": len(moments),
            }  # fmt: skip


def _in_doubt(bar: BarVersion) -> bool:
    return bar.basis is not None and bar.basis.uncertain


def without_doubt(bars: Sequence[BarVersion]) -> Sequence[BarVersion]:
    """Return the bars whose basis is known."""
    return [bar for bar in bars if not _in_doubt(bar)]


def _conflict(conflict: ActionConflict) -> Mapping[str, Any]:
    return {
        "used": [cited(each.action) for each in conflict.used],
        "others": [cited(each.action) for each in conflict.others],
        "decided_by": conflict.decided_by,
    }


def cited(action: CorporateAction) -> dict[str, Any]:
    """Return an action as answers cite it: who tells it under which name, since when, and the numbers it has."""
    said: dict[str, Any] = {
        "provider": action.provider, "action_id": action.action_id, "type": action.type,
        "ex_date": iso_day(action.ex_date), "known_from": rfc3339(action.known_from),
    }  # fmt: skip
    amounts = {name: getattr(action, name) for name in _AMOUNTS}
    said |= {name: value for name, value in amounts.items() if value is not None}
    return said | ({"currency": action.currency} if action.amount is not None else {})
