"""Every Faust setting exactly-once processing rests on is asserted at start, and each assertion can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from faust.types import TP

from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError
from schemas.topics import RAW_BARS, RAW_TOPICS
from stream_processors.shell.faust_app import (
    BUFFER_BLOCKS,
    ProgressConsumer,
    buffer_blocks,
    build_app,
    check_settings,
    raw_record,
)
from stream_processors.transaction import RawRecord


class Nobody:
    """Owns nothing."""

    async def own(self, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Own nothing."""
        return dict.fromkeys(keys, 0)

    async def set_aside(self) -> None:
        """Nothing to stop."""

    async def release(self) -> None:
        """Nothing to give up."""

    async def feed(self, record: RawRecord) -> None:
        """Nothing to process."""


async def test_the_app_is_what_it_must_be() -> None:
    """One isolated agent for each raw topic, started by progress, under the prefix."""
    app = build_app("127.0.0.1:1", Nobody(), partitions=4, prefix="p.", session_timeout_s=10.0)

    assert app.conf.id == "p.processors"
    assert {name.rpartition(".")[2] for name in app.agents} >= {"v1"}
    assert len(app.agents) == len(RAW_TOPICS)
    assert issubclass(app.transport.Consumer, ProgressConsumer)
    assert app.conf.broker_session_timeout == 10.0
    assert app.conf.broker_request_timeout > app.conf.broker_session_timeout


SECURED = {"MDS_KAFKA": "broker.example:9093,other.example:9093"}
BY_PASSWORD = {
    "MDS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
    "MDS_KAFKA_USERNAME": "me",
    "MDS_KAFKA_PASSWORD": "canary",
}


