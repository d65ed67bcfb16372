"""End of a job: by what the requests that cover its stretch came to; and who else is asked where it brought nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from producers.backfill.planning import Window
from schemas.backfill import MAX_ATTEMPTS, BackfillJob, BackfillOrder, BackfillState, asked_id
from schemas.clocks import EventTime
from schemas.errors import (
    MarketDataError,
    ProviderDeclined,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnentitled,
    UnknownSymbol,
)
from schemas.intervals import SECOND_US

NO_INTERFACE = "no_interface"
NOT_COLLECTED = "not_collected"
TRIED_TOO_OFTEN = "tried_too_often"
ELSEWHERE = "elsewhere:"  # before the name of the provider whose gap it is, in the source of an order
# What a vendor says in one way to the same request for ever, and the cause of what is missing by it.
FOR_GOOD: tuple[tuple[type[MarketDataError], str], ...] = (
    (UnknownSymbol, "unknown_symbol"),
    (ProviderUnentitled, "not_offered"),
    (ProviderDeclined, "refused"),
)
WISHES = ("user", "bulk")
KEY_WAIT_S = 300.0  # an operator is needed
RECENTLY_S = 60.0  # where the jobs never failed before
REMEMBERED = 20_000  # jobs; of the one forgotten first the next failure is its first
OUTAGE_BORNE_S = 86_400.0  # a day: a session of any market, and the night after it
OUTAGE_WAIT_S = 180.0  # longer than is waited in place: others have their turn
HALF_READ = "values of the answer could not be used, or were not in it"
NOT_YET = "the vendor has not come so far yet"
SAME_AGAIN = "the vendor was asked and has none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Yield of a request: starts of bars, the stretches that are answered whole, and up to where was asked (µs).

    `is_lacking`: values of it could not be used, so that nobody can say what there is not.
    """

    window: Window
    starts: Sequence[EventTime] = ()
    answered: Sequence[Window] = ()
    asked_to: EventTime
    is_lacking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverGiven:
    """A request that is refused for good, with the cause as a word and the reason in words."""

    window: Window
    cause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """End of a job; `given_up` are the parts of its stretch nobody will give, for `cause`."""

    state: BackfillState
    rows: int = 0
    reason: str
    given_up: Sequence[Window] = ()
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Another try, after `asked_s` at least where somebody said so; not `counted` where the job had no part in it."""

    reason: str
    asked_s: float | None = None
    counted: bool = True


def cause_for_good(error: MarketDataError) -> str | None:
    """Return the cause where a vendor refuses for good, None where asking again may help."""
    return next((cause for kind, cause in FOR_GOOD if isinstance(error, kind)), None)


def after_failure(error: MarketDataError) -> Again:
    """Return the next try after a failure; to be told to wait, or that our key is no good, says nothing of the job."""
    if isinstance(error, ProviderRefused):
        return Again(reason=str(error), asked_s=KEY_WAIT_S, counted=False)
    wait_s: float | None = getattr(error, "retry_after_s", None)
    if isinstance(error, ProviderThrottled) or wait_s is not None:
        return Again(reason=str(error), asked_s=wait_s, counted=False)
    return Again(reason=str(error))


class Outages:
    """Failures of jobs, by a clock that never steps (s)."""

    def __init__(self) -> None:
        """Begin with none."""
        self._failed_s: dict[str, float] = {}  # the newest failure of each job, in order

    def is_outage(self, job_ids: Collection[str], *, now_s: float, silent_s: float) -> bool:
        """Note that a request for these jobs failed, and return whether its provider as a whole did.

        `silent_s`: how long ago it gave anybody a usable answer. One that did since the jobs failed before is well, and what
        it fails with is said of them; so each is charged once for an outage at most.
        """
        before_s = max((self._failed_s[each] for each in job_ids if each in self._failed_s), default=None)
        for each in job_ids:
            self._failed_s.pop(each, None)
            self._failed_s[each] = now_s
        while len(self._failed_s) > REMEMBERED:
            del self._failed_s[next(iter(self._failed_s))]
        since_s = RECENTLY_S if before_s is None else now_s - before_s
        return since_s <= silent_s


def after_outage(again: Again, silent_s: float) -> Again:
    """Return the next try where not the request failed but its provider as a whole: that says nothing of the job, either.

    `silent_s`: how long ago it gave anybody a usable answer. After a day every try is charged, so that each job has an end.
    """
    if silent_s >= OUTAGE_BORNE_S:
        return replace(again, counted=True)
    return replace(again, asked_s=OUTAGE_WAIT_S, counted=False)


def ending_of(job: BackfillJob, results: Sequence[Fetched | NeverGiven]) -> Ending | Again:
    """Return what a job came to of whose stretch all that can be was asked for.

    A hole is fetched until its last bar is over and the feed has come so far: nobody asks for the rest of it again.
    What somebody wishes for is what there is now.
    """
    low, high = job.order.from_time, job.order.to_time
    fetched = [each for each in results if isinstance(each, Fetched)]
    refused = [each for each in results if isinstance(each, NeverGiven) and _common(each.window, (low, high))]
    rows = sum(low <= start < high for each in fetched for start in each.starts)
    parts = (_common(each.window, (low, high)) for each in refused)
    given_up = tuple(part for part in parts if part is not None)
    cause, reason = (refused[0].cause, refused[0].reason) if refused else ("", "")
    if refused and not rows:
        return Ending(state="unrecoverable", reason=reason, given_up=given_up, cause=cause)
    asked_to = min(high, max((each.asked_to for each in fetched), default=low))
    covered = covered_to(low, (part for each in fetched for part in each.answered))
    is_lacking = any(each.is_lacking and _common(each.window, (low, high)) for each in fetched)
    is_wish = job.order.origin in WISHES
    if (
        not is_lacking
        and not refused
        and covered < (asked_to if is_wish else high)
        and not (rows and is_wish)
    ):
        return Again(reason=NOT_YET, asked_s=(high - covered) / SECOND_US, counted=False)
    if rows:
        return Ending(state="done", rows=rows, reason=reason, given_up=given_up, cause=cause)
    return Again(reason=HALF_READ) if is_lacking else Ending(state="empty", reason=SAME_AGAIN)


def given_up_after(job: BackfillJob, again: Again) -> Ending | None:
    """Return the end of a job that was tried as often as one is; None where it is tried again."""
    if not again.counted or job.attempts < MAX_ATTEMPTS:
        return None
    return given_up(job, "dead", TRIED_TOO_OFTEN, again.reason)


def given_up(job: BackfillJob, state: BackfillState, cause: str, reason: str) -> Ending:
    """Return the end of a job whose whole stretch is given up."""
    whole = (job.order.from_time, job.order.to_time)
    return Ending(state=state, reason=reason, given_up=(whole,), cause=cause)


def order_elsewhere(order: BackfillOrder, providers: Sequence[str]) -> BackfillOrder | None:
    """Return the order for the next of `providers` that give the symbol, the preferred one first; None: nobody is left.

    It is of that provider's own series, and follows from the order before it: told twice it is the same.
    """
    asked, is_first = order.series.provider, not order.source.startswith(ELSEWHERE)
    whose = asked if is_first else order.source.removeprefix(ELSEWHERE)
    others = [provider for provider in providers if provider != whose]
    if not is_first:
        others = others[others.index(asked) + 1 :] if asked in others else []
    if not others or (is_first and order.origin != "gap"):
        return None
    series = order.series._replace(provider=others[0])
    return BackfillOrder(
        job_id=asked_id(series, order.from_time, order.to_time, order.job_id),
        series=series,
        from_time=order.from_time,
        to_time=order.to_time,
        tier=order.tier,
        origin=order.origin,
        source=f"{ELSEWHERE}{whose}",
    )


def covered_to(low: EventTime, parts: Iterable[Window]) -> EventTime:
    """Return up to where `parts` cover what begins at `low` without a hole."""
    for begin, end in sorted(parts):
        if begin > low:
            break
        low = max(low, end)
    return low


def _common(one: Window, other: Window) -> Window | None:
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low < high else None
