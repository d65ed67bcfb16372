"""Bad files by the dozen: each refused whole, at its place, with a remedy; never anything but ConfigurationError."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from schemas.configuration.model import MAX_FILE_BYTES, load_configuration, parse_configuration, text_of
from schemas.errors import ConfigurationError
from schemas.located_yaml import InvalidConfiguration, faults_of

ROOT = Path(__file__).parent.parent.parent.parent
EXAMPLE = (ROOT / "config" / "mds.yaml").read_text("utf-8")
S = "symbols: [SPY]\n"
FUZZ_CASES = 1_500
FRAGMENTS = (
    "&a ", "*a", "!!int ", "<<: ", "---\n", "\t", "\0", "[", "{", "}", "]", ": ", "- ", "'", '"', "null", "1e999", "-1",
    "9" * 400, "token: x", "symbols: []", "é", "\u2028", "\ufeff", "\ud800", "|\n", ">-\n", "? ", "%YAML 9\n", "https://a:b@c",
    "https://[", "true", ".nan", "0x10", "2025-99-99", "# ", "\n", "\r", " " * 40,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [("", None, "no mapping")], id="empty"),
        pytest.param("# only a comment", [("", None, "no mapping")], id="comment"),
        pytest.param("- SPY", [("", 1, "no mapping")], id="list"),
        pytest.param("symbols", [("", 1, "no mapping")], id="word"),
        pytest.param("{}", [("symbols", 1, "missing")], id="no-symbols"),
        pytest.param("symbols: []", [("symbols", 1, "at least one")], id="zero-symbols"),
        pytest.param("symbols:", [("symbols", 1, "takes a list")], id="null-symbols"),
        pytest.param("symbols: SPY", [("symbols", 1, "takes a list")], id="one-name"),
        pytest.param("symbols: {SPY: 1}", [("symbols", 1, "takes a list")], id="mapping-of-symbols"),
        pytest.param("symbols: [[SPY]]", [("symbols.0", 1, "mapping of settings")], id="list-in-list"),
        pytest.param("symbols: ['']", [("symbols.0.symbol", 1, "at least 1")], id="no-name"),
        pytest.param("symbols: ['A B']", [("symbols.0.symbol", 1, "without spaces")], id="space"),
        pytest.param("symbols: [Ä]", [("symbols.0.symbol", 1, "printable ASCII")], id="not-ascii"),
        pytest.param(f"symbols: [{'X' * 33}]", [("symbols.0.symbol", 1, "at most 32")], id="long-name"),
        pytest.param("symbols: [SPY, IBM, SPY]", [("symbols.2", 1, "twice, first in line 1")], id="twice"),
        pytest.param("symbols:\n- SPY\n- {symbol: SPY}", [("symbols.1", 3, "twice, first in line 2")], id="twice-in-forms"),
        pytest.param("symbols: [{streams: [bars]}]", [("symbols.0.symbol", 1, "missing")], id="entry-without-symbol"),
        pytest.param("symbols: [{symbol: A, streams: [bar]}]", [("symbols.0.streams.0", 1, "'bars'")], id="no-such-stream"),
        pytest.param("symbols: [{symbol: A, streams: bars}]", [("symbols.0.streams", 1, "takes a list")], id="stream-not-listed"),
        pytest.param("symbols: [{symbol: A, streams: []}]", [("symbols.0.streams", 1, "empty")], id="no-streams"),
        pytest.param("symbols: [{symbol: A, streams: [bars, bars]}]", [("symbols.0.streams.1", 1, "twice")], id="stream-twice"),
        pytest.param("symbols: [{symbl: A}]", [("symbols.0.symbl", 1, "not a setting")], id="misspelt-in-entry"),
        pytest.param("symbols: [{symbol: ~}]", [("symbols.0.symbol", 1, "takes text")], id="null-name"),
        pytest.param(S + "symbols: [IBM]", [("symbols", 2, "given twice, first in line 1")], id="key-twice"),
        pytest.param(S + "strems: {}", [("strems", 2, "not a setting")], id="misspelt-top"),
        pytest.param(S + "streams: []", [("streams", 2, "takes a mapping")], id="streams-as-list"),
        pytest.param(S + "streams: {bars: yahoo}", [("streams.bars", 2, "takes a mapping")], id="stream-as-word"),
        pytest.param(S + "streams: {candles: {}}", [("streams.candles", 2, "not a setting")], id="unknown-stream"),
        pytest.param(S + "streams: {bars: {}}", [("streams.bars.providers", 2, "missing")], id="no-provider"),
        pytest.param(S + "streams: {bars: {provider: yahoo, every_s: 0}}", [("streams.bars.every_s", 2, "greater")], id="too-often"),
        pytest.param(S + "streams: {bars: {provider: yahoo, every_s: 1e9}}", [("streams.bars.every_s", 2, "less")], id="too-rare"),
        pytest.param(S + "streams: {bars: {provider: yahoo, every_s: soon}}", [("streams.bars.every_s", 2, "number, not 'soon'")], id="no-number"),
        pytest.param(S + "streams: {bars: {provider: yahoo, every_s: 1e999}}", [("streams.bars.every_s", 2, "less")], id="infinite"),
        pytest.param(S + "streams: {bars: {provider: yahoo, every_s: [1]}}", [("streams.bars.every_s", 2, "number")], id="number-as-list"),
        pytest.param(S + "streams: {bars: {provider: yahoo, interval: 7m}}", [("streams.bars.intervals.0", 2, "'1m'")], id="interval"),
        pytest.param(S + "streams: {bars: {provider: yahoo, intervals: [1m, 1m]}}", [("streams.bars.intervals", 2, "listed twice")], id="interval-twice"),
        pytest.param(S + "streams: {bars: {provider: yahoo, intervals: []}}", [("streams.bars.intervals", 2, "at least one")], id="no-interval"),
        pytest.param(S + "streams: {bars: {provider: yahoo, interval: 1m, intervals: [5m]}}", [("streams.bars.interval", 2, "not a setting")], id="interval-in-both-forms"),
        pytest.param("symbols: [{symbol: A, tier: T3}]", [("symbols.0.tier", 1, "'T0'")], id="no-such-tier"),
        pytest.param(S + "tiers: {T1: {bars_every_s: 5}}", [("tiers.T1", 2, "not a setting")], id="the-streams-own-tier"),
        pytest.param(S + "tiers: {T0: {bar_every_s: 5}}", [("tiers.T0.bar_every_s", 2, "not a setting")], id="misspelt-in-tier"),
        pytest.param(S + "tiers: {T0: {quotes_every_s: soon}}", [("tiers.T0.quotes_every_s", 2, "number")], id="tier-no-number"),
        pytest.param(S + "tiers: {T0: {quotes_every_s: 5.1}}", [("tiers.T0.quotes_every_s", 2, "longer than streams.quotes.every_s (5 s)")], id="T0-slower-than-T1"),
        pytest.param(S + "streams: {bars: {provider: yahoo, every_s: 400}}\ntiers: {T2: {bars_every_s: 399}}", [("tiers.T2.bars_every_s", 3, "shorter than streams.bars.every_s (400 s)")], id="T2-faster-than-T1"),
        pytest.param(S + "universe: database", [("symbols", 1, "universe is the database's")], id="two-universes"),
        pytest.param("universe: databse\nsymbols: [A]", [("universe", 1, "'file' or 'database'")], id="no-such-universe"),
        pytest.param("universe: file", [("symbols", 1, "missing")], id="file-without-symbols"),
        pytest.param(S + "streams: {bars: {provider: yahoo, overlap_s: 59}}", [("streams.bars.overlap_s", 2, "shorter than one bar")], id="overlap"),
        pytest.param(S + "streams: {bars: {provider: yahoo, overlap_s: -1}}", [("streams.bars.overlap_s", 2, "greater")], id="negative-overlap"),
        pytest.param(S + "streams:\n  trades: {provider: finnhub}\nproviders:\n  finnhub: {enabled: false}", [("streams.trades.provider", 3, "not enabled")], id="provider-off"),
        pytest.param(S + "streams: {trades: {provider: finnhub}}\nproviders: {finnhub: {enabled: no}}", [("streams.trades.provider", 2, "not enabled")], id="provider-off-in-words"),
        pytest.param(S + "providers: {yahoo: {enabled: perhaps}}", [("providers.yahoo.enabled", 2, "boolean")], id="no-boolean"),
        pytest.param(S + "providers: {yahoo: {base_url: ftp://example.com}}", [("providers.yahoo.base_url", 2, "scheme")], id="scheme"),
        pytest.param(S + "providers: {yahoo: {base_url: 'https://'}}", [("providers.yahoo.base_url", 2, "wrong")], id="no-host"),
        pytest.param(S + "providers: {yahoo: {base_url: 'https://a:b@example.com'}}", [("providers.yahoo.base_url", 2, "password")], id="password-in-address"),
        pytest.param(S + "providers: {finnhub: {base_url: 'https://example.com/?token=x'}}", [("providers.finnhub.base_url", 2, "key in it")], id="key-in-address"),
        pytest.param(S + "providers: {finnhub: {token: x}}", [("providers.finnhub.token", 2, "secret")], id="token"),
        pytest.param(S + "providers: {finnhub: {api_key: x}}", [("providers.finnhub.api_key", 2, "secret")], id="api-key"),
        pytest.param(S + "password: x", [("password", 2, "secret")], id="password"),
        pytest.param(S + "postgres_dsn: x", [("postgres_dsn", 2, "secret")], id="dsn"),
        pytest.param(S + "calendar_closures: {XNYS: [2025-02-30]}", [("calendar_closures.XNYS.0", 2, "a day is")], id="no-such-day"),
        pytest.param(S + "calendar_closures: {XNYS: [soon]}", [("calendar_closures.XNYS.0", 2, "a day is")], id="no-date"),
        pytest.param(S + "calendar_closures: {NYSE: []}", [("calendar_closures.NYSE.[key]", 2, "no calendar of ours")], id="no-such-calendar"),
        pytest.param(S + "calendar_closures: {24/7: [2025-01-09]}", [("calendar_closures.24/7.[key]", 2, "no calendar of ours")], id="never-closes"),
        pytest.param(S + "calendar_early_closes: {XNYS: {2025-01-09: 1pm}}", [("calendar_early_closes.XNYS.2025-01-09", 2, "HH:MM")], id="no-time"),
        pytest.param(S + "calendar_early_closes: {XNYS: {2025-01-32: 13:00}}", [("calendar_early_closes.XNYS.2025-01-32.[key]", 2, "a day is")], id="early-on-no-day"),
        pytest.param("symbols: [SPY", [("", 2, "not YAML")], id="open-list"),
        pytest.param("symbols: [SPY]\n\tstreams: {}", [("", 2, "not YAML")], id="tab"),
        pytest.param(S + "streams: {}\n---\nsymbols: [A]", [("", 3, "second document")], id="two-documents"),
        pytest.param("symbols: &s [SPY]", [("symbols", 1, "anchor")], id="anchor"),
        pytest.param(S + "streams: *x", [("streams", 2, "alias")], id="alias"),
        pytest.param("symbols: !!set {SPY}", [("symbols", 1, "tag")], id="tag"),
        pytest.param('{"symbols": ["SPY"], "symbols": ["A"]}', [("symbols", 1, "given twice")], id="json-key-twice"),
        pytest.param('{"symbols": ["SPY",]', [("", 2, "not YAML")], id="json-cut"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_at_its_place(text: str, expected: list[tuple[str, int | None, str]]) -> None:
    """Exactly these faults, each with a remedy."""
    with pytest.raises(InvalidConfiguration) as error:
        parse_configuration(text, source="f")
    faults = error.value.faults

    assert [(fault.path, fault.line) for fault in faults] == [(path, line) for path, line, _ in expected]
    for fault, (_, _, words) in zip(faults, expected, strict=True):
        assert words in fault.message
        assert fault.remedy


def many(count: int, tier: str) -> str:
    """Return so many symbols of a tier, as YAML writes them in a list."""
    return ", ".join(f"{{symbol: {tier}{number}X, tier: {tier}}}" for number in range(count))


@pytest.mark.parametrize(
    ("symbols", "settings", "expected"),
    [
        pytest.param(many(150, "T1"), "", None, id="T1-as-fast-as-it-goes"),
        pytest.param(many(151, "T1"), "", ("streams.quotes.every_s", "151 symbols", "set it to 5.1 or more"), id="T1-alone"),
        pytest.param(many(30, "T0"), "", None, id="T0-by-its-default"),
        pytest.param(many(31, "T0"), "", ("tiers.T0.quotes_every_s", "31 symbols", "set it to 1.1 or more"), id="T0-beyond-its-default"),
        pytest.param(many(20, "T0") + ", " + many(50, "T1"), "", None, id="together-just"),
        pytest.param(many(20, "T0") + ", " + many(51, "T1"), "", ("tiers.T0.quotes_every_s", "20 symbols of T0 and 51 symbols of T1", "set it to 1.1 or more"), id="together-too-much"),
        pytest.param(many(60, "T0") + ", " + many(1800, "T2"), "tiers: {T0: {quotes_every_s: 2.5}}", ("streams.quotes", "", "move symbols to a slower tier"), id="T2-alone-fills-it"),
    ],
)  # fmt: skip
def test_quotes_of_all_tiers_together_stay_within_what_one_a_request_allows(
    symbols: str, settings: str, expected: tuple[str, str, str] | None
) -> None:
    """Finnhub answers thirty a second: each tier takes its share, and the one that asks most is told."""
    text = f"symbols: [{symbols}]\nstreams: {{quotes: {{provider: finnhub, every_s: 5}}}}\n{settings}"
    if expected is None:
        parse_configuration(text, source="f")
        return
    with pytest.raises(InvalidConfiguration) as error:
        parse_configuration(text, source="f")
    (fault,) = error.value.faults
    path, words, remedy = expected

    assert fault.path.startswith(path) or fault.path.startswith("tiers.")
    assert words in fault.message
    assert remedy in fault.remedy or "set it to" in fault.remedy


def test_all_faults_come_at_once() -> None:
    """Text, keys, values, rules and secrets in one answer, in the file's order."""
    text = (
        "symbols: [SPY, SPY, 'A B']\n"
        "strems: {}\n"
        "streams:\n"
        "  bars: {provider: yahoo, evry_s: 5, overlap_s: 1}\n"
        "  quotes: {provider: finnhub, every_s: soon}\n"
        "providers:\n"
        "  finnhub: {enabled: false, token: x}\n"
        "calendar_closures: {XNYS: [soon]}\n"
        "strems: {}\n"
    )
    with pytest.raises(InvalidConfiguration) as error:
        parse_configuration(text, source="f")

    assert [(fault.line, fault.path) for fault in error.value.faults] == [
        (1, "symbols.1"), (1, "symbols.2.symbol"), (2, "strems"), (4, "streams.bars.evry_s"),
        (4, "streams.bars.overlap_s"), (5, "streams.quotes.every_s"), (5, "streams.quotes.provider"),
        (7, "providers.finnhub.token"), (8, "calendar_closures.XNYS.0"), (9, "strems"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        pytest.param("symbols: [ON, NO, TRUE, 600519, 005930, 1E5]", ("ON", "NO", "TRUE", "600519", "005930", "1E5"), id="words-and-numbers"),
        pytest.param("symbols: [{symbol: 0700}]", ("0700",), id="number-in-an-entry"),
        pytest.param('{\n\t"symbols": ["BRK.B", "^GSPC"]\n}', ("BRK.B", "^GSPC"), id="json-with-tabs"),
        pytest.param("\ufeffsymbols: [SPY]\r\n", ("SPY",), id="byte-order-mark-and-crlf"),
    ],
)  # fmt: skip
def test_what_is_right_is_taken_as_written(text: str, symbols: tuple[str, ...]) -> None:
    """A symbol is never a boolean or a number."""
    assert tuple(member.symbol for member in parse_configuration(text, source="f").members()) == symbols


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    """Neither from the disk nor from a request."""
    (tmp_path / "mds.yaml").write_bytes(b"[" * (MAX_FILE_BYTES + 1))

    with pytest.raises(ConfigurationError, match="larger than 4194304 bytes; list fewer"):
        load_configuration(tmp_path / "mds.yaml")
    with pytest.raises(ConfigurationError, match="larger than"):
        text_of(b"#" * (MAX_FILE_BYTES + 1), source="candidate")


