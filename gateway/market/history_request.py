"""Request of `history` and `intraday`: what a query asks for, read and checked, and the range of event_time it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from analytics.action_choice import Knowledge
from analytics.adjustment import Adjustment
from gateway.database.versions import Span
from gateway.http.moments import LATEST_US, local_date, midnight, period_start
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, KnowledgeTime, MarketTime

DEFAULT_PERIODS = {
    "1m": "1d",
    "5m": "5d",
    "15m": "5d",
    "30m": "1mo",
    "1h": "1mo",
    "1d": "1y",
    "1wk": "5y",
    "1mo": "10y",
}


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
    names: str  # all: of the instrument; own: of the symbol alone
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


def asked_range(
    date: EventTime | None,
    start: EventTime | None,
    end: EventTime | None,
    *,
    period: str,
    calendar: Calendar,
    now: MarketTime,
) -> Span:
    """Return [start, end) of a venue's whole day `date`, of both ends, or of a `period` back from the end or from now."""
    if date is not None:
        after = local_date(date, calendar.timezone) + timedelta(days=1)
        return date, midnight(after, calendar.timezone)
    until = LATEST_US if end is None else end
    if start is not None:
        return start, until
    return period_start(period, MarketTime(min(now, until)), calendar), until
