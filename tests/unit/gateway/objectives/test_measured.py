"""Figures as they were read: sums over gateways and windows, and how old they are."""

from __future__ import annotations

from math import inf

import pytest

from gateway.objectives.burn_rates import LENGTHS_US, WindowCount
from gateway.objectives.collection import SymbolCoverage
from gateway.objectives.measured import PublishLatency, QueueDrain, SloReading, age_s
from gateway.objectives.violations import Violations
from schemas.intervals import SECOND_US

EDGES = (100.0, 250.0, 500.0)


def everywhere(count: WindowCount) -> dict[str, WindowCount]:
    """Return the same in each window."""
    return dict.fromkeys(LENGTHS_US, count)


def test_latencies_of_all_gateways_are_summed() -> None:
    """Window by window; one that has none in a window adds none."""
    two = PublishLatency(
        by_source={"a": everywhere(WindowCount(100, 0)), "b": {"3d": WindowCount(100, 50)}},
        buckets=[0, 0, 0, 0],
        edges_ms=EDGES,
    )

    assert two.outcomes()["3d"] == WindowCount(200, 50)
    assert two.outcomes()["1h"] == WindowCount(100, 0)


@pytest.mark.parametrize(
    ("buckets", "edge"),
    [
        ([0, 0, 0, 0], None),
        ([1, 0, 0, 1], None),
        ([99, 1, 0, 0], 100.0),
        ([98, 2, 0, 0], 250.0),
        ([0, 0, 7, 0], 500.0),
    ],
)
def test_a_quantile_is_an_edge(buckets: list[int], edge: float | None) -> None:
    """Under it lie 99 of 100; beyond the last edge nobody knows it."""
    assert PublishLatency(by_source={}, buckets=buckets, edges_ms=EDGES).p99_ms() == edge


def test_what_is_overdue_counts_in_every_window() -> None:
    """It is late now, whenever it was added."""
    drain = QueueDrain(ended={"1h": WindowCount(5, 1)}, waiting=9, waiting_late=2)

    assert drain.outcomes()["1h"] == WindowCount(7, 3)
    assert drain.outcomes()["5m"] == WindowCount(2, 2)


def read_at_ten() -> SloReading:
    """Return a reading of ten seconds past the epoch, by the wall."""
    return SloReading(
        market_time=0,
        read_time=10 * SECOND_US,
        violations=Violations(),
        symbols=SymbolCoverage(wanted=0, covered=0, uncovered=()),
        target_symbols=1,
        listed=False,
        drain=QueueDrain(ended={}),
        latency=PublishLatency(by_source={}, buckets=[], edges_ms=()),
        bans=None,
    )


def test_a_reading_has_an_age() -> None:
    """On the wall, whatever the market's clock says."""
    assert age_s(read_at_ten(), 100 * SECOND_US) == 90.0


def test_a_clock_set_back_makes_no_reading_young() -> None:
    """Five minutes of readings would otherwise be this one; one that is set right slowly is behind itself by less."""
    reading = read_at_ten()

    assert age_s(reading, 9 * SECOND_US) == -1.0
    assert age_s(reading, 9 * SECOND_US - 1) == inf
    assert age_s(reading, 10 * SECOND_US - 300 * SECOND_US) == inf
