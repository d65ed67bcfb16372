"""PromQL of the dashboards: one function for each way a kind of metric may be read, so that none is read another way.

Services are told apart by the job that scrapes them, `mds-<service>`. Counters are summed as rates, and histograms by their buckets.
Gauges that are the same from every replica are shown by their highest: unlike a sum, `max` counts nothing twice, and passes NaN over
for as long as one replica knows better.
"""

from __future__ import annotations

from collections.abc import Iterable

JOBS = 'job=~"mds-$service"'
STEP = "$__rate_interval"


def selected(metric: str, where: str = "") -> str:
    """Return the selector of a metric's series of the services that are looked at; `where` are further matchers."""
    return f"{metric}{{{', '.join(filter(None, (JOBS, where)))}}}"


def per_second(counter: str, *by: str, where: str = "") -> str:
    """Return the rate of a counter per second, summed up to the labels `by`."""
    return _over("sum", by, f"rate({selected(counter, where)}[{STEP}])")


def grown(counter: str, *by: str, where: str = "", within: str = STEP) -> str:
    """Return how much a counter grew within a range, summed up to the labels `by`; it is an estimate, and seldom whole."""
    return _over("sum", by, f"increase({selected(counter, where)}[{within}])")


def highest(gauge: str, *by: str, where: str = "") -> str:
    """Return the highest value of a gauge for each value of the labels `by`; NaN where every replica says so."""
    return _over("max", by, selected(gauge, where))


def lowest(gauge: str, *by: str, where: str = "") -> str:
    """Return the lowest value of a gauge for each value of the labels `by`."""
    return _over("min", by, selected(gauge, where))


def in_sum(gauge: str, *by: str, where: str = "") -> str:
    """Return the sum of a gauge of which each replica has its own part."""
    return _over("sum", by, selected(gauge, where))


def quantile(share: float, histogram: str, *by: str) -> str:
    """Return a quantile of a histogram over all replicas, for each value of the labels `by`; NaN where nothing was measured."""
    return f"histogram_quantile({share:g}, {per_second(f'{histogram}_bucket', 'le', *by)})"


def _over(aggregation: str, by: Iterable[str], vector: str) -> str:
    labels = ", ".join(by)
    return f"{aggregation} by ({labels}) ({vector})" if labels else f"{aggregation}({vector})"
