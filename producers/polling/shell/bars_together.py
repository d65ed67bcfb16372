"""Past bars of several symbols of one provider, asked for in one request: each is published, or fails, for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from producers.polling.shell.bars_poll import Backfilled, BarsPoll
from producers.polling.shell.polls import Rejections
from producers.raw.blocks import Placed
from producers.raw.shell.topics import RawTopics
from producers.vendors.answers import BarsRequest, Response
from schemas.clocks import EventTime, MarketTime
from schemas.errors import MarketDataError, ProviderUnavailable
from schemas.topics import RAW_BARS

PUBLISHED_AT_ONCE = 1_000  # bars; beyond it encoding would hold up the loop


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPart:
    """Bars of [start, end), at most as long as one request may be, that a job wants of one series."""

    poll: BarsPoll
    start: MarketTime
    end: MarketTime
    job_id: str


async def backfill_together(parts: Sequence[PastPart], raw: RawTopics) -> list[Backfilled | MarketDataError]:
    """Fetch the parts, of different symbols, in one request and publish each as a backfill; return what became of each.

    Raises what becomes of all of them.
    """
    asked = [part.poll.past(EventTime(part.start), part.end) for part in parts]
    wanted = [request for request in asked if request is not None]
    answers = await parts[0].poll.source.bars_of(wanted) if wanted else {}
    came: list[Backfilled | MarketDataError] = []
    waiting: list[Placed] = []
    for part, request in zip(parts, asked, strict=True):
        placed, result = _blocks(part, request, answers)
        came.append(result)
        waiting += placed
        answer = answers.get(part.poll.task.symbol)
        if isinstance(answer, Response):
            await Rejections(raw, RAW_BARS, part.poll.provider).publish(answer)
        if sum(len(entry.block.events) for entry in waiting) >= PUBLISHED_AT_ONCE:
            await raw.publish(RAW_BARS, waiting)
            waiting = []
    await raw.publish(RAW_BARS, waiting)
    return came


def _blocks(
    part: PastPart, asked: BarsRequest | None, answers: Mapping[str, Response | MarketDataError]
) -> tuple[list[Placed], Backfilled | MarketDataError]:
    if asked is None:  # it lies ahead of the market
        return [], Backfilled()
    answer = answers.get(asked.symbol)
    if answer is None:
        told = f"{part.poll.provider} answered a request for several symbols without a word of {asked.symbol}"
        return [], ProviderUnavailable(told)
    if isinstance(answer, MarketDataError):
        return [], answer
    try:
        return part.poll.past_blocks(asked, answer, part.start, part.end, job_id=part.job_id)
    except MarketDataError as error:
        return [], error
