"""Who serves what while a vendor fails, lies, is late or silent for all or some of its symbols; hours in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.errors import ProviderRefused, ProviderUnavailable, UnknownSymbol
from tests.support.routing_world import EVERY_S, Bars, Said, Vendor, World

pytestmark = pytest.mark.slow

SYMBOLS = [f"S{number:03d}" for number in range(100)]
FEW = SYMBOLS[::5]  # of each kind of them some
A, B = "alpaca", "yahoo"
HOURS = 10.0
MOST_SWITCHES = 6
WELL, EMPTY, DEAD = Bars(), Bars(age_s=None, is_true=False), ProviderUnavailable("status 503")
PATIENT_S = 6 * EVERY_S  # a minute's bar may be so late until another is asked: tolerance, and a cadence


def well(_symbol: str, _at_s: float) -> Said:
    return WELL


def where(chosen: Callable[[int, float], bool], said: Said) -> Vendor:
    """Answer so for the symbols whose number is chosen, at the times that are, and well otherwise."""
    return lambda symbol, at_s: said if chosen(int(symbol[1:]), at_s) else WELL


def stale_from(from_s: float, chosen: Callable[[int], bool]) -> Vendor:
    """Show nothing newer than what was there at a moment."""

    def said(symbol: str, at_s: float) -> Said:
        if at_s <= from_s or not chosen(int(symbol[1:])):
            return WELL
        return Bars(age_s=30.0 + at_s - from_s, is_true=at_s - from_s < EVERY_S)

    return said


def a_world(vendor: Vendor, *, symbols: int = 100, other: Vendor = well, **more: object) -> World:
    return World({A: vendor, B: other}, SYMBOLS[:symbols], **more)  # type: ignore[arg-type]


ONE_SYMBOL_AT_A_TIME = {
    "empty for 50": where(lambda n, _: n >= 50, EMPTY),
    "empty for 99": where(lambda n, _: n != 50, EMPTY),
    "later empty for 99": where(lambda n, at_s: n != 50 and at_s > 600, EMPTY),
    "stale for 50": stale_from(600.0, lambda n: n >= 50),
    "stale for 99": stale_from(600.0, lambda n: n != 50),
    "unknown for 50": where(lambda n, _: n >= 50, UnknownSymbol("who?")),
    "5xx for 10": where(lambda n, _: 50 <= n < 60, DEAD),
    "5xx for 50": where(lambda n, _: n >= 50, DEAD),
    "403 for 50": where(lambda n, _: n >= 50, ProviderRefused("not in the plan")),
    "zeros for 7": where(lambda n, _: n % 15 == 0, Bars(price=0.0, is_true=False)),
    "403 for 1, the first": where(lambda n, _: n == 0, ProviderRefused("not in the plan")),
}
WHOLLY = {
    "dead": where(lambda _n, at_s: at_s > 600, DEAD),
    "a key that is revoked": where(lambda _n, at_s: at_s > 600, ProviderRefused("check the key")),
    "zeros": where(lambda *_: True, Bars(price=0.0, is_true=False)),
    "stale from the start": where(lambda *_: True, Bars(age_s=1200.0, is_true=False)),
    "9.5 s of 10": where(lambda *_: True, Bars(latency_s=9.5)),
}
FROZEN = Bars(price=50.0, is_true=False)
# What a provider does who is preferred, how many symbols there are, who is chosen after it (None: its symbols move alone, or
# all), and how long (s) a symbol may be without anything true (None: nobody can tell which of the two is right).
BEHAVIOURS: dict[str, tuple[Vendor, int, list[str] | None, float | None]] = {
    "well": (well, 5, [], PATIENT_S),
    "6 s of 10": (where(lambda *_: True, Bars(latency_s=6.0)), 5, [], PATIENT_S),
    "9.5 s of 10": (where(lambda *_: True, Bars(latency_s=9.5)), 5, [B], PATIENT_S),
    "dead": (where(lambda _n, at_s: at_s > 610, DEAD), 5, [B], 120.0),
    "a zero": (where(lambda *_: True, Bars(price=0.0, is_true=False)), 5, [B], PATIENT_S),
    "twice the price": (where(lambda *_: True, Bars(scale=2.0, is_true=False)), 5, [], None),
    "twice the price from a moment on": (
        where(lambda _n, at_s: at_s > 900, Bars(scale=2.0, is_true=False)), 20, [B], PATIENT_S,
    ),
    "frozen, 5 symbols": (where(lambda *_: True, FROZEN), 5, [B], 900.0),
    "frozen, 20 symbols": (where(lambda *_: True, FROZEN), 20, [B], 900.0),
    "stale": (where(lambda *_: True, Bars(age_s=1_200.0, is_true=False)), 5, [B], PATIENT_S),
    "stale later": (stale_from(600.0, lambda _: True), 5, [B], PATIENT_S),
    "stale later for 4 of 5": (stale_from(600.0, lambda n: n != 2), 5, None, PATIENT_S),
    "empty for 2 of 5": (where(lambda n, _: n >= 3, EMPTY), 5, None, PATIENT_S),
    "unknown for 2 of 5": (where(lambda n, _: n >= 3, UnknownSymbol("who?")), 5, None, PATIENT_S),
    "5xx for 1 of 5": (where(lambda n, _: n == 4, DEAD), 5, None, PATIENT_S),
    "403 for 2 of 5": (where(lambda n, _: n >= 3, ProviderRefused("not in the plan")), 5, None, PATIENT_S),
}  # fmt: skip


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_in_ten_hours_nothing_swings(behaviour: str) -> None:
    """Each behaviour has its verdict, and at most six switches where it concerns some of the symbols alone."""
    vendor, symbols, chosen, longest_s = BEHAVIOURS[behaviour]
    world = World({A: vendor, B: well}, SYMBOLS[:symbols]).run(HOURS)

    if chosen is None:
        assert len(world.switches) <= MOST_SWITCHES
    else:
        assert [to for _, to, _ in world.switches] == chosen
    if longest_s is None:
        assert world.router.disputed()["bars:1m"]
    else:
        assert world.worst_s() <= longest_s
    assert world.router.unserved() == {}


def test_nobody_is_left_who_is_well_or_merely_slow() -> None:
    """Six of ten seconds cost less than the margin."""
    assert a_world(well).run(1.0).switches == []
    assert World({A: well, B: well}, FEW).run(HOURS).switches == []
    assert a_world(where(lambda *_: True, Bars(latency_s=6.0))).run(1.0).switches == []


@pytest.mark.parametrize(
    "habit",
    [pytest.param(each, marks=pytest.mark.soak if "for 50" in each else ()) for each in ONE_SYMBOL_AT_A_TIME],
)
def test_no_symbol_stays_where_it_is_not_given(habit: str) -> None:
    """Whatever it costs the provider, the symbols it lacks come from the other one, and nothing swings."""
    for world in (
        a_world(ONE_SYMBOL_AT_A_TIME[habit]).run(1.0),
        World({A: ONE_SYMBOL_AT_A_TIME[habit], B: well}, FEW).run(HOURS),
    ):
        assert world.worst_s() <= PATIENT_S
        assert len(world.switches) <= MOST_SWITCHES
        assert world.router.unserved() == {}


@pytest.mark.parametrize("habit", WHOLLY)
def test_a_provider_that_fails_for_all_is_left_once(habit: str) -> None:
    """And for good: nothing that is asked of it proves it."""
    world = World({A: WHOLLY[habit], B: well}, FEW).run(HOURS)
    many = a_world(WHOLLY[habit]).run(0.5)

    assert [to for _, to, _ in world.switches] == [B]
    assert world.router.chosen("bars:1m") == B
    assert [to for _, to, _ in many.switches] == [B]
    assert max(world.worst_s(), many.worst_s()) <= PATIENT_S


@pytest.mark.parametrize("symbols", [1, 5, 20, 100])
def test_prices_that_stand_are_seen_however_many_symbols_there_are(symbols: int) -> None:
    """A few that are compared speak for all."""
    frozen = where(lambda _n, at_s: at_s > 600, FROZEN)
    world = a_world(frozen, symbols=symbols).run(2.0)

    assert [to for _, to, _ in world.switches] == [B]
    assert world.worst_s() <= 900.0


@pytest.mark.parametrize(
    "scale", [2.0, *(pytest.param(each, marks=pytest.mark.soak) for each in (0.5, 100.0))]
)
def test_prices_that_leave_the_level_of_both_are_left(scale: float) -> None:
    """A split or a unit that only one of them applies: the one whose level jumped is the one that is wrong."""
    jumps = where(lambda _n, at_s: at_s > 600, Bars(scale=scale, is_true=False))
    world, other = a_world(jumps).run(2.0), a_world(well, other=jumps).run(2.0)

    assert [to for _, to, _ in world.switches] == [B]
    assert world.worst_s() <= 300.0
    assert other.switches == []


def test_of_three_the_one_on_another_level_is_left_from_the_start() -> None:
    """Where two were never on one level, word stands against word; a third decides."""
    doubled = where(lambda *_: True, Bars(scale=2.0, is_true=False))
    three = World({A: doubled, B: well, "polygon": well}, SYMBOLS).run(1.0)
    two = a_world(doubled).run(1.0)

    assert [to for _, to, _ in three.switches] == [B]
    assert two.switches == []
    assert two.router.disputed()["bars:1m"]
    assert "; two levels of prices of S00" in two.router.records()[0].reason
    assert three.router.disputed() == {}


def test_a_symbol_without_a_name_at_the_choice_is_asked_of_the_next_one() -> None:
    """An index and a coin beside stocks: each comes from whoever has it, from the first round on."""
    world = a_world(well, names={A: SYMBOLS[:98], B: SYMBOLS}).run(1.0)
    few = World({A: well, B: well}, FEW, names={A: FEW[:-2], B: FEW}).run(HOURS)

    assert max(world.worst_s(), few.worst_s()) <= 2 * EVERY_S
    assert world.switches == few.switches == []
    assert (world.served_by("S098"), world.served_by("S097")) == ({B}, {A})


@pytest.mark.parametrize(("down_s", "of_s"), [(45.0, 120.0), (20.0, 90.0), (300.0, 900.0)])
def test_one_that_is_down_again_and_again_is_returned_to_less_and_less(down_s: float, of_s: float) -> None:
    """Each return that fails doubles the proof."""
    flaps = where(lambda _, at_s: at_s % of_s < down_s, DEAD)
    world = World({A: flaps, B: well}, FEW).run(HOURS)

    assert len(world.switches) <= (2 * MOST_SWITCHES if of_s > 600 else MOST_SWITCHES)
    assert world.worst_s() <= 2 * EVERY_S


def test_both_down_by_turns_leave_no_symbol_behind() -> None:
    """Each switch polls what is open, so that no symbol's place in the cadence always falls where its provider is down."""
    world = a_world(
        where(lambda _, at_s: at_s % 120.0 < 60.0, DEAD),
        other=where(lambda _, at_s: at_s % 120.0 >= 60.0, DEAD),
    ).run(1.0)

    assert world.worst_s(120.0) <= 3 * EVERY_S
    assert len(world.switches) <= world.now_s / 60.0  # the vendors do so themselves


