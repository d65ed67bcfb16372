"""The page on option chains: every number, name and rule that it shows is what the code says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest

from analytics.carry import LEAST_PAIRS, MOST_CARRY, MOST_PAIRS, CarrySource
from analytics.enumeration import (
    LEAST_DELTA,
    LEAST_OPEN_INTEREST,
    LEAST_VOLUME,
    MOST_CANDIDATES,
    MOST_DELTA,
    MOST_IV_WIDTH,
)
from analytics.leg_status import HALF_TICK, LEAST_VEGA, WIDE, WIDE_SHARE, LegStatus
from analytics.margin import BROAD_INDEX_SHARE, EQUITY_SHARE, LEAST_SHARE, MARGIN_BASIS, STOCK_SHARE
from analytics.rates import FALLBACK_RATE, MAX_AGE_DAYS, RateSource
from analytics.strategies import NOT_ADVICE
from analytics.strategy_types import MARGIN_RULES, STRATEGY_TYPES, StrategyType
from analytics.valuation import PROBABILITY_WEIGHT, RETURN_WEIGHT, SPREAD_WEIGHT
from gateway.options.chain import chain_page
from gateway.options.chain_columns import CHAIN_COLUMNS
from gateway.options.chain_request import CHAIN, ChainQuery
from gateway.options.inputs import MAX_AGE_S, QUOTE_WITHIN_US, WIDEST_SHARE, Beside, unpriced_chain
from gateway.options.metrics import metrics
from gateway.options.metrics_request import METRICS
from gateway.options.model import MAX_QUOTE_AGE_S, MODEL_VERSION, priced
from gateway.options.priced import LegModel, PricedChain, UnderlyingSource
from gateway.options.strategies import strategies
from gateway.options.strategies_request import DEFAULT_WIDTH, STRATEGIES, StrategiesQuery
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.chain_slices import MAX_LEGS
from schemas.configuration.model import parse_configuration
from schemas.configuration.tiers import T0_OPTIONS_EVERY_S, T2_OPTIONS_EVERY_S
from schemas.intervals import SECOND_US
from tests.support.option_slices import goog_slices

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "OPTIONS.md").read_text("utf-8")
MIGRATION = (ROOT / "infra" / "migrations" / "0025_pre_options.sql").read_text("utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENDPOINTS = {"chain": CHAIN, "metrics": METRICS, "strategies": STRATEGIES}
JANUARY = date(2016, 1, 15)
MILLION = 1e6

Cells = Mapping[str, str]


def table(title: str, first: str) -> list[Cells]:
    """Return the rows below a heading of the table whose first column is `first`, by column and without code marks."""
    part = re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]
    lines = iter(part.splitlines())
    names = next(cells for line in lines if (cells := _cells(line))[0] == first)
    assert set(next(lines)) <= set("|-")
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(names, _cells(line), strict=True)))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]


def examples(language: str) -> list[str]:
    """Return the examples of a language."""
    return [text for name, text in FENCE.findall(PAGE) if name == language]


def written(number: float | None, like: str) -> str:
    """Return a number with as many decimals as another one is written with."""
    return "null" if number is None else f"{number:.{len(like.partition('.')[2])}f}"


@pytest.fixture
def goog(market_data: Path) -> PricedChain:
    """The chain that the page shows."""
    chain = unpriced_chain(
        "GOOG", goog_slices(market_data), Beside(fallback_rate=0.005), load_calendar(US_EQUITIES)
    )
    return priced(chain)


def test_contracts_are_priced_as_the_page_shows_them(goog: PricedChain) -> None:
    """To the last decimal written."""
    rows = {row["contract"]: row for row in chain_page(goog, ChainQuery(limit=5_000)).rows()}
    shown = table("What the numbers mean", "contract")

    assert len(shown) == 4
    for cells in shown:
        row = rows[cells["contract"]]
        for name in cells.keys() - {"contract"}:
            assert written(row[name], cells[name]) == cells[name], (cells["contract"], name)


def test_every_status_is_explained_and_counted(goog: PricedChain) -> None:
    """In the order in which they are looked for; together they are the chain."""
    shown = table("Why a contract has no volatility", "iv_status")
    counts = chain_page(goog, ChainQuery(limit=5_000)).meta["status_counts"]

    assert [cells["iv_status"] for cells in shown] == [status.label for status in LegStatus]
    assert {cells["iv_status"]: int(cells["GOOG"].replace(",", "")) for cells in shown} == {
        status.label: counts.get(status.label, 0) for status in LegStatus
    }
    assert sum(counts.values()) == 2_192
    assert "2,192 contracts" in PAGE


def test_metrics_are_those_of_the_page(goog: PricedChain) -> None:
    """Expiry by expiry, and the figures of the whole chain that the text names."""
    found = metrics(goog)["data"]
    shown = table("Metrics", "expiry")
    listed = {term["expiry"]: term for term in found["term_structure"]}
    terms = {cells["expiry"]: _flat(listed[cells["expiry"]]) for cells in shown}
    weeks = {each["to"]["expiry"]: each["iv"] for each in found["forward_vols"]}

    assert len(shown) == 5
    for cells in shown:
        for name in cells.keys() - {"expiry"}:
            assert written(terms[cells["expiry"]][name], cells[name]) == cells[name], (cells["expiry"], name)
    assert f"`iv30` is {found['iv30']:.4f}" in PAGE
    assert f"the volatility is {weeks['2016-01-29']:.3f}" in PAGE
    assert f"`gex` of the chain is {found['gex']['value'] / MILLION:.2f} million" in PAGE
    assert (found["iv_rank"], found["iv_percentile"], found["history_days"]) == (None, None, 0)


def _flat(term: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of an expiry by the names of the table's columns."""
    return {
        **term,
        **term["expected_move"],
        "pcr oi": term["pcr"]["oi"],
        "max_pain": term["max_pain"]["strike"],
        "gex (millions)": term["gex"] / MILLION,
    }


