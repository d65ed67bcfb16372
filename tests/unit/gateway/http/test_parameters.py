"""One parameter, read or complained of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.http.parameters import (
    AnyText,
    Complaint,
    Day,
    Kind,
    Moment,
    OneOf,
    ProviderName,
    SomeOf,
    Symbol,
    Whole,
    Word,
    checked_symbol,
    closest,
    unknown,
)
from gateway.http.problems import FIELD_ERRORS, Problem

KINDS: list[Kind] = [
    OneOf(("asc", "desc")), SomeOf(("asc", "best")), Whole(0, 10), Moment(), Moment(dates=True), Day(), ProviderName(), ProviderName(needed=True),
    Word("[a-z]{1,4}", "not_a_tier", "use one like a"), Symbol(), AnyText(),
]  # fmt: skip
TEXTS = st.text(max_size=40) | st.sampled_from(
    [
        "asc",
        "asc,best",
        "asc,",
        "7",
        "2013-10-07",
        "2013-10-07T09:30:00Z",
        "yahoo",
        "best",
        "abc",
        "SPY",
        "BRK.B",
    ]
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@given(text=TEXTS)
def test_any_text_is_read_or_complained_of_in_a_published_word(kind: Kind, text: str) -> None:
    """Nothing else is raised."""
    try:
        kind.read("name", text, "UTC")
    except Complaint as complaint:
        assert complaint.code in FIELD_ERRORS
        assert str(complaint)


@pytest.mark.parametrize(
    "kind",
    [
        OneOf(("asc", "desc")),
        SomeOf(("asc", "best")),
        ProviderName(),
        Symbol(),
        AnyText(),
        Word("[a-z]{1,4}", "not_a_tier", ""),
    ],
)
@given(text=TEXTS)
def test_a_schema_takes_what_the_kind_reads(kind: Kind, text: str) -> None:
    """What is documented is what is done, for everything that is text in both."""
    try:
        kind.read("name", text, "UTC")
        read = True
    except Complaint:
        read = False
    if "\n" not in text:  # JSON Schema's $ is the end of a line in Python
        assert Draft202012Validator(kind.schema()).is_valid(text) == read


def test_some_words_come_once_and_in_their_order() -> None:
    """However they are given; one that is none is named, with the nearest."""
    kind = SomeOf(("dead", "done", "empty"))
    assert kind.read("status", "empty,dead,empty", "UTC") == ("dead", "empty")
    with pytest.raises(Complaint, match="status 'doen' is unknown; did you mean done"):
        kind.read("status", "dead,doen", "UTC")


def test_best_is_no_provider_in_particular() -> None:
    """A name is itself, and where one is needed best is one."""
    assert ProviderName().read("provider", "best", "UTC") is None
    assert ProviderName().read("provider", "yahoo", "UTC") == "yahoo"
    assert ProviderName(needed=True).read("source", "best", "UTC") == "best"


def test_a_bare_date_is_midnight_of_the_venue() -> None:
    """Where dates are taken at all."""
    assert Moment(dates=True).read("start", "2013-10-07", "America/New_York") == 1_381_118_400_000_000
    assert Day().read("date", "2013-10-07", "America/New_York") == 1_381_118_400_000_000
    with pytest.raises(Complaint, match=r"as_of: .* RFC 3339"):
        Moment().read("as_of", "2013-10-07", "UTC")


@pytest.mark.parametrize("symbol", ["", "spy", "A B", "-A", "A" * 33, "A;DROP", "А"])  # noqa: RUF001
def test_what_is_no_symbol_is_refused(symbol: str) -> None:
    """Naming the parameter."""
    with pytest.raises(Problem) as problem:
        checked_symbol(symbol)
    assert problem.value.errors[0].param == "symbol"


def test_a_lower_case_symbol_is_corrected_by_the_message() -> None:
    """Never silently."""
    with pytest.raises(Problem, match=r"did you mean SPY\?"):
        checked_symbol("spy")


def test_a_suggestion_is_near_or_absent() -> None:
    """Then all names are listed."""
    assert closest("qqqq", ("interval",)) is None
    assert unknown("intervall", ("interval",)) == "'intervall' is unknown; did you mean interval?"
    assert unknown("qqqq", ()) == "'qqqq' is unknown; known are: none"


def test_a_long_name_is_compared_with_nothing() -> None:
    """A comparison takes time by its square; what is meant by 60 letters can be read."""
    assert closest("limi", ["limit"]) == "limit"
    assert closest("limi" + "t" * 60, ["limit" + "t" * 60]) is None
