"""The part that polls of the present share: quotes and option chains, of which nothing that was missed can be asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from producers.polling.shell.polls import Task, TaskPoll
from producers.raw.missed import since_failure
from schemas.calendar.sessions import Calendar
from schemas.clocks import MarketTime
from schemas.records import Discontinuity
from schemas.streams import Stream, StreamId

# So many more may pass after the one due, before polls that failed are told: three between two answers.
LATE_CADENCES = 2


class PresentPoll(TaskPoll[Task]):
    """A task of one provider that gives what is now; heirs say when the next poll after a moment is due."""

    is_behind = False  # the present is all there is
    stream: Stream
    calendars: Sequence[Calendar]
    phase_us: int

    def next_due(self) -> MarketTime:
        """Return the market time of the next poll."""
        return self._due_after(self._market.now_us())

    def _due_after(self, moment: MarketTime) -> MarketTime:
        raise NotImplementedError

    def _missed(self, served: Sequence[StreamId], now: MarketTime) -> list[Discontinuity]:
        """Return what polls that failed before have cost of streams that are served again."""
        if not self._market.paced:
            return []  # time stands: nothing is late
        return since_failure(self._raw.watched.interrupted(served), now, self._late_after)

    async def _not_watched(self, symbols: Iterable[str], cause: str, now: MarketTime) -> None:
        await self._unanswered(self._streams(symbols), cause, now, self._late_after, self.calendars)

    def _late_after(self, watched: MarketTime) -> int:
        """Return from when on (µs) a poll after one at a moment was late."""
        return self._due_after(watched) + LATE_CADENCES * self._task.every_us

    def _streams(self, symbols: Iterable[str]) -> list[StreamId]:
        return [StreamId(self.stream.name, "", self.provider, symbol) for symbol in symbols]
