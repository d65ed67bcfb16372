"""No request holds the event loop: not one of 10,000 rows, of any route, nor one of a series of 60,000 vintages."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from typing import Any

from gateway.features import ENDPOINTS
from gateway.http.endpoints import Endpoint, parameters_of
from tests.support.gateway_rest import Rest, rest
from tests.support.loop_turns import watched_turns
from tests.support.stored_vintages import KEY, stored_vintages

MINUTES = 11_000
# 2026-01-12, µs
NOW = 1_768_176_000_000_000
# Of processor time; the goal is 20 ms, and a machine of CI is half as fast.
HELD_AT_MOST_S = 0.04
FILL = f"""
    SELECT make_partitions(name, ARRAY(SELECT generate_series('2025-12-01 UTC'::timestamptz, '2026-02-01 UTC', '1 month')))
        FROM unnest(ARRAY['bars', 'bars_superseded']) name;
    INSERT INTO streams SELECT stream_id_of('bars', '1m', 'yahoo', 'BTC-USD'), 'bars', '1m', 'yahoo', 'BTC-USD', 0,
        '2026-01-02 UTC', '2026-01-12 UTC';
    INSERT INTO bars
    SELECT stream_id_of('bars', '1m', 'yahoo', 'BTC-USD'), opened, n::bigint << 16, 100, 101, 99, 100.5, 1000, NULL, NULL,
        opened + interval '61 s', opened + interval '61 s', 0, 3, 'USD'
    FROM generate_series(0, {MINUTES - 1}) n, LATERAL (SELECT '2026-01-02 UTC'::timestamptz + n * interval '1 minute') m (opened);
    INSERT INTO gaps
    SELECT n::text, 'bars.1m:yahoo:BTC-USD', 'BTC-USD', 'yahoo', '1m', from_time, from_time + interval '1 minute', 'missing_bars',
        'inferred', 'open', 0, 1, 'sink', from_time, n, 0, 0
    FROM generate_series(1, {MINUTES}) n, LATERAL (SELECT '2026-01-01 UTC'::timestamptz - n * interval '2 minutes') t (from_time);
"""  # noqa: S608 - numbers alone are put into it
VALUES = {
    "symbol": "BTC-USD",
    "interval": "1m",
    "source": "yahoo",
    "cause": "a",
    "job_id": "a" * 32,
    "path": "a",
}
WIDE = ({"start": "2026-01-02", "end": "2026-01-12"}, {"interval": "1m"}, {"symbol": "BTC-USD"})


def asked(endpoint: Endpoint[Any], **more: str) -> str:
    """Return the widest request of an endpoint."""
    path = re.sub(r"{(\w+)}", lambda name: VALUES.get(name[1], "1"), endpoint.path)
    known = parameters_of(endpoint.query)
    query = {
        name: value
        for each in WIDE
        for name, value in each.items()
        if name in known and f"{{{name}}}" not in endpoint.path
    }
    if "limit" in known:
        query["limit"] = str(known["limit"].kind.schema()["maximum"])
    return f"{path}?{'&'.join(f'{name}={value}' for name, value in (query | more).items())}"


async def got(gateway: Rest, path: str) -> int:
    """Return the length of an answer, read by a thread: what is watched is the gateway's work alone."""

    def read() -> int:
        try:
            with urllib.request.urlopen(gateway.url + path, timeout=30) as answer:  # noqa: S310 - of loopback
                return len(answer.read())
        except urllib.error.HTTPError as error:
            return len(error.read())

    return await asyncio.to_thread(read)


async def test_no_route_holds_the_loop_at_10_000_rows(database: str) -> None:
    """Each GET of the route table, as wide as it may be asked; rows and tables, compressed or not, made of shorter or not."""
    async with rest(database) as gateway:
        await gateway.database.execute(FILL)
        gateway.clock.now = NOW
        await gateway.complete_before(NOW)
        paths = [
            asked(endpoint)
            for endpoint in ENDPOINTS
            if endpoint.method == "GET" and endpoint.scope in ("read", "public")
        ]
        history = next(endpoint for endpoint in ENDPOINTS if endpoint.path == "/stocks/{symbol}/history")
        paths += [
            asked(history, format="csv"),
            asked(history, interval="5m"),
            asked(history, revisions="all"),
            asked(history, as_of="2026-01-11T12:00:00Z"),
        ]
        held, sizes = {}, {}
        for path in paths:
            # the first one loads and compiles
            await got(gateway, path)
            with watched_turns() as turns:
                sizes[path] = await got(gateway, path)
            held[path] = turns.longest_s, turns.whose
        assert [path for path in paths[-4:] if sizes[path] < 500_000] == []
        assert {path: found for path, found in held.items() if found[0] > HELD_AT_MOST_S} == {}


async def test_a_series_of_60_000_vintages_does_not_hold_the_loop(database: str) -> None:
    """Its history as wide as it may be asked for, from its beginning and its end, and its newest value."""
    history = f"/factors/macro/{KEY}/history"
    paths = [
        f"{history}?revisions=all&units=pc1&limit=10000",
        f"{history}?revisions=first&units=chg&limit=10000&knowledge=known",
        f"{history}?limit=10000&as_of=2024-01-01T00:00:00Z",
        f"{history}?start=2024-01-01&units=pca&revisions=all",
        f"/factors/macro?keys={KEY}&units=pc1",
        "/factors/macro",
    ]
    held: dict[str, tuple[float, str]] = {}
    async with rest(database) as gateway:
        await gateway.database.execute(stored_vintages(periods=20_000, vintages=3))
        await gateway.complete_before(NOW)
        sizes = {}
        for path in paths:
            # the first one loads and compiles
            await got(gateway, path)
            with watched_turns() as turns:
                sizes[path] = await got(gateway, path)
            held[path] = turns.longest_s, turns.whose
    assert [path for path in paths[:3] if sizes[path] < 1_000_000] == []
    assert {path: found for path, found in held.items() if found[0] > HELD_AT_MOST_S} == {}
