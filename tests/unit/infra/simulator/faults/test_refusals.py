"""Refusals stand in for the real reply: which fault, which key, and in whose words."""

from __future__ import annotations

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from infra.simulator.faults.refusals import MANNERS, Manners, refused
from infra.simulator.faults.scenario import BanToken, Crumb429, Fault, Hang, Html, StatusFault, ZeroQuote
from infra.simulator.reply import JSON, TEXT, SimulatedReply, json_reply


def words(status: int) -> SimulatedReply:
    """Speak as a vendor that says the number."""
    return json_reply({"said": status}, status)


KEYED = Manners(words=words, keys=lambda request: (request.headers.get("Key", ""),))
POLITE = Manners(
    words=words, keys=KEYED.keys, without_key=json_reply({"error": "Please use an API key."}, 401),
    zero_quote=json_reply({"c": 0}),
)  # fmt: skip
OPEN = Manners(words=words)


def asked(manners: Manners, *faults: Fault, key: str = "k") -> SimulatedReply | None:
    """Return what stands in for the reply to a request with that key, empty for none."""
    app = web.Application()
    app[MANNERS] = {"acme": manners}
    request = make_mocked_request("GET", "/quote", headers={"Key": key} if key else {}, app=app)
    return refused(request, "acme", faults)


def test_without_a_fault_nothing_stands_in() -> None:
    """Also where a fault is of another kind: a hanging reply is the real one, late."""
    assert asked(KEYED) is None
    assert asked(KEYED, Hang(type="hang", s=1)) is None


def test_a_request_without_its_key_is_refused_whatever_else_goes_wrong() -> None:
    """In the vendor's words for it, or in its words for 401; one that wants none has nothing to miss."""
    outage = StatusFault(type="status", status=500)

    assert asked(POLITE, outage, key="") == json_reply({"error": "Please use an API key."}, 401)
    assert asked(KEYED, key="") == words(401)
    assert asked(OPEN, key="") is None


def test_only_the_banned_key_is_refused() -> None:
    """Another key goes on; no later fault hides the ban."""
    ban, outage = BanToken(type="ban_token", token="bad"), StatusFault(type="status", status=500)

    assert asked(KEYED, ban, key="good") is None
    assert asked(KEYED, outage, ban, key="bad") == words(401)


@pytest.mark.parametrize(("retry_after", "headers"), [(None, {}), (7, {"Retry-After": "7"})])
def test_a_status_is_said_in_the_vendors_words(retry_after: int | None, headers: dict[str, str]) -> None:
    """With Retry-After where the scenario gives one."""
    reply = asked(KEYED, StatusFault(type="status", status=429, retry_after=retry_after))

    assert reply is not None
    assert (reply.status, orjson.loads(reply.body), dict(reply.headers)) == (429, {"said": 429}, headers)


@pytest.mark.parametrize(
    ("body", "content_type"), [('{"chart":null}', JSON), (" [1]", JSON), ("Too many", TEXT), ("", TEXT)]
)
def test_a_status_with_a_body_says_that_and_calls_it_what_it_is(body: str, content_type: str) -> None:
    """JSON where it looks like it, else text."""
    reply = asked(KEYED, StatusFault(type="status", status=503, body=body))

    assert reply is not None
    assert (reply.status, reply.body, reply.content_type) == (503, body.encode(), content_type)


def test_the_first_refusal_wins() -> None:
    """In the order of the scenario."""
    reply = asked(KEYED, Html(type="html"), StatusFault(type="status", status=500))

    assert reply is not None
    assert (reply.status, reply.content_type.partition(";")[0]) == (200, "text/html")


def test_a_throttled_crumb_is_a_text_no_client_may_take_for_one() -> None:
    """429 in words."""
    reply = asked(OPEN, Crumb429(type="crumb_429"))

    assert reply is not None
    assert (reply.status, reply.body) == (429, b"Too Many Requests")


def test_zeros_stand_in_only_where_the_vendor_has_such_a_quote() -> None:
    """Elsewhere they stand inside a snapshot, which is not this module's to build."""
    zeros = ZeroQuote(type="zero_quote")

    assert asked(POLITE, zeros) == json_reply({"c": 0})
    assert asked(KEYED, zeros) is None