@pytest.mark.parametrize(
    ("protocol", "more", "expected"),
    [
        ("plaintext", {}, {"security_protocol": "PLAINTEXT"}),
        ("ssl", {}, {"security_protocol": "SSL"}),
        ("sasl_ssl", BY_PASSWORD, {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": "me", "sasl_plain_password": "canary"}),
        ("sasl_plaintext", BY_PASSWORD, {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": "me", "sasl_plain_password": "canary"}),
    ],
)  # fmt: skip
async def test_faust_shows_what_all_our_clients_show(
    protocol: str, more: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    """Its driver is another library, which has TLS from Python; names of brokers are checked."""
    env = {**SECURED, **more, "MDS_KAFKA_SECURITY_PROTOCOL": protocol}
    app = build_app(MdsSettings.from_env(env).bootstrap_servers, Nobody(), partitions=4)
    shown = dict(credentials_to_aiokafka_auth(app.conf.broker_credentials))
    context = shown.pop("ssl_context", None)

    assert shown == expected
    assert (context is not None and context.check_hostname) is protocol.endswith("ssl")
    assert [str(url) for url in app.conf.broker] == [
        f"kafka://{each}" for each in SECURED["MDS_KAFKA"].split(",")
    ]
    assert "canary" not in repr(app.conf.broker_credentials)


@pytest.mark.parametrize("lanes", [3, 12, 48, 192, 768])
def test_what_faust_may_hold_does_not_grow_with_the_partitions(lanes: int) -> None:
    """A block may have 1 MiB; a few of each are needed lest every one waits for the fetcher."""
    assert 4 <= buffer_blocks(lanes) <= 64
    assert lanes * buffer_blocks(lanes) <= max(BUFFER_BLOCKS, lanes * 4)


@pytest.mark.parametrize(
    ("generations", "given_up"),
    [
        pytest.param([1, 2, 3], 0, id="a member all the time"),
        pytest.param([5, 6], 1, id="joined later"),
        pytest.param([1, 3], 1, id="missed one"),
        pytest.param([1, 2, 1], 1, id="the group was made anew"),
    ],
)
async def test_who_missed_a_generation_gives_up_what_it_had_set_aside(
    generations: list[int], given_up: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may have owned it meanwhile, and processed more of it."""
    owner = AsyncMock()
    consumer = ProgressConsumer.__new__(ProgressConsumer)
    consumer.owner = owner
    monkeypatch.setattr(FaustConsumer, "on_partitions_assigned", AsyncMock())
    monkeypatch.setattr(FaustConsumer, "on_partitions_revoked", AsyncMock())
    for generation in generations:
        await consumer.on_partitions_assigned({TP("t", 0)}, generation)
        await consumer.on_partitions_revoked({TP("t", 0)})

    assert owner.release.await_count == given_up
    assert owner.set_aside.await_count == len(generations)


def set_conf(name: str, value: object) -> Callable[[Any], None]:
    """Return a change of one setting."""
    return lambda app: setattr(app.conf, name, value)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(set_conf("stream_wait_empty", value=False), id="stream_wait_empty"),
        pytest.param(set_conf("processing_guarantee", "exactly_once"), id="processing_guarantee"),
        pytest.param(set_conf("topic_allow_declare", value=True), id="topic_allow_declare"),
        pytest.param(set_conf("topic_disable_leader", value=False), id="topic_disable_leader"),
        pytest.param(set_conf("worker_redirect_stdouts", value=True), id="worker_redirect_stdouts"),
        pytest.param(lambda app: setattr(app.boot_strategy, "enable_web", True), id="web"),
        pytest.param(lambda app: app.Table("t"), id="tables"),
        pytest.param(
            lambda app: setattr(next(iter(app.agents.values())), "concurrency", 2), id="concurrency"
        ),
        pytest.param(
            lambda app: setattr(next(iter(app.agents.values())), "isolated_partitions", False), id="isolation"
        ),
        pytest.param(lambda app: setattr(app.transport, "Consumer", object), id="consumer"),
    ],
)
@pytest.mark.filterwarnings("ignore:Setting new value for configuration key")
async def test_a_trap_opened_again_stops_the_start(spoil: Callable[[Any], None]) -> None:
    """Each of these loses, repeats or exposes something silently."""
    app = build_app("127.0.0.1:1", Nobody(), partitions=4)
    spoil(app)

    with pytest.raises(ConfigurationError, match="Faust"):
        check_settings(app)


def message(**changes: Any) -> Any:
    """Return a message as Faust hands it to an agent."""
    fields = {
        "topic": f"p.{RAW_BARS}",
        "partition": 2,
        "offset": 9,
        "timestamp": 1_763_829_999.123,
        "headers": [],
        "timestamp_type": 1,
        "key": None,
        "value": b"v",
    }
    return SimpleNamespace(**(fields | changes))


@pytest.mark.parametrize("millisecond", [0, 1, 499, 999])
def test_append_time_survives_the_float(millisecond: int) -> None:
    """Faust divides milliseconds by 1,000; the microseconds are whole milliseconds again."""
    stamp = 1_763_829_999_000 + millisecond

    assert raw_record(message(timestamp=stamp / 1_000.0), "p.").append_time == stamp * 1_000


def test_a_topic_stamped_by_its_producers_is_refused() -> None:
    """Knowledge time is the broker's; anything else would let a producer rewrite the past."""
    with pytest.raises(ConfigurationError, match="LogAppendTime"):
        raw_record(message(timestamp_type=0), "p.")


def test_a_moved_record_keeps_the_stamp_another_log_gave_it() -> None:
    """Its header says where it was; a record of a producer has none."""
    headers = [("mds-moved-from", b"3/17/1763829999500007")]
    moved = raw_record(message(timestamp_type=0, timestamp=1_763_829_999.5, headers=headers), "p.")
    forged = raw_record(message(headers=headers), "p.")  # what the broker stamped was not moved

    assert (moved.append_time, moved.moved) == (1_763_829_999_500_007, True)
    assert (forged.append_time, forged.moved) == (1_763_829_999_123_000, False)
    with pytest.raises(ConfigurationError, match="LogAppendTime"):
        raw_record(message(timestamp_type=0, headers=[("traceparent", b"1")]), "p.")
