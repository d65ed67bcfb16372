"""Many symbols in one request, of which a vendor may refuse all for one: the refused symbol costs itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from infra.runtime.clock import monotonic_s
from producers.vendors.answers import Answer
from producers.vendors.shell.requests import Asked
from schemas.errors import UnknownSymbol

REFUSED_S = 900.0  # a symbol that was refused is not asked for again so long

Names = Mapping[str, str]  # the vendor's symbol → ours


class RefusedBatch(UnknownSymbol):
    """A batch was refused for some of its symbols; `names` are those the vendor said, none where it did not say."""

    def __init__(self, message: str, *, names: Collection[str] = ()) -> None:
        super().__init__(message)
        self.names = frozenset(names)


class Batches:
    """Asks for batches without the symbols that were refused, whom it remembers for a while."""

    def __init__(self, clock_s: Callable[[], float] = monotonic_s) -> None:
        """Remember by a clock that never goes back, in seconds."""
        self._clock_s = clock_s
        self._refused: dict[str, float] = {}  # the vendor's symbol → until when

    async def ask(self, asked: Names, fetch: Callable[[Names], Awaitable[Asked[Answer]]]) -> Asked[Answer]:
        """Return what `fetch` gives for `asked`, refused symbols `missing`.

        A refused batch is asked for again without the symbols the vendor named, or in halves where it named none. Raises
        RefusedBatch where every symbol is refused, and what `fetch` raises.
        """
        now_s = self._clock_s()
        self._refused = {name: until_s for name, until_s in self._refused.items() if until_s > now_s}
        left = {name: symbol for name, symbol in asked.items() if name not in self._refused}
        answers: list[Asked[Answer]] = []
        batches = [left or dict(asked)]
        while batches:
            batch = batches.pop()
            try:
                answers.append(await fetch(batch))
            except RefusedBatch as error:
                batches += self._without(batch, error)
                if not batches and not answers:
                    raise
        return _one(answers, [symbol for name, symbol in asked.items() if name in self._refused])

    def _without(self, batch: Names, error: RefusedBatch) -> list[dict[str, str]]:
        """Return what to ask for in place of a refused batch, and remember who is to blame for it."""
        names = list(batch)
        blamed = error.names.intersection(names) or (names if len(names) == 1 else ())
        if not blamed:
            middle = len(names) // 2
            return [{name: batch[name] for name in half} for half in (names[middle:], names[:middle])]
        self._refused |= dict.fromkeys(blamed, self._clock_s() + REFUSED_S)
        left = {name: symbol for name, symbol in batch.items() if name not in blamed}
        return [left] if left else []


def _one(answers: list[Asked[Answer]], refused: list[str]) -> Asked[Answer]:
    parts = [each.value for each in answers]
    answer = Answer(
        events=[event for part in parts for event in part.events],
        rejected=[value for part in parts for value in part.rejected],
        missing=[*(symbol for part in parts for symbol in part.missing), *refused],
    )
    return replace(answers[-1], value=answer)
