"""What a load costs in processor time: coefficients found by least squares from measured windows, and held against one that was kept out.

The model is a sum: CPU seconds = Σ coefficient · amount, where an amount is how much of one kind of work a window held, for example
events, or seconds times partitions. Windows differ a hundredfold, so *relative* errors are squared. No work takes negative time: what
would is taken for free and the rest fitted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CONDITION = 1_000.0  # of columns scaled to equal length; above it they say nearly the same


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a measurement: amounts of work by kind, and the CPU seconds it took."""

    work: Mapping[str, float]
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Fit:
    """CPU seconds of one unit of each kind of work."""

    coefficients: Mapping[str, float]

    def predict(self, work: Mapping[str, float]) -> float:
        """Return the CPU seconds of amounts of work."""
        return sum(cost_s * work[term] for term, cost_s in self.coefficients.items())

    def error(self, window: Window) -> float:
        """Return predicted to measured, less one: 0.1 is ten per cent too much."""
        return self.predict(window.work) / window.cpu_s - 1

    def worst(self, windows: Sequence[Window]) -> float:
        """Return the largest error of these windows, whatever its sign."""
        return max(abs(self.error(window)) for window in windows)


def fit(terms: Sequence[str], windows: Sequence[Window]) -> Fit:
    """Return the costs of `terms`; raise ValueError where the windows cannot tell them apart.

    A window more than terms is the least, or the fit would go through every point and its errors say nothing.
    """
    if len(windows) <= len(terms):
        raise ValueError(
            f"{len(terms)} costs need more than {len(terms)} windows, not {len(windows)}; measure more loads"
        )
    if any(window.cpu_s <= 0 for window in windows):
        raise ValueError("a window without CPU time has no relative error; make it longer")
    left = list(terms)
    while left:
        costs = _least_squares(left, windows)
        lowest = min(range(len(left)), key=lambda place: costs[place])
        if costs[lowest] >= 0:
            return Fit(dict.fromkeys(terms, 0.0) | dict(zip(left, map(float, costs), strict=True)))
        del left[lowest]
    raise ValueError("every cost would be negative; the windows are not of this work")


def _least_squares(terms: Sequence[str], windows: Sequence[Window]) -> NDArray[np.float64]:
    relative = np.array([[window.work[term] / window.cpu_s for term in terms] for window in windows])
    lengths = np.linalg.norm(relative, axis=0)
    if not lengths.all():
        missing = [term for term, length in zip(terms, lengths, strict=True) if not length]
        raise ValueError(f"no window has any {', '.join(missing)}; measure one that has")
    scaled = relative / lengths
    if np.linalg.cond(scaled) > MOST_CONDITION:
        raise ValueError(
            f"{', '.join(terms)} move together; measure loads in which one changes and the others do not"
        )
    found: NDArray[np.float64] = np.linalg.lstsq(scaled, np.ones(len(windows)), rcond=None)[0]
    costs: NDArray[np.float64] = found / lengths
    return costs
