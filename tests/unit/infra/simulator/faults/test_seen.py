"""What a vendor with habits shows: long lists of symbols cost what short ones do, and habits add up."""

from __future__ import annotations

from infra.simulator.faults.habits import ScaledSymbols, StaleSymbols, UnknownSymbols
from infra.simulator.faults.seen import seen
from schemas.intervals import HOUR_US
from tests.support.simulations import SYNTHETIC_NOW, frozen_view


class ComparedName(str):
    """A symbol that counts what it is compared with."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        ComparedName.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_symbol_is_not_looked_for_in_a_list_for_every_bar() -> None:
    """Of ten thousand names in each of three rules, an hour's minutes are compared with a few."""
    names = [f"SIM{number:05d}" for number in range(10_000)]
    faults = (
        UnknownSymbols(type="unknown_symbols", symbols=frozenset(f"{name}X" for name in names)),
        StaleSymbols(type="stale_symbols", symbols=frozenset(names), by_s=60.0),
        ScaledSymbols(type="scaled_symbols", symbols=frozenset(names)),
    )
    view = seen(frozen_view(None, SYNTHETIC_NOW), faults)
    symbol, now = ComparedName(names[-1]), view.now(names[-1])
    ComparedName.compared = 0

    rows = view.minutes(symbol, now - HOUR_US, now, now)

    assert len(rows) > 50
    assert ComparedName.compared < 20 * len(rows)
