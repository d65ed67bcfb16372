"""Page of the documents about providers: its tables come from the facts of those we ship."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from schemas.macro_keys import ALIASES, series_key
from schemas.providers.built_in import BUILT_IN
from schemas.providers.facts import ANY_VENDOR, Limits, ProviderFacts

PER = {"per_second": "a second", "per_minute": "a minute", "per_day": "a day", "concurrency": "at once"}
NOTHING = "none"
MISSING = "\N{EN DASH}"
CAPABILITIES = (
    "Provider", "Bars", "Quotes", "Trades", "Corporate actions", "Option chains", "Symbol list", "Macro series", "Key",
)  # fmt: skip
FEEDS = ("Provider", "Delay", "Feeds", "Added to what is over", "Conditions of trades that are no last price")

PAGE = """# Providers

Who can be asked, for what, with which key, and what to know before doing so. The tables come from `schemas/providers`, one module a vendor;
addresses, limits and prices are the vendors' and change without notice. Read the vendor's terms before you collect: all of them forbid
redistribution on their ordinary plans, and what you may store or display is between you and them.

{capabilities}

Every key may also stand in a file, named by the same variable with `_FILE` (`PRODUCERS_POLYGON_KEY_FILE=/run/secrets/polygon`); the variable
goes first. A provider without its key is off, with one line in the log that names the variable. Keys travel in headers, but where a vendor
takes them in the query alone. {without_key}

```yaml
streams:
  bars: {{providers: [alpaca, yahoo]}}   # the preferred one first
providers:
  alpaca: {{enabled: true}}
  polygon: {{base_url: "https://api.massive.com"}}
```

A provider is opened when a stream names it or when it stands under `providers`. `base_url` and `socket_url` replace the vendor's addresses.
A provider nobody knows, a stream that its provider cannot serve and a `socket_url` of one without a socket are refused when the file is read,
by `POST /ops/validate`, `POST /ops/reload` and the producers alike. Only addresses are judged by the producers alone, whose setting
`PRODUCERS_ALLOW_INSECURE_VENDORS` says which are allowed.

## What the values mean

{meanings}

- **Hours** are counted from the beginning of each part of the session: 09:30 to 10:30 in New York. Vendors that count theirs by the clock mix
  pre-market with the regular session in one; they are asked for half hours, which are joined. vwap is joined by volume.
- **Days** start at their regular open, however the vendor stamps them.
- **A row** is kept, says nothing, or lacks something and is dead-lettered alone, by one rule for all. 0 is no price, but of an index, which may be negative.
- **Final** is what the feed has left behind: its clock is ours less its delay, or what it shows itself. What comes later is a revision.
- **Adjusted prices** are in the shares of the day on which the vendor told them, the venue's: `adjusted_through`. A day later the same prices are no news.
- **A quote** with a last price is stamped by that trade, so a quiet share's price is as old as it is; a book alone by its quote.
- **Coverage** is one for each provider: what a plan lacks is asked for later, never of another exchange.
- **A corporate action** is named by the vendor's id, or by one made of provider, symbol, type, ex-date and the ordinal among those alike. It is
  said when it was declared (the end of that day at the venue, where the vendor tells it) or seen, whichever was earlier.
- **An ex-date** on which the venue does not trade is kept at its next session, and a split of 1:1 left out: a dead letter tells of either.
- **Trading halts** are told by none of the endpoints that are asked: a halted market is one whose quotes stand still.
{remarks}

## Macro series

A series is named by its key, a source and that source's own name for the series: `FRED:GDPC1`, `ECB:EXR.D.USD.EUR.SP00.A`, `UST:10Y`. Any
series of FRED and any whole key of the ECB may be asked for; these have short names:

{macro_keys}

- **A vintage** is what a source said of a period from one day to another; it is one event. What it goes on saying is no new vintage.
- **Published** is the source's own moment where it tells one (the ECB; FRED's newest vintage), else the end of the day it names, in New York; of
  the Treasury's past days 00:00 of the next. Where nothing says when (`fredgraph.csv`, a yield just found), a value counts since it was seen.
- **A period** is whole: quarters are the calendar's, whichever of their months dates them; weeks are dated by their last day.
- **Missing** values (`.`, blank, `N/A`, `NaN`) are events without a value; what is no number costs its row, half an answer the whole.

## Habits

How late each is and by which field it says so, whose trades it has, and what of them counts, each with the place where it was read:

{feeds}

What each does besides its format, and where that was seen. Where it has a rule, that plays it on the simulator (`MDS_SIMULATOR_SCENARIO`,
`PUT /simulator/scenario`; examples in `infra/simulator/scenarios`); none is played without. `latency`, `scaled_symbols` and
`listed_elsewhere` are nobody's in particular.

{habits}

## Limits

{limits}

What is in force until `providers.<name>.limits` says otherwise is the first plan of each, within what holds on every plan, and our own
restraint where a vendor publishes nothing. On the simulator only what is configured holds.

