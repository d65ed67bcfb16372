"""A whole real chain through carry, volatilities, surface, metrics and strategies: GOOG on 2015-12-24 at 12:59 in New York.

The reference was computed by other code, a prototype of the same method, with a flat rate of 0.5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.american import american_greeks
from analytics.black import Flags, Greeks, Legs
from analytics.carry import Carry, ParityQuotes, carries
from analytics.chain_metrics import gamma_exposure
from analytics.enumeration import ChainColumns, Selection
from analytics.implied import american_vols
from analytics.normal import Doubles
from analytics.strategies import Demands, ranking
from analytics.surface import (
    Smile,
    atm_volatility,
    calendar_violations,
    constant_maturity,
    expected_move,
    forward_volatility,
    smile,
    wings,
)
from analytics.valuation import ExpiryColumns, Underlying
from tests.support.option_interest import open_interest
from tests.support.option_quotes import last_quotes

SPOT, RATE = 748.24, 0.005
NEW_YORK = ZoneInfo("America/New_York")
YEAR_S = 31_536_000.0
NOW = datetime(2015, 12, 24, 13, tzinfo=NEW_YORK)
# T in days, forward, volatility at the money, risk reversal, butterfly, gamma exposure in millions, legs with a volatility and priced
REFERENCE = {
    date(2015, 12, 31): (7.125, 748.302, 0.1402, -0.0281, 0.0010, 21.29, 88, 108),
    date(2016, 1, 8): (15.125, 748.568, 0.1712, -0.0257, 0.0015, 2.21, 69, 87),
    date(2016, 1, 15): (22.125, 748.539, 0.1795, -0.0285, -0.0001, 22.04, 170, 210),
    date(2016, 1, 22): (29.125, 748.910, 0.2131, -0.0263, 0.0035, 1.15, 92, 107),
    date(2016, 1, 29): (36.125, 748.880, 0.2983, -0.0318, 0.0005, 1.08, 113, 128),
    date(2016, 2, 19): (57.125, 748.907, 0.2779, -0.0370, 0.0021, -3.85, 151, 158),
    date(2016, 3, 18): (85.125, 749.570, 0.2558, -0.0401, 0.0030, -8.42, 157, 168),
    date(2016, 6, 17): (176.125, 750.698, 0.2557, -0.0375, 0.0012, -0.41, 114, 115),
    date(2017, 1, 20): (393.125, 754.009, 0.2727, -0.0411, 0.0013, 8.19, 144, 145),
    date(2018, 1, 19): (757.125, 758.107, 0.2796, -0.0409, -0.0036, 1.99, 55, 55),
}


@dataclass(frozen=True, slots=True)
class QuotedOption:
    """A contract with its last quote (USD, NaN where a side was empty) and its open interest."""

    expiry: date
    strike: float
    is_call: bool
    bid: float
    ask: float
    open_interest: float


@dataclass(frozen=True)
class Slice:
    """One expiry of the chain with all that follows from its quotes."""

    options: tuple[QuotedOption, ...]
    years: float
    carry: Carry
    volatilities: Doubles
    greeks: Greeks
    smile: Smile

    @property
    def strikes(self) -> Doubles:
        """Strikes by leg."""
        return np.array([each.strike for each in self.options])

    @property
    def is_call(self) -> Flags:
        """Which legs are calls."""
        return np.array([each.is_call for each in self.options])

    @property
    def exposure(self) -> float:
        """Gamma exposure in USD a percent; of an expiry nobody holds, 0."""
        gamma = np.where(np.isfinite(self.volatilities), self.greeks.gamma, np.nan)
        held = np.array([each.open_interest for each in self.options])
        return gamma_exposure(gamma, held, self.is_call, spot=SPOT) or 0.0

    def differences(self) -> Doubles:
        """Volatility points between put and call of each strike near the money."""
        by = {(each.strike, each.is_call): at for at, each in enumerate(self.options)}
        reach = 0.25 * np.sqrt(self.years) + 0.01
        near = {k for k, _ in by if (k, True) in by and (k, False) in by and abs(np.log(k / SPOT)) < reach}
        found = np.array(
            [self.volatilities[by[k, True]] - self.volatilities[by[k, False]] for k in sorted(near)]
        )
        return 100 * np.abs(found[np.isfinite(found)])

    def widths(self) -> Doubles:
        """How many volatility points the spread of each leg near the money is."""
        near = np.abs(np.log(self.strikes / SPOT)) < 0.25 * np.sqrt(self.years) + 0.01
        spreads = np.array([each.ask - each.bid for each in self.options])
        known = near & np.isfinite(self.volatilities)
        return spreads[known] / self.greeks.vega[known]


def quoted_options(data: Path) -> list[QuotedOption]:
    """Return all contracts in order."""
    chain, held = last_quotes(data, "goog", "20151224"), open_interest(data, "goog", "20151224")
    keys = zip(chain.expiries, chain.strikes.tolist(), chain.is_call.tolist(), strict=True)
    sides = zip(chain.bids.tolist(), chain.asks.tolist(), strict=True)
    found = [QuotedOption(*key, *side, held.get(key, np.nan)) for key, side in zip(keys, sides, strict=True)]
    assert chain.spot == pytest.approx(SPOT)
    return sorted(found, key=lambda each: (each.expiry, each.strike, each.is_call))


def years_left(expiry: date) -> float:
    """Return the years of 365 days until 16:00 of an expiry's day."""
    end = datetime(expiry.year, expiry.month, expiry.day, 16, tzinfo=NEW_YORK)
    return (end - NOW).total_seconds() / YEAR_S


