"""Margin that a broker would ask to open an option combination, by the strategy-based rules for margin accounts.

Rules: FINRA 4210(f)(2) and Cboe Rule 10.3, as told by Cboe's margin manual: a short option costs its premium and a share of
the underlying less what it is out of the money, with a least amount; of a short put and call the greater side and the
other's premium; a spread what it can lose; long options what they cost; bought shares the half of Regulation T. A broker
may ask for more. All amounts are USD per share of the underlying; of a contract they are these times its multiplier.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from analytics.black import Flags
from analytics.normal import Doubles

MARGIN_BASIS: Final = "reg_t_estimate"
EQUITY_SHARE = 0.20  # of the underlying's price, for a short option on a stock or a narrow index
BROAD_INDEX_SHARE = 0.15
LEAST_SHARE = 0.10  # of the underlying's price for a call, of the strike for a put
STOCK_SHARE = 0.50  # Regulation T, initial, of bought shares


def short_option_margin(
    *, is_call: Flags, strike: Doubles, premium: Doubles, spot: float, is_broad_index: bool = False
) -> Doubles:
    """Return what uncovered short options need (USD per share): premium + max(share·S − out of the money, least)."""
    share = BROAD_INDEX_SHARE if is_broad_index else EQUITY_SHARE
    out_of_the_money = np.maximum(np.where(is_call, strike - spot, spot - strike), 0.0)
    least = LEAST_SHARE * np.where(is_call, spot, strike)
    return premium + np.maximum(share * spot - out_of_the_money, least)


def short_pair_margin(
    *,
    put_strike: Doubles,
    put_premium: Doubles,
    call_strike: Doubles,
    call_premium: Doubles,
    spot: float,
    is_broad_index: bool = False,
) -> Doubles:
    """Return what a short put with a short call needs (USD per share): the greater side's and the other one's premium."""
    puts, calls = np.zeros(len(put_strike), dtype=np.bool_), np.ones(len(call_strike), dtype=np.bool_)
    put = short_option_margin(
        is_call=puts, strike=put_strike, premium=put_premium, spot=spot, is_broad_index=is_broad_index
    )
    call = short_option_margin(
        is_call=calls, strike=call_strike, premium=call_premium, spot=spot, is_broad_index=is_broad_index
    )
    return np.where(put >= call, put + call_premium, call + put_premium)


def defined_risk_margin(max_loss: Doubles) -> Doubles:
    """Return what a combination needs whose loss is bounded: that loss (USD per share, given as it is, negative)."""
    return np.maximum(-max_loss, 0.0)


def paid_margin(cost: Doubles) -> Doubles:
    """Return what long options need (USD per share): their cost in full, nothing where they bring in money."""
    return np.maximum(cost, 0.0)


def covered_call_margin(spot: float, rows: int) -> Doubles:
    """Return what bought shares with a short call on them need (USD per share): half of the shares, nothing for the call."""
    return np.full(rows, STOCK_SHARE * max(spot, 0.0))


def cash_secured_margin(strike: Doubles) -> Doubles:
    """Return what a short put needs whose shares could be paid at once (USD per share): its strike."""
    return np.maximum(strike, 0.0)
