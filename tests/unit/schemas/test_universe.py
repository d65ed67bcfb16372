"""The universe as CSV and as differences: everything wrong at once, and out and in again unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from schemas.located_yaml import InvalidConfiguration
from schemas.streams import INSTRUMENT_STREAMS
from schemas.universe import (
    MAX_FILE_BYTES,
    MAX_SYMBOLS,
    TIERS,
    Member,
    difference,
    from_csv,
    member,
    merged,
    to_csv,
)

MEMBERS = st.builds(
    Member,
    symbol=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=32),
    tier=st.sampled_from(TIERS),
    streams=st.sets(st.sampled_from(INSTRUMENT_STREAMS), min_size=1).map(
        lambda chosen: tuple(each for each in INSTRUMENT_STREAMS if each in chosen)
    ),
    note=st.text(max_size=200).map(str.strip).filter(str.isprintable),
)
UNIVERSES = st.lists(MEMBERS, min_size=1, max_size=20, unique_by=lambda each: each.symbol)


@given(UNIVERSES)
def test_what_is_exported_is_imported_unchanged(members: list[Member]) -> None:
    """Whatever quotes, commas and letters symbols and notes hold."""
    again = from_csv(to_csv(members).encode(), source="f").members

    assert difference(members, again).changes == ()
    assert sorted(again, key=lambda each: each.symbol) == list(again)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"symbol,tier,streams,note\nSPY,T0,bars trades,a\n", id="plain"),
        pytest.param("\ufeffsymbol,tier,streams,note\r\nSPY,T0,bars trades,a\r\n".encode(), id="from-a-spreadsheet"),
        pytest.param(b'"note","streams","tier","symbol"\n"a","trades bars","t0"," SPY "', id="quoted-in-another-order"),
        pytest.param(b"\n Symbol , TIER,streams,note\n,,,\nSPY,T0,BARS  trades bars,a\n\n", id="empty-rows-and-case"),
    ],
)  # fmt: skip
def test_a_file_is_taken_from_wherever_it_comes(data: bytes) -> None:
    """Byte-order mark, CRLF, quotes, order of columns and empty rows say nothing."""
    listed = from_csv(data, source="f")

    assert listed.members == (Member(symbol="SPY", tier="T0", streams=("bars", "trades"), note="a"),)


def test_only_the_symbol_must_be_there() -> None:
    """What is left out, a column or a cell, is the default; the lines are those of the file."""
    listed = from_csv(b"symbol,tier\nSPY\n\nIBM,T2\n", source="f")

    assert listed.members == (Member(symbol="IBM", tier="T2"), Member(symbol="SPY"))
    assert listed.lines == {"SPY": 2, "IBM": 4}


def test_every_fault_is_told_with_its_line_and_a_remedy() -> None:
    """Nothing is taken of a file with one of them."""
    data = (
        b"symbol,tier,streams,note\nSPY,T9,bars quotez,\nSPY,T0,,\n,T1,,\nA B,,,\n"
        b"IBM,,,\nIBM,,,\nQQQ,,,a,b\n" + b"X" * 33 + b",,,\nDIA,,,\x07\n"
    )
    with pytest.raises(InvalidConfiguration) as error:
        from_csv(data, source="f.csv")

    assert [(fault.line, fault.path) for fault in error.value.faults] == [
        (2, "streams"), (2, "tier"), (4, "symbol"), (5, "symbol"), (7, "symbol"), (8, ""), (9, "symbol"), (10, "note"),
    ]  # fmt: skip
    assert all(fault.remedy for fault in error.value.faults)
    assert "f.csv:7: symbol IBM is listed twice, first in line 6; remove one of them" in str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "no header", id="empty"),
        pytest.param(b"SPY\nIBM\n", "no header: no column is called symbol; begin the file with", id="no-header"),
        pytest.param(b"symbol,teir\nSPY,T0\n", "no column is called 'teir'", id="misspelt-column"),
        pytest.param(b"symbol,symbol\nSPY,A\n", "there twice", id="column-twice"),
        pytest.param(b"symbol\n", "no symbols", id="only-a-header"),
        pytest.param(b'symbol\n"SPY\n', "not CSV", id="open-quote"),
        pytest.param(b'symbol\n"SPY"X\n', "not CSV", id="after-the-quote"),
        pytest.param(b"symbol\n" + b"X" * 140_000, "not CSV: field larger", id="endless-cell"),
        pytest.param(b"symbol\nSP\xff\n", "not UTF-8", id="not-utf-8"),
        pytest.param(b"symbol\n" + b"," * MAX_FILE_BYTES, "larger than 4194304 bytes", id="too-large"),
        pytest.param(b"symbol\n" + b"".join(b"S%d\n" % n for n in range(MAX_SYMBOLS + 1)), "20,001 symbols", id="too-many"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_symbols_is_refused(data: bytes, words: str) -> None:
    """As a whole, and with what to do."""
    with pytest.raises(ConfigurationError, match=words):
        from_csv(data, source="f")


def test_a_universe_as_large_as_allowed_is_taken() -> None:
    """Twenty thousand."""
    data = b"symbol\n" + b"".join(b"S%d\n" % number for number in range(MAX_SYMBOLS))

    assert len(from_csv(data, source="f").members) == MAX_SYMBOLS


def test_a_difference_names_what_happens_to_each() -> None:
    """Added, removed, moved to another tier, otherwise changed; the rest is counted."""
    before = [Member(symbol="A"), Member(symbol="B"), Member(symbol="C"), Member(symbol="D")]
    after = [
        Member(symbol="E"),
        Member(symbol="D"),
        Member(symbol="C", note="x"),
        Member(symbol="B", tier="T0"),
    ]
    found = difference(before, after)

    assert [(change.symbol, change.kind) for change in found.changes] == [
        ("A", "removed"), ("B", "moved"), ("C", "changed"), ("E", "added"),
    ]  # fmt: skip
    assert found.unchanged == 1


@given(UNIVERSES, UNIVERSES)
def test_a_difference_leads_from_one_to_the_other(before: list[Member], after: list[Member]) -> None:
    """Applied to the first it gives the second, and nothing is counted twice."""
    found = difference(before, after)
    members = {each.symbol: each for each in before}
    for change in found.changes:
        members.pop(change.symbol, None)
        if change.after is not None:
            members[change.symbol] = change.after

    assert sorted(members) == sorted(each.symbol for each in after)
    assert members == {each.symbol: each for each in after}
    assert found.unchanged + sum(change.after is not None for change in found.changes) == len(after)


def test_given_members_take_the_place_of_their_own_alone() -> None:
    """The rest stays; the bound is of the whole."""
    kept = merged([Member(symbol="B"), Member(symbol="A")], [Member(symbol="B", tier="T0")])

    assert kept == (Member(symbol="A"), Member(symbol="B", tier="T0"))
    many = [Member(symbol=f"S{number}") for number in range(MAX_SYMBOLS)]
    with pytest.raises(ConfigurationError, match="20,001 symbols"):
        merged(many, [Member(symbol="A")])


def test_a_member_is_made_of_what_a_person_writes() -> None:
    """As in a file, with every fault at once."""
    assert member("SPY", tier="t0", streams="trades bars") == Member(
        symbol="SPY", tier="T0", streams=("bars", "trades")
    )
    with pytest.raises(InvalidConfiguration) as error:
        member("", tier="T7", streams="x")
    assert [fault.path for fault in error.value.faults] == ["symbol", "tier", "streams"]