def test_a_file_with_twenty_thousand_faults_answers_with_some() -> None:
    """A bounded answer that counts the rest."""
    text = "symbols:\n" + "".join(f"- 'S {number}'\n" for number in range(20_000))
    with pytest.raises(InvalidConfiguration) as error:
        parse_configuration(text, source="f")

    assert len(error.value.faults) == 101
    assert "19900 more faults" in str(error.value)


def test_a_secret_is_never_repeated() -> None:
    """Not as a key's value, not in an address, not pasted where a number belongs."""
    canary = "canary0123456789abcdef"
    text = (
        f"symbols: [{{symbol: A, streams: {canary}}}]\n"
        f"streams: {{bars: {{provider: {canary}, every_s: {canary}}}}}\n"
        f"providers: {{finnhub: {{token: {canary}, base_url: 'https://x:{canary}@y', socket_url: {canary}}}}}\n"
        f"calendar_closures: {{XNYS: [{canary}]}}\n"
    )
    with pytest.raises(InvalidConfiguration) as error:
        parse_configuration(text, source="f")

    assert len(error.value.faults) >= 6
    assert canary not in str(error.value)


def mutated(text: str, dice: random.Random) -> str:
    """Return the text with a few random cuts, swaps, repeats and insertions."""
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randrange(len(text) + 1), dice.randint(0, 30)
        kind = dice.randrange(4)
        if kind == 0:
            text = text[:at] + text[at + length :]
        elif kind == 1:
            text = text[:at] + dice.choice(FRAGMENTS) + text[at:]
        elif kind == 2:
            text = text[:at] + text[at : at + length] * 2 + text[at + length :]
        else:
            text = (
                text[:at] + chr(dice.choice((dice.randrange(128), dice.randrange(0x10FFFF)))) + text[at + 1 :]
            )
    return text


def test_a_mutated_example_is_taken_or_refused_and_nothing_else() -> None:
    """Random damage to config/mds.yaml: a configuration, or a ConfigurationError whose every fault has a remedy."""
    dice, refused = random.Random(4), 0
    for _ in range(FUZZ_CASES):
        text = mutated(EXAMPLE, dice)
        try:
            parse_configuration(text, source="f")
        except ConfigurationError as error:
            refused += 1
            assert all(fault.message and fault.remedy for fault in faults_of(error))
            assert str(error).encode("utf-8")

    assert FUZZ_CASES // 10 < refused < FUZZ_CASES