def is_quoted(each: QuotedOption) -> bool:
    """Whether both sides are there, not crossed and not too far apart."""
    middle = (each.bid + each.ask) / 2
    return 0 < each.bid <= each.ask and each.ask - each.bid <= max(0.10, 0.5 * middle)


def parity(options: tuple[QuotedOption, ...]) -> ParityQuotes:
    """Return the pairs of one expiry."""
    calls, puts = (
        {each.strike: (each.bid + each.ask) / 2 for each in options if each.is_call == side}
        for side in (True, False)
    )
    strikes = sorted(calls.keys() & puts.keys())
    return ParityQuotes(
        years=years_left(options[0].expiry),
        rate=RATE,
        strikes=np.array(strikes),
        call_mids=np.array([calls[each] for each in strikes]),
        put_mids=np.array([puts[each] for each in strikes]),
    )


@cache
def slices(data: Path) -> dict[date, Slice]:
    """Return the chain by expiry, but for the one that ends that day."""
    quoted = [each for each in quoted_options(data) if each.expiry > NOW.date() and is_quoted(each)]
    expiries = sorted({each.expiry for each in quoted})
    chains = [tuple(each for each in quoted if each.expiry == expiry) for expiry in expiries]
    found = {}
    for expiry, options, carry in zip(
        expiries, chains, carries(SPOT, [parity(each) for each in chains]), strict=True
    ):
        strikes, is_call = (
            np.array([each.strike for each in options]),
            np.array([each.is_call for each in options]),
        )
        years = years_left(expiry)
        legs = Legs.of(
            spot=SPOT,
            strike=strikes,
            years=years,
            rate=RATE,
            dividend_yield=carry.dividend_yield,
            is_call=is_call,
        )
        vols = american_vols(legs, np.array([(each.bid + each.ask) / 2 for each in options]))
        greeks = american_greeks(legs, np.where(np.isfinite(vols), vols, 0.3))
        made = smile(
            strikes=strikes,
            is_call=is_call,
            volatilities=vols,
            deltas=greeks.delta,
            forward=carry.forward,
            years=years,
        )
        assert made is not None
        found[expiry] = Slice(options, years, carry, vols, greeks, made)
    return found


@pytest.mark.parametrize("expiry", REFERENCE, ids=str)
def test_each_expiry_is_as_the_reference(market_data: Path, expiry: date) -> None:
    """Forward, volatility at the money, wings and gamma exposure within the tolerances of the specification."""
    days, forward, at_money, reversal, butterfly, exposure, known, priced = REFERENCE[expiry]
    found = slices(market_data)[expiry]
    read = wings(found.smile)

    assert found.years * 365 == pytest.approx(days)
    assert (found.carry.source, found.carry.pairs) == ("implied", 6)
    assert found.carry.forward == pytest.approx(forward, abs=0.05)
    assert atm_volatility(found.smile) == pytest.approx(at_money, abs=0.001)
    assert read.risk_reversal == pytest.approx(reversal, abs=0.002)
    assert read.butterfly == pytest.approx(butterfly, abs=0.002)
    # the last digit of the reference is 0.005 million
    assert found.exposure / 1e6 == pytest.approx(exposure, rel=0.02, abs=0.005)
    assert (int(np.isfinite(found.volatilities).sum()), len(found.options)) == (known, priced)