{in_force}

## When a vendor says no

| Error | Means | What follows |
|---|---|---|
| `ProviderThrottled` | 429, or its words inside another answer | that endpoint is left alone until `Retry-After` or `X-Ratelimit-Reset` |
| `ProviderBanned` | Yahoo's 403, an edge's block | that endpoint, or all where it says so, is left alone for a quarter of an hour |
| `ProviderUnentitled` | 402, or 403 in the words below: the plan lacks this | upgrade, or take another provider for it |
| `ProviderRefused` | the key is missing or wrong, or the request is not taken | the message names the variable to set |
| `UnknownSymbol` | the vendor does not know the symbol | asked again after a quarter of an hour |
| `NoData` | an empty answer, a zero quote | nothing is published; the bars stay missing and become a gap |
| `MalformedPayload` | bytes that are not what they claim | a dead letter with the bytes |
| `ProviderUnavailable` | 5xx, a redirect, a web page, a broken connection | retried, then the breaker opens |

The phrases that decide, whatever the capitals:

{phrases}

## How well the cadence is kept

`GET /stats/cadence?window=1h&capability=&provider=&tier=` (scope `read`; window 5m, 15m, 1h, 6h, 1d or 7d) answers, by capability, provider
and tier, in sum and by replica: the planned and the achieved mean interval, polls due, begun, succeeded, failed, skipped and missed (slots
that went by), how late polls began (p50, p99 and most, ms of wall time; quantiles within 5 %), and how many symbols are overdue by more
than a cadence, with the longest. Producers write a row a group every ten seconds into the table `cadence`, kept for a week; the metric is
`mds_cadence_error_seconds{{capability,tier}}`.

A stream's place in the cadence comes from a hash of its name: the same in every process, untouched by symbols that come and go. Few
streams are asked within seconds of the minute's end; the stretch they are spread over grows with their number, 100 ms each, by doubling.

## Terms of use

{terms}

## Symbols

`python -m producers symbols alpaca` prints what a vendor lists, one JSON line an instrument.

## Add your own

`examples/acme_provider` is a whole provider in one module: pure parsers of bars and trades, a class that knows addresses and headers, a socket,
and one `Provider` object that the entry-point group `mds.providers` names. It imports `producers.sdk` and nothing else of ours:

- `ProviderFacts` says what it can do, with which credentials, at which published limits and where those were read, how it spells symbols, by which
  phrases it refuses, and which symbols prove it (`samples`), or which macro series (`series_samples`);
- `VendorApi` is overridden for bars, quotes, corporate actions, option chains, macro series and the list of symbols; `VendorSocket` for trades;
- `await broken_promises(provider)` is the suite to run in its own tests: nothing in the list means that it may be used.

