"""Everything Faust: the app, an agent per raw topic, and a consumer that starts where progress says.

Faust brings group membership, partition assignment and fetching. It decides nothing else: its own commits are never
read back, because progress, written with the outputs, is the only truth.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import faust
from aiokafka import codec
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.types import TP

from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.logs import moved_place
from infra.runtime.kafka_access import KafkaAccess, access_of
from schemas.clocks import KnowledgeTime, RawOffset
from schemas.errors import ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import RAW_TOPICS
from stream_processors.transaction import RawRecord

log = logging.getLogger(__name__)

LOG_APPEND_TIME = 1  # aiokafka's timestamp_type
REQUEST_TIMEOUT_S = 120.0  # Faust gives seeking, hence every take-over together, this long
HEARTBEAT_S = 2.0
COMMIT_EVERY_S = 10.0  # shows lag, decides nothing, and takes a while for each partition
BUFFER_BLOCKS = 768  # of all partitions together; a block may hold 1 MiB
PARTITION_BUFFER_BLOCKS = range(4, 64)
# Of a partition at a time, unless one batch holds more: the partitions behind it wait their turn.
FETCH_BYTES = 131_072
POLL_RECORDS = 500
WATCH_S = 0.5
STOP_DEADLINE_S = 9.0


class PartitionOwner(Protocol):
    """The one who processes the records; told what is assigned and revoked."""

    async def own(self, keys: Iterable[TopicPartition]) -> dict[TopicPartition, RawOffset]:
        """Own exactly these partitions, and return the offsets to read from."""

    async def set_aside(self) -> None:
        """Stop working on every partition, ready to go on with those that come back."""

    async def release(self) -> None:
        """Give up every partition, those set aside included."""

    async def feed(self, record: RawRecord) -> None:
        """Process a record, or wait until there is room for it."""


def faust_settings(
    bootstrap: str, *, prefix: str, session_timeout_s: float, partitions: int
) -> dict[str, Any]:
    """Return the settings of the app; each one that is not Faust's default repairs a trap (see `check_settings`)."""
    return {
        "id": f"{prefix}processors",
        "broker": ";".join(f"kafka://{server}" for server in bootstrap.split(",")),
        "broker_credentials": _credentials(access_of(bootstrap)),
        "key_serializer": "raw",
        "value_serializer": "raw",
        "store": "memory://",
        "processing_guarantee": "at_least_once",
        "stream_wait_empty": True,
        "stream_buffer_maxsize": buffer_blocks(len(RAW_TOPICS) * partitions),
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
        "worker_redirect_stdouts": False,
        "consumer_auto_offset_reset": "earliest",
        "broker_max_poll_records": POLL_RECORDS,
        "consumer_max_fetch_size": FETCH_BYTES,
        "broker_session_timeout": session_timeout_s,
        "broker_heartbeat_interval": HEARTBEAT_S,
        "broker_request_timeout": max(REQUEST_TIMEOUT_S, session_timeout_s),
        "broker_commit_interval": COMMIT_EVERY_S,
    }


def _credentials(access: KafkaAccess) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """Return what Faust shows to brokers, None where they do not ask."""
    context = access.ssl_context()
    if access.uses_sasl:
        return faust.SASLCredentials(
            username=access.username,
            password=access.password.get_secret_value(),
            ssl_context=context,
            mechanism=access.sasl_mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)


