"""Vendor HTTP against servers that misbehave: every failure is one of ours, bounded, and tells no secret."""

from __future__ import annotations

import asyncio
import gzip
import traceback

import pytest
from aiohttp import web

from infra.runtime.clock import monotonic_s
from infra.runtime.metrics import REGISTRY
from producers.budget.limits import VendorLimits
from producers.http.shell.body import MAX_KEPT_BYTES, MalformedResponse
from producers.http.shell.breaker import FAILURES_TO_OPEN, CircuitOpen
from producers.http.shell.client import ATTEMPTS, MAX_BODY_BYTES, VendorHttp, vendor_session
from schemas.errors import (
    BudgetExhausted,
    MarketDataError,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from schemas.providers.facts import ANY_VENDOR, Limits, RefusalWords
from tests.conftest import free_port
from tests.support.answering_vendor import ANYWHERE, SECRET, answering, serving, vendor
from tests.support.eventually import eventually


def held_back(reason: str) -> float:
    """Return how many requests for quotes a brake of ours has stopped."""
    labels = {"provider": "acme", "endpoint": "quote", "reason": reason}
    return REGISTRY.get_sample_value("mds_provider_held_back_total", labels) or 0.0


def vendor_errors() -> float:
    """Return how many errors of quotes were the vendor's, whatever their code."""
    return sum(
        sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "provider_errors_total" and sample.labels["endpoint"] == "quote"
    )


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param({"status": 429, "headers": {"Retry-After": "7"}}, ProviderThrottled, id="429"),
        pytest.param({"status": 401, "text": SECRET}, ProviderRefused, id="401"),
        pytest.param({"status": 403}, ProviderRefused, id="403"),
        pytest.param({"status": 404}, ProviderRefused, id="404-not-expected"),
        pytest.param({"status": 500}, ProviderUnavailable, id="500"),
        pytest.param({"status": 503}, ProviderUnavailable, id="503"),
        pytest.param({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, ProviderUnavailable, id="redirect"),
        pytest.param({"text": "<html>Will be right back</html>", "content_type": "text/html"}, ProviderUnavailable, id="web-page"),
        pytest.param({"body": b"x" * (MAX_BODY_BYTES + 1)}, MalformedResponse, id="too-large"),
        pytest.param({"body": gzip.compress(b"0" * (4 * MAX_BODY_BYTES)), "headers": {"Content-Encoding": "gzip"}}, MalformedResponse, id="gzip-bomb"),
        pytest.param({"body": b"not gzip", "headers": {"Content-Encoding": "gzip"}}, ProviderUnavailable, id="broken-gzip"),
    ],
)  # fmt: skip
async def test_each_failure_is_ours_and_holds_no_secret(
    response: dict[str, object], expected: type[MarketDataError]
) -> None:
    """Status, page, size or encoding: the right error, and neither message nor traceback shows URL or key."""
    async with vendor(answering(**response)) as (http, url):
        with pytest.raises(expected) as caught:
            await http.get("quote", f"{url}/quote", params={"token": SECRET}, headers={"X-Token": SECRET})

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    if isinstance(caught.value, ProviderThrottled):
        assert caught.value.retry_after_s == 7.0
    if isinstance(caught.value, MalformedResponse):
        assert len(caught.value.payload) <= MAX_KEPT_BYTES


async def test_nobody_listening_is_an_outage_without_the_address() -> None:
    """A refused connection says so by its kind alone."""
    async with vendor_session(ANYWHERE) as session:
        with pytest.raises(ProviderUnavailable) as caught:
            await VendorHttp("acme", session).get("quote", f"http://127.0.0.1:{free_port()}/?token={SECRET}")

    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_a_hanging_vendor_is_left_at_the_deadline() -> None:
    """One attempt, one failure for the breaker, and all of it within the deadline of a request."""
    requests = []

    async def hang(request: web.Request) -> web.Response:
        requests.append(request)
        await asyncio.sleep(30)
        return web.Response()

    async with vendor(hang) as (http, url):
        begun_s = monotonic_s()
        with pytest.raises(ProviderUnavailable, match="no answer"):
            await http.get("chart", url)
        took_s = monotonic_s() - begun_s

    assert len(requests) == 1
    assert 0.5 <= took_s < 30.0  # its deadline, not the vendor's answer
    assert http.breakers.state == "closed"


async def test_our_own_budget_is_not_counted_as_the_vendors_failure() -> None:
    """With the budget used up nothing is sent, the breaker stays closed, and the metric says whose limit it was."""
    before, errors = held_back("budget"), vendor_errors()
    async with vendor(answering(body=b"{}", content_type="application/json")) as (http, url):
        http.gate.limit(VendorLimits(whole=Limits(per_minute=1)))
        await http.get("quote", url)
        with pytest.raises(BudgetExhausted, match=r"raise providers\.acme\.limits\.per_minute"):
            await http.get("quote", url)

    assert (held_back("budget"), vendor_errors()) == (before + 1, errors)
    assert http.breakers.state == "closed"


