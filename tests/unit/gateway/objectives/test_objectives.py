"""The objectives from one reading: states, figures, evidence, and that nothing known is not met."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.objectives.burn_rates import LENGTHS_US, WindowCount
from gateway.objectives.collection import SymbolCoverage
from gateway.objectives.measured import PublishLatency, QueueDrain, SloReading
from gateway.objectives.objectives import NAMES, Objective, objectives, state_number
from gateway.objectives.violations import Tally, Violations, WorstSeries
from schemas.clocks import EventTime
from schemas.intervals import SECOND_US, micros
from schemas.streams import StreamId

NOW = micros(datetime(2024, 6, 6, 15, tzinfo=UTC))
EDGES = (100.0, 250.0, 500.0)


def everywhere(outcome: WindowCount) -> dict[str, WindowCount]:
    """Return the same in each window."""
    return dict.fromkeys(LENGTHS_US, outcome)


def tallies(tally: Tally, **others: Tally) -> dict[str, Tally]:
    """Return one tally in each window but those named."""
    return dict.fromkeys(LENGTHS_US, tally) | {name.removeprefix("w"): each for name, each in others.items()}


NOTHING = SloReading(
    market_time=NOW,
    read_time=NOW,
    violations=Violations(),
    symbols=SymbolCoverage(wanted=0, covered=0, uncovered=()),
    target_symbols=8_000,
    listed=False,
    drain=QueueDrain(ended={}),
    latency=PublishLatency(by_source={}, buckets=[0, 0, 0, 0], edges_ms=EDGES),
    bans=None,
)
WELL = SloReading(
    market_time=NOW,
    read_time=NOW,
    violations=Violations(groups={("T0", "1m"): tallies(Tally(1_000, 5, 20, 3))}, series=3),
    symbols=SymbolCoverage(wanted=9_000, covered=8_100, uncovered=("ZZZ",)),
    target_symbols=8_000,
    listed=True,
    drain=QueueDrain(ended=everywhere(WindowCount(200, 2))),
    latency=PublishLatency(
        by_source={"a": everywhere(WindowCount(500, 5))}, buckets=[480, 15, 5, 0], edges_ms=EDGES
    ),
    bans=[{"provider": "yahoo", "endpoint": "", "day": "2024-06-06", "ban_count": 0, "reason": ""}],
)


def of(reading: SloReading, name: str) -> Objective:
    """Return one objective."""
    (found,) = [each for each in objectives(reading) if each.name == name]
    return found


def states(reading: SloReading) -> dict[str, str]:
    """Return the states by name."""
    return {each.name: each.state for each in objectives(reading)}


def test_nothing_known_is_not_met() -> None:
    """Each says why, and shows no figure."""
    found = objectives(NOTHING)

    assert [each.name for each in found] == list(NAMES)
    assert {each.state for each in found} == {"no_data"}
    assert [each.value for each in found] == [None] * 5
    assert all(each.reason for each in found)
    assert all(each.row()["alerts"] == [] for each in found)


def test_all_is_met_at_its_very_limit() -> None:
    """Half a percent of bars, one message and one job of a hundred, and more symbols than are needed."""
    assert set(states(WELL).values()) == {"met"}
    assert [each.reason for each in objectives(WELL)] == [""] * 5
    assert [each.value for each in objectives(WELL)] == [0.005, 250.0, 0.01, 8_100, 0]


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        pytest.param(
            {"violations": Violations(groups={("T0", "1m"): tallies(Tally(1_000, 6))}, series=3)},
            "gap_violations",
            id="bars",
        ),
        pytest.param(
            {"latency": replace(WELL.latency, by_source={"a": everywhere(WindowCount(500, 6))})},
            "publish_latency",
            id="messages",
        ),
        pytest.param(
            {"drain": QueueDrain(ended=everywhere(WindowCount(200, 2)), waiting_late=1)},
            "backfill_drain",
            id="jobs",
        ),
        pytest.param(
            {"symbols": SymbolCoverage(wanted=9_000, covered=7_999, uncovered=())}, "coverage", id="symbols"
        ),
        pytest.param(
            {
                "bans": [
                    {
                        "provider": "yahoo",
                        "endpoint": "",
                        "day": "2024-06-06",
                        "ban_count": 1,
                        "reason": "429",
                    }
                ]
            },
            "hard_bans",
            id="bans",
        ),
    ],
)
def test_what_is_broken_violates_its_own_objective_and_no_other(
    change: dict[str, object], broken: str
) -> None:
    """With a reason."""
    reading = replace(WELL, **change)  # type: ignore[arg-type]

    assert {name for name, state in states(reading).items() if state != "met"} == {broken}
    assert of(reading, broken).state == "violated"
    assert of(reading, broken).reason


def test_one_bad_group_is_not_outweighed_by_good_ones() -> None:
    """T0 burns; it is named, and its alert says whose it is."""
    burning = tallies(Tally(1_000, 4), w1h=Tally(100, 50), w5m=Tally(10, 10))
    groups = {("T0", "1m"): burning, ("T2", "1m"): tallies(Tally(1_000_000))}
    found = of(replace(WELL, violations=Violations(groups=groups, series=9)), "gap_violations")  # type: ignore[arg-type]

    assert (found.state, found.reason) == ("burning", "bars of T0 1m are missing")
    assert found.alerts == [{"long": "1h", "short": "5m", "factor": 14.4, "of": "T0 1m"}]
    assert found.value == pytest.approx(4 / 1_001_000)
    assert [each["state"] for each in found.evidence["groups"]] == ["burning", "met"]
    assert found.burn_rates()["5m"] == pytest.approx(10 / 1_000_010 / 0.005)


def test_evidence_counts_and_leads_to_the_gaps() -> None:
    """Nothing that is expected is left out, and the worst series is one request away."""
    worst = WorstSeries(
        series=StreamId("bars", "1m", "yahoo", "BRK.B"), tally=Tally(390, 7, 1, 2), causes=("absent",),
        start=EventTime(NOW - SECOND_US),
    )  # fmt: skip
    groups = {("T0", "1m"): tallies(Tally(1_000, 5, 20, 3))}
    found = of(replace(WELL, violations=Violations(groups=groups, worst=[worst], series=3)), "gap_violations")  # type: ignore[arg-type]
    said = found.evidence

    assert (
        said["expected"] == said["stored"] + said["confirmed_empty"] + said["unconfirmed"] + said["missing"]
    )
    assert said["worst"][0]["gaps"] == (
        "/gaps?symbol=BRK.B&interval=1m&provider=yahoo&start=2024-06-06T14%3A59%3A59.000000Z"
        "&end=2024-06-06T15%3A00%3A00.000000Z"
    )


def test_coverage_of_fewer_symbols_than_the_target_says_so() -> None:
    """A hundred symbols cannot be 8,000; nearly all of them must be there."""
    few = replace(WELL, symbols=SymbolCoverage(wanted=100, covered=99, uncovered=("ZZZ",)))
    found = of(few, "coverage")

    assert (found.state, found.target, found.value) == ("met", 99, 99)
    assert found.evidence["is_whole_target"] is False
    assert found.evidence["target_symbols"] == 8_000
    assert (
        of(replace(few, symbols=SymbolCoverage(wanted=100, covered=98, uncovered=())), "coverage").state
        == "violated"
    )


def test_latencies_are_told_by_gateway() -> None:
    """Whose they are, and how slow each was."""
    two = replace(
        WELL.latency, by_source={"a": everywhere(WindowCount(100, 0)), "b": {"3d": WindowCount(100, 50)}}
    )

    assert of(replace(WELL, latency=two), "publish_latency").evidence["gateways"] == {
        "a": {"messages": 100, "slow": 0},
        "b": {"messages": 100, "slow": 50},
    }


def test_jobs_that_a_provider_holds_up_are_told_and_not_counted() -> None:
    """Their time is the vendor's."""
    drain = QueueDrain(ended=everywhere(WindowCount(1, 0)), held=7, waiting=9, waiting_held=9, oldest_s=None)
    found = of(replace(WELL, drain=drain), "backfill_drain")

    assert found.state == "met"
    assert (found.evidence["ended_held"], found.evidence["waiting_held"]) == (7, 9)


def test_a_state_has_a_number() -> None:
    """As the metric shows it."""
    assert [state_number(each) for each in ("met", "burning", "violated", "no_data")] == [0, 1, 2, 3]