def test_what_lies_between_expiries_is_as_the_reference(market_data: Path) -> None:
    """30 days, the week of the earnings between 22 and 29 January, the total gamma exposure; nothing falls with time."""
    chain = slices(market_data)
    smiles = [each.smile for each in chain.values()]
    earnings = forward_volatility(chain[date(2016, 1, 22)].smile, chain[date(2016, 1, 29)].smile)

    assert constant_maturity(smiles, days=30) == pytest.approx(0.2280, abs=0.001)
    assert earnings == pytest.approx(0.520, abs=0.001)
    assert sum(each.exposure for each in chain.values()) / 1e6 == pytest.approx(45.3, rel=0.02)
    assert not any(calendar_violations(smiles))
    assert expected_move(smiles[0], straddle=None).deviation == pytest.approx(
        748.302 * 0.1402 * 0.13972, rel=0.01
    )


def test_an_expiry_whose_puts_do_not_reach_25_delta_has_no_wings(market_data: Path) -> None:
    """2016-02-05 was listed on that day, from 710 on, and nobody held it."""
    found = slices(market_data)[date(2016, 2, 5)]

    assert (wings(found.smile).put, wings(found.smile).risk_reversal, found.exposure) == (None, None, 0.0)


def test_put_and_call_of_a_strike_have_nearly_one_volatility(market_data: Path) -> None:
    """Near the money, closer than their own spreads let one know; a week before expiry a point counts for little money."""
    for expiry, found in slices(market_data).items():
        apart = found.differences()
        week = found.years * 365 < 8

        assert len(apart) >= 9, expiry
        assert np.median(apart) <= 0.4
        assert np.percentile(apart, 90) <= (2.0 if week else 0.8)
        assert np.median(apart) < np.median(found.widths())


def strategies_columns(data: Path) -> tuple[ChainColumns, ExpiryColumns]:
    """Return the chain and its expiries as strategies take them."""
    chain = list(slices(data).values())
    greeks = [
        np.column_stack([getattr(each.greeks, name) for name in ("delta", "gamma", "vega", "theta", "rho")])
        for each in chain
    ]
    options = [each for found in chain for each in found.options]
    bids, asks = np.array([each.bid for each in options]), np.array([each.ask for each in options])
    vega = np.concatenate([each.greeks.vega for each in chain])
    vols = np.concatenate([each.volatilities for each in chain])
    columns = ChainColumns(
        names=tuple(
            f"GOOG{each.expiry:%y%m%d}{'C' if each.is_call else 'P'}{each.strike * 1000:08.0f}"
            for each in options
        ),
        expiries=np.repeat(np.arange(len(chain)), [len(each.options) for each in chain]),
        strikes=np.array([each.strike for each in options]),
        is_call=np.array([each.is_call for each in options]),
        bids=bids,
        asks=asks,
        volumes=np.zeros(len(options)),
        open_interest=np.array([each.open_interest for each in options]),
        volatilities=vols,
        iv_widths=(asks - bids) / np.maximum(vega, 1e-9) / 100,
        greeks=np.concatenate(greeks),
        is_usable=np.isfinite(vols),
    )
    expiries = ExpiryColumns(
        years=np.array([each.years for each in chain]),
        forwards=np.array([each.carry.forward for each in chain]),
        volatilities=np.array([atm_volatility(each.smile) for each in chain]),
        rates=np.full(len(chain), RATE),
    )
    return columns, expiries


def test_strategies_of_the_real_chain_keep_what_they_promise(market_data: Path) -> None:
    """All candidates of it are ranked; what is sold at the bid and bought at the ask gains nothing on average but by the smile."""
    chain, expiries = strategies_columns(market_data)
    underlying = Underlying(price=SPOT, bid=748.10, ask=748.38)
    found = ranking(
        chain, expiries, underlying, selection=Selection(), demands=Demands(max_loss=1_000, limit=500)
    )

    assert found.candidates > 2_000
    assert len(found.strategies) == 500
    assert len({(each.type, each.legs) for each in found.strategies}) == 500
    for each in found.strategies:
        assert each.max_loss is not None
        assert -each.max_loss * 100 <= 1_000
        assert 0 <= each.pop <= 1
        assert each.mid_cost <= each.cost
        assert each.max_profit is None or each.max_loss <= each.expected_value <= each.max_profit