async def test_what_a_pause_or_an_open_circuit_stops_is_no_error_of_the_vendors() -> None:
    """The answers that led there are counted once each; what was never sent is not."""
    before = held_back("pause"), held_back("circuit"), vendor_errors()
    async with vendor(answering(status=429, headers={"Retry-After": "30"})) as (http, url):
        for _ in range(4):
            with pytest.raises(ProviderThrottled):
                await http.get("quote", url)
    async with vendor(answering(status=500)) as (http, url):
        while http.breakers.state == "closed":
            with pytest.raises(ProviderUnavailable):
                await http.get("quote", url)
        sent = vendor_errors()
        for _ in range(3):
            with pytest.raises(CircuitOpen):
                await http.get("quote", url)

    assert held_back("pause") == before[0] + 3
    assert held_back("circuit") >= before[1] + 3
    assert (vendor_errors(), sent) == (sent, before[2] + 1 + FAILURES_TO_OPEN)


async def test_a_request_we_gave_up_is_no_error_of_the_vendors() -> None:
    """A reload or the end of the process cancels what is under way."""
    asked = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        asked.set()
        await asyncio.sleep(30)
        return web.Response()

    before = vendor_errors()
    async with vendor(hang, deadline_s=20.0) as (http, url):
        asking = asyncio.ensure_future(http.get("quote", url))
        await asked.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    assert vendor_errors() == before


@pytest.mark.parametrize("in_words", [False, True])
async def test_a_ban_is_counted_as_one(*, in_words: bool) -> None:
    """By its status, or by its words; and the series is there before."""
    words = ANY_VENDOR + RefusalWords(banned_statuses=() if in_words else (418,))
    status = 403 if in_words else 418

    def counted() -> float | None:
        labels = {"provider": "acme", "endpoint": "banning", "code": "banned"}
        return REGISTRY.get_sample_value("provider_errors_total", labels)

    async with vendor(answering(body=b"{}", content_type="application/json")) as (http, url):
        await http.get("banning", url)
    before = counted()
    async with vendor(answering(status=status, text="Too Many Requests"), words=words) as (http, url):
        with pytest.raises(ProviderBanned):
            await http.get("banning", url)

    assert before is not None
    assert counted() == before + 1


async def test_a_body_cut_short_is_an_outage() -> None:
    """A connection lost in the middle of an answer is asked again, not parsed."""
    requests = []

    async def cut(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"chart"')
        assert request.transport is not None
        request.transport.close()
        return response

    async with vendor(cut, deadline_s=20.0) as (http, url):  # room for all attempts on any machine
        with pytest.raises(ProviderUnavailable):
            await http.get("chart", url)

    assert len(requests) == ATTEMPTS


async def test_while_throttled_the_vendor_is_not_asked_at_all() -> None:
    """One 429 pauses its endpoint, that of a second one the provider; nothing is sent until the time is over."""
    requests = []

    async def throttle(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response(status=429, headers={"Retry-After": "30"})

    async with vendor(throttle) as (http, url):
        for endpoint in ("chart", "chart", "quote", "quote", "crumb", "chart"):
            with pytest.raises(ProviderThrottled) as caught:
                await http.get(endpoint, url)
            assert caught.value.retry_after_s is not None
            assert 0.0 < caught.value.retry_after_s <= 30.0

    assert len(requests) == 2
    assert http.breakers.state == "closed"


async def test_an_outage_is_retried_and_the_answer_taken() -> None:
    """A single 500 costs a fraction of a second, not a poll."""
    statuses = [500, 200]

    async def once(_: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0), body=b"{}", content_type="application/json")

    async with vendor(once) as (http, url):
        answer = await http.get("chart", url)

    assert (answer.status, answer.body) == (200, b"{}")


async def test_sixty_four_requests_to_one_vendor_are_under_way_at_once_and_another_is_asked_meanwhile() -> (
    None
):
    """Over one session: no connection is waited for, so that none of it looks like a vendor that does not answer."""
    arrived, all_there = list[str](), asyncio.Event()

    async def hold(request: web.Request) -> web.Response:
        if request.path == "/quick":
            return web.json_response({})
        arrived.append(request.path)
        if len(arrived) == 64:
            all_there.set()
        await all_there.wait()
        return web.json_response({})

    async with serving(hold) as url, vendor_session(ANYWHERE) as session:
        slow = VendorHttp("slow", session, deadline_s=20.0)
        slow.gate.limit(VendorLimits(whole=Limits(concurrency=64)))
        first = [asyncio.ensure_future(slow.get("chart", f"{url}/slow")) for _ in range(60)]
        await eventually(lambda: len(arrived) == 60, within_s=15.0)
        assert (await VendorHttp("quick", session).get("chart", f"{url}/quick")).status == 200
        rest = [asyncio.ensure_future(slow.get("chart", f"{url}/slow")) for _ in range(4)]
        answers = await asyncio.gather(*first, *rest)

    assert [answer.status for answer in answers] == [200] * 64
    assert slow.breakers.worst == "closed"
