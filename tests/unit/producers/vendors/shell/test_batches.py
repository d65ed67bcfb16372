"""A refused symbol costs itself, and is not asked for again for a while."""

from __future__ import annotations

import pytest

from producers.vendors.answers import Answer
from producers.vendors.shell.batches import MOST_REQUESTS, REFUSED_S, Batches, Names, RefusedBatch
from producers.vendors.shell.requests import Asked
from schemas.errors import ProviderThrottled, ProviderUnavailable, UnknownSymbol

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


async def test_a_vendor_that_refuses_every_other_symbol_and_names_none_is_asked_a_bounded_number_of_times() -> (
    None
):
    """A call has its share of the rate; what is not known then the next ones find out, and lose nobody who is served."""
    bad = [f"S{number}" for number in range(1, 100, 2)]
    vendor, batches, served = Vendor(*bad, names=False), at(0.0), list[int]()
    for _ in range(6):
        begun = len(vendor.asked)
        answer = (await batches.ask(HUNDRED, vendor.fetch)).value
        assert len(vendor.asked) - begun <= MOST_REQUESTS
        assert len(answer.events) + len(answer.missing) == len(HUNDRED)
        served.append(len(answer.events))

    assert served == sorted(served)
    assert served[-1] == 50
    assert len(vendor.asked[-1]) == 50  # the last call needed no other


async def test_who_is_asked_for_again_spoils_nobodys_batch() -> None:
    """Those refused a quarter of an hour ago are apart from the others until one of them is served."""
    vendor, batches = Vendor("S3", "S50", names=True), at(0.0, 0.0, 0.0, REFUSED_S)
    await batches.ask(HUNDRED, vendor.fetch)
    vendor.asked.clear()

    answer = (await batches.ask(HUNDRED, vendor.fetch)).value

    assert [len(batch) for batch in vendor.asked] == [98, 2, 1]
    assert len(answer.events) == 98


async def test_of_a_batch_that_is_refused_whole_nobody_is_asked_for_until_it_is_time() -> None:
    """Its 199 questions are not put at each poll anew."""
    vendor, batches = Vendor(*HUNDRED, names=False), at(0.0)
    for _ in range(9):
        with pytest.raises(RefusedBatch):
            await batches.ask(HUNDRED, vendor.fetch)

    assert len(vendor.asked) == 199


async def test_what_was_answered_before_the_vendor_had_enough_is_kept() -> None:
    """Of three in question the first is answered, the second meets a limit: it and the third are missing, and are asked for next."""
    vendor, batches, names = Vendor("D", names=False), at(0.0), {name: name.lower() for name in "ABCD"}

    async def fetch(batch: Names) -> Asked[Answer]:
        if len(vendor.asked) == 2:
            vendor.asked.append([])
            raise ProviderThrottled("acme", 3.0)
        return await vendor.fetch(batch)

    first = (await batches.ask(names, fetch)).value
    second = (await batches.ask(names, fetch)).value

    assert (len(first.events), sorted(first.missing)) == (2, ["c", "d"])
    assert (len(second.events), list(second.missing)) == (3, ["d"])


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


async def test_who_only_had_to_wait_stays_with_whoever_is_asked_for_next() -> None:
    """A limit says nothing of the symbols: nobody is asked for apart after it, in whichever company they come back."""
    vendor, batches = Vendor("S9", names=True), at(0.0)
    left = [ProviderThrottled("acme", 3.0)]

    async def fetch(batch: Names) -> Asked[Answer]:
        if left:
            raise left.pop()
        return await vendor.fetch(batch)

    with pytest.raises(ProviderThrottled):
        await batches.parts({name: HUNDRED[name] for name in list(HUNDRED)[20:50]}, fetch)
    parts = await batches.parts(HUNDRED, fetch)

    assert [len(batch) for batch in vendor.asked] == [100, 99]
    assert (parts.refused, parts.open, len(parts.answers)) == ({"s9"}, set(), 1)


async def test_of_each_who_is_in_no_answer_it_is_said_why() -> None:
    """Who was refused; who may be; and who was not asked for any more, with what kept us from it."""
    names, vendor = {name: name.lower() for name in "ABCD"}, Vendor("D", names=False)

    async def fetch(batch: Names) -> Asked[Answer]:
        if len(vendor.asked) == 2:
            raise ProviderThrottled("acme", 3.0)
        return await vendor.fetch(batch)

    cut = (await at(0.0).parts(names, fetch)).errors("acme")
    named = (await at(0.0).parts(names, Vendor("B", "C", names=True).fetch)).errors("acme")
    bad = [f"S{number}" for number in range(1, 100, 2)]
    unclear = (await at(0.0).parts(HUNDRED, Vendor(*bad, names=False).fetch)).errors("acme")

    assert {name: type(error) for name, error in cut.items()} == dict.fromkeys("cd", ProviderThrottled)
    assert {name: type(error) for name, error in named.items()} == dict.fromkeys("bc", UnknownSymbol)
    refused = {name for name, error in unclear.items() if isinstance(error, UnknownSymbol)}
    assert refused and refused <= {HUNDRED[name] for name in bad}
    assert {type(error) for error in unclear.values()} == {UnknownSymbol, ProviderUnavailable}
