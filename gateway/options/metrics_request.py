"""`/options/{symbol}/metrics`: what may be asked of the figures of a chain, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from analytics.chain_metrics import GEX_ASSUMPTION, HISTORY_DAYS
from gateway.http.columns import (
    AS_OF,
    DATE,
    FLAG,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Column,
    by_name,
    envelope,
    or_null,
    record,
    rows,
    words_of,
)
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.parameters import Moment, ProviderName, Whole
from gateway.market.bars_request import PATH_SYMBOL
from gateway.market.gaps import GAP_COLUMNS
from gateway.options.chain_request import INPUT_COLUMNS, MAX_EXPIRIES, UNDERLYING_COLUMNS
from gateway.options.kinds import Dates
from schemas.clocks import KnowledgeTime

HistoryState = Literal["complete", "partial", "none"]
PROBLEMS_OF_CHAINS = (
    "unknown_symbol",
    "not_ready",
    "not_yet_complete",
    "overloaded",
    "no_options",
    "unknown_expiry",
    "not_kept",
    "store_unavailable",
)


@dataclass(frozen=True, kw_only=True)
class MetricsQuery(Query):
    """Query of `GET /options/{symbol}/metrics`."""

    expiry: tuple[date, ...] | None = parameter(
        Dates(MAX_EXPIRIES),
        "Only these expiries in `term_structure`, with commas between; all else is of the whole chain.",
        unit="date",
    )
    provider: str | None = parameter(
        ProviderName(), "The chain of this provider; without it of the one that spoke last."
    )
    history: int = parameter(
        Whole(0, HISTORY_DAYS),
        f"Sessions before the day of the answer of which `iv30` is looked at; with {HISTORY_DAYS} there are `iv_rank` and `iv_percentile`. "
        "The first time it takes seconds.",
        unit="sessions",
        default=0,
    )
    as_of: KnowledgeTime | None = parameter(
        Moment(), "Answer with what was known then; without it with what is known now.", unit="RFC 3339"
    )


VOLATILITY = "decimal a year, 0.2 for 20 %"
_NAMED = (
    Column("root", TEXT, "OCC root of the contracts."),
    Column("expiry", DATE, "Expiration date in their names.", "date"),
    Column("T_days", NUMBER, "Left from the slice's event_time to its expiration.", "days"),
)
_RATIOS = (
    Column(
        "pcr",
        record(
            Column("volume", or_null(NUMBER), "Contracts traded in the session."),
            Column("oi", or_null(NUMBER), "Contracts open."),
        ),
        "Puts a call; null where there are no calls or nothing was told of one side.",
    ),
    Column("oi_calls", or_null(NUMBER), "Open interest of calls; null: not told of any.", "contracts"),
    Column("oi_puts", or_null(NUMBER), "Open interest of puts; null: not told of any.", "contracts"),
)
_RISK_REVERSAL = (
    "Volatility of the call at 25 % delta less the put's; null where the smile does not reach them."
)
_BUTTERFLY = "Mean of these two less the one at the forward."
TERM_COLUMNS = (
    *_NAMED,
    Column("expiration", TIME, "When the contracts end.", "UTC"),
    Column("forward", or_null(NUMBER), "Price of the underlying for then, as options imply it.", "currency"),
    Column("atm_iv", or_null(NUMBER), "Implied volatility at the forward.", VOLATILITY),
    Column("rr25", or_null(NUMBER), _RISK_REVERSAL, VOLATILITY),
    Column("bf25", or_null(NUMBER), _BUTTERFLY, VOLATILITY),
    Column(
        "expected_move",
        record(
            Column(
                "sd", or_null(NUMBER), "One standard deviation, forward times volatility by root of time."
            ),
            Column(
                "straddle",
                or_null(NUMBER),
                "Middle price of put and call at the strike nearest to the forward.",
            ),
        ),
        "Move of the underlying until then, either way.",
        "currency",
    ),
    *_RATIOS,
    Column(
        "max_pain",
        or_null(
            record(
                Column("strike", NUMBER, "Listed strike, of equal ones the lowest.", "currency"),
                Column("payout", NUMBER, "What all holders together would get there.", "currency"),
            )
        ),
        "Price at expiry at which holders would be paid least; null without open interest.",
    ),
    Column("gex", or_null(NUMBER), "Gamma exposure, see the chain's.", "currency for a move of 1 %"),
    Column("calendar_violation", or_null(FLAG), "Whether total variance is below that of the expiry before."),
    Column("butterfly_violations", or_null(WHOLE), "Strikes at which a butterfly would cost less than 0."),
    Column("ok", WHOLE, "Legs with a volatility."),
    Column("priced", WHOLE, "Legs with a price that may be used."),
    Column("legs", WHOLE, "Legs there are."),
)
METRICS_COLUMNS = (
    Column("spot", or_null(NUMBER), "Price of the underlying; null where none is known.", "currency"),
    Column("term_structure", rows(record(*TERM_COLUMNS)), "By root and expiry, the next to end first."),
    Column(
        "iv30",
        or_null(NUMBER),
        "Volatility at the forward, 30 days ahead; null outside of the expiries.",
        VOLATILITY,
    ),
    Column("iv90", or_null(NUMBER), "The same, 90 days ahead.", VOLATILITY),
    Column(
        "forward_vols",
        rows(
            record(
                Column("from", record(*_NAMED), "An expiry."),
                Column("to", record(*_NAMED), "The next one."),
                Column("iv", or_null(NUMBER), "Between the two; null where variance falls.", VOLATILITY),
            )
        ),
        "From each expiry with a smile to the next.",
    ),
    Column("rr25", or_null(NUMBER), _RISK_REVERSAL, VOLATILITY),
    Column("bf25", or_null(NUMBER), _BUTTERFLY, VOLATILITY),
    Column(
        "wings_of",
        or_null(record(*_NAMED)),
        "The expiry that rr25 and bf25 are of: the nearest to 30 days of those that have them.",
    ),
    *_RATIOS,
    Column(
        "gex",
        record(
            Column("value", or_null(NUMBER), "Sum of all expiries.", "currency for a move of 1 %"),
            Column(
                "assumption", words_of((GEX_ASSUMPTION,)), "Whose options they are taken for: nobody knows."
            ),
        ),
        "What dealers would have to trade of the underlying.",
    ),
    Column("iv_rank", or_null(NUMBER), "Place of iv30 between lowest and highest of history, 0 to 1."),
    Column("iv_percentile", or_null(NUMBER), "Share of history whose iv30 was below."),
    Column(
        "history_days",
        WHOLE,
        f"Sessions of `history` that had an iv30 half an hour after their close; of fewer than {HISTORY_DAYS} the two are null.",
        "sessions",
    ),
)
CHAIN_META = (
    AS_OF,
    Column("symbol", TEXT, "As asked."),
    Column("provider", or_null(TEXT), "Who says it; null where there is nothing."),
    Column("currency", or_null(TEXT), "Of the prices; null where the provider does not say."),
    Column("underlying", record(*UNDERLYING_COLUMNS), "Price of the underlying, of the newest slice."),
    Column("inputs", rows(record(*INPUT_COLUMNS)), "What each root and expiry is priced with."),
    Column("status_counts", by_name(WHOLE), "Contracts by `iv_status`; those of none are left out."),
    Column("adjusted_excluded", WHOLE, "Contracts left out for what they deliver.", "contracts"),
    Column("skew_s", or_null(NUMBER), "Time between the oldest and the newest slice; null without one.", "s"),
    Column("stale_expiries", rows(record(*_NAMED[:2])), "Slices that were too old when they were asked for."),
    Column("delay_s", or_null(WHOLE), "Longest delay the provider declares; null without a slice.", "s"),
    Column("simulated", FLAG, "No market made these values."),
    Column("model_version", WHOLE, "Changes with every change of what is computed."),
    Column("gaps", rows(record(*GAP_COLUMNS)), "What is or was missing of these slices.", always=False),
    Column("as_of_floor", TIME, "The first moment anything of this was known.", "UTC", always=False),
)
HISTORY = Column(
    "history",
    words_of(get_args(HistoryState)),
    "Whether all sessions of `history` were looked at; `partial`: some not in time, come again; `none`: no history was asked for, there is no chain, or the market is simulated.",
)
METRICS = Endpoint(
    method="GET",
    path="/options/{symbol}/metrics",
    scope="read",
    topic="Market data",
    summary="Term structure, skew, put-call ratios, max pain and gamma exposure of an option chain.",
    query=MetricsQuery,
    path_parameters=PATH_SYMBOL,
    answers={
        200: (
            Answer(
                words="Of what was known of the chain at one moment. What cannot be said is null.",
                schema=envelope(record(*METRICS_COLUMNS), *CHAIN_META, HISTORY),
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
