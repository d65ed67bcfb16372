"""What a vendor with habits shows: long lists of symbols cost what short ones do, and habits add up."""

from __future__ import annotations

import pytest

from infra.simulator.faults.habits import Delayed, IexPlan, ScaledSymbols, StaleSymbols, UnknownSymbols
from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import seen
from infra.simulator.vendors.alpaca_plan import DELAYED_SIP, IEX, SIP, on_feed
from schemas.intervals import HOUR_US, SECOND_US
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


LATE = Delayed(type="delayed", by_s=420.0)
STALE = StaleSymbols(type="stale_symbols", symbols=frozenset({"SIM002"}), by_s=3_600.0)
PLAN = IexPlan(type="iex_plan", recent_s=1_200.0)


@pytest.mark.parametrize(
    ("feed", "faults", "behind_s"),
    [
        (IEX, (PLAN, LATE, STALE), 420 + 3_600),
        (DELAYED_SIP, (PLAN, STALE), 1_200 + 3_600),
        (DELAYED_SIP, (LATE, STALE, PLAN), 1_200 + 420 + 3_600),
        (DELAYED_SIP, (), 900),
        (SIP, (LATE,), 420),
    ],
)
def test_a_plan_leaves_other_habits_as_they_are(feed: str, faults: tuple[Fault, ...], behind_s: int) -> None:
    """A delayed or stale market stays so on every feed; `delayed_sip` is late whoever asks for it."""
    view = frozen_view(None, SYNTHETIC_NOW)

    shown = on_feed(seen(view, faults), feed, 0, faults)

    assert view.now("SIM002") - shown.now("SIM002") == behind_s * SECOND_US
