"""Ranges and conditions: what is sent of a file, by what the standard says and not by what is convenient."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.archive.file_request import FILE, Part, headers_of, wanted

TAG = f'"{"ab" * 32}"'


def whole(size: int) -> Part:
    return Part(status=200, start=0, end=size)


@given(st.integers(1, 5_000), st.integers(0, 6_000), st.integers(0, 6_000))
def test_a_range_is_the_slice_it_names(size: int, first: int, last: int) -> None:
    """Against the slices of Python."""
    content = bytes(number % 251 for number in range(size))

    part = wanted({"Range": f"bytes={first}-{last}"}, TAG, size)

    if last < first:
        assert part == whole(size)
    elif first >= size:
        assert part.status == 416
    else:
        assert (part.status, content[part.start : part.end]) == (206, content[first : last + 1])


@given(st.integers(1, 5_000), st.integers(0, 6_000))
def test_open_ranges_reach_to_the_end(size: int, number: int) -> None:
    """From a byte on, and so many last bytes."""
    content = bytes(each % 251 for each in range(size))
    on, last = (wanted({"Range": f"bytes={text}"}, TAG, size) for text in (f"{number}-", f"-{number}"))

    assert on.status == (416 if number >= size else 206)
    assert on.status == 416 or content[on.start : on.end] == content[number:]
    assert last.status == (416 if number == 0 else 206)
    assert last.status == 416 or content[last.start : last.end] == content[-number:]


@pytest.mark.parametrize(
    "header",
    ["", "bytes=-", "bytes=", "rows=0-5", "bytes=0-1,4-5", "bytes=a-b", "bytes=5-1", "0-5", "bytes=0-5x", "bytes=٣-٤"],
)  # fmt: skip
def test_what_is_no_single_range_of_bytes_is_the_whole(header: str) -> None:
    """A server may leave such a header alone; a guess it may not make."""
    assert wanted({"Range": header}, TAG, 900) == whole(900)


@pytest.mark.parametrize(
    ("condition", "status"),
    [(TAG, 206), ('"other"', 200), (f"W/{TAG}", 200), ("Sat, 28 Nov 2026 14:30:00 GMT", 200)],
)
def test_a_range_holds_only_for_the_file_the_caller_has(condition: str, status: int) -> None:
    """Else it comes whole: half of one file and half of another would be no file."""
    assert wanted({"Range": "bytes=0-9", "If-Range": condition}, TAG, 900).status == status


@pytest.mark.parametrize("condition", [TAG, f"W/{TAG}", f'"x", {TAG}', "*"])
def test_who_has_the_file_is_told_so(condition: str) -> None:
    """Whatever range is asked for besides."""
    part = wanted({"If-None-Match": condition, "Range": "bytes=0-9"}, TAG, 900)

    assert part.status == 304
    assert headers_of(part, TAG, 900) == {"Accept-Ranges": "bytes", "ETag": TAG}


def test_head_tells_of_the_whole() -> None:
    """Range is for GET."""
    part = wanted({"Range": "bytes=0-9"}, TAG, 900, is_head=True)

    assert headers_of(part, TAG, 900) == {"Accept-Ranges": "bytes", "ETag": TAG, "Content-Length": "900"}


def test_a_part_says_which_it_is() -> None:
    """And of what length the file is where there is none."""
    assert headers_of(wanted({"Range": "bytes=-10"}, TAG, 900), TAG, 900) == {
        "Accept-Ranges": "bytes", "ETag": TAG, "Content-Range": "bytes 890-899/900", "Content-Length": "10",
    }  # fmt: skip
    unsatisfiable = headers_of(wanted({"Range": "bytes=900-"}, TAG, 900), TAG, 900)
    assert unsatisfiable == {"Accept-Ranges": "bytes", "Content-Range": "bytes */900"}


def test_the_path_takes_slashes() -> None:
    """The variable is the rest of the path, which is what the document calls it."""
    assert (FILE.path, FILE.route) == ("/archive/{path}", "/archive/{path:.+}")
