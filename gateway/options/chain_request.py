"""`/options/{symbol}/chain`: what may be asked of a chain, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, get_args

from analytics.black import PRICES
from analytics.carry import CarrySource
from analytics.rates import RateSource
from gateway.http.columns import (
    AS_OF,
    DATE,
    FLAG,
    NEXT_PAGE,
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
)  # fmt: skip
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.parameters import (
    AnyText,
    Moment,
    OneOf,
    ProviderName,
    SomeOf,
    Whole,
    Word,
)  # fmt: skip
from gateway.http.problems import FieldError
from gateway.market.bars_request import PATH_SYMBOL
from gateway.market.gaps import GAP_COLUMNS
from gateway.options.chain_columns import CHAIN_COLUMNS, COLUMN_NAMES, default_fields
from gateway.options.inputs import MAX_AGE_S
from gateway.options.kinds import Band, Between, Dates, PlainDate
from gateway.options.priced import UnderlyingSource
from schemas.clocks import KnowledgeTime
from schemas.symbols.occ import Settlement

MAX_EXPIRIES = 50
DEFAULT_LIMIT_LEGS, MAX_LIMIT_LEGS = 1_000, 5_000
MAX_AGE_LIMIT_S = 366 * 86_400
STRIKES = (0.0, PRICES[1])
MONEYNESS = (0.0, 1_000.0)


@dataclass(frozen=True, kw_only=True)
class ChainQuery(Query):
    """Query of `GET /options/{symbol}/chain`; both ends of every range are in it."""

    reads_first: ClassVar[tuple[str, ...]] = ("expiry", "min_expiry", "max_expiry")

    expiry: tuple[date, ...] | None = parameter(
        Dates(MAX_EXPIRIES), "Contracts of these expiration dates, with commas between; all without it.", unit="date",
        not_with=("min_expiry", "max_expiry"),
    )  # fmt: skip
    min_expiry: date | None = parameter(PlainDate(), "Contracts that expire on it or later.", unit="date")
    max_expiry: date | None = parameter(PlainDate(), "Contracts that expire on it or earlier.", unit="date")
    min_strike: float | None = parameter(Between(*STRIKES), "Strikes from here on.", unit="currency")
    max_strike: float | None = parameter(Between(*STRIKES), "Strikes up to here.", unit="currency")
    right: str | None = parameter(OneOf(("C", "P")), "C: only calls, P: only puts.")
    moneyness: tuple[float, float] | None = parameter(
        Band(*MONEYNESS),
        "Strikes within these shares of the underlying's price; none of an expiry without one.",
    )
    root: str | None = parameter(
        Word("[A-Z][A-Z0-9]{0,5}", "not_a_symbol", "use an OCC root like SPXW"), "Contracts of this root."
    )
    status: str = parameter(OneOf(("all", "ok")), "ok: only contracts with a volatility.", default="all")
    fields: tuple[str, ...] | None = parameter(
        SomeOf(COLUMN_NAMES),
        "Only these columns, with commas between; without it all but iv_bid and iv_ask, which take longer.",
    )
    greeks: str = parameter(
        OneOf(("true", "false")), "false: without delta, gamma, vega, theta and rho.", default="true"
    )
    provider: str | None = parameter(
        ProviderName(), "What this provider says; the one that told last without it, never a mixture."
    )
    as_of: KnowledgeTime | None = parameter(
        Moment(), "Answer as it was known then; without it as it is now.", unit="RFC 3339"
    )
    max_age_s: int = parameter(
        Whole(1, MAX_AGE_LIMIT_S),
        "Slices older than this, in time of regular sessions, are stale.",
        unit="s",
        default=int(MAX_AGE_S),
    )
    adjusted: str = parameter(
        OneOf(("exclude", "include")),
        "Whether contracts that deliver something else than so many shares are shown; they are never priced.",
        default="exclude",
    )
    layout: str = parameter(
        OneOf(("rows", "columns")),
        "rows: an object a contract. columns: a list a column, each value once.",
        default="rows",
    )
    limit: int = parameter(
        Whole(1, MAX_LIMIT_LEGS), "Most contracts on a page.", unit="rows", default=DEFAULT_LIMIT_LEGS
    )
    page_token: str | None = parameter(
        AnyText(), "next_page_token of the page before; every other parameter as it was."
    )
    format: str = parameter(OneOf(("json", "csv")), "Form of the answer.", default="json")

    def complaints(self) -> Iterable[FieldError]:
        """Refuse ranges that end below their begin, and what is said twice."""
        for what in ("expiry", "strike"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                detail = f"max_{what} {high} is below min_{what} {low}; exchange them"
                yield FieldError(param=f"max_{what}", code="inverted_range", detail=detail)
        if self.fields is not None and "greeks" in self.given:
            detail = "fields says which columns there are, greeks among them; leave greeks out"
            yield FieldError(param="greeks", code="conflict", detail=detail)
        if self.format == "csv" and self.layout == "columns":
            detail = "a table has rows; leave layout out, or use format=json"
            yield FieldError(param="layout", code="conflict", detail=detail)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns asked for, in their order."""
        return default_fields(greeks=self.greeks == "true") if self.fields is None else self.fields

    @property
    def with_sides(self) -> bool:
        """Whether volatilities of bid and ask alone are asked for."""
        return bool({"iv_bid", "iv_ask"} & set(self.columns))


