"""CSV and entity tags."""

from __future__ import annotations

from aiohttp.test_utils import make_mocked_request

from gateway.http.shell.answers import IMMUTABLE, REQUEST_ID, REVALIDATE, cacheable, table
from gateway.market.bars import TABLE_COLUMNS


def test_a_table_has_fixed_columns_and_empty_cells() -> None:
    """What a row does not say is empty, not None."""
    response = table(
        TABLE_COLUMNS, [{"event_time": "t", "open": 0.1, "final": False}], {"as_of": "now"}, None
    )
    assert response.text is not None
    assert response.text.split("\r\n")[1] == "t,0.1,,,,,false" + "," * (len(TABLE_COLUMNS) - 7)
    assert response.headers["X-As-Of"] == "now"
    assert "X-Next-Page-Token" not in response.headers


def test_the_tag_follows_the_content_and_not_the_request() -> None:
    """Two requests, one tag; other data, another."""
    tags = []
    for request_id, data in (("a", [1]), ("b", [1]), ("c", [2])):
        request = make_mocked_request("GET", "/")
        request[REQUEST_ID] = request_id
        response = cacheable(data, {"as_of": "x"}, request, immutable=True)
        assert response.headers["Cache-Control"] == IMMUTABLE
        tags.append(response.headers["ETag"])
    assert tags[0] == tags[1] != tags[2]
    assert tags[0].startswith('W/"')


def test_whoever_has_the_tag_gets_no_body() -> None:
    """Listed with others, weak or strong, or any."""
    first = make_mocked_request("GET", "/")
    first[REQUEST_ID] = "a"
    tag = cacheable([1], {}, first, immutable=False).headers["ETag"]
    for given in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        request = make_mocked_request("GET", "/", headers={"If-None-Match": given})
        request[REQUEST_ID] = "b"
        response = cacheable([1], {}, request, immutable=False)
        assert (response.status, response.body) == (304, None)
        assert response.headers["Cache-Control"] == REVALIDATE
