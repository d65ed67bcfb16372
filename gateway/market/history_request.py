"""Request of `history` and `intraday`: what a query asks for, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analytics.action_choice import Knowledge
from analytics.adjustment import Adjustment
from schemas.clocks import Day, EventTime, KnowledgeTime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRequest:
    """Bars of one symbol with event_time in [start, end)."""

    symbol: str
    interval: str
    start: EventTime
    end: EventTime
    provider: str | None  # None: best of all
    adjustment: Adjustment | None  # None: whatever is stored, said in meta
    basis: Day | None
    factors: Mapping[str, str]  # keys of macro series by the names given
    knowledge: Knowledge
    session: str
    as_of: KnowledgeTime | None
    revisions: str
    descending: bool
    limit: int
    format: str
    page_token: str | None
    fixed_range: bool  # both ends given: with an as_of the answer can never change
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def start_given(self) -> str | None:
        """The parameter that names the start of the range; None where a period reaches back to it."""
        return next((name for name in ("start", "date") if name in self.given), None)