@pytest.mark.parametrize("every_s", [60.0, 300.0, 720.0, 3600.0])
def test_a_switch_polls_what_is_open_at_once(every_s: float) -> None:
    """However rarely a stream is polled: what the dead one left open is not left for another cadence."""
    died_s = 2.5 * every_s
    world = a_world(where(lambda _, at_s: at_s >= died_s, DEAD), every_s=every_s)
    world.run(6 * every_s / 3600.0)

    assert world.worst_s() <= every_s + 60.0


def test_what_nobody_gives_is_said_and_served_by_the_first_that_can() -> None:
    """Both lack a symbol; the less preferred one gets it after hours: what it then answers is published."""
    gone = where(lambda n, _: n == 7, UnknownSymbol("who?"))
    back_s = 3 * 3600.0
    late = where(lambda n, at_s: n == 7 and at_s < back_s, UnknownSymbol("who?"))
    world = a_world(gone, symbols=10, other=late)
    world.run(2.0)
    unserved = world.router.unserved()
    world.run(3.5)

    assert unserved == {"bars:1m": {"S007": "not_offered"}}
    assert world.router.unserved() == {}
    assert world.served_by("S007") == {B}
    assert len(world.served["S007"]) > 30
    assert world.switches == []


def test_a_symbol_that_is_quiet_everywhere_stays_where_it_is() -> None:
    """No trade for hours is nobody's fault: the other is asked after waits that double, and nothing moves."""
    quiet = stale_from(600.0, lambda n: n < 30)
    world = World({A: quiet, B: quiet}, FEW).run(HOURS)

    assert world.switches == []
    assert world.router.unserved() == {}
    assert {world.router.chosen("bars:1m", symbol) for symbol in FEW} == {A}
    assert world.requests[B] < 6 * 20 + HOURS * 3600.0 / 30.0 + 100


