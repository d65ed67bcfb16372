"""A refused symbol costs itself, and is not asked for again for a while."""

from __future__ import annotations

import pytest

from producers.vendors.answers import Answer
from producers.vendors.shell.batches import REFUSED_S, Batches, Names, RefusedBatch
from producers.vendors.shell.requests import Asked
from schemas.errors import ProviderUnavailable

HUNDRED = {f"S{number}": f"s{number}" for number in range(100)}


class Vendor:
    """Refuses every batch that holds a bad name; says which one, or not."""

    def __init__(self, *bad: str, names: bool) -> None:
        self.bad, self.names = bad, names
        self.asked: list[list[str]] = []

    async def fetch(self, batch: Names) -> Asked[Answer]:
        """Answer, or refuse."""
        self.asked.append(list(batch))
        if found := [name for name in self.bad if name in batch]:
            raise RefusedBatch("invalid symbol", names=found[:1] if self.names else ())
        events = [{"symbol": symbol} for symbol in batch.values()]
        return Asked(value=Answer(events=events), received_time=len(self.asked))


def at(*seconds: float) -> Batches:
    """Return batches whose clock shows these moments, the last for ever."""
    left = list(seconds)
    return Batches(clock_s=lambda: left.pop(0) if len(left) > 1 else left[0])


@pytest.mark.parametrize("bad", [("S0",), ("S99",), ("S7", "S8", "S60")])
@pytest.mark.parametrize("names", [True, False])
async def test_the_others_are_served(bad: tuple[str, ...], *, names: bool) -> None:
    """Named or found by halves; the refused are missing and not asked for again."""
    vendor, batches = Vendor(*bad, names=names), at(0.0)

    answer = (await batches.ask(HUNDRED, vendor.fetch)).value
    requests = len(vendor.asked)
    again = (await batches.ask(HUNDRED, vendor.fetch)).value

    served = {HUNDRED[name] for name in HUNDRED if name not in bad}
    for each in (answer, again):
        assert {event["symbol"] for event in each.events} == served
        assert len(each.events) == len(served)
        assert sorted(each.missing) == sorted(HUNDRED[name] for name in bad)
    assert requests <= (1 + len(bad) if names else 1 + 2 * 7 * len(bad))
    assert len(vendor.asked) == requests + 1


async def test_after_a_while_it_is_asked_for_again() -> None:
    """A vendor may learn."""
    vendor, batches = Vendor("S1", names=True), at(0.0, 0.0, REFUSED_S)

    await batches.ask(HUNDRED, vendor.fetch)
    vendor.bad = ()

    assert not (await batches.ask(HUNDRED, vendor.fetch)).value.missing


async def test_a_batch_of_refused_symbols_alone_is_refused() -> None:
    """Then nobody is served, and it is the task's error; so is any other error."""
    with pytest.raises(RefusedBatch):
        await at(0.0).ask({"A": "a", "B": "b"}, Vendor("A", "B", names=False).fetch)

    async def down(_: Names) -> Asked[Answer]:
        raise ProviderUnavailable("down")

    with pytest.raises(ProviderUnavailable):
        await at(0.0).ask(HUNDRED, down)
