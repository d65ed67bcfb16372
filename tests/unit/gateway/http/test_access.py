"""Keys, scopes and origins."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.access import (
    SCOPES,
    Access,
    AccessDenied,
    Key,
    Scope,
    basic_token,
    bearer_token,
    is_loopback,
    token_sha256,
)

TOKEN = "mds_a-token-of-more-than-128-bits"
KEY = Key(
    id="desk",
    sha256=token_sha256(TOKEN),
    scopes=frozenset({"read"}),
    origins=frozenset({"https://desk.example"}),
)
HOST = "data.example"


def guarded() -> Access:
    return Access([KEY], required=True, origins={"https://all.example"})


def denial(access: Access, scope: Scope = "read", **given_: str | None) -> tuple[int, str]:
    headers: dict[str, str | None] = {"token": TOKEN, "origin": None, "host": HOST}
    with pytest.raises(AccessDenied) as denied:
        access.check(scope, **(headers | given_))
    return denied.value.status, denied.value.code


def test_a_key_grants_its_scopes_and_no_other() -> None:
    """`read` opens read and not admin."""
    assert guarded().check("read", token=TOKEN, origin=None, host=HOST).key_id == "desk"
    assert denial(guarded(), "admin") == (403, "forbidden")


def test_no_key_and_a_wrong_key_are_told_apart() -> None:
    """Both are 401, with different codes."""
    assert denial(guarded(), token=None) == (401, "unauthenticated")
    assert denial(guarded(), token="mds_wrong") == (401, "auth_failed")


def test_a_public_route_needs_no_key() -> None:
    """The start page is for everybody."""
    assert guarded().check("public", token=None, origin=None, host=HOST).scopes == frozenset()


@pytest.mark.parametrize(
    "origin", ["https://desk.example", "https://all.example", "https://data.example", "https://DESK.example"]
)
def test_a_listed_origin_and_our_own_may_ask(origin: str) -> None:
    """The key's, everybody's, and the page we served."""
    assert guarded().check("read", token=TOKEN, origin=origin, host=HOST)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://data.example.evil.example"])
def test_a_foreign_origin_is_refused_even_with_a_key(origin: str) -> None:
    """A page elsewhere may not use a key it made a browser send."""
    assert denial(guarded(), origin=origin) == (403, "origin_not_allowed")


def test_without_keys_on_loopback_everybody_on_the_machine_may_ask() -> None:
    """Programs send no Origin."""
    grant = Access([], required=False).check("admin", token=None, origin=None, host="127.0.0.1:8001")
    assert grant.scopes == SCOPES


@pytest.mark.parametrize(
    ("origin", "host", "code"),
    [
        pytest.param("https://evil.example", "127.0.0.1:8001", "origin_not_allowed", id="cross site"),
        pytest.param("http://evil.example:8001", "evil.example:8001", "host_not_allowed", id="rebound name"),
        pytest.param(None, "evil.example", "host_not_allowed", id="rebound name, no origin"),
        pytest.param(None, None, "host_not_allowed", id="no host"),
        pytest.param(None, "[::1", "host_not_allowed", id="broken host"),
    ],
)
def test_without_keys_a_web_page_may_not_ask(origin: str | None, host: str | None, code: str) -> None:
    """Loopback trusts the machine's programs, never the pages its browsers show."""
    assert denial(Access([], required=False), token=None, origin=origin, host=host) == (403, code)


def test_keys_on_loopback_are_demanded_too() -> None:
    """Who configured keys wants them used."""
    assert Access([KEY], required=False).required


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.evil.example", False), ("", False)],
)  # fmt: skip
def test_loopback_is_what_never_leaves_the_machine(host: str, *, loopback: bool) -> None:
    """Names that only look like it are not."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer ", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_bearer_header_carries_a_token(header: str | None, token: str | None) -> None:
    """Anything else is no token."""
    assert bearer_token(header) == token


@given(token=st.text(), origin=st.none() | st.text(), host=st.none() | st.text())
def test_any_headers_are_answered_with_a_grant_or_a_denial(
    token: str, origin: str | None, host: str | None
) -> None:
    """Nothing a caller sends raises anything else."""
    try:
        guarded().check("read", token=token, origin=origin, host=host)
    except AccessDenied as denied:
        assert denied.status in (401, 403)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Basic dXNlcjp0b2tlbg==", "token"),
        ("basic dXNlcjp0bzprZW4=", "to:ken"),
        ("Basic dG9rZW46", "token"),
        ("Basic dG9rZW4=", "token"),
        ("Basic Og==", None),
        ("Basic ?", None),
        ("Basic /w==", None),
        ("Basic ", None),
        ("Bearer dXNlcjp0b2tlbg==", None),
        (None, None),
    ],
)
def test_a_basic_header_carries_the_token_as_its_password(header: str | None, token: str | None) -> None:
    """Or as its user, where there is no password."""
    assert basic_token(header) == token


def test_a_key_is_known_by_its_token() -> None:
    """Who shows none, or a wrong one, is nobody; without keys everybody may be told more."""
    assert guarded().key_id(TOKEN) == "desk"
    assert (guarded().key_id("mds_wrong"), guarded().key_id(None)) == (None, None)
    assert (guarded().knows(TOKEN), guarded().knows(None)) == (True, False)
    assert Access([], required=False).knows(None)


def test_a_grant_stands_as_long_as_its_key() -> None:
    """A key of the same name with another token is another one; whoever holds grants is told of the change."""
    access, told = guarded(), list[bool]()
    grant = access.check("read", token=TOKEN, origin=None, host=HOST)
    access.on_replaced(lambda: told.append(access.stands(grant, "read")))
    assert (access.stands(grant, "read"), access.stands(grant, "stream")) == (True, False)

    other = replace(KEY, id="other", sha256=token_sha256("other"))
    for keys in (
        [KEY, other],
        [replace(KEY, sha256=other.sha256)],
        [replace(KEY, scopes=frozenset({"stream"}))],
        [KEY],
    ):
        access.replace(keys)
    assert told == [True, False, False, True]
    everybody = Access([], required=False)
    assert everybody.stands(everybody.check("dlq", token=None, origin=None, host="127.0.0.1"), "dlq")


def test_pages_are_those_of_everybody_and_of_every_key() -> None:
    """A browser that asks first shows no key."""
    assert guarded().pages == {"https://all.example", "https://desk.example"}


def test_with_keys_a_proxy_may_bring_a_request() -> None:
    """It shows whose it is; a page that embeds an answer does not."""
    guarded().check_way("GET", {"X-Forwarded-For": "192.0.2.1"})
    with pytest.raises(AccessDenied) as denied:
        guarded().check_way("GET", {"Sec-Fetch-Site": "cross-site"})
    assert denied.value.code == "cross_site"