def test_strategies_are_worth_what_the_page_says(goog: PricedChain) -> None:
    """Prices, bounds, breakevens, chances, margin and score of one candidate a type."""
    shown = table("Strategies", "type")

    assert len(shown) == 7
    for cells in shown:
        row = _found(goog, cells["type"], cells["strikes"].split())
        for name in cells.keys() - {"type", "strikes", "breakevens"}:
            assert written(row[name], cells[name]) == cells[name], (cells["type"], name)
        points = cells["breakevens"].split()
        assert [written(one, like) for one, like in zip(row["breakevens"], points, strict=True)] == points


def _found(goog: PricedChain, kind: str, strikes: Sequence[str]) -> dict[str, Any]:
    """Return the candidate of a type in January with these strikes, in their order."""
    answer = strategies(goog, StrategiesQuery(expiry=(JANUARY,), types=(kind,), limit=500, width_max=12))
    assert isinstance(answer, dict)
    assert answer["disclaimer"] == NOT_ADVICE
    wanted = [float(strike) for strike in strikes]
    (row,) = [row for row in answer["data"] if [leg["strike"] for leg in row["legs"]] == wanted]
    return dict(row)


def test_every_type_of_strategy_is_listed_as_it_is_made() -> None:
    """View, legs and rule of margin, in the order of the code; and each rule has its formula."""
    shown = table("Strategies", "view")

    assert [tuple(cells.values()) for cells in shown] == [
        (kind.view, kind.name, _legs(kind), kind.margin) for kind in STRATEGY_TYPES
    ]
    assert {cells["Rule"] for cells in table("Strategies", "Rule")} == set(MARGIN_RULES)


def _legs(kind: StrategyType) -> str:
    legs = " ".join(f"{leg.quantity:+d}{leg.right}{leg.place}{'>' if leg.later else ''}" for leg in kind.legs)
    return f"{legs}, 100 shares" if kind.shares else legs


def test_every_word_of_an_answer_is_on_the_page() -> None:
    """Models, sources of the inputs, and the columns whose meaning is more than their name."""
    words = [model.label for model in LegModel]
    words += [*get_args(UnderlyingSource), *get_args(RateSource), *get_args(CarrySource), MARGIN_BASIS]
    columns = {name for cells in table("What the numbers mean", "Column") for name in cells["Column"].split(", ")}  # fmt: skip

    assert [word for word in words if f"`{word}`" not in PAGE] == []
    assert columns <= {column.name for column in CHAIN_COLUMNS}
    assert {cells["model"] for cells in table("Models", "model")} == {model.label for model in LegModel}


