"""Lines of a head: none begins another, and each says what is so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.heads import connection_line, date_line, length_line, lines, sends_body


@given(headers=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4))
def test_a_header_is_one_line_or_none(headers: list[tuple[str, str]]) -> None:
    """Whatever somebody made it say."""
    try:
        text = lines(headers)
    except ValueError:
        assert any(ord(sign) < 32 or sign == "\x7f" for pair in headers for sign in "".join(pair))
    else:
        assert text.split("\r\n") == [*(f"{name}: {value}" for name, value in headers), ""]


@pytest.mark.parametrize("sign", ["\r", "\n", "\0", "\x1f", "\x7f"])
def test_what_would_end_a_line_is_refused(sign: str) -> None:
    """In the name and in the value."""
    for name, value in ((f"a{sign}", "b"), ("a", f"b{sign}c")):
        with pytest.raises(ValueError, match="control"):
            lines([(name, value)])


def test_an_answer_without_a_body_has_no_length() -> None:
    """Of HEAD it is the length that GET would have."""
    assert length_line(200, "GET", 0) == "Content-Length: 0\r\n"
    assert length_line(200, "HEAD", 7) == "Content-Length: 7\r\n"
    assert [length_line(status, "GET", 0) for status in (204, 304)] == ["", ""]
    assert [sends_body(*asked) for asked in ((200, "GET"), (200, "HEAD"), (304, "GET"), (204, "GET"))] == [
        True, False, False, False,
    ]  # fmt: skip


def test_a_connection_is_told_of_where_its_version_does_not_tell() -> None:
    """HTTP/1.1 stays and HTTP/1.0 ends by itself."""
    told = [connection_line(minor, stays=stays) for minor in (0, 1) for stays in (True, False)]
    assert told == ["Connection: keep-alive\r\n", "", "", "Connection: close\r\n"]


def test_a_date_is_as_http_writes_it() -> None:
    """RFC 9110's own example."""
    assert date_line(784_111_777) == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
