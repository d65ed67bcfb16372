"""Keys of macro series: who serves each, aliases, and what is said of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import UnknownSymbol
from schemas.macro_keys import (
    ALIASES,
    ALTERNATIVES,
    MAX_KEY_CHARACTERS,
    SOURCES,
    is_series_key,
    of_provider,
    series_key,
    suggestions,
)
from schemas.providers.built_in import BUILT_IN
from schemas.symbols.instruments import classify


@pytest.mark.parametrize(
    ("text", "key", "provider"),
    [
        ("FRED:GDPC1", "FRED:GDPC1", "fred"),
        ("FRED:A261RX1Q020SBEA", "FRED:A261RX1Q020SBEA", "fred"),
        ("ECB:EXR.D.USD.EUR.SP00.A", "ECB:EXR.D.USD.EUR.SP00.A", "ecb"),
        ("UST:10Y", "UST:10Y", "treasury"),
        ("UST:1.5M", "UST:1.5M", "treasury"),
        ("cpi", "FRED:CPIAUCSL", "fred"),
        ("ust_10y", "UST:10Y", "treasury"),
        ("eurusd", "ECB:EXR.D.USD.EUR.SP00.A", "ecb"),
    ],
)
def test_a_key_or_alias_names_one_series_of_one_provider(text: str, key: str, provider: str) -> None:
    """The series is the source's own name."""
    found = series_key(text)

    assert (str(found), found.provider) == (key, provider)
    assert found.series == key.partition(":")[2]
    assert of_provider(text, provider) == found


def test_every_alias_is_a_series_of_a_provider_we_ship() -> None:
    """So is every alternative, which another provider serves; sources and facts tell of the same providers."""
    for text in (*ALIASES, *ALTERNATIVES, *ALTERNATIVES.values()):
        assert BUILT_IN[series_key(text).provider].capabilities.macro
    for key, other in ALTERNATIVES.items():
        assert series_key(key).provider != series_key(other).provider
    assert {source.provider for source in SOURCES} == {
        name for name, facts in BUILT_IN.items() if facts.capabilities.macro
    }


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("GDPC1", "FRED:GDPC1"),
        ("fred:gdpc1", "FRED:GDPC1"),
        ("CPI", "cpi"),
        ("paryolls", "payrolls"),
        ("fred:xyz", "FRED:XYZ"),
        ("UST:10y", "UST:10Y"),
    ],
)
def test_what_may_have_been_meant_is_named(text: str, meant: str) -> None:
    """First of at most three, as candidates of the error too."""
    with pytest.raises(UnknownSymbol, match=meant) as caught:
        series_key(text)

    assert caught.value.candidates == suggestions(text)
    assert suggestions(text)[0] == meant
    assert len(suggestions(text)) <= 3


@pytest.mark.parametrize(
    "text",
    ["", ":", "FRED:", "ECB:EXR", "ECB:EXR.D..EUR.SP00.A", "UST:9Y", "BEA:GDP", "FRED:../admin", "FRED:A B", "FRED:" + "A" * 60],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    """A dimension left open would ask for many series; nothing that is taken leaves its place in a URL."""
    with pytest.raises(UnknownSymbol):
        series_key(text)


@given(st.text(max_size=90))
def test_any_text_is_a_key_or_an_error(text: str) -> None:
    """A key is short, in plain characters, and no symbol of a security."""
    try:
        found = series_key(text)
    except UnknownSymbol as error:
        assert len(str(error)) < 400
        return
    assert is_series_key(str(found))
    assert len(str(found)) <= MAX_KEY_CHARACTERS
    assert classify(str(found)) is None


def test_another_sources_key_is_taken_by_its_shape_in_facts() -> None:
    """A third party's provider brings series that we do not know."""
    assert is_series_key("BOE:IUDBEDR")
    assert not is_series_key("UST:9Y")
    with pytest.raises(UnknownSymbol):
        series_key("BOE:IUDBEDR")


def test_a_provider_does_not_serve_anothers_series() -> None:
    """The message names who does."""
    with pytest.raises(UnknownSymbol, match="ask treasury"):
        of_provider("UST:10Y", "fred")
