"""Connections: how many there may be, and what becomes of those that say nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.http.proxies import parse_networks
from gateway.http.shell import answers, connections
from gateway.http.shell.connections import RESERVED_DESCRIPTORS, Caps, caps_of, descriptors_for
from tests.support.eventually import eventually
from tests.support.toy_gateway import over_a_connection, said, serving_at
from tests.support.unreadable_bytes import BROKEN_BODIES, CHUNKED, NO_HTTP

ASKED = b"GET /rows HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
TRICKLE = b"GET /rows HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
WITHIN_S = 5.0


@asynccontextmanager
async def mute(
    port: int, count: int, source: str = "127.0.0.1"
) -> AsyncIterator[Sequence[asyncio.StreamWriter]]:
    """Hold connections open that begin to speak and never end."""
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        writer.write(TRICKLE)
        writers.append(writer)
    try:
        yield writers
    finally:
        for writer in writers:
            writer.close()


async def test_one_more_than_there_may_be_is_told_to_come_again() -> None:
    """As a problem, with nothing of it read; there is room as soon as one ends."""
    async with serving_at(caps=Caps(most=3)) as (_, port), mute(port, 3) as writers:

        async def is_refused() -> bool:
            return b" 503 " in await over_a_connection(port, ASKED, within_s=WITHIN_S)

        await eventually(is_refused, within_s=WITHIN_S)
        answered = await over_a_connection(port, b"", within_s=WITHIN_S)
        assert b"Retry-After: 2" in answered
        assert b"too_many_connections" in answered
        writers[0].close()

        async def has_room() -> bool:
            return b" 200 " in await over_a_connection(port, ASKED, within_s=WITHIN_S)

        await eventually(has_room, within_s=WITHIN_S)


async def test_one_address_cannot_take_the_room_of_others() -> None:
    """Slowloris from one address; a client of another is served."""
    async with (
        serving_at(caps=Caps(most=8, of_one_address=2)) as (_, port),
        mute(port, 6, source="127.0.0.2"),
    ):
        for source, status in (("127.0.0.2", b" 503 "), ("127.0.0.3", b" 200 ")):

            async def answers_with(source: str = source, status: bytes = status) -> bool:
                return status in await over_a_connection(port, ASKED, within_s=WITHIN_S, source=source)

            await eventually(answers_with, within_s=WITHIN_S)


async def test_a_trusted_proxy_is_no_address_of_one() -> None:
    """All its clients come from there."""
    proxies = parse_networks("127.0.0.2", setting="GATEWAY_TRUSTED_PROXIES")
    async with (
        serving_at(caps=Caps(of_one_address=2, proxies=proxies)) as (_, port),
        mute(port, 4, source="127.0.0.2"),
    ):
        assert b" 200 " in await over_a_connection(port, ASKED, within_s=WITHIN_S, source="127.0.0.2")


async def test_a_socket_takes_no_place_of_a_plain_connection() -> None:
    """It has its own; together they have a descriptor each."""
    async with (
        serving_at(caps=Caps(most=2, descriptors=4)) as (session, port),
        session.ws_connect("/ws"),
        session.ws_connect("/ws"),
        session.ws_connect("/ws"),
    ):
        assert (await said(session, "GET", "/rows"))[0] == 200
        assert b" 503 " in await over_a_connection(port, ASKED, within_s=WITHIN_S)


async def test_who_trickles_a_header_is_cut_off_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time a connection may be idle."""
    monkeypatch.setattr(connections, "KEEPALIVE_TIMEOUT_S", 0.3)
    async with serving_at() as (session, port):
        cut = asyncio.create_task(over_a_connection(port, TRICKLE, within_s=WITHIN_S))
        assert (await said(session, "GET", "/rows"))[0] == 200
        assert await cut == b""


async def test_who_trickles_a_body_is_told_408_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends with it."""
    monkeypatch.setattr(answers, "BODY_TIMEOUT_S", 0.3)
    slow = b"POST /length HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"
    async with serving_at() as (session, port):
        cut = asyncio.create_task(over_a_connection(port, slow, within_s=WITHIN_S))
        assert (await said(session, "POST", "/length", data=b"12"))[2] == 2
        answered = await cut
        assert answered.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answered


def test_room_is_made_for_every_connection_that_may_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Up to the hard limit of the system; below what is wanted there are fewer connections, and the log says so."""
    limits = [(1_024, 8_192)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))

    caps = caps_of(websockets=4_096, plain=2_048, capped_by_address=True)
    assert (caps.most, caps.of_one_address, caps.descriptors) == (2_048, 512, 6_144)
    assert limits[-1] == (6_144 + RESERVED_DESCRIPTORS, 8_192)
    assert not caplog.records

    caps = caps_of(websockets=20_000, plain=2_048, capped_by_address=False)
    assert (caps.of_one_address, caps.descriptors) == (None, 8_192 - RESERVED_DESCRIPTORS)
    assert [record.message for record in caplog.records] == ["too_few_descriptors"]


def test_a_system_with_a_limit_of_its_own_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some refuse what their hard limit allows."""

    def refuse(*_: object) -> None:
        raise ValueError("too many")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert descriptors_for(1_000) == 256


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_request_is_refused_as_a_problem_and_no_line_of_the_log(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """With an id and the headers every answer has; the connection ends after it."""
    with caplog.at_level(logging.INFO):
        async with serving_at() as (_, port):
            answered = await over_a_connection(port, sent, within_s=WITHIN_S)
    head, _, body = answered[answered.rindex(b"HTTP/1.") :].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    problem = json.loads(body)

    assert (problem["code"], problem["status"], problem["request_id"]) == (
        "bad_request",
        400,
        headers["X-Request-Id"],
    )
    assert head.split(b" ")[1] == b"400"
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert caplog.records == []


@pytest.mark.parametrize("sent", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
async def test_a_body_that_breaks_is_no_fault_of_ours(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused where it is read, and nothing is written down; the connection ends."""
    with caplog.at_level(logging.INFO):
        async with serving_at() as (_, port):
            answered = await over_a_connection(port, sent, within_s=WITHIN_S)

    assert answered.split(b" ")[1] == b"400"
    assert caplog.records == []


@pytest.mark.parametrize("later", [b"zz\r\n", b"4\r\n1"], ids=["breaks", "ends"])
async def test_a_body_that_nobody_reads_may_break_after_the_answer(
    later: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Which was right; the connection ends, and nothing is written down."""
    with caplog.at_level(logging.INFO):
        async with serving_at() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /rows HTTP/1.1\r\n" + CHUNKED)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WITHIN_S)
            writer.write(later)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), WITHIN_S)
            writer.close()

    assert head.split(b" ")[1] == b"200"
    assert caplog.records == []


@pytest.mark.parametrize("encoding", ["chunked", "length"])
async def test_who_leaves_in_the_middle_of_a_body_is_no_fault_of_ours(
    encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is there to be answered, and nothing is written down."""
    framing = (
        "Transfer-Encoding: chunked\r\n\r\n4\r\n1" if encoding == "chunked" else "Content-Length: 9\r\n\r\n1"
    )
    sent = f"POST /length HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{framing}"
    with caplog.at_level(logging.INFO):
        async with serving_at() as (session, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent.encode())
            await said(session, "GET", "/rows")
            writer.close()
            for _ in range(3):
                await said(session, "GET", "/rows")
    assert caplog.records == []
