"""Many symbols in one request, of which a vendor may refuse all for one: the refused symbol costs itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Generic, TypeVar

from infra.runtime.clock import monotonic_s
from producers.vendors.answers import Answer
from producers.vendors.shell.requests import Asked
from schemas.errors import MarketDataError, ProviderUnavailable, TransientError, UnknownSymbol

REFUSED_S = 900.0  # a symbol that was refused is not asked for again so long
MOST_REQUESTS = 48  # of one call: a vendor that names nobody takes 2 n − 1 to say who is meant of n

T = TypeVar("T")
Names = Mapping[str, str]  # the vendor's symbol → ours


class RefusedBatch(UnknownSymbol):
    """A batch was refused for some of its symbols; `names` are those the vendor said, none where it did not say."""

    def __init__(self, message: str, *, names: Collection[str] = ()) -> None:
        super().__init__(message)
        self.names = frozenset(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchParts(Generic[T]):
    """Answers for parts of a batch, and who is in none: the refused, and those of whom it is not known yet.

    `refusal` is the last one; `cut` what kept the rest from being asked for.
    """

    answers: list[T]
    refused: frozenset[str]
    open: frozenset[str]
    refusal: RefusedBatch
    cut: TransientError | None

    @property
    def unserved(self) -> frozenset[str]:
        """Both."""
        return self.refused | self.open

    def errors(self, provider: str) -> dict[str, MarketDataError]:
        """Return why each of them is in none."""
        refused = f"{provider} refused a batch for it"
        unclear = f"{provider} refused a batch and did not say whom it means; the next request finds out"
        return {
            **{symbol: self.cut or ProviderUnavailable(unclear) for symbol in self.open},
            **{symbol: UnknownSymbol(f"{symbol}: {refused}; check its spelling") for symbol in self.refused},
        }


class Batches:
    """Asks for batches without the symbols that were refused, whom it remembers for a while.

    Until it is found out whom a refusal means those in question are asked for apart, so that the others have theirs.
    """

    def __init__(self, clock_s: Callable[[], float] = monotonic_s) -> None:
        """Remember by a clock that never goes back, in seconds."""
        self._clock_s = clock_s
        self._refused: dict[str, float] = {}  # the vendor's symbol → until when
        self._apart: dict[str, int] = {}  # the vendor's symbol → the part it is asked for with
        self._parts = count()

    async def ask(self, asked: Names, fetch: Callable[[Names], Awaitable[Asked[Answer]]]) -> Asked[Answer]:
        """Return what `fetch` gives for `asked`; symbols that are refused, or may be, are `missing`.

        Otherwise like `parts`, but raises RefusedBatch where nothing is served.
        """
        parts = await self.parts(asked, fetch)
        if not parts.answers:
            raise parts.refusal
        return _one(parts.answers, [symbol for symbol in asked.values() if symbol in parts.unserved])

    async def parts(self, asked: Names, fetch: Callable[[Names], Awaitable[T]]) -> BatchParts[T]:
        """Return what `fetch` gives for parts of `asked`.

        A refused batch is asked for again without the symbols the vendor named, or in halves where it named none, with
        MOST_REQUESTS in all; what is not known then the next call finds out, which also asks again for what a transient
        error has cut off. Raises such an error where nothing was served before, and what `fetch` raises.
        """
        parts, answers, cut = self._divided(asked), list[T](), None
        # the part nobody complained of: where it only has to wait there is nothing to be found out about it
        whole = next((each for each in parts if not self._apart.keys() & each.keys()), None)
        refusal = RefusedBatch(
            f"all {len(asked)} symbols of a batch were refused; leave them to another provider"
        )
        for _ in range(MOST_REQUESTS):
            if not parts:
                break
            part = parts.pop()
            try:
                answers.append(await fetch(part))
            except RefusedBatch as error:
                parts += self._without(part, error)
                refusal = error
            except TransientError as error:
                parts.append(part)
                if answers:
                    cut = error
                    break
                raise
            finally:
                self._put_apart(asked, [each for each in parts if each is not whole])
        return BatchParts(
            answers=answers,
            refused=frozenset(symbol for name, symbol in asked.items() if name in self._refused),
            open=frozenset(symbol for part in parts for symbol in part.values()),
            refusal=refusal,
            cut=cut,
        )

    def _divided(self, asked: Names) -> list[dict[str, str]]:
        """Return the batches to ask for, the last one first: of those nobody complained of."""
        now_s = self._clock_s()
        again = [name for name, until_s in self._refused.items() if until_s <= now_s]
        for name in again:
            del self._refused[name]
        self._apart |= dict.fromkeys(again, next(self._parts))
        parts: dict[int, dict[str, str]] = {}
        for name, symbol in asked.items():
            if name not in self._refused:
                parts.setdefault(self._apart.get(name, -1), {})[name] = symbol
        return [parts[number] for number in sorted(parts, reverse=True)]

    def _put_apart(self, asked: Names, parts: Iterable[Names]) -> None:
        """Remember who is to be asked for with whom, of those this call is about."""
        for name in asked:
            self._apart.pop(name, None)
        for part in parts:
            self._apart |= dict.fromkeys(part, next(self._parts))

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


def _one(answers: list[Asked[Answer]], unserved: list[str]) -> Asked[Answer]:
    parts = [each.value for each in answers]
    answer = Answer(
        events=[event for part in parts for event in part.events],
        rejected=[value for part in parts for value in part.rejected],
        missing=[*(symbol for part in parts for symbol in part.missing), *unserved],
    )
    return replace(answers[-1], value=answer)