@pytest.mark.parametrize(
    "said",
    [
        f"older than {MAX_QUOTE_AGE_S:g} s of sessions, or its slice than `max_age_s` ({MAX_AGE_S:,.0f} s)",
        f"more than ${WIDE:.2f} and more than half of the mid",
        f"by less than ${LEAST_VEGA:g}",
        f"at most {WIDEST_SHARE:.1%} wide",
        f"within {QUOTE_WITHIN_US // SECOND_US} s, known when the slice was",
        f"at most {MAX_AGE_DAYS} days old",
        f"else {FALLBACK_RATE:.0%} (`fallback`)",
        f"up to {MOST_PAIRS} strikes",
        f"with fewer than {LEAST_PAIRS}",
        f"within ±{MOST_CARRY:g} a year",
        f"an open interest of {LEAST_OPEN_INTEREST} or a volume of {LEAST_VOLUME}",
        f"an `iv_width` of at most {MOST_IV_WIDTH:.2f} and a delta of {LEAST_DELTA:g} to {MOST_DELTA:g}",
        f"at most `width_max` ({DEFAULT_WIDTH})",
        f"More than {MOST_CANDIDATES:,} of a root",
        f"{STOCK_SHARE:.0%} S",
        f"max({EQUITY_SHARE:.0%} S - max(K - S, 0), {LEAST_SHARE:.0%} S)",
        f"Of broad indices {BROAD_INDEX_SHARE:.0%} instead of {EQUITY_SHARE:.0%}",
        f"more than {MAX_LEGS:,} contracts",
        f"T0 every {T0_OPTIONS_EVERY_S:g} s, T2 every {T2_OPTIONS_EVERY_S:g} s",
        f"raised with every change of what is computed. It is {MODEL_VERSION}.",
    ],
)
def test_a_bound_is_the_one_in_force(said: str) -> None:
    """Whoever changes a constant finds the page that tells of it."""
    assert said in _plain(PAGE)


def _plain(text: str) -> str:
    """Return a text on one line, its minus signs as code writes them, without spaces before per cent."""
    return text.replace("\n", " ").replace("\u2212", "-").replace(" %", "%")


def test_bounds_that_are_told_in_words_hold() -> None:
    """Half a cent, half of the mid, a score of one, one and a half."""
    assert (HALF_TICK, WIDE_SHARE) == (0.005, 0.5)
    assert (PROBABILITY_WEIGHT, RETURN_WEIGHT, SPREAD_WEIGHT) == (1.0, 1.0, 0.5)


def test_the_configuration_of_the_page_is_one() -> None:
    """It collects what it says."""
    (text,) = examples("yaml")
    options = parse_configuration(text, source="docs/OPTIONS.md").streams.options

    assert options is not None
    assert (options.providers, options.near_days, options.moneyness) == (
        ("polygon", "alpaca"),
        60,
        (0.5, 2.0),
    )


def questions() -> Iterator[tuple[str, str]]:
    """Yield (endpoint, query) of every question that is shown."""
    for block in examples("sh"):
        yield from re.findall(r"/options/SIM001/(\w+)(?:\?([^']*))?'", block)


@pytest.mark.parametrize(("endpoint", "query"), list(questions()))
def test_a_question_of_the_page_is_understood(endpoint: str, query: str) -> None:
    """Its parameters are those of the endpoint; what is answered is asked of a running service (tests/e2e/shown)."""
    pairs = [tuple(part.split("=", 1)) for part in query.split("&") if part]
    parsed = ENDPOINTS[endpoint].parse([(name, value) for name, value in pairs])

    assert parsed.given.keys() == {name for name, _ in pairs}


def test_the_sql_of_the_page_asks_for_columns_there_are() -> None:
    """By the views as the migration makes them."""
    (text,) = examples("sql")
    asked = re.findall(r"SELECT (?:DISTINCT ON \([^)]*\) )?(.*?) FROM (v_\w+)\s+WHERE (.*?)\s+ORDER BY (.*?);", text, re.DOTALL)  # fmt: skip

    assert [view for _, view, _, _ in asked] == ["v_option_quotes", "v_options"]
    for columns, view, where, order in asked:
        body = MIGRATION.partition(f"CREATE VIEW {view} AS")[2].partition(";")[0]
        names = set(re.findall(r"[a-z_]+", re.sub(r"'[^']*'", "", f"{columns} {where} {order}")))
        made = set(re.findall(r"\b[a-z_]+\b", body))
        assert names - {"cardinality"} <= made, view


def test_the_sql_of_the_page_is_cut_by_time() -> None:
    """A question without a time reads every partition."""
    (text,) = examples("sql")

    assert text.count("event_time >= ") == text.count("event_time < ") == text.count("SELECT") == 2
