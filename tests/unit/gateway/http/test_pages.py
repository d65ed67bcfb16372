"""Page tokens: whole, ours, for this query, and not for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.pages import EXPIRES_ON_US, LIFETIME_US, Page, open_token, query_hash, seal
from gateway.http.problems import Problem

KEY = b"k" * 32
PAGE = Page(as_of=5, start=-7, end=9, after=(3, "abc"))
QUERY = query_hash("/stocks/SPY/history", {"interval": "1m"})


def refusal(token: str, query: str = QUERY, now: int = 0, key: bytes = KEY) -> tuple[int, str, str]:
    with pytest.raises(Problem) as problem:
        open_token(token, query, key, now)
    return problem.value.status, problem.value.code, problem.value.errors[0].param


@given(
    st.integers(), st.integers(), st.integers(), st.lists(st.integers() | st.text(max_size=32), max_size=3)
)
def test_a_page_survives_its_token(as_of: int, start: int, end: int, after: list[int | str]) -> None:
    """Any replica with the key opens it."""
    page = Page(as_of=as_of, start=start, end=end, after=tuple(after))
    token = seal(page, QUERY, KEY, 0)
    if len(token) <= 1_024:
        assert open_token(token, QUERY, KEY, 1) == page


def test_what_the_first_page_chose_is_in_the_token() -> None:
    """Beside the moment; a token without it, as those of before, has none."""
    pinned = Page(as_of=5, start=-7, end=9, after=(3,), pins=(16_230, 7))
    assert open_token(seal(pinned, QUERY, KEY, 0), QUERY, KEY, 1) == pinned
    assert open_token(seal(PAGE, QUERY, KEY, 0), QUERY, KEY, 1).pins == ()


def test_a_changed_query_is_a_mismatch() -> None:
    """The token answers only the query it was made for."""
    other = query_hash("/stocks/SPY/history", {"interval": "5m"})
    assert refusal(seal(PAGE, QUERY, KEY, 0), query=other) == (400, "token_mismatch", "page_token")


def test_the_token_itself_is_no_part_of_the_query() -> None:
    """Else no second page could match."""
    assert query_hash("/x", {"page_token": "a", "b": "c"}) == query_hash("/x", {"b": "c"})
    assert query_hash("/x", {"b": "c"}) != query_hash("/y", {"b": "c"})


def test_an_old_token_is_gone() -> None:
    """410 after an hour, or half an hour more."""
    token = seal(PAGE, QUERY, KEY, 0)
    assert open_token(token, QUERY, KEY, LIFETIME_US - 1) == PAGE
    assert open_token(seal(PAGE, QUERY, KEY, 1), QUERY, KEY, LIFETIME_US + EXPIRES_ON_US - 1) == PAGE
    assert refusal(token, now=LIFETIME_US) == (410, "token_expired", "page_token")


def test_two_requests_of_a_page_within_half_an_hour_have_one_token() -> None:
    """So that an entity tag of a page with another behind it can match."""
    assert (
        seal(PAGE, QUERY, KEY, 1)
        == seal(PAGE, QUERY, KEY, EXPIRES_ON_US)
        != seal(PAGE, QUERY, KEY, EXPIRES_ON_US + 1)
    )


@given(st.data())
def test_a_token_changed_anywhere_is_not_ours(data: st.DataObject) -> None:
    """Neither the position nor the as_of can be edited."""
    token = seal(PAGE, QUERY, KEY, 0)
    place = data.draw(st.integers(0, len(token) - 2))  # the last character has bits that base64 ignores
    if token[place + 1 : place + 2] in (".", ""):
        return
    letter = data.draw(st.sampled_from([c for c in "ABCabc019-_." if c != token[place]]))
    assert refusal(token[:place] + letter + token[place + 1 :])[:2] == (400, "token_invalid")


@given(st.text(max_size=2_000))
def test_any_text_is_refused_as_not_ours(text: str) -> None:
    """Never anything but a 400."""
    assert refusal(text) == (400, "token_invalid", "page_token")


def test_another_key_does_not_open_it() -> None:
    """Signed means signed."""
    assert refusal(seal(PAGE, QUERY, KEY, 0), key=b"x" * 32)[1] == "token_invalid"
