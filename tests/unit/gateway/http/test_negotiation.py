"""Media types that are accepted, and those that are read."""

from __future__ import annotations

import pytest

from gateway.features import ENDPOINTS
from gateway.http.endpoints import CSV, JSON
from gateway.http.negotiation import JSON_V1, check_body, chosen, offered
from gateway.http.problems import Problem
from gateway.market.bars_request import HISTORY
from gateway.operations.schema_endpoints import LOOKUP
from gateway.operations.shell.configuration import VALIDATE
from tests.support.toy_gateway import LENGTH

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        (BROWSER, JSON),
        ("application/*", JSON),
        ("text/csv", CSV),
        ("text/*, application/json;q=0.5", CSV),
        ("text/csv;q=0.5, application/json", JSON),
        ("*/*, application/json;q=0", JSON_V1),
        ("application/VND.mds.v1+JSON", JSON_V1),
        ("image/png, */*;q=0.1", JSON),
    ],
)
def test_the_most_accepted_is_chosen(accept: str | None, media: str) -> None:
    """By weight, then as the endpoint lists them."""
    assert chosen(accept, offered(HISTORY)) == media


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "application/vnd.mds.v2+json",
        "*/*;q=0",
        "application/json;q=nan",
        "application/json;q=x",
        ",",
    ],
)
def test_nothing_that_is_accepted_is_said_with_what_there_is(accept: str) -> None:
    """A version that is not spoken, too."""
    with pytest.raises(Problem) as raised:
        chosen(accept, offered(HISTORY))
    assert (raised.value.status, raised.value.code) == (406, "not_acceptable")
    assert raised.value.detail.endswith(f"{JSON} {JSON_V1} {CSV}")


def test_every_endpoint_that_answers_json_has_its_version_too() -> None:
    """A file, a page and a registry have what they have."""
    for endpoint in ENDPOINTS:
        media = {answer.media for answer in (*endpoint.answers.get(200, ()), *endpoint.answers.get(202, ()))}
        assert (JSON_V1 in offered(endpoint)) is (JSON in media), endpoint.path


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json",
     "application/x-www-form-urlencoded", "application/octet-stream", "text/plain;charset=UTF-8"],
)  # fmt: skip
def test_what_says_json_or_nothing_is_read(content_type: str | None) -> None:
    """Curl says `x-www-form-urlencoded` of anything, and libraries `octet-stream`."""
    check_body(LENGTH, content_type, None)
    check_body(LENGTH, content_type, "identity")


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/csv", "application/xml", "multipart/form-data; boundary=x"]
)
def test_another_type_is_415_with_the_one_that_is_read(content_type: str) -> None:
    """In `Accept-Post` too."""
    with pytest.raises(Problem) as raised:
        check_body(LENGTH, content_type, None)
    assert (raised.value.status, raised.value.headers) == (415, {"Accept-Post": JSON})


def test_a_compressed_body_is_415() -> None:
    """Nothing is unpacked here, so that nothing can unpack without end."""
    with pytest.raises(Problem) as raised:
        check_body(LENGTH, JSON, "gzip")
    assert (raised.value.status, raised.value.headers) == (415, {"Accept-Encoding": "identity"})


def test_a_configuration_may_say_that_it_is_yaml_by_any_of_its_names() -> None:
    """It is text, and JSON is YAML."""
    for media in ("application/yaml", "text/yaml", "text/plain", JSON):
        check_body(VALIDATE, media, None)
    with pytest.raises(Problem):
        check_body(VALIDATE, "text/html", None)


def test_stock_clients_of_the_registry_say_what_they_like() -> None:
    """That API complains of nothing."""
    check_body(LOOKUP, "text/plain", None)
