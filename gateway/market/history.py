"""A page of history: what is to be read for it, whether it can be given, and what it says; all but the reading."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.database.gap_pages import NO_GAPS, GapPage
from gateway.database.knowledge import latest_event, no_watermark, not_kept
from gateway.database.versions import BarVersion, GapFilter, Span, View
from gateway.http.columns import Shown
from gateway.http.moments import EARLIEST_US, LATEST_US, rfc3339
from gateway.http.pages import Page
from gateway.http.problems import invalid_field
from gateway.market.action_account import ActionAccount, without_doubt
from gateway.market.aggregate import sources_of
from gateway.market.bars import MIXED, SESSIONS, one_or_mixed, row, table_row
from gateway.market.factors import Factor, beside, too_many_values
from gateway.market.gaps import gap_row
from gateway.market.history_request import HistoryRequest
from gateway.market.instrument_names import InstrumentNames
from schemas.clocks import EventTime, KnowledgeTime

MAX_META_GAPS = 1_000
RECENT_S = 5.0  # what no moment pins shows as late: that a symbol is known meanwhile, or that bars are no longer kept
MAX_RECENT_ROWS = 50_000  # of all pages together, some 50 MB

After = tuple[int, ...] | None
"""The key of the last row of a page with another behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePlan:
    """The reading of one page: bars of `span` through the eyes of `view`, after the key `after` of all revisions."""

    ask: HistoryRequest
    as_of: KnowledgeTime
    bounds: Span  # the whole range asked for, as meta says it
    span: Span
    view: View
    after: tuple[int | str, ...] | None
    is_first: bool
    kept_from: EventTime | None  # bars before it are no longer kept

    @property
    def misses(self) -> bool:
        """Whether a part of the range is no longer kept."""
        return self.kept_from is not None and self.bounds[0] < self.kept_from

    def gaps(self, bars: Sequence[BarVersion], after: After) -> GapFilter:
        """Return which gaps belong to the page: those of what it covers, and of what that is made of."""
        ask, (start, end) = self.ask, self.span
        if after is not None:
            start, end = (EventTime(after[0]), end) if ask.descending else (start, EventTime(after[0] + 1))
        made = any(bar.derived for bar in bars)
        intervals = sources_of(ask.interval) if made else [ask.interval]
        return GapFilter(
            symbol=ask.symbol,
            intervals=intervals,
            provider=ask.provider,
            start=start,
            end=end,
            as_of=self.as_of,
        )


@dataclass(slots=True, kw_only=True)
class Reading:
    """The words of one snapshot; `plan` None: nothing is known in full yet."""

    plan: PagePlan | None = None
    bars: Sequence[BarVersion] = ()
    after: After = None
    gaps: GapPage = NO_GAPS
    factors: Sequence[Factor] | None = ()  # None: more than a page may have
    floor: KnowledgeTime | None = None
    known: bool = True
    providers: Sequence[str] = ()
    account: ActionAccount | None = None  # of the actions it is adjusted for, where that is asked for
    names: InstrumentNames | None = None  # under which bars were read; None: nothing was
    intervals: Sequence[str] = ()  # of which anything is stored; read where there are no bars

    @property
    def shown(self) -> Sequence[BarVersion]:
        """The bars that are given: without those in doubt, unless their provider is named."""
        is_named = self.plan is not None and self.plan.ask.provider is not None
        return self.bars if self.account is None or is_named else without_doubt(self.bars)


