"""The YAML of what to collect: read whole or refused with the place and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.calendar.overlay import overlay_of
from schemas.configuration.model import Configuration, SymbolEntry, load_configuration, parse_configuration
from schemas.errors import ConfigurationError
from schemas.streams import StreamName
from schemas.universe import Member

ROOT = Path(__file__).parents[4]
MINIMAL = "symbols: [SPY]\nstreams: {}\n"


def taking_part(configuration: Configuration, stream: StreamName) -> tuple[str, ...]:
    """Return the symbols of the file that take part in a stream."""
    return tuple(member.symbol for member in configuration.members() if stream in member.streams)


def test_the_packaged_file_is_valid() -> None:
    """config/mds.yaml collects bars and quotes without a key, and trades with one."""
    configuration = load_configuration(ROOT / "config" / "mds.yaml")

    assert {"AAPL", "MSFT", "SPY"} <= set(taking_part(configuration, "bars"))
    assert configuration.streams.bars is not None
    assert (configuration.streams.bars.providers, configuration.streams.bars.intervals) == (
        ("yahoo",),
        ("1m",),
    )
    assert "^GSPC" not in taking_part(configuration, "trades")


def test_symbols_are_names_or_entries() -> None:
    """A bare name takes part in all streams, an entry in those it names."""
    configuration = parse_configuration(
        "symbols: [SPY, {symbol: IBM, streams: [trades]}]\nstreams: {}", source="f"
    )

    assert taking_part(configuration, "bars") == ("SPY",)
    assert taking_part(configuration, "trades") == ("SPY", "IBM")


def test_providers_are_a_list_in_order_of_preference_and_one_is_a_list_of_one() -> None:
    """`provider: yahoo` of earlier files means what it meant."""
    text = "symbols: [SPY]\nstreams: {bars: {provider: finnhub}, quotes: {providers: [finnhub, yahoo]}}"
    streams = parse_configuration(text, source="f").streams

    assert streams.bars is not None
    assert streams.quotes is not None
    assert (streams.bars.providers, streams.quotes.providers) == (("finnhub",), ("finnhub", "yahoo"))


def test_an_interval_is_a_list_of_one() -> None:
    """`interval: 5m` of earlier files means what it meant; several are kept as written."""
    one = parse_configuration("symbols: [A]\nstreams: {bars: {provider: yahoo, interval: 5m}}", source="f")
    many = parse_configuration(
        "symbols: [A]\nstreams: {bars: {provider: yahoo, intervals: [1d, 1m]}}", source="f"
    )

    assert one.streams.bars is not None
    assert many.streams.bars is not None
    assert (one.streams.bars.intervals, many.streams.bars.intervals) == (("5m",), ("1d", "1m"))


def test_the_files_symbols_are_members_in_their_order() -> None:
    """A name is of tier T1 and of all streams; the database's universe has no members in the file."""
    text = "symbols: [SPY, {symbol: IBM, tier: T0, streams: [bars]}]"

    assert parse_configuration(text, source="f").members() == (
        Member(symbol="SPY"),
        Member(symbol="IBM", tier="T0", streams=("bars",)),
    )
    assert parse_configuration("universe: database", source="f").members() == ()


def test_a_configuration_made_in_code_has_one_source_of_symbols_too() -> None:
    """Not only a file is held to it."""
    with pytest.raises(ValidationError, match="one of both"):
        Configuration()
    with pytest.raises(ValidationError, match="one of both"):
        Configuration(universe="database", symbols=(SymbolEntry(symbol="SPY"),))


def test_closures_are_dates() -> None:
    """YAML reads a bare date as one; it is kept as ISO text."""
    configuration = parse_configuration(MINIMAL + "calendar_closures: {XNYS: [2025-01-09]}", source="f")

    assert configuration.calendar_closures == {"XNYS": ("2025-01-09",)}


