"""One quote's way through the real processes, followed by ids that its row alone says; a frozen receiver stops none of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from infra.runtime.clock import monotonic_s
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, RAW_QUOTES
from tests.support.eventually import eventually
from tests.support.extras import require_otel
from tests.support.otlp_receiver import ReceivedSpan, Receiver, receiving
from tests.support.system import SERVICES, System, system

WITHIN_S = 120.0
DRAINED_WITHIN_S = 15.0
SYMBOL = "SIM001"
TOKEN = "finnhub-token-of-the-test"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NEWEST = "SELECT raw_offset FROM v_quotes WHERE symbol = $1 ORDER BY position DESC LIMIT 1"
NEWER = "SELECT count(*) FROM v_quotes WHERE symbol = $1 AND raw_offset > $2"


@pytest.fixture
def running(kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path) -> Iterator[System]:
    """Every service, on a market that never closes."""
    require_otel()
    settings = {"MDS_OTEL": "1", "OTEL_BSP_SCHEDULE_DELAY": "200", "PRODUCERS_FINNHUB_TOKEN": TOKEN}
    with system(
        bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path, symbols=[SYMBOL], settings=settings,
    ) as made:  # fmt: skip
        yield made


async def test_a_quote_is_followed_from_its_vendor_to_its_row(
    running: System, topic_prefix: str, database: str
) -> None:
    """By the offset of its row; its reader's request is found by the trace it named. No secret is in anything sent."""
    async with receiving() as receiver:
        running.env["MDS_OTEL_ENDPOINT"] = receiver.url
        running.start("simulator")
        await running.ready("simulator")
        await running.start_services()
        connection = await asyncpg.connect(database)
        offset = await eventually(lambda: connection.fetchval(NEWEST, SYMBOL), within_s=WITHIN_S)
        place = f"{topic_prefix}{RAW_QUOTES}/{partition_of(SYMBOL, DEFAULT_PARTITIONS)}/{offset}"
        digest = sha256(place.encode()).hexdigest()
        block = digest[:32], digest[32:48]

        async def is_told() -> bool:
            given = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{running.url}/stocks/{SYMBOL}/price", headers=given) as answer,
            ):
                assert answer.headers["traceparent"][3:35] == TRACE
                return answer.status == 200

        await eventually(is_told, within_s=WITHIN_S)

        await eventually(lambda: _way(receiver, block), within_s=WITHIN_S)
        sent, asked, transaction, batch = _way(receiver, block)
        assert (sent.service, sent.name, sent.parent) == ("mds-producers", f"send {RAW_QUOTES}", "")
        assert sent.attributes["messaging.destination.name"] == topic_prefix + RAW_QUOTES
        assert sent.attributes["messaging.kafka.offset"] == offset
        assert sent.attributes["messaging.destination.partition.id"] == place.split("/")[1]
        assert (asked.kind, asked.attributes["http.response.status_code"]) == (3, 200)
        assert asked.attributes["mds.provider"] == sent.attributes["mds.provider"]
        assert (transaction.service, transaction.name) == ("mds-stream_processors", f"process {RAW_QUOTES}")
        first, last = (
            transaction.attributes[name] for name in ("mds.first_offset", "messaging.kafka.offset")
        )
        assert first <= offset <= last and transaction.attributes["messaging.batch.message_count"] >= 1
        assert (batch.service, batch.attributes["db.system.name"]) == ("mds-sinks", "postgresql")
        await eventually(lambda: [each for each in receiver.spans if each.trace == TRACE], within_s=WITHIN_S)
        request = next(each for each in receiver.spans if each.trace == TRACE)
        assert (request.service, request.attributes["http.route"]) == (
            "mds-gateway",
            "/stocks/{symbol}/price",
        )

        password = running.env["MDS_POSTGRES_DSN"].partition("://")[2].encode()
        assert not any(secret in body for body in receiver.bodies for secret in (TOKEN.encode(), password))

        receiver.frozen = True
        before = await connection.fetchval(NEWEST, SYMBOL)
        await eventually(lambda: connection.fetchval(NEWER, SYMBOL, before), within_s=WITHIN_S)
        await connection.close()
        began_s = monotonic_s()
        codes = await asyncio.gather(*(asyncio.to_thread(running.terminate, name) for name in SERVICES))
        assert codes == [0] * len(SERVICES)
        assert monotonic_s() - began_s < DRAINED_WITHIN_S


def _way(receiver: Receiver, block: tuple[str, str]) -> list[ReceivedSpan]:
    """Return the spans of a block: its sending, the vendor's request, its transaction and its batch; [] where one is missing."""
    sent = [each for each in receiver.spans if (each.trace, each.span) == block]
    polls = {trace for each in sent for trace, _ in each.links}
    # Yahoo's client asks for a cookie first, by a request that is answered with 404.
    asked = [each for each in receiver.named("GET ") if each.trace in polls and not each.failed]
    linked = [each for each in receiver.spans if block in each.links]
    transactions = [each for each in linked if each.name.startswith("process")]
    batches = [each for each in linked if each.name == "store batch"]
    ways = sent, asked, transactions, batches
    return [spans[0] for spans in ways] if all(ways) else []