def buffer_blocks(lanes: int) -> int:
    """Return how many blocks Faust may hold of each of so many raw partitions."""
    least, most = PARTITION_BUFFER_BLOCKS.start, PARTITION_BUFFER_BLOCKS.stop
    return max(least, min(most, BUFFER_BLOCKS // lanes))


def check_settings(app: Any) -> None:
    """Raise ConfigurationError unless every setting and agent is what exactly-once processing rests on."""
    conf = app.conf
    required: Mapping[str, bool] = {
        "stream_wait_empty must be True: False acknowledges a cancelled block": conf.stream_wait_empty
        is True,
        "processing_guarantee must be at_least_once": conf.processing_guarantee.value == "at_least_once",
        "topic_allow_declare must be False: topics.yaml declares topics": conf.topic_allow_declare is False,
        "topic_disable_leader must be True: Faust would add a topic of its own": conf.topic_disable_leader
        is True,
        "the web server must be off: it serves without keys": app.boot_strategy.enable_web is False,
        "stdout must not be redirected: logs are JSON": conf.worker_redirect_stdouts is False,
        "there must be no tables": len(app.tables) == 0,
        "every agent must have concurrency 1 and isolated partitions": all(
            agent.concurrency == 1 and agent.isolated_partitions for agent in app.agents.values()
        ),
        "the consumer must be ours: start positions come from progress": issubclass(
            app.transport.Consumer, ProgressConsumer
        ),
    }
    for rule, holds in required.items():
        if not holds:
            raise ConfigurationError(f"Faust: {rule}", remedy="restore faust_settings()")


def check_codecs() -> None:
    """Raise ConfigurationError unless every compression a producer may choose can be read: one batch would stop all."""
    missing = [
        name
        for name, present in (("lz4", codec.has_lz4), ("snappy", codec.has_snappy), ("zstd", codec.has_zstd))
        if not present()
    ]
    if missing:
        raise ConfigurationError(
            f"aiokafka cannot read {' '.join(missing)}",
            remedy="install cramjam, which market-data-service brings along",
        )


class ProgressConsumer(FaustConsumer):  # type: ignore[misc]  # Faust is untyped
    """Faust's consumer, but it seeks to where progress says and tells the owner what it has."""

    owner: PartitionOwner
    prefix: str
    _assigned = False
    _generation = 0

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Note that the assignment is current, so that seeking takes partitions over.

        What was set aside may only go on where nobody else can have owned it: a member of two generations in a row
        owned in the first what it had, until it gave it up for the second. Whoever missed one gives all of it up.
        """
        if generation_id != self._generation + 1:
            await self.owner.release()
        self._generation = generation_id
        self._assigned = True
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:  # more workers than partitions: nothing will be sought, yet we are a member
            await self.owner.own(())

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop before another worker may begin: the transactions in flight are finished first, and none follow."""
        self._assigned = False
        await super().on_partitions_revoked(revoked)
        await self.owner.set_aside()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Take over the assigned partitions and seek to the offset after their progress; return the positions."""
        if not self._assigned:  # Faust also seeks while a rebalance takes the partitions away
            return {}
        wanted = {
            TopicPartition(tp.topic.removeprefix(self.prefix), tp.partition): tp
            for tp in self.assignment()
            if tp.topic.removeprefix(self.prefix) in RAW_TOPICS
        }
        starts = await self.owner.own(wanted)
        positions = {wanted[key]: offset for key, offset in starts.items()}
        if positions and self._assigned:
            await self._thread.seek_wait(positions)
        return positions


class _App(faust.App):  # type: ignore[misc]  # Faust is untyped
    """Faust's app, leaving no folder behind: there are no tables to keep."""

    def _create_directories(self) -> None:
        """Create none."""


def build_app(
    bootstrap: str,
    owner: PartitionOwner,
    *,
    partitions: int,
    prefix: str = "",
    session_timeout_s: float = 10.0,
) -> Any:
    """Return the Faust app that feeds `owner` the raw topics; call it inside the running event loop."""
    settings = faust_settings(
        bootstrap, prefix=prefix, session_timeout_s=session_timeout_s, partitions=partitions
    )
    app = _App(loop=asyncio.get_running_loop(), **settings)
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    app.boot_strategy.enable_web = False  # web_enabled alone is overridden by the worker command
    app.transport.Consumer = type("OwnedConsumer", (ProgressConsumer,), {"owner": owner, "prefix": prefix})

    async def feed(stream: Any) -> None:
        async for event in stream.events():
            await owner.feed(raw_record(event.message, prefix))

    for name in RAW_TOPICS:
        topic = app.topic(prefix + name, key_serializer="raw", value_serializer="raw", internal=False)
        app.agent(topic, name=name, concurrency=1, isolated_partitions=True)(feed)
    check_settings(app)
    return app


async def run_app(app: Any, leave: Callable[[int], None]) -> None:
    """Run the app until cancelled, then stop it within its deadline; `leave(70)` where it crashed by itself."""
    try:
        await app.start()
        while not app.crashed:  # noqa: ASYNC110 - Faust offers no public event for it
            await asyncio.sleep(WATCH_S)
        log.critical("faust_crashed", extra={"error": repr(app.crash_reason)})
        leave(ExitCode.SOFTWARE)  # a crashed app does not stop in order, and its restart is not to be trusted
    finally:
        async with asyncio.timeout(STOP_DEADLINE_S):
            await app.stop()


def raw_record(message: Any, prefix: str) -> RawRecord:
    """Return a Faust message as ours; raise ConfigurationError where the broker does not stamp the topic.

    A moved record bears the stamp another broker's log gave it.
    """
    stamped = message.timestamp_type == LOG_APPEND_TIME
    moved = None if stamped else moved_place(message.headers or ())
    if not stamped and moved is None:
        raise ConfigurationError(
            f"{message.topic} is stamped by its producers, not by the broker",
            remedy="set message.timestamp.type=LogAppendTime on it (`mds topics apply`)",
        )
    return RawRecord(
        topic=message.topic.removeprefix(prefix),
        partition=message.partition,
        offset=RawOffset(message.offset),
        # Faust gives float seconds of whole milliseconds
        append_time=KnowledgeTime(
            round(message.timestamp * 1_000) * 1_000 if moved is None else moved.known_from_us
        ),
        moved=moved is not None,
        key=message.key,
        value=message.value,
    )