Install the package beside the producers *and* beside the gateway: each process knows the entry points of its own environment. Where it is
installed at the producers alone, they collect by a file that names it, and `POST /ops/validate` and `/ops/reload` refuse that file as naming an
unknown provider. A package that cannot be loaded, or whose declaration is wrong, is named in one error line and left out.
"""


def page() -> str:
    """Return docs/PROVIDERS.md."""
    vendors = list(BUILT_IN.values())
    return PAGE.format(**_what_they_give(vendors), **_how_they_refuse(vendors))


def _what_they_give(vendors: Sequence[ProviderFacts]) -> dict[str, str]:
    of_securities = [facts for facts in vendors if facts.capabilities.securities]
    return {
        "capabilities": _table(CAPABILITIES, map(_capabilities, vendors)),
        "meanings": _table(
            ("", *(f"`{facts.name}`" for facts in of_securities)),
            [(row, *(said(facts) or MISSING for facts in of_securities)) for row, said in MEANINGS.items()],
        ),
        "remarks": "\n".join(
            f"- **{facts.title}.** {' '.join(facts.notes.remarks)}"
            for facts in vendors
            if facts.notes.remarks
        ),
        "feeds": _table(FEEDS, map(_feeds, vendors)),
        "habits": _table(
            ("Provider", "Rule", "What it does", "Seen in", "Here"),
            [row for facts in vendors for row in _habits(facts)],
        ),
    }


def _how_they_refuse(vendors: Sequence[ProviderFacts]) -> dict[str, str]:
    return {
        "limits": _table(
            ("Provider", "Plan", "Published limit", "Source", "Read"),
            [row for facts in vendors for row in _published(facts)],
        ),
        "in_force": _table(("Provider", "In force"), ((f"`{f.name}`", _in_force(f)) for f in vendors)),
        "phrases": _table(
            ("Said by", "Throttled", "Banned", "Not in the plan", "Unknown symbol", "No key"),
            [("anybody", *_phrases(None)), *((f"`{facts.name}`", *_phrases(facts)) for facts in vendors)],
        ),
        "without_key": " ".join(
            f"{facts.title} gives something without a key: {facts.without_key}."
            for facts in vendors
            if facts.without_key
        ),
        "macro_keys": _table(("Key", "Provider", "Aliases"), _series()),
        "terms": " ".join(f"{facts.title}: {facts.notes.terms}." for facts in vendors),
    }


def _series() -> Iterator[tuple[str, str, str]]:
    for key in dict.fromkeys(ALIASES.values()):
        names = ", ".join(f"`{alias}`" for alias, named in ALIASES.items() if named == key)
        yield f"`{key}`", f"`{series_key(key).provider}`", names


def _day_is_final(facts: ProviderFacts) -> str:
    after = f"{facts.settling.days_s // 60} minutes after the close"
    return f"with the post-market, {after} at the earliest" if facts.settling.day_has_post else after


def _by_number(code: str) -> tuple[int, str]:
    return (int(code) if code.isdigit() else 10**6, code)


MEANINGS: dict[str, Callable[[ProviderFacts], str]] = {
    "Adjustment of intraday bars": lambda facts: facts.adjustments.intraday,
    "Adjustment of daily bars": lambda facts: facts.adjustments.daily,
    "vwap, trade count": lambda facts: facts.notes.vwap,
    "Bid and ask": lambda facts: facts.notes.bid_and_ask,
    "Sizes": lambda facts: facts.notes.sizes,
    "Feeds, the preferred one first": lambda facts: ", ".join(facts.feeds),
    "Longest delay": lambda facts: f"{facts.delay_s} s" if facts.delay_s else "",
    "A bar is final after its end by": lambda facts: f"{facts.settling.bars_s} s of the feed's clock",
    "A day is final": _day_is_final,
    "Conditions of trades that are no last price": lambda facts: " ".join(
        sorted(facts.unpriced, key=_by_number)
    ),
    "A minute without a trade": lambda facts: facts.notes.quiet_minute,
    "Evidence of completeness": lambda _: "none: gaps are `inferred`",
}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def _capabilities(facts: ProviderFacts) -> tuple[str, ...]:
    able, notes = facts.capabilities, facts.notes
    many = f", {able.bar_symbols_per_request} symbols a request" if able.bar_symbols_per_request > 1 else ""
    quotes = f"{able.quotes_per_request} a request" if able.quotes_per_request else ""
    actions = able.action_symbols_per_request
    asked = f"{actions} symbol{'s' * (actions > 1)} a request" if actions else ""
    return (
        f"`{facts.name}`",
        _with(" ".join(able.intervals) + many, notes.bars),
        _with(quotes, notes.quotes),
        "WebSocket" if able.trades else MISSING,
        _with(asked, notes.actions),
        _with(able.option_chains and f"by {able.option_chains}", notes.options),
        notes.symbols if able.symbols else MISSING,
        "yes" if able.macro else MISSING,
        ", ".join(f"`{variable}`" for variable in facts.credentials) or NOTHING,
    )


def _with(what: str, note: str) -> str:
    return f"{what} ({note})" if what and note else what or MISSING


def _feeds(facts: ProviderFacts) -> tuple[str, ...]:
    notes = facts.notes
    feeds = ": ".join(filter(None, (", ".join(facts.feeds), notes.coverage))) or "one, by plan"
    return f"`{facts.name}`", notes.delay, feeds, notes.settling or MISSING, notes.conditions or MISSING


def _habits(facts: ProviderFacts) -> Iterable[tuple[str, ...]]:
    for habit in facts.habits:
        rule = f"`{habit.rule}`" if habit.rule else MISSING
        yield f"`{facts.name}`", rule, habit.says, habit.source, habit.handled or "not yet"


def _published(facts: ProviderFacts) -> Iterable[tuple[str, ...]]:
    for plan in facts.plans:
        told = ", ".join(filter(None, (_said(plan.limits), plan.says)))
        yield f"`{facts.name}`", plan.name, told or "unlimited", plan.source, plan.read
    if not facts.every_plan.unlimited:
        last = facts.plans[-1]
        yield f"`{facts.name}`", "every", _said(facts.every_plan), last.source, last.read


def _in_force(facts: ProviderFacts) -> str:
    endpoints = (f"`{name}`: {_said(limits)}" for name, limits in facts.endpoint_limits.items())
    return "; ".join((_said(facts.limits), *endpoints))


def _said(limits: Limits) -> str:
    given = ((getattr(limits, name), words) for name, words in PER.items())
    return ", ".join(f"{number:,} {words}" for number, words in given if number is not None)


def _phrases(facts: ProviderFacts | None) -> tuple[str, ...]:
    words = ANY_VENDOR if facts is None else facts.refusals
    kinds = (words.throttled, words.banned, words.unentitled, words.unknown_symbol, words.no_key)
    statuses = [f"status {status}" for status in words.banned_statuses]
    cells = [[f"`{phrase.strip()}`" for phrase in kind] for kind in kinds]
    cells[1] += statuses
    return tuple(", ".join(cell) or MISSING for cell in cells)