UNDERLYING_COLUMNS = (
    Column("price", or_null(NUMBER), "Price that is used; null: there is none, and nothing is priced.", "currency"),
    Column("bid", or_null(NUMBER), "Best bid.", "currency"),
    Column("ask", or_null(NUMBER), "Best ask.", "currency"),
    Column("time", or_null(TIME), "The vendor's stamp of it.", "UTC"),
    Column(
        "source",
        words_of(get_args(UnderlyingSource)),
        "slice_mid: middle of bid and ask beside the legs. slice_last: last price beside them. quote: a quote of ours within a minute. none.",
    ),
)  # fmt: skip
INPUT_COLUMNS = (
    Column("root", TEXT, "OCC root."),
    Column("expiry", DATE, "Expiration date.", "date"),
    Column("valuation_time", TIME, "Newest stamp of the slice: the moment it is valued at.", "UTC"),
    Column("expiration_time", TIME, "Moment the contracts end.", "UTC"),
    Column("T_days", NUMBER, "Time left between the two.", "days"),
    Column("underlying_price", or_null(NUMBER), "Price of the underlying that counts here.", "currency"),
    Column("underlying_source", words_of(get_args(UnderlyingSource)), "As of the underlying."),
    Column("rate", NUMBER, "Continuous rate, a year."),
    Column("rate_source", words_of(get_args(RateSource)), "ust_par: par yields of US Treasuries. fallback: a constant."),
    Column("forward", or_null(NUMBER), "Forward price; null without a price of the underlying.", "currency"),
    Column("carry", or_null(NUMBER), "Continuous carry of the forward over the price, a year."),
    Column(
        "carry_source",
        or_null(words_of(get_args(CarrySource))),
        "implied: by put-call parity. dividends: by those that are known. rate_only: nothing else is known.",
    ),
    Column("carry_clipped", FLAG, "Prices said more than 0.5 a year."),
    Column("pairs", WHOLE, "Pairs of call and put the forward is implied by."),
    Column("settlement", words_of(get_args(Settlement)), "am: on the opening. pm: on the close. unknown: nothing is priced."),
    Column(
        "dividend_approx", FLAG, "A known dividend comes before expiration; American legs take it as a part of their carry."
    ),
    Column("stale", FLAG, "Older than `max_age_s`."),
    Column("partial", FLAG, "Strikes far from the money were not asked for."),
)  # fmt: skip
_META = (
    AS_OF,
    Column("symbol", TEXT, "As asked."),
    Column("provider", or_null(TEXT), "Who says it; null where there is nothing."),
    Column("currency", or_null(TEXT), "Of the prices; null where the provider does not say."),
    Column("underlying", record(*UNDERLYING_COLUMNS), "Price of the underlying, of the newest slice."),
    Column("inputs", rows(record(*INPUT_COLUMNS)), "What each root and expiry is priced with."),
    Column("status_counts", by_name(WHOLE), "Contracts that match, by `iv_status`, whatever page they are on; those of none are left out."),
    Column("adjusted_excluded", WHOLE, "Contracts that match and are left out for what they deliver."),
    Column("skew_s", or_null(NUMBER), "Time between the oldest and the newest slice; null without one.", "s"),
    Column(
        "stale_expiries",
        rows(record(Column("root", TEXT, "OCC root."), Column("expiry", DATE, "Expiration date.", "date"))),
        "Slices older than `max_age_s`.",
    ),
    Column("delay_s", or_null(WHOLE), "Longest delay the provider declares; null without a slice.", "s"),
    Column("simulated", FLAG, "No market made these values."),
    Column("model_version", WHOLE, "Changes with every change of what is computed."),
    Column("row_count", WHOLE, "Contracts on this page.", "rows"),
    Column("gaps", rows(record(*GAP_COLUMNS)), "What is or was missing of these slices."),
    Column("as_of_floor", TIME, "The first moment anything of this was known.", "UTC", always=False),
)  # fmt: skip
_ROW = record(*CHAIN_COLUMNS) | {"required": []}
_BY_COLUMN: dict[str, Any] = {
    "type": "object",
    "properties": {column.name: rows(column.schema) for column in CHAIN_COLUMNS},
    "additionalProperties": False,
}

CHAIN = Endpoint(
    method="GET",
    path="/options/{symbol}/chain",
    scope="read",
    topic="Market data",
    summary="Option chain of a symbol with volatilities and greeks, as known now or at any moment since.",
    query=ChainQuery,
    path_parameters=PATH_SYMBOL,
    answers={
        200: (
            Answer(
                words="Contracts by (expiry, root, strike, right), of one provider, from one snapshot and pinned to one as_of. "
                "What is derived is a function of the slices, `meta.inputs` and `meta.model_version`.",
                schema=envelope({"anyOf": [rows(_ROW), _BY_COLUMN]}, *_META, members=(NEXT_PAGE,)),
                headers={"ETag": "Of the content.", "Cache-Control": "To be asked for again: another model says other things of the same quotes."},
            ),
            Answer(
                words="The rows as a table of the columns asked for; empty cells are null.",
                media="text/csv",
                schema=TEXT,
                headers={
                    "X-As-Of": "meta.as_of.",
                    "X-Gaps": "How many gaps meta.gaps would list.",
                    "X-Next-Page-Token": "next_page_token, where there is one.",
                },
            ),
        ),
        304: (Answer(words="If-None-Match names the content as it is.", media=""),),
    },
    problems=(
        "token_invalid", "token_mismatch", "unknown_symbol", "token_expired", "not_kept", "no_options", "unknown_expiry", "not_ready", "not_yet_complete",
        "overloaded", "store_unavailable",
    ),
)  # fmt: skip