@pytest.mark.parametrize("closes", ["13:00", "'13:00'", '"13:00"'])
def test_early_closes_are_times_of_day_however_they_are_written(closes: str) -> None:
    """YAML would read 13:00 as 780, and a bare date as one; together with closed days they are one overlay."""
    text = (
        f"calendar_early_closes: {{XLON: {{2025-01-09: {closes}}}}}\ncalendar_closures: {{FX: [2025-12-24]}}"
    )
    configuration = parse_configuration(MINIMAL + text, source="f")

    assert configuration.calendar_early_closes == {"XLON": {"2025-01-09": "13:00"}}
    assert configuration.calendar_overlay() == overlay_of(
        {"FX": ["2025-12-24"]}, {"XLON": {"2025-01-09": "13:00"}}
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("symbols: [SPY]\nstreams: {bars: {provider: yahoo, evry_s: 1}}", "f:2: streams.bars.evry_s .* did you mean streams.bars.every_s", id="key-in-a-part"),
        pytest.param("symbols: [SPY]\nstrems: {}", "f:2: strems .* did you mean streams", id="key-at-the-top"),
        pytest.param("symbols: [{symbl: SPY}]\nstreams: {}", "symbols.0.symbl .* did you mean symbols.0.symbol", id="key-in-a-list"),
        pytest.param("symbols: [SPY]\nstreams: {}\nproviders: {yahoo: {colour: 1}}", "use one of enabled, base_url", id="key-like-none"),
        pytest.param("symbols: [SPY, SPY]\nstreams: {}", "SPY is listed twice", id="twice"),
        pytest.param("symbols: []\nstreams: {}", "f:1: symbols", id="nothing"),
        pytest.param("symbols: ['S PY']\nstreams: {}", "without spaces", id="space"),
        pytest.param("symbols: [SPY]\nstreams: {bars: {provider: Yahoo!}}", "streams.bars.providers.0 .*pattern", id="provider"),
        pytest.param("symbols: [SPY]\nstreams: {bars: {providers: [yahoo, yahoo]}}", "listed twice", id="provider-twice"),
        pytest.param("symbols: [SPY]\nstreams: {bars: {providers: []}}", "streams.bars.providers", id="no-provider"),
        pytest.param("symbols: [SPY]\nstreams: {bars: {provider: yahoo, providers: [finnhub]}}", "streams.bars.provider is not a setting", id="provider-and-providers"),
        pytest.param("symbols: [SPY]\nstreams: {routing: {dwel_s: 1}}", "did you mean streams.routing.dwell_s", id="routing"),
        pytest.param("symbols: [SPY]\nstreams: {bars: {provider: yahoo, every_s: 0}}", "every_s", id="too-often"),
        pytest.param("symbols: [SPY]\nstreams: {bars: {provider: yahoo, interval: 7m}}", "interval", id="interval"),
        pytest.param(MINIMAL + "calendar_closures: {XNYS: [soon]}", "calendar_closures.XNYS.0", id="date"),
        pytest.param("symbols: [", "f:2: .*; mend the YAML", id="not-yaml"),
        pytest.param("just text", "holds no mapping", id="no-mapping"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_place_and_a_remedy(text: str, words: str) -> None:
    """The message says file and key, and ends with what to do."""
    with pytest.raises(ConfigurationError, match=words):
        parse_configuration(text, source="f")


def test_a_file_that_is_not_there_says_what_to_set(tmp_path: Path) -> None:
    """The remedy names the variable."""
    with pytest.raises(ConfigurationError, match="MDS_CONFIG"):
        load_configuration(tmp_path / "absent.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are not half read."""
    (tmp_path / "mds.yaml").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_configuration(tmp_path / "mds.yaml")


def test_a_configuration_is_a_value() -> None:
    """Nobody changes it in place: a reload is another one."""
    with pytest.raises(ValidationError):
        parse_configuration(MINIMAL, source="f").symbols = ()  # type: ignore[misc]


def test_limits_of_a_provider_are_read_and_a_typo_is_named() -> None:
    """Each number with its bounds; an unknown key is refused with what was probably meant."""
    text = "symbols: [SPY]\nproviders: {yahoo: {limits: {%s}}}"
    good = parse_configuration(text % "per_minute: 5, endpoints: {crumb: {per_minute: 1, separate: true}}, breaker: {failures: 2}", source="f")  # fmt: skip

    limits = good.provider("yahoo").limits
    assert (limits.per_minute, limits.per_day, limits.breaker.failures) == (5, None, 2)
    assert limits.endpoints["crumb"].separate
    with pytest.raises(ConfigurationError, match=r"limits\.per_minutes is not a setting; did you mean .*limits\.per_minute\?"):  # fmt: skip
        parse_configuration(text % "per_minutes: 5", source="f")
    with pytest.raises(ConfigurationError, match=r"limits\.per_day"):
        parse_configuration(text % "per_day: 0", source="f")
