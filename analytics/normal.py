"""Standard normal distribution: density and cumulative probability of whole arrays, exact far into both tails, in double or single precision.

Φ(−a) = R(a)·exp(−a²/2) for a ≥ 0, where (1 + a/3.5)·R(a) is one polynomial in t = (a − 3.5)/(a + 3.5) for all a from 0 to
infinity: the form of Shepherd and Laframboise, Chebyshev approximation of (1+2x)exp(x²)erfc x in 0 ≤ x < ∞, Math. Comp. 36
(1981). Its coefficients are computed when this module is loaded, from `math.erfc` and Laplace's continued fraction. One
formula for every argument means no branches, which is what arrays want.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

DENSITY_AT_ZERO = 0.3989422804014327
SHIFT = 3.5
DOUBLE_DEGREE = 22
SINGLE_DEGREE = 8
# Φ is that of −37 farther out, 6e-300: what is smaller than the least normal number takes a processor twenty times as long.
FARTHEST = 37.0
FARTHEST_SINGLE = 12.0

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Floats = TypeVar("Floats", Doubles, Singles)


def _tail_ratio(a: float) -> float:
    """Return R(a) = Φ(−a)·exp(a²/2), from where each of the two ways is exact."""
    if a < 2.0:
        return 0.5 * math.erfc(a / math.sqrt(2.0)) * math.exp(0.5 * a * a)
    fraction = a
    for k in range(400, 0, -1):
        fraction = a + k / fraction
    return DENSITY_AT_ZERO / fraction


def _coefficients(degree: int) -> tuple[float, ...]:
    """Return the polynomial in t of (1 + a/SHIFT)·R(a), highest power first."""
    t = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    values = [(1.0 + a / SHIFT) * _tail_ratio(a) for a in (SHIFT * (1.0 + t) / (1.0 - t)).tolist()]
    series = chebyshev.chebfit(t, values, 63)[: degree + 1]
    return tuple(chebyshev.cheb2poly(series)[::-1].tolist())


_DOUBLE = _coefficients(DOUBLE_DEGREE)
_SINGLE = _coefficients(SINGLE_DEGREE)


def density(x: Doubles) -> Doubles:
    """Return φ(x), of any shape."""
    bounded = np.minimum(np.abs(x), FARTHEST)
    return np.asarray(DENSITY_AT_ZERO * np.exp(-0.5 * bounded * bounded))


def cumulative(x: Doubles) -> Doubles:
    """Return Φ(x), of any shape: within 1e-14 of its own size down to x = −8, within 3e-13 down to −37, and no less than there."""
    x = np.asarray(x, np.float64)
    return cumulative_into(np.empty_like(x), x, np.empty_like(x), np.empty_like(x))


def cumulative_into(
    out: Floats, x: Floats, first: Floats, second: Floats, *, is_rough: bool = False
) -> Floats:
    """Write Φ(x) into `out` and return it; `first` and `second` are scratch of the same shape and type.

    `is_rough`: doubles with no more digits than single precision has, in half the time.

    Memory that is taken anew for each step costs ten times what the step does. Single precision is
    within 2e-6 of its own size down to x = −8, and no less than at −12.
    """
    is_double = x.dtype == np.float64
    head, *rest = _DOUBLE if is_double and not is_rough else _SINGLE
    magnitude, scaled = first, second
    np.abs(x, out=magnitude)
    np.minimum(magnitude, FARTHEST if is_double else FARTHEST_SINGLE, out=magnitude)
    np.add(magnitude, SHIFT, out=scaled)
    np.divide(SHIFT, scaled, out=scaled)
    # t goes into `magnitude` as soon as the exponential is made of it: three arrays are all there are.
    np.multiply(magnitude, magnitude, out=out)
    np.multiply(out, -0.5, out=out)
    np.exp(out, out=out)
    np.multiply(out, scaled, out=out)
    np.multiply(scaled, -2.0, out=magnitude)
    np.add(magnitude, 1.0, out=magnitude)
    np.multiply(magnitude, head, out=scaled)
    for coefficient in rest[:-1]:
        np.add(scaled, coefficient, out=scaled)
        np.multiply(scaled, magnitude, out=scaled)
    np.add(scaled, rest[-1], out=scaled)
    np.multiply(out, scaled, out=out)
    return _mirrored(out, x, scaled)


def _mirrored(tail: Floats, x: Floats, scratch: Floats) -> Floats:
    """Return Φ(x) in place of Φ(−|x|): 1 less it right of zero, in exact steps left of it."""
    # |[x > 0] − tail|, without a branch
    np.greater(x, 0.0, out=scratch, casting="unsafe")
    np.subtract(scratch, tail, out=tail)
    return np.abs(tail, out=tail)
