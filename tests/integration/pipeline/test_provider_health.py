"""Provider health all the way: a real failover is stored, served by REST, told to a WebSocket client, and forgotten."""

from __future__ import annotations

from pathlib import Path

from mds_client import MarketData, Snapshot, State

from infra.runtime.kafka.publisher import Outgoing
from schemas.journals import ProviderHealth
from schemas.topics import PROVIDER_HEALTH
from schemas.wire.codec import encode
from tests.conftest import free_port
from tests.support.builders import a_health
from tests.support.eventually import eventually
from tests.support.failing_over import DEAD, ROUTING, WELL, both_known
from tests.support.gateway_harness import gateway, listening
from tests.support.gateway_rest import Rest, rest
from tests.support.producer_processes import break_vendors, configuration, dead_letters, producer, simulator
from tests.support.sink_records import count, publish, query, sink_process

WITHIN_S = 60.0


def health(prefix: str, record: ProviderHealth, partition: int = 0) -> Outgoing:
    """Return a record for the topic."""
    value = encode(PROVIDER_HEALTH, record)
    return Outgoing(topic=prefix + PROVIDER_HEALTH, partition=partition, key=b"k", value=value)


async def test_a_failover_is_told_stored_and_explained(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Yahoo dies and returns: the client of a stream and the caller of /stats/providers learn who serves, and why."""
    env = configuration(tmp_path, streams=f"quotes: {{providers: [yahoo, finnhub], every_s: 2}}, {ROUTING}")
    async with (
        simulator(speed="1") as (simulation, url),
        gateway(kafka_bootstrap, topic_prefix) as live,
        rest(database) as served,
    ):
        market = MarketData(live.url)
        await market.subscribe("quotes:best:SIM001", "bars.1m:best:SIM001")
        with (
            sink_process(kafka_bootstrap, topic_prefix, database, free_port()),
            producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running,
        ):
            async with listening(market) as heard:
                await eventually(lambda: len(heard.of(Snapshot)) >= 2, within_s=WITHIN_S)
                await both_known(running, "quotes")

                def told(code: str) -> list[State]:
                    return [s for s in heard.of(State) if isinstance(s, State) and s.code == code]

                break_vendors(simulation, DEAD % "yahoo")
                await eventually(lambda: told("failover"), within_s=WITHIN_S)
                during = await eventually(lambda: _chosen(served, "finnhub"), within_s=WITHIN_S, every_s=0.3)
                break_vendors(simulation, WELL)
                await eventually(lambda: told("failback"), within_s=WITHIN_S)
                after = await eventually(lambda: _chosen(served, "yahoo"), within_s=WITHIN_S, every_s=0.3)
                (failover,) = told("failover")
                refreshed = [
                    s for s in heard.of(Snapshot) if isinstance(s, Snapshot) and s.reason == "failover"
                ]
    # bars have no second provider here, nor did theirs change
    assert failover.streams == ["quotes:best:SIM001"]
    assert (failover.fields["provider"], failover.fields["previous"]) == ("finnhub", "yahoo")
    assert failover.fields["reason"] == during["reason"]
    assert [snapshot.stream for snapshot in refreshed] == ["quotes:best:SIM001"] * 2
    by_name = {entry["provider"]: entry for entry in during["providers"]}
    assert by_name["finnhub"]["chosen"]
    assert by_name["yahoo"]["score"] < by_name["finnhub"]["score"]
    assert "503" in by_name["yahoo"]["last_error"]
    assert by_name["yahoo"]["budgets"]["used"]["day"] > 0
    assert by_name["yahoo"]["budgets"]["limits"]["per_minute"] is None  # none on the simulator
    assert by_name["yahoo"]["history"]
    assert [switch["change"] for switch in after["switches"]] == ["failback", "failover", "initial"]
    assert "preferred and was well" in after["reason"]


async def _chosen(served: Rest, provider: str) -> dict[str, object] | None:
    answer = await served.get("/stats/providers", capability="quotes", window="15m")
    entry = next(iter(answer["data"]), None)
    return entry if entry is not None and entry["chosen"] == provider else None


async def test_hostile_health_records_are_dead_lettered_and_the_rest_stored(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """Noise, a score of 2, NUL characters and budgets that are no JSON harm nobody, and each is kept with its reason."""
    bad = [a_health(score=2.0), a_health(reason="\0"), a_health(budgets="x")]
    noise = Outgoing(topic=topic_prefix + PROVIDER_HEALTH, partition=0, key=b"k", value=b"\x00noise")
    good = [a_health(observed_time=1_000_000 * n) for n in range(1, 6)]
    await publish(
        kafka_bootstrap,
        [*(health(topic_prefix, r) for r in bad), noise, *(health(topic_prefix, r) for r in good)],
    )
    with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):

        async def stored() -> bool:
            if await count(database, "provider_health") != len(good):
                return False
            return not await query(database, "SELECT 1 FROM outbox")  # asked last: filled as rows are stored

        await eventually(stored, within_s=WITHIN_S, every_s=0.3)
    positions = await query(
        database, "SELECT next_offset FROM sink_offsets WHERE topic = $1 AND partition = 0", PROVIDER_HEALTH
    )

    assert [row[0] for row in positions] == [len(bad) + 1 + len(good)]
    letters = await dead_letters(kafka_bootstrap, topic_prefix, PROVIDER_HEALTH)
    assert sorted((letter.stage, letter.reason) for letter in letters) == [
        *[("sink", "invalid")] * 3,
        ("sink", "unknown_schema"),
    ]