def plan(
    ask: HistoryRequest,
    page: Page | None,
    as_of: KnowledgeTime,
    *,
    wall_market: bool,
    kept_from: EventTime | None = None,
) -> PagePlan:
    """Return what the page `page` of a request reads at `as_of`; None: the first page."""
    bounds = (ask.start, ask.end) if page is None else (page.start, page.end)
    start, end = bounds
    if page is not None:
        if ask.revisions == "all":
            start = EventTime(int(page.after[0]))
        elif ask.descending:
            end = EventTime(int(page.after[0]))
        else:
            start = EventTime(int(page.after[0]) + 1)
    if kept_from is not None:
        start = EventTime(max(start, kept_from))
    # Nothing later can have been known.
    latest = latest_event(as_of, wall_market=wall_market)
    return PagePlan(
        ask=ask,
        as_of=as_of,
        bounds=bounds,
        span=(start, EventTime(max(start, min(end, latest + 1)))),
        view=View(as_of=as_of, provider=ask.provider, sessions=SESSIONS[ask.session], latest_event=latest),
        after=None if page is None else page.after,
        is_first=page is None,
        kept_from=kept_from,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The content of a page; `following` is where the next one begins, `settled` whether this one can never change."""

    rows: Sequence[dict[str, Any]]
    meta: dict[str, Any]
    following: Page | None
    settled: bool


class RecentPages:
    """The pages asked for last, by everything they follow from; the longest unasked go first.

    By the promise of `as_of` the same question about the same moment has the same answer.
    """

    def __init__(self, *, most_rows: int = MAX_RECENT_ROWS) -> None:
        """Keep pages of `most_rows` rows together."""
        self._most_rows = most_rows
        self._pages: OrderedDict[Hashable, tuple[float, Answered]] = OrderedDict()
        self._rows = 0

    def find(self, question: Hashable, now_s: float) -> Answered | None:
        """Return the page of a question where it was answered a short while before `now_s`."""
        found = self._pages.get(question)
        if found is None or now_s - found[0] > RECENT_S:
            return None
        self._pages.move_to_end(question)
        return found[1]

    def keep(self, question: Hashable, page: Answered, now_s: float) -> None:
        """Keep the page of a question answered at `now_s`; one that is larger than all may be is not."""
        self._drop(question)
        if _size(page) > self._most_rows:
            return
        self._pages[question] = now_s, page
        self._rows += _size(page)
        while self._rows > self._most_rows:
            self._drop(next(iter(self._pages)))

    def _drop(self, question: Hashable) -> None:
        found = self._pages.pop(question, None)
        if found is not None:
            self._rows -= _size(found[1])


def _size(page: Answered) -> int:
    """Return how many rows a page counts as: an empty one has its `meta`."""
    return 1 + len(page.rows) + len(page.meta["gaps"])


def answered(ask: HistoryRequest, reading: Reading) -> Answered:
    """Return what the page says; raise the Problem of an answer that cannot be given."""
    plan = _checked(ask, reading)
    start, end = plan.bounds
    following = None
    if reading.after is not None:
        pins = () if reading.account is None else reading.account.pins
        names = () if reading.names is None else reading.names.pins
        following = Page(as_of=plan.as_of, start=start, end=end, after=reading.after, pins=pins, names=names)
    rows, meta = _content(plan, reading)
    # What was known by a moment stays so, gaps included; but a token carries its own expiry, and of what nobody knew then
    # an empty answer says since when it is known.
    settled = following is None and (bool(rows) or not plan.is_first or _was_known(reading, plan.as_of))
    settled = settled and (reading.account is None or reading.account.is_final)
    settled = settled and (reading.names is None or reading.names.is_final)
    return Answered(rows=rows, meta=meta, following=following, settled=settled)


def _was_known(reading: Reading, as_of: KnowledgeTime) -> bool:
    return reading.floor is not None and reading.floor <= as_of


def _checked(ask: HistoryRequest, reading: Reading) -> PagePlan:
    """Return the plan of a reading; raise the Problem of an answer that cannot be given."""
    if reading.plan is None:
        raise no_watermark()
    if reading.plan.misses and reading.plan.kept_from is not None and ask.start_given is not None:
        raise not_kept(ask.start_given, ask.start, reading.plan.kept_from)
    if ask.provider is not None and reading.providers and ask.provider not in reading.providers:
        detail = f"provider {ask.provider} gave no bars of {ask.symbol}; use best, or one of: {' '.join(reading.providers)}"
        raise invalid_field("provider", "unknown_provider", detail)
    if ask.revisions == "all" and reading.intervals and ask.interval not in reading.intervals:
        detail = (
            f"no bars of {ask.interval} are stored of {ask.symbol}, so they have no revisions; they are made of others: "
            f"ask for revisions of one of: {' '.join(reading.intervals)}"
        )
        raise invalid_field("revisions", "not_stored", detail)
    if reading.factors is None:
        raise too_many_values()
    return reading.plan


def _content(plan: PagePlan, reading: Reading) -> tuple[Sequence[dict[str, Any]], dict[str, Any]]:
    """Return (rows, meta) of a page."""
    ask, (start, end) = plan.ask, plan.bounds
    bars = reading.shown
    adjustment = one_or_mixed(bar.adjustment_state for bar in bars) or ask.adjustment
    currency = one_or_mixed(bar.currency for bar in bars)
    shown: Callable[[BarVersion], dict[str, Any]] = table_row
    if ask.format != "csv":
        shown = partial(row, with_adjustment=adjustment == MIXED, with_currency=currency == MIXED)
    rows = beside(Shown(bars, shown), reading.factors or (), is_table=ask.format == "csv")
    meta: dict[str, Any] = {
        "as_of": rfc3339(plan.as_of),
        "symbol": ask.symbol, "interval": ask.interval, "session": ask.session,
        "start": None if start <= EARLIEST_US else rfc3339(start),
        "end": None if end >= LATEST_US else rfc3339(end),
        "provider": ask.provider or "best", "adjustment": adjustment,
        "currency": currency or None,
        "revisions": ask.revisions, "sort": "desc" if ask.descending else "asc", "row_count": len(rows),
        "gaps": [gap_row(gap) for gap in reading.gaps.gaps], "unresolved": [],
    }  # fmt: skip
    if ask.factors:
        meta["factors"] = [each.about for each in reading.factors or ()]
    if reading.account is not None:
        meta |= reading.account.meta(ask.symbol, reading.bars)
    if reading.names is not None:
        meta |= reading.names.meta(plan.bounds)
    if reading.gaps.after is not None:
        meta["gaps_truncated"] = True
    if plan.misses and plan.kept_from is not None:
        meta["kept_from"] = rfc3339(plan.kept_from)
    if not rows and reading.floor is not None and reading.floor > plan.as_of:
        meta["as_of_floor"] = rfc3339(reading.floor)
    return rows, meta
