"""`/options/{symbol}/strategies`: what may be asked of strategies, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from analytics.enumeration import MOST_CANDIDATES, MOST_WIDTH
from analytics.margin import MARGIN_BASIS
from analytics.strategies import NOT_ADVICE
from analytics.strategy_types import MOST_LEGS, STRATEGY_TYPES, VIEWS
from gateway.http.columns import (
    DATE,
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Column,
    envelope,
    or_null,
    record,
    rows,
    words_of,
)
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.parameters import Moment, OneOf, ProviderName, SomeOf, Whole
from gateway.market.bars_request import PATH_SYMBOL
from gateway.options.chain_request import MAX_EXPIRIES
from gateway.options.kinds import Between, Dates
from gateway.options.metrics_request import CHAIN_META, PROBLEMS_OF_CHAINS
from schemas.clocks import KnowledgeTime

TYPES = tuple(each.name for each in STRATEGY_TYPES)
DEFAULT_LIMIT, MOST_ROWS = 20, 500
DEFAULT_WIDTH = 5
LARGEST_USD = 1e9
_TYPES_BY_VIEW = "; ".join(
    f"{view}: {', '.join(each.name for each in STRATEGY_TYPES if each.view == view)}" for view in VIEWS
)


@dataclass(frozen=True, kw_only=True)
class StrategiesQuery(Query):
    """Query of `GET /options/{symbol}/strategies`; `max_loss` and `max_margin` are USD of one strategy, its multiplier applied."""

    reads_first: ClassVar[tuple[str, ...]] = ("view", "expiry", "types")

    view: str | None = parameter(
        OneOf(VIEWS), f"Only types that suit a view of the underlying. {_TYPES_BY_VIEW}."
    )
    expiry: tuple[date, ...] | None = parameter(
        Dates(MAX_EXPIRIES), "Only these expiries, with commas between; of two the nearer.", unit="date"
    )
    types: tuple[str, ...] | None = parameter(SomeOf(TYPES), "Only these types, with commas between.")
    max_loss: float | None = parameter(
        Between(0.0, LARGEST_USD),
        "Largest loss of one strategy, multiplier applied: 500 admits `max_loss` down to -5 a share. None that is unbounded passes.",
        unit="USD",
    )
    max_margin: float | None = parameter(
        Between(0.0, LARGEST_USD), "Largest margin of one strategy, multiplier applied.", unit="USD"
    )
    legs_max: int = parameter(Whole(1, MOST_LEGS), "Most options of a strategy.", default=MOST_LEGS)
    width_max: int = parameter(
        Whole(1, MOST_WIDTH),
        "Most listed strikes from one strike of a strategy to the next.",
        unit="strikes",
        default=DEFAULT_WIDTH,
    )
    min_pop: float | None = parameter(Between(0.0, 1.0), "Least probability of profit, 0.6 for 60 %.")
    limit: int = parameter(
        Whole(1, MOST_ROWS), "Most rows; the best come first.", unit="rows", default=DEFAULT_LIMIT
    )
    provider: str | None = parameter(
        ProviderName(), "The chain of this provider; of one provider that serves all of it without it."
    )
    as_of: KnowledgeTime | None = parameter(
        Moment(), "Answer with what was known then; without it with what is known now.", unit="RFC 3339"
    )


SHARE = "USD a share"
LEG_COLUMNS = (
    Column("contract", TEXT, "Compact name: root, yymmdd, right and strike in thousandths."),
    Column("quantity", WHOLE, "Bought, or below 0 sold.", "contracts"),
    Column("expiry", DATE, "Expiration date in the name.", "date"),
    Column("right", words_of(("C", "P")), "C: call, P: put."),
    Column("strike", NUMBER, "Exercise price.", "USD"),
    Column(
        "price", or_null(NUMBER), "Natural price: the ask of what is bought, the bid of what is sold.", SHARE
    ),
    Column("mid", or_null(NUMBER), "Middle of bid and ask.", SHARE),
    Column("iv", or_null(NUMBER), "Implied volatility a year, 0.2 for 20 %."),
    Column("delta", or_null(NUMBER), "Of one bought option on one share."),
)
STRATEGY_COLUMNS = (
    Column("type", words_of(TYPES), "Type of the strategy."),
    Column("view", words_of(VIEWS), "The view of the underlying that it suits."),
    Column("root", TEXT, "OCC root of its contracts."),
    Column("expiry", DATE, "Expiration date, of two the nearer.", "date"),
    Column("legs", rows(record(*LEG_COLUMNS)), "Its options."),
    Column("shares", WHOLE, "Shares bought with them."),
    Column("multiplier", WHOLE, "Amounts a share, times it, are amounts of the strategy.", "shares"),
    Column("cost", NUMBER, "To enter at natural prices; below 0 it is paid for taking it.", SHARE),
    Column("mid_entry", NUMBER, "To enter at the middle of all quotes.", SHARE),
    Column("max_profit", or_null(NUMBER), "Most it may gain by expiry; null: no bound.", SHARE),
    Column("max_loss", or_null(NUMBER), "Most it may lose, below 0; null: no bound.", SHARE),
    Column("unbounded", FLAG, "Whether profit or loss, the one that is null, has no bound."),
    Column(
        "breakevens", rows(NUMBER), "Prices of the underlying at which it neither gains nor loses.", "USD"
    ),
    Column("pop", NUMBER, "Risk-neutral probability of profit, 0.6 for 60 %, by `forward` and `atm_iv`."),
    Column(
        "expected_value",
        NUMBER,
        "Mean of what it is worth by the same law, discounted, less its cost.",
        SHARE,
    ),
    Column("forward", or_null(NUMBER), "Forward of the expiry.", "USD"),
    Column("atm_iv", or_null(NUMBER), "Volatility at the forward, 0.2 for 20 %."),
    Column("delta", NUMBER, "Of the strategy, multiplier applied.", "shares"),
    Column("gamma", NUMBER, "Change of delta a dollar.", "shares a USD"),
    Column("vega", NUMBER, "Change of value a point of volatility.", "USD"),
    Column("theta", NUMBER, "Change of value a calendar day.", "USD"),
    Column("rho", NUMBER, "Change of value for 1 % of rate.", "USD"),
    Column("margin", NUMBER, "What a broker would want for it by `margin_basis`.", SHARE),
    Column("margin_basis", words_of((MARGIN_BASIS,)), "Rules it is reckoned by; a broker may want more."),
    Column("model_dependent", FLAG, "Whether profit and loss need a model of what a later option is worth."),
    Column(
        "score",
        NUMBER,
        "What rows are ordered by: probability, value and spread a unit of risk. It compares, it does not recommend.",
    ),
)

STRATEGIES = Endpoint(
    method="GET",
    path="/options/{symbol}/strategies",
    scope="read",
    topic="Market data",
    summary="Option strategies of a chain that keep within bounds, the best by score first. Not advice.",
    query=StrategiesQuery,
    path_parameters=PATH_SYMBOL,
    answers={
        200: (
            Answer(
                words=f"By falling score, then by names. Of one root at most {MOST_CANDIDATES} candidates are looked at: "
                "`too_many` names the filter to narrow.",
                schema=envelope(
                    rows(record(*STRATEGY_COLUMNS)),
                    *CHAIN_META,
                    Column("candidates", WHOLE, "Strategies that were looked at."),
                    Column("kept", WHOLE, "Those of them within the bounds."),
                    Column("row_count", WHOLE, "Rows of the answer.", "rows"),
                    members=(
                        Column("disclaimer", words_of((NOT_ADVICE,)), "None of it is a recommendation."),
                    ),
                ),
                headers={
                    "ETag": "Of the content.",
                    "Cache-Control": "To be asked for again: another model says other things of the same quotes.",
                },
            ),
        ),
        304: (Answer(words="If-None-Match names the content as it is.", media=""),),
    },
    problems=PROBLEMS_OF_CHAINS,
)
