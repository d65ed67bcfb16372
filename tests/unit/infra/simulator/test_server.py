"""Every vendor that the simulator speaks for is served under its name, in its own words."""

from __future__ import annotations

import pytest

from infra.simulator.faults.habits import HABITS
from infra.simulator.faults.parsing import parse_scenario
from infra.simulator.faults.refusals import MANNERS
from infra.simulator.faults.scenario import FAULTS
from infra.simulator.server import build_app, build_simulation
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US
from schemas.providers.built_in import BUILT_IN
from schemas.providers.facts import ProviderFacts

NOBODYS = {"latency", "scaled_symbols", "listed_elsewhere"}  # docs/PROVIDERS.md says so
SPOKEN_FOR = [facts for facts in BUILT_IN.values() if facts.on_simulator]


@pytest.mark.parametrize("facts", SPOKEN_FOR, ids=lambda facts: facts.name)
def test_a_vendor_is_found_by_its_name(facts: ProviderFacts) -> None:
    """Its routes, its keys, and a 429 whose words its facts know."""
    simulation = build_simulation(data=None, start="", speed="1", seed=1, scenario=None, wall_time=10**15)
    app = build_app(simulation)
    manners = app[MANNERS][facts.name]

    assert any(route.canonical.startswith(f"/{facts.name}/") for route in app.router.resources())
    throttled = manners.words(429).body.lower()
    assert any(phrase.encode() in throttled for phrase in facts.words.throttled)
    assert (manners.without_key is not None) == bool(facts.credentials)


def test_every_habit_is_some_vendors_and_its_source_is_named() -> None:
    """The documents' habits are those that can be played, and the other way round."""
    told = {habit.rule for facts in SPOKEN_FOR for habit in facts.habits if habit.rule}

    assert told <= set(FAULTS)
    assert set(HABITS) - told == NOBODYS
    for facts in SPOKEN_FOR:
        rules = [habit.rule for habit in facts.habits if habit.rule]
        assert len(rules) == len(set(rules)), facts.name
        assert all(habit.source and habit.says for habit in facts.habits), facts.name


@pytest.mark.parametrize("facts", SPOKEN_FOR, ids=lambda facts: facts.name)
def test_a_scenario_knows_every_endpoint(facts: ProviderFacts) -> None:
    """By the names of the facts, and no others."""
    for endpoint in facts.endpoints:
        assert parse_scenario(
            f"- {{match: {{vendor: {facts.name}, endpoint: {endpoint}}}, fault: {{type: html}}}}"
        ).rules
    with pytest.raises(ConfigurationError, match="use one of"):
        parse_scenario(f"- {{match: {{vendor: {facts.name}, endpoint: nothing}}, fault: {{type: html}}}}")


@pytest.mark.parametrize(("speed", "days_ago"), [("1", 0), ("0.5", 0), ("30", 7), ("max", 7)])
def test_a_market_faster_than_time_begins_in_the_past(speed: str, days_ago: int) -> None:
    """Ahead of our clock its stamps would be of the future, which nothing is judged by."""
    now = 20_000 * DAY_US
    simulation = build_simulation(data=None, start="", speed=speed, seed=1, scenario=None, wall_time=now)

    assert simulation.view.clock.start == now - days_ago * DAY_US
