"""Random queries of every endpoint, most of them wrong somewhere, and what is made of each in a form to compare."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from gateway.backfill.ended_request import ENDED_JOBS, PURGE
from gateway.backfill.order_request import backfill_asked
from gateway.http.parameters import checked_symbol
from gateway.http.problems import Problem
from gateway.market.bars_request import HISTORY, INTRADAY, bars_request
from gateway.market.gaps_request import check_cursor, gaps_request
from gateway.market.price_request import PRICE, batch_request
from gateway.operations.statistics_request import CADENCE, PROVIDERS
from gateway.options.chain_request import CHAIN
from gateway.options.metrics_request import METRICS
from gateway.options.strategies_request import STRATEGIES
from schemas.calendar.sessions import calendar_of

QUERIES_A_SEED = 200
SEEDS = 40  # 8,000 queries an endpoint
MARKET_NOW_US = 1_381_161_600_000_000  # 2013-10-07T16:00:00Z

Asked = tuple[str, Any]
"""A symbol of the path, and the pairs of a query, the bytes of a body, or the rest of the path."""

MOMENTS = (
    "2013-10-07", "2013-10-08", "2013-10-01", "2013-10-07T09:30:00Z", "2013-10-07T09:30:00", "2013-10-07T09:30:00 02:00",
    "2013-10-07T09:30:00.1234567Z", "2013-13-07", "1850-01-01T00:00:00Z", "2013-02-30", "2013-10-07T25:00:00Z", "x", "",
    "2013-11-03",
)  # fmt: skip
INTERVALS = ("1m", "5m", "1h", "1d", "1wk", "1mo", "7m", "1D", "")
LIMITS = ("1", "0", "abc", "10000", "99999", "-1", "500", "501", "1e3", "007", "9" * 30)
PROVIDERS_GIVEN = ("yahoo", "best", "Ya!", "x", "my_vendor", "my-vendor", "")
COMMON: dict[str, tuple[str, ...]] = {"bogus": ("1", ""), "limt": ("5",), "x" * 80: ("1",)}
VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "history": {
        "interval": INTERVALS, "start": MOMENTS, "end": MOMENTS, "period": ("1d", "1mo", "max", "2mo", "ytd"),
        "adjustment": ("raw", "split", "all", "none"), "session": ("regular", "extended", "all", "lunch"),
        "as_of": MOMENTS, "revisions": ("latest", "all", "al"), "sort": ("asc", "desc", "up"), "limit": LIMITS,
        "page_token": ("t",), "provider": PROVIDERS_GIVEN, "format": ("json", "csv", "xml"),
        "with": ("cpi", "cpi,UST:10Y,cpi", "cpo", ""), "knowledge": ("known", "published", "told"),
        "basis": ("2013-10-07", "2013-02-30", "x"), "names": ("all", "own", "old"),
    },
    "price": {"provider": PROVIDERS_GIVEN, "as_of": MOMENTS, "max_age_ms": ("5", "-1", "9" * 19, "0")},
    "gaps": {
        "symbol": ("SPY", "BTC-USD", "spy", "BRK.B", "", "A" * 40), "interval": INTERVALS, "provider": PROVIDERS_GIVEN,
        "state": ("open", "filled", "opn"), "start": MOMENTS, "end": MOMENTS, "sort": ("asc", "desc", "dsc"),
        "limit": LIMITS, "page_token": ("t",),
    },
    "cadence": {
        "window": ("5m", "1h", "30d", "2y"), "capability": ("quotes", "bars:1m", "Bars!", ""),
        "provider": PROVIDERS_GIVEN, "tier": ("T0", "t zero", "T" * 9),
    },
    "providers": {
        "window": ("15m", "30d", "5m", "2y"), "capability": ("quotes", "bars:1m", "Bars!", ""),
        "provider": PROVIDERS_GIVEN, "limit": LIMITS,
    },
    "ended": {
        "status": ("dead", "dead,done", "done,dead,done", "queued", "dead,", "", "Dead"), "symbol": ("SPY", "spy", "", "A" * 40),
        "limit": LIMITS, "page_token": ("t",),
    },
    "purge": {
        "status": ("dead", "empty,unrecoverable", "running", ""), "older_than": ("30d", "1m", "0d", "30", "5y", "-3d", "99999h", "100000h"),
        "dry_run": ("true", "false", "no", "True", ""), "limit": LIMITS,
    },
}  # fmt: skip
DATES_GIVEN = (
    "2026-03-20",
    "2026-06-19,2026-03-20",
    "2026-02-30",
    "soon",
    "",
    "2026-03-20,",
    ",".join(["2026-03-20"] * 60),
)
NUMBERS_GIVEN = ("95", "95.5", "0", "-1", "1e3", "nan", "inf", "", "9" * 20, "0.1234567891")
OPTION_VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "chain": {
        "expiry": DATES_GIVEN, "min_expiry": DATES_GIVEN, "max_expiry": DATES_GIVEN, "min_strike": NUMBERS_GIVEN,
        "max_strike": NUMBERS_GIVEN, "right": ("C", "P", "call", ""), "moneyness": ("0.8,1.2", "1.2,0.8", "1", "a,b", "0.8,1.2,2"),
        "root": ("SPXW", "spxw", "", "TOOLONG7"), "status": ("ok", "all", "OK"), "fields": ("iv,delta", "iv,iv", "ivv", ""),
        "greeks": ("true", "false", "no"), "provider": PROVIDERS_GIVEN, "as_of": MOMENTS, "max_age_s": LIMITS,
        "adjusted": ("include", "exclude", "only"), "layout": ("rows", "columns", "table"), "limit": LIMITS, "page_token": ("t",),
        "format": ("json", "csv", "xml"),
    },
    "metrics": {"expiry": DATES_GIVEN, "provider": PROVIDERS_GIVEN, "as_of": MOMENTS},
    "strategies": {
        "view": ("bullish", "neutral", "up", ""), "expiry": DATES_GIVEN, "types": ("long_call", "long_call,long_cal", "", "x"),
        "max_loss": NUMBERS_GIVEN, "max_margin": NUMBERS_GIVEN, "legs_max": LIMITS, "width_max": LIMITS,
        "min_pop": ("0.6", "0", "1", "1.1", "-0.1", "60%"), "limit": LIMITS, "provider": PROVIDERS_GIVEN, "as_of": MOMENTS,
    },
}  # fmt: skip
VALUES |= OPTION_VALUES
VALUES["intraday"] = {
    **VALUES["history"],
    "date": ("2013-10-07", "2013-11-03", "07.10.2013", "2013-02-30", "1850-01-01"),
}
SYMBOLS = ("SPY", "SPY", "SPY", "BTC-USD", "VOD.L", "EURUSD=X", "spy", "A B", "")
MEMBERS: dict[str, tuple[Any, ...]] = {
    "symbols": (["SPY"], ["SPY", "spy", "SPY"], [], "SPY", [7, "SPY"], ["A"] * 501, None),
    "fields": (None, ["price"], ["price", "prise"], [], "price", [7]),
    "as_of": (*MOMENTS, None, 7), "symbol": ("SPY",), "zzz": (1,),
}  # fmt: skip
ASKED: dict[str, tuple[Any, ...]] = {
    "symbol": ("SPY", "BTC-USD", "spy", "", 7, None, ["SPY"], "A" * 40, "VOD.L"), "interval": (*INTERVALS, 5, None),
    "start": (*MOMENTS, 1_381_140_000_000_000, None, True), "end": (*MOMENTS, 1.5, {}, None),
    "priority": ("T0", "T2", "T3", "t0", 0, None), "source": (*PROVIDERS_GIVEN, 3, None), "prioritty": ("T0",), "\ud800": (1,),
}  # fmt: skip
RAW_BODIES = (b"", b"{", b"[]", b"7", b"\xff\xfe", b"null")

READ: dict[str, Callable[[str, Any], Any]] = {
    "history": lambda symbol, pairs: bars_request(HISTORY, symbol, pairs, calendar_of(symbol), MARKET_NOW_US),
    "intraday": lambda symbol, pairs: bars_request(
        INTRADAY, symbol, pairs, calendar_of(symbol), MARKET_NOW_US
    ),
    "price": lambda symbol, pairs: checked_symbol(symbol) and PRICE.parse(pairs),
    "gaps": lambda _, pairs: gaps_request(pairs),
    "cadence": lambda _, pairs: CADENCE.parse(pairs),
    "providers": lambda _, pairs: PROVIDERS.parse(pairs),
    "ended": lambda _, pairs: ENDED_JOBS.parse(pairs),
    "purge": lambda _, pairs: PURGE.parse(pairs),
    "chain": lambda symbol, pairs: checked_symbol(symbol) and CHAIN.parse(pairs),
    "metrics": lambda symbol, pairs: checked_symbol(symbol) and METRICS.parse(pairs),
    "strategies": lambda symbol, pairs: checked_symbol(symbol) and STRATEGIES.parse(pairs),
    "backfill": lambda _, body: backfill_asked(body),
    "batch": lambda _, body: batch_request(body),
    "cursor": lambda symbol, path: check_cursor(symbol, *path) or {"symbol": symbol, "path": path},
}
ENDPOINTS = tuple(READ)


def queries(endpoint: str, seed: int) -> Iterator[Asked]:
    """Yield the queries of one seed, always the same."""
    chance = random.Random(f"{endpoint} {seed}")
    for _ in range(QUERIES_A_SEED):
        symbol = chance.choice(SYMBOLS)
        if endpoint == "batch":
            yield symbol, _body(chance, MEMBERS, ("symbols",))
        elif endpoint == "backfill":
            yield (
                symbol,
                _body(chance, ASKED, chance.choice((("symbol", "interval", "start", "end"), ("symbol",)))),
            )
        elif endpoint == "cursor":
            yield symbol, (chance.choice((*INTERVALS, "quotes", "trade")), chance.choice(PROVIDERS_GIVEN))
        else:
            yield symbol, _pairs(VALUES[endpoint], chance)


def outcome(endpoint: str, symbol: str, asked: Any) -> dict[str, Any]:
    """Return what an endpoint makes of a query: its request, or every complaint to the letter."""
    try:
        read = READ[endpoint](symbol, asked)
        return read if isinstance(read, dict) else canonical(endpoint, read)
    except Problem as problem:
        errors = [error.document() for error in problem.errors]
        return {"status": problem.status, "code": problem.code, "detail": problem.detail, "errors": errors}


def canonical(endpoint: str, request: Any) -> dict[str, Any]:
    """Return a request as names and values, however its class is built."""
    fields = asdict(request)
    sort = fields.pop("sort", None)
    if sort is not None:
        fields["descending"] = sort == "desc"
    if endpoint not in ("history", "intraday"):
        fields.pop("given", None)
    if endpoint == "price":
        fields.pop("symbol", None)
    return fields


def digest(endpoint: str, seed: int) -> str:
    """Return a hash of all outcomes of one seed."""
    return hashed([outcome(endpoint, symbol, asked) for symbol, asked in queries(endpoint, seed)])


def hashed(found: list[dict[str, Any]]) -> str:
    """Return a hash of outcomes."""
    return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _pairs(values: dict[str, tuple[str, ...]], chance: random.Random) -> list[tuple[str, str]]:
    names = chance.sample(sorted(values), chance.randint(0, min(6, len(values))))
    pairs = [(name, chance.choice(values[name])) for name in names]
    if chance.random() < 0.2:
        name = chance.choice(sorted(COMMON))
        pairs.insert(chance.randint(0, len(pairs)), (name, chance.choice(COMMON[name])))
    if pairs and chance.random() < 0.1:
        pairs.append(chance.choice(pairs))
    return pairs


def _body(chance: random.Random, members: dict[str, tuple[Any, ...]], needed: tuple[str, ...]) -> bytes:
    if chance.random() < 0.05:
        return chance.choice(RAW_BODIES)
    names = {*needed, *chance.sample(sorted(members), chance.randint(0, 3))}
    return json.dumps({name: chance.choice(members[name]) for name in sorted(names)}).encode()
