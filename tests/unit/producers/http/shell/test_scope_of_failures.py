"""How far a vendor's failure reaches, in hours of virtual time: one endpoint's refusals stop that endpoint alone."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
import pytest

from schemas.intervals import SECOND_US
from tests.support.played_vendors import Answering, Said, a_chart, play_yahoo
from tests.support.virtual_time import BEGIN_US, now_us

pytestmark = pytest.mark.slow

CHART = "/v8/finance/chart/"
QUOTE, CRUMB = "/v7/finance/quote", "/v1/test/getcrumb"
HOURS, SYMBOLS = 2.0, 10
FULL = SYMBOLS * HOURS * 60  # polls of bars


def refusing(*paths: str, says: Said) -> Answering:
    """Return a Yahoo whose charts are well, and which answers so at some paths."""

    def answer(path: str, query: Mapping[str, str]) -> Said:
        if path in paths or (CHART in paths and path.startswith(CHART)):
            return says
        if path.startswith(CHART):
            return a_chart(path, query)
        if path == QUOTE:
            return Said(body=b'{"quoteResponse":{"result":[],"error":null}}')
        return Said(body=b"a.crumb.Fits" if path == CRUMB else b"{}", status=404 if path == "/" else 200)

    return answer


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        ((CRUMB,), Said(429, b"Too Many Requests")),
        ((QUOTE, CRUMB), Said(429, b"Edge: Too Many Requests", {"Retry-After": "60"}, "text/html")),
        ((QUOTE,), Said(429, b"{}", {"Retry-After": "3600"})),
        ((QUOTE,), Said(403, b"{}")),
        ((QUOTE, CRUMB), Said(403, b"Too Many Requests")),
        ((CRUMB,), Said(401, b"{}")),
        ((QUOTE,), Said(503, b"{}")),
        ((QUOTE, CRUMB, "/"), Said(200, b"<html>", content_type="text/html", latency_s=4.0)),
        ((CRUMB,), Said(latency_s=60.0)),
    ],
    ids=[
        *(
            "crumb 429",
            "both 429 for a minute",
            "quote 429 for an hour",
            "quote 403",
            "both 403",
            "crumb 401",
        ),
        *("quote 503", "slow web pages", "crumb in silence"),
    ],
)
def test_bars_go_on_while_quotes_are_refused(
    monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...], says: Said
) -> None:
    """Charts need no crumb and have not been refused: nearly every poll is made, and no symbol waits for two."""
    played = play_yahoo(monkeypatch, refusing(*paths, says=says), hours=HOURS)

    assert len(played.session.times(CHART)) >= 0.98 * FULL
    assert played.longest_wait_s(CHART) <= 125.0
    # what refuses is not asked again and again: an outage once every 15 s
    assert sum(len(played.session.asked[path]) for path in paths if path != "/") < HOURS * 3_600 / 14
    assert list(played.router.turn("bars:1m", "yahoo", ("SPY",)).serve) == ["SPY"]


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        ((QUOTE,), Said(403, b"Your IP address has been blocked", content_type="text/html")),
        ((QUOTE, CRUMB, CHART), Said(999, b"{}")),
        ((QUOTE, CHART), Said(429, b"{}", {"Retry-After": "600"})),
    ],
    ids=["said of the address", "said by status", "two refuse"],
)
def test_a_refusal_of_all_of_us_stops_all(
    monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...], says: Said
) -> None:
    """Where it is said of the address, or a second endpoint refuses, nothing is asked but for one test a pause."""
    played = play_yahoo(monkeypatch, refusing(*paths, says=says), hours=0.4)

    # the first round goes out at once
    assert len([moment for moment in played.session.times("/") if moment > 30.0]) <= 20


def test_a_vendor_that_cannot_be_reached_is_asked_once_every_fifteen_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No endpoint is up where none can be connected to: one probe for all of them, and all are back at once."""
    back_s = 1_200.0

    def answer(path: str, query: Mapping[str, str]) -> Said | BaseException:
        if now_us() < BEGIN_US + back_s * SECOND_US:
            return aiohttp.ConnectionTimeoutError("connecting took too long")
        return refusing(says=Said())(path, query)

    played = play_yahoo(monkeypatch, answer, hours=0.5)
    down = [moment for moment in played.session.times("/") if 60.0 < moment < back_s]

    assert len(down) <= back_s / 15.0 + 1
    assert len([moment for moment in played.session.times(CHART) if moment > back_s]) >= 9 * 10


@pytest.mark.parametrize(
    "body",
    [
        b'{"chart":{"result":[{"meta":{"symbol":1}}],"error":null}}',
        b'{"bars":' + b"[]" * 100_000,
    ],
)
def test_a_format_that_changed_is_told_once_and_asked_like_a_refusal(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """Ten symbols for two hours: one dead letter with its bytes, a request a minute and symbol; quotes go on."""
    played = play_yahoo(monkeypatch, refusing(CHART, says=Said(200, body)), hours=HOURS)

    assert [letter["payload"] for letter in played.raw.dead if letter["topic"] == "raw.bars.v1"] == [body]
    assert len(played.session.times(CHART)) <= SYMBOLS * (HOURS * 60 + 4)
    assert len(played.session.times(QUOTE)) >= 0.95 * HOURS * 240
