"""Exercise boundary of American puts, and the premium over European ones that follows from it, for whole chains.

The premium of early exercise is an integral over the boundary B (Kim, The analytic valuation of American options, Review of Financial
Studies 3, 1990), and B is where the integral equation for it holds. It is found as by Andersen, Lake and Offengenden, High performance
American option pricing, Journal of Computational Finance 20 (2016): (ln B/X)² at Chebyshev nodes of √τ, their fixed point "FP-B",
Gauss-Legendre points in the square root of elapsed time, X = K·min(1, r/q). The start is the explicit boundary of Bjerksund and Stensland,
Closed-form approximation of American options, Scandinavian Journal of Management 9 (1993), so that there is no search.

Strikes are 1 here; calls come as puts with spot and strike, rate and yield exchanged. All of it is in single precision, which costs less than
1e-6 of the strike, where the quadrature itself costs 1e-5, and takes a fifth of the time. Options are the last axis of every array, so that steps
run along memory, and memory is taken once: to take it anew for each step costs more than the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analytics.normal import DENSITY_AT_ZERO, FARTHEST_SINGLE, Doubles, Singles, cumulative_into

# Options that are worked on at once: what they need stays in the processor's nearest memory.
BLOCK = 512
LEAST_VOL = 1e-4
LEAST_DEVIATION = 1e-6
# ln(S/K): farther from the strike nothing changes but sizes that single precision does not hold
FARTHEST_SPOT = 20.0
LARGEST_EXPONENT = 80.0
NEAREST_TO_X = 1e-7
SMALLEST = 1e-37


@dataclass(frozen=True, slots=True, eq=False)
class Quadrature:
    """Numbers of nodes, points and rounds, with what follows from them.

    Each of n nodes has l points of its integral and behind them one for its European ending, so that arrays of points have n·(l + 1) rows. `shares`
    are of the time left at inception: `fractions` (n,) those of the nodes, `shares` (points,) what has elapsed since a node, `premium_shares` (p,) since
    now. `interpolation` (points, n) and `premium_interpolation` (p, n) lead from the nodes to them.
    """

    rounds: int
    points: int
    fractions: Singles
    shares: Singles
    weights: Singles
    interpolation: Singles
    premium_shares: Singles
    premium_weights: Singles
    premium_interpolation: Singles


@cache
def quadrature(nodes: int, points: int, rounds: int, premium_points: int) -> Quadrature:
    """Return the quadrature of such numbers; the more of each, the nearer and the slower."""
    angles = np.pi * np.arange(nodes + 1) / nodes
    # from values at all nodes to coefficients of Chebyshev polynomials: the last value, at expiry, is always zero
    transform = np.cos(np.outer(np.arange(nodes + 1), angles)) * (2.0 / nodes)
    transform[:, [0, -1]] *= 0.5
    transform[[0, -1], :] *= 0.5

    def interpolation(time_left_share: Doubles) -> Doubles:
        arguments = np.clip(2.0 * np.sqrt(time_left_share) - 1.0, -1.0, 1.0)
        basis = np.cos(np.outer(np.arccos(arguments), np.arange(nodes + 1)))
        return np.asarray((basis @ transform)[:, :-1])

    fractions = (0.5 * (1.0 + np.cos(angles[:-1]))) ** 2
    abscissas, weights = np.polynomial.legendre.leggauss(points)
    # of the ending all time has elapsed
    roots = np.append(0.5 * (1.0 + abscissas), 1.0)
    far_abscissas, far_weights = np.polynomial.legendre.leggauss(premium_points)
    far_roots = 0.5 * (1.0 + far_abscissas)
    single = np.float32
    return Quadrature(
        rounds=rounds,
        points=points,
        fractions=fractions.astype(single),
        shares=np.outer(fractions, roots * roots).reshape(-1).astype(single),
        weights=np.outer(fractions, np.append(weights, 0.0) * roots).reshape(-1).astype(single),
        interpolation=interpolation(np.outer(fractions, 1.0 - roots * roots).reshape(-1)).astype(single),
        premium_shares=(far_roots * far_roots).astype(single),
        premium_weights=(far_weights * far_roots).astype(single),
        premium_interpolation=interpolation(1.0 - far_roots * far_roots).astype(single),
    )


@dataclass(frozen=True, slots=True)
class Puts:
    """American puts with strike 1, arrays of shape (n,): `log_spot` is ln(S/K), `rate` > 0; all of them within the bounds of `Legs`."""

    log_spot: NDArray[np.floating]
    years: NDArray[np.floating]
    rate: NDArray[np.floating]
    dividend_yield: NDArray[np.floating]
    vol: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class _Block:
    """Some puts in single precision, (options,): σ√T, rT, qT, σ²T, ln(S/X), ln(X/K)."""

    deviation: Singles
    growth: Singles
    payout: Singles
    variance: Singles
    above: Singles
    limit: Singles


def _block(puts: Puts, rows: slice) -> _Block:
    rate, payout, years = puts.rate[rows], puts.dividend_yield[rows], puts.years[rows]
    deviation = np.maximum(np.maximum(puts.vol[rows], LEAST_VOL) * np.sqrt(years), LEAST_DEVIATION)
    limit = -np.log(np.maximum(1.0, payout / rate))
    above = np.clip(puts.log_spot[rows], -FARTHEST_SPOT, FARTHEST_SPOT) - limit
    columns = (deviation, rate * years, payout * years, deviation * deviation, above, limit)
    return _Block(*(each.astype(np.float32) for each in columns))


@dataclass(frozen=True, slots=True)
class Premiums:
    """Premiums of early exercise with strike 1, (n,), with their first and second derivative by the spot (of 1 where the strike is).

    Where exercising now is best (`is_exercised`) they mean nothing.
    """

    value: Doubles
    slope: Doubles
    curvature: Doubles
    is_exercised: NDArray[np.bool_]


def premiums(puts: Puts, by: Quadrature) -> Premiums:
    """Return the premiums of all of them, a block after the other."""
    total = len(puts.vol)
    found, is_exercised = np.empty((3, total), np.float64), np.empty(total, np.bool_)
    scratch = _scratch(by, min(BLOCK, total))
    for at in range(0, total, BLOCK):
        rows = slice(at, min(at + BLOCK, total))
        if rows.stop - at < scratch[0].shape[-1]:
            scratch = _scratch(by, rows.stop - at)
        block = _block(puts, rows)
        log_b = _boundary(block, by, *scratch)
        found[:, rows] = _premiums(block, log_b, by, *scratch)
        is_exercised[rows] = block.above <= log_b[0]
    return Premiums(found[0], found[1], found[2], is_exercised)


def _scratch(by: Quadrature, width: int) -> tuple[Singles, Singles]:
    """Return room for arrays of points, and for arrays of points of two integrals each."""
    points = max(len(by.shares), len(by.premium_shares))
    return np.empty((5, points, width), np.float32), np.empty((5, 2 * points, width), np.float32)


def _start(block: _Block, by: Quadrature) -> Singles:
    """Return ln(B/X) of Bjerksund and Stensland at the nodes, (n, options): theirs is the boundary of the mirrored call."""
    carry = (block.payout - block.growth) / block.variance
    # r of the mirrored call; below zero there is no limit for long times, and this serves as well
    discount = 2.0 * np.maximum(block.payout, 0.0) / block.variance
    middle = 0.5 - carry
    total = np.abs(middle) + np.sqrt(middle**2 + discount)
    # the sum of two numbers that nearly cancel, without the cancellation
    exponent = np.where(middle > 0.0, total, discount / total)
    excess = np.maximum(exponent, 1.0 + 1e-6)
    excess = np.maximum(excess / (excess - 1.0) * np.exp(block.limit) - 1.0, 1e-6)
    tau, root = by.fractions[:, None], np.sqrt(by.fractions)[:, None]
    spread_out = 2.0 * block.deviation * root
    reach = np.maximum((block.payout - block.growth) * tau + spread_out, 0.25 * spread_out)
    log_b: Singles = -np.log(1.0 + excess * (1.0 - np.exp(-np.minimum(reach / excess, LARGEST_EXPONENT))))
    return np.minimum(log_b, np.float32(-NEAREST_TO_X), out=log_b)


def _outer(by_point: Singles, by_option: Singles, out: Singles) -> Singles:
    return np.multiply(by_point[:, None], by_option[None, :], out=out)


def _arguments(block: _Block, shares: Singles, step: Singles, inverse: Singles, drift: Singles) -> None:
    """Fill in, for each point: the deviation until then, its inverse, and what the drift adds to d₋."""
    roots = np.sqrt(shares)
    _outer(roots, block.deviation, step)
    np.divide(1.0, step, out=inverse)
    carry = block.growth - block.payout
    _outer(roots, carry / block.deviation - 0.5 * block.deviation, drift)


def _discounted(
    weights: Singles, shares: Singles, growth: Singles, out: Singles, scratch: Singles
) -> Singles:
    """Fill in weight·rate·exp(−rate·elapsed) of every point."""
    _outer(shares, -growth, out)
    np.exp(out, out=out)
    return np.multiply(out, _outer(weights, growth, scratch), out=out)


def _boundary(block: _Block, by: Quadrature, single: Singles, double: Singles) -> Singles:
    """Return ln(B/X) at the nodes, (n, options), the first node being now."""
    nodes, points, width = len(by.fractions), len(by.shares), single.shape[-1]
    at, step, inverse, drift, scratch = single[:, :points]
    both, out, first, second, weights = double[:, : 2 * points]
    minus, plus = both[:points], both[points:]
    shape = (nodes, by.points + 1, width)
    _arguments(block, by.shares, step, inverse, drift)
    for part, growth in ((weights[:points], block.growth), (weights[points:], block.payout)):
        _discounted(by.weights, by.shares, growth, part, scratch)
        np.exp(_outer(by.fractions, -growth, part.reshape(shape)[:, -1]), out=part.reshape(shape)[:, -1])
    log_b = _start(block, by)
    for _ in range(by.rounds):
        np.matmul(by.interpolation, log_b * log_b, out=at)
        np.maximum(at, 0.0, out=at)
        np.sqrt(at, out=at)
        # the ending compares with the strike, not with the boundary
        at.reshape(shape)[:, -1] = block.limit
        at.reshape(shape)[...] += log_b[:, None, :]
        np.multiply(at, inverse, out=at)
        np.add(at, drift, out=minus)
        np.add(minus, step, out=plus)
        cumulative_into(out, both, first, second)
        np.multiply(out, weights, out=out)
        sums = np.maximum(out.reshape(2 * nodes, by.points + 1, width).sum(axis=1), SMALLEST)
        np.log(sums, out=sums)
        log_b = sums[:nodes] - sums[nodes:] - block.limit
        log_b = np.minimum(log_b, np.float32(-NEAREST_TO_X), out=log_b)
    return log_b


def _premiums(block: _Block, log_b: Singles, by: Quadrature, single: Singles, double: Singles) -> Singles:
    """Return the integral over a boundary and its derivatives, (3, options): the boundary does not depend on the spot, so they are exact."""
    points = len(by.premium_shares)
    at, step, inverse, drift, scratch = single[:, :points]
    both, out, first, second, weights = double[:, : 2 * points]
    minus, plus, cash, stock = both[:points], both[points:], weights[:points], weights[points:]
    _arguments(block, by.premium_shares, step, inverse, drift)
    _discounted(by.premium_weights, by.premium_shares, block.growth, cash, scratch)
    _discounted(by.premium_weights, by.premium_shares, block.payout, stock, scratch)
    np.matmul(by.premium_interpolation, log_b * log_b, out=at)
    np.sqrt(np.maximum(at, 0.0, out=at), out=at)
    np.multiply(np.add(at, block.above, out=at), inverse, out=at)
    np.add(at, drift, out=minus)
    np.add(minus, step, out=plus)
    cumulative_into(out, np.negative(both, out=both), first, second)
    value, held = np.multiply(out, weights, out=out).reshape(2, points, -1).sum(axis=1)
    spot = np.exp(block.above + block.limit)
    # φ(d₋)·cash and φ(d₊)·stock, both over the step; `both` is of the other sign here
    np.clip(both, -FARTHEST_SINGLE, FARTHEST_SINGLE, out=first)
    np.exp(np.multiply(np.multiply(first, first, out=first), -0.5, out=first), out=first)
    np.multiply(np.multiply(first, weights, out=first), DENSITY_AT_ZERO, out=first)
    near, far = np.multiply(first.reshape(2, points, -1), inverse, out=out.reshape(2, points, -1))
    slope = far.sum(axis=0) - held - near.sum(axis=0) / spot
    curvature = np.sum(near * (1.0 - minus * inverse), axis=0) / spot**2
    curvature += np.sum(far * (1.0 + plus * inverse), axis=0) / spot
    return np.stack([value - spot * held, slope, curvature])