LATE = where(lambda *_: True, Bars(age_s=930.0, delay_s=900))


@pytest.mark.parametrize("vendors", [{A: LATE}, {A: LATE, B: LATE}, {B: LATE, A: LATE, "polygon": LATE}])
def test_a_feed_is_not_stale_by_its_own_delay_where_nobody_has_newer(vendors: dict[str, Vendor]) -> None:
    """Plans that are a quarter of an hour late, alone or all of them: nothing moves, and the score says that all is well."""
    world = World(vendors, FEW).run(2.0)
    first = next(iter(vendors))

    assert (world.switches, world.moved) == ([], {})
    assert {world.router.chosen("bars:1m", symbol) for symbol in FEW} == {first}
    assert all(record.score > 0.9 for record in world.router.records() if record.provider == first)
    assert world.router.unserved() == {}


def test_a_live_feed_is_preferred_to_a_delayed_one() -> None:
    """Whatever the order; the delayed one serves while the live one is down, and no longer."""
    behind = World({A: LATE, B: well}, FEW).run(1.0)
    down = where(lambda _n, at_s: 3600.0 < at_s < 7200.0, DEAD)
    before = World({A: down, B: LATE}, FEW).run(3.0)

    assert [to for _, to, _ in behind.switches] == [B]
    assert behind.served_by("S000", 300.0) == {B}
    assert [to for _, to, _ in before.switches] == [B, A]
    assert before.worst_s() <= 2 * EVERY_S
    assert before.served_by("S000", 7500.0) == {A}


def test_a_delay_excuses_no_more_than_itself() -> None:
    """A feed that declares a quarter of an hour and is half an hour late stands still."""
    stands = where(lambda _n, at_s: at_s > 600.0, Bars(age_s=1_830.0, delay_s=900))
    world = World({A: stands}, FEW).run(1.0)

    assert world.router.records()[0].freshness < 0.1
