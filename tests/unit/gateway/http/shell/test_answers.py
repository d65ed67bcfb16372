"""Envelopes, CSV and entity tags, made in slices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.columns import Shown
from gateway.http.shell import answers
from gateway.http.shell.answers import (
    IMMUTABLE,
    REQUEST_ID,
    REVALIDATE,
    ROWS_AT_ONCE,
    Written,
    answer,
    cacheable,
    page,
    table,
)
from gateway.market.bars import TABLE_COLUMNS


def request_of(path: str = "/", *, request_id: str = "a", **headers: str) -> web.Request:
    request = make_mocked_request("GET", path, headers=headers)
    request[REQUEST_ID] = request_id
    return request


async def test_a_table_has_fixed_columns_and_empty_cells() -> None:
    """What a row does not say is empty, not None."""
    row = {"event_time": "t", "open": 0.1, "final": False}
    response = await table(TABLE_COLUMNS, [row], {"as_of": "now", "gaps": [1]}, request_of(), None)
    assert response.text is not None
    assert response.text.split("\r\n")[1] == "t,0.1,,,,,false" + "," * (len(TABLE_COLUMNS) - 7)
    assert (response.headers["X-As-Of"], response.headers["X-Gaps"]) == ("now", "1")
    assert "ETag" not in response.headers
    assert "X-Next-Page-Token" not in response.headers


async def test_the_tag_follows_the_content_and_not_the_request() -> None:
    """Two requests, one tag; other data, other meta or another member, another."""
    tags = []
    for request_id, data, meta, more in (
        ("a", [1], {"as_of": "x"}, {}),
        ("b", [1], {"as_of": "x"}, {}),
        ("c", [2], {"as_of": "x"}, {}),
        ("d", [1], {"as_of": "y"}, {}),
        ("e", [1], {"as_of": "x"}, {"more": 1}),
    ):
        response = await cacheable(data, meta, request_of(request_id=request_id), immutable=True, **more)
        assert response.headers["Cache-Control"] == IMMUTABLE
        tags.append(response.headers["ETag"])
    assert tags[0] == tags[1]
    assert len({*tags}) == 4
    assert tags[0].startswith('W/"')


async def test_data_written_once_is_answered_as_it_would_be_each_time() -> None:
    """The same body and the same tag, however often it is asked for and whatever stands beside it."""
    rows = [{"a": number, "b": None} for number in range(700)]
    written = Written.of(rows)
    for meta, more in (({}, {}), ({"x": 1}, {"next_page_token": "t"}), ({}, {})):
        plain = await cacheable(rows, meta, request_of(), immutable=False, **more)
        once = await cacheable(written, meta, request_of(), immutable=False, **more)

        assert (once.body, once.headers["ETag"]) == (plain.body, plain.headers["ETag"])


async def test_whoever_has_the_tag_gets_no_body() -> None:
    """Listed with others, weak or strong, or any."""
    tag = (await cacheable([1], {}, request_of(), immutable=False)).headers["ETag"]
    for given_ in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        request = request_of(request_id="b", **{"If-None-Match": given_})
        response = await cacheable([1], {}, request, immutable=False)
        assert (response.status, response.body) == (304, None)
        assert response.headers["Cache-Control"] == REVALIDATE


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(JSON_VALUES, max_size=9), st.dictionaries(st.text(), JSON_VALUES, max_size=3), JSON_VALUES)
def test_an_envelope_in_slices_is_the_envelope(rows: list[Any], meta: dict[str, Any], more: Any) -> None:
    """Whatever the slices are, of a list or of rows made when looked at; the id of the request is said once."""
    meta.pop("request_id", None)
    whole = answer(rows, meta, request_of(), more=more)
    for size in (1, 4, 9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(answers, "ROWS_AT_ONCE", size)
            for data in (rows, Shown(rows, lambda each: each)):
                sliced = asyncio.run(page(data, meta, request_of(), more=more))
                assert isinstance(sliced.body, bytes)
                assert isinstance(whole.body, bytes)
                assert orjson.loads(sliced.body) == orjson.loads(whole.body)


class Watched:
    """Counts rows that are made between two turns of the loop."""

    def __init__(self) -> None:
        self.turns, self.rows, self.most = 0, 0, 0

    def show(self, number: int) -> dict[str, int]:
        """Make a row."""
        self.rows += 1
        self.most = max(self.most, self.rows)
        return {"number": number}

    async def turn(self) -> None:
        """Turn with the loop."""
        while True:
            self.turns, self.rows = self.turns + 1, 0
            await asyncio.sleep(0)


@pytest.mark.parametrize("way", ["page", "cacheable", "table"])
async def test_a_page_of_10_000_rows_lets_the_loop_turn(way: str) -> None:
    """After each few hundred of them, which take a core some milliseconds."""
    watched = Watched()
    rows: Sequence[Any] = Shown(range(10_000), watched.show)
    turning = asyncio.create_task(watched.turn())
    await asyncio.sleep(0)

    if way == "page":
        await page(rows, {}, request_of())
    elif way == "cacheable":
        await cacheable(rows, {}, request_of(), immutable=False)
    else:
        await table(["number"], rows, {"as_of": "now", "gaps": []}, request_of(), None, immutable=False)

    turning.cancel()
    assert watched.most == ROWS_AT_ONCE <= 250
    assert watched.turns >= 10_000 / ROWS_AT_ONCE


async def test_a_table_has_a_tag_of_all_that_it_says() -> None:
    """Of its rows, however many, its moment, its gaps and its next page; who has it is told so."""
    rows = [{"a": number} for number in range(600)]
    changed = [*rows[:-1], {"a": 0}]
    said: list[tuple[Sequence[Any], Mapping[str, Any], str | None]] = [
        (rows, {"as_of": "x", "gaps": []}, None), (changed, {"as_of": "x", "gaps": []}, None),
        (rows, {"as_of": "y", "gaps": []}, None), (rows, {"as_of": "x", "gaps": [1]}, None),
        (rows, {"as_of": "x", "gaps": []}, "next"),
    ]  # fmt: skip
    tags = set[str]()
    for of, meta, token in said:
        made = await table(["a"], of, meta, request_of(), token, immutable=True)
        assert made.headers["Cache-Control"] == IMMUTABLE
        known = request_of(request_id="b", **{"If-None-Match": made.headers["ETag"]})
        again = await table(["a"], of, meta, known, token, immutable=False)
        assert (again.status, again.headers["Cache-Control"]) == (304, REVALIDATE)
        tags.add(made.headers["ETag"])
    assert len(tags) == len(said)


async def test_the_next_page_is_linked() -> None:
    """By the same query with its token, in every form; the last page has no next."""
    path = "/rows?limit=3&symbol=A%2FB&page_token=old"
    linked = '</rows?limit=3&symbol=A/B&page_token=new>; rel="next"'
    members = {"next_page_token": "new"}
    for response in (
        answer([], {}, request_of(path), **members),
        await page([], {}, request_of(path), **members),
        await cacheable([], {}, request_of(path), immutable=False, **members),
        await table(["a"], [], {"as_of": "now", "gaps": []}, request_of(path), "new"),
    ):
        assert response.headers["Link"] == linked
    assert "Link" not in answer([], {}, request_of(path), next_page_token=None).headers
