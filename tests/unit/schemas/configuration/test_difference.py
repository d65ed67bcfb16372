"""What changes: typed, short, without secrets."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic import HttpUrl

from schemas.configuration.difference import MAX_CHANGES_SHOWN, difference
from schemas.configuration.model import ProviderEntry, parse_configuration
from schemas.streams import INSTRUMENT_STREAMS
from tests.support.entries import KNOWN

BEFORE = parse_configuration(
    "symbols: [AAPL, {symbol: SPY, streams: [bars]}, MSFT]\n"
    "streams: {bars: {provider: yahoo, every_s: 60}, quotes: {provider: yahoo}}\n",
    source="before",
)
AFTER = parse_configuration(
    "symbols: [AAPL, {symbol: SPY, streams: [bars, quotes]}, NVDA]\n"
    "streams: {bars: {provider: yahoo, every_s: 30}, trades: {provider: finnhub}}\n"
    "providers: {yahoo: {base_url: 'http://127.0.0.1:8000/x'}}\n"
    "calendar_closures: {XNYS: [2025-01-09]}\n",
    source="after",
)
SYMBOLS = st.lists(st.sampled_from([f"S{n}" for n in range(12)]), min_size=1, unique=True)


def test_every_kind_of_change_is_told_once_in_order() -> None:
    """Symbols, streams, providers, settings; a part that comes or goes is one change."""
    found = [(c.area, c.action, c.path) for c in difference(BEFORE, AFTER).changes]

    assert found == [
        ("symbols", "removed", "symbols.MSFT"),
        ("symbols", "added", "symbols.NVDA"),
        ("symbols", "changed", "symbols.SPY"),
        ("streams", "changed", "streams.bars.every_s"),
        ("streams", "removed", "streams.quotes"),
        ("streams", "added", "streams.trades"),
        ("providers", "added", "providers.yahoo"),
        ("settings", "added", "calendar_closures.XNYS"),
    ]


def test_a_change_is_a_short_json_line() -> None:
    """Before and after, nothing else."""
    lines = [json.dumps(change.document()) for change in difference(BEFORE, AFTER).changes]

    assert lines[3] == '{"change": "changed", "path": "streams.bars.every_s", "before": 60.0, "after": 30.0}'
    assert json.loads(lines[6])["after"]["base_url"] == "http://127.0.0.1:8000/x"


def test_the_document_counts_all_and_shows_some() -> None:
    """It says when the changes take effect, and what the file cannot change."""
    many = parse_configuration(json.dumps({"symbols": [f"S{n}" for n in range(1_000)]}), source="many")
    document = difference(None, many).document()

    assert len(document["changes"]) == MAX_CHANGES_SHOWN
    assert document["counts"]["symbols"] == {"added": 1_000, "removed": 0, "changed": 0}
    assert document["not_shown"] > 0
    assert document["needs_restart"] == []


@given(SYMBOLS, SYMBOLS)
def test_a_difference_is_empty_only_between_equals_and_turns_round(old: list[str], new: list[str]) -> None:
    """What is added one way is removed the other way."""
    one, other = (parse_configuration(json.dumps({"symbols": names}), source="f") for names in (old, new))
    there, back = difference(one, other), difference(other, one)

    assert {c.path for c in there.of("symbols", "added")} == {f"symbols.{n}" for n in set(new) - set(old)}
    assert {c.path for c in there.of("symbols", "added")} == {c.path for c in back.of("symbols", "removed")}
    assert difference(one, one).changes == []


def test_an_address_is_shown_without_what_could_be_a_secret() -> None:
    """Whoever made the configuration, and however."""
    address = HttpUrl("https://me:canary@example.com:8443/api?token=canary#canary")
    after = BEFORE.model_copy(update={"providers": {"yahoo": ProviderEntry(base_url=address)}})
    document = difference(BEFORE, after).document()

    assert "canary" not in str(document)
    assert document["changes"][0]["after"]["base_url"] == "https://example.com:8443/api"


def test_intervals_tiers_and_the_universe_are_told_one_by_one() -> None:
    """A tier's cadence, a symbol's tier, a list of intervals and the source of the symbols are each a change."""
    streams = "streams: {bars: {provider: yahoo}}\n"
    old = parse_configuration("symbols: [SPY]\n" + streams, source="f")
    new = parse_configuration(
        "symbols: [{symbol: SPY, tier: T0}]\nstreams: {bars: {provider: yahoo, intervals: [1m, 1d]}}\n"
        "tiers: {T0: {bars_every_s: 10}}",
        source="f",
    )
    moved = parse_configuration("universe: database\n" + streams, source="f")

    assert [(c.area, c.path, c.after) for c in difference(old, new).changes] == [
        ("symbols", "symbols.SPY", {"tier": "T0", "streams": list(INSTRUMENT_STREAMS)}),
        ("streams", "streams.bars.intervals", ["1m", "1d"]),
        ("streams", "tiers.T0.bars_every_s", 10.0),
    ]
    assert [(c.area, c.action, c.path) for c in difference(old, moved).changes] == [
        ("symbols", "removed", "symbols.SPY"),
        ("settings", "changed", "universe"),
    ]


def test_series_and_providers_of_actions_are_told_one_by_one() -> None:
    """A stream that comes is one change, and so is what changes in it."""
    old = parse_configuration(
        "symbols: [SPY]\nstreams: {bars: {provider: yahoo}, macro: {keys: [cpi]}}", source="f", known=KNOWN
    )
    new = parse_configuration(
        "symbols: [SPY]\nstreams: {bars: {provider: yahoo}, actions: {provider: acts, back_days: 3},"
        " macro: {keys: [cpi, FRED:UNRATE], every_s: 60}}",
        source="f",
        known=KNOWN,
    )

    changes = {change.path: (change.action, change.after) for change in difference(old, new).changes}
    assert changes.pop("streams.actions")[0] == "added"
    assert changes == {
        "streams.macro.every_s": ("changed", 60.0),
        "streams.macro.keys": ("changed", ["cpi", "FRED:UNRATE"]),
    }
