"""Questions about a cluster before anything of ours runs on it: who is in it, how its topics are kept, what we may do.

What is written is a transaction that is aborted: it leaves two offsets in one dead-letter partition that nobody sees.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
)
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import (
    IN_FLIGHT_OF_TRANSACTIONS,
    NO_LEADER_YET,
    NOT_ALLOWED,
    Message,
    common_config,
    consumer_config,
    producer_config,
    unavailable,
)
from infra.runtime.kafka.logs import LogEvent, event_of
from schemas.clocks import WallTime
from schemas.errors import BrokerUnavailable

CLIENT = "mds-preflight"
# Begin as those of the services do, so that rights given by prefix hold for them; no service has these.
TRANSACTIONAL_ID, GROUP = "processor-preflight", "sinks-preflight"
VALUE = b"written by `mds preflight` in a transaction that is aborted"
POLL_S = 0.5
FIRST_S = 2.0
ATTEMPT_S = 12.0  # each step of it: a new cluster makes its transaction log first
NOTHING_ELSE: Mapping[int, str] = MappingProxyType({})
# It says forty lines a second of a broker that is away; what is asked says so once.
QUIET: Mapping[str, Any] = {"log_level": 0, "error_cb": lambda _: None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """One broker of a cluster, at the address it gives to clients."""

    number: int
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Brokers that are up, and partition counts of topics by name."""

    brokers: tuple[Broker, ...]
    partitions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic as the broker keeps it; `operations` None: it does not say what we may do with it."""

    replicas: int
    config: Mapping[str, str]
    operations: frozenset[str] | None


class NotAllowed(BrokerUnavailable):
    """A broker refused what a service would do; `what` says it in words."""

    def __init__(self, what: str, says: str) -> None:
        super().__init__(f"{what}: {says}")
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Times around a record that was confirmed, by our clock, and its append time, None where the broker gave none."""

    sent: WallTime
    confirmed: WallTime
    appended: WallTime | None


class Probe:
    """Asks one cluster; every method blocks, for `within_s` a question, and raises BrokerUnavailable."""

    def __init__(self, bootstrap: str, *, prefix: str, within_s: float) -> None:
        """Connect lazily; names begin with `prefix`."""
        self._bootstrap, self._prefix, self._within_s = bootstrap, prefix, within_s

    def cluster(self) -> Cluster:
        """Return who is there, and which topics."""
        with _asking("the broker does not answer"):
            found = self._admin().list_topics(timeout=self._within_s)
        return Cluster(
            brokers=tuple(
                Broker(number=each.id, host=str(each.host), port=each.port) for each in found.brokers.values()
            ),
            partitions={name: len(topic.partitions) for name, topic in found.topics.items()},
        )

    def topics(self, names: Collection[str]) -> dict[str, TopicState]:
        """Return the topics by name; all of them must be there."""
        if not names:
            return {}
        admin, within_s = self._admin(), self._within_s
        resources = {name: ConfigResource(ConfigResource.Type.TOPIC, name) for name in names}
        with _asking("no description of topics"):
            described = admin.describe_topics(
                TopicCollection(sorted(names)), include_authorized_operations=True, request_timeout=within_s
            )
            configs = admin.describe_configs(list(resources.values()), request_timeout=within_s)
            found = {}
            for name, resource in resources.items():
                topic, config = described[name].result(within_s), configs[resource].result(within_s)
                told = topic.authorized_operations
                found[name] = TopicState(
                    replicas=min((len(each.replicas) for each in topic.partitions), default=0),
                    config={key: str(entry.value) for key, entry in config.items()},
                    operations=None if told is None else frozenset(each.name for each in told),
                )
            return found

    def attempt(self, topic: str, now: Callable[[], WallTime]) -> Attempt:
        """Write a record and a group's position in a transaction, abort it, and return when; raise NotAllowed where refused.

        The group, which no service is in, is taken away again where we may; else the broker does so in ten minutes.
        """
        told = list[tuple[KafkaError | None, Message, WallTime]]()
        rights = {
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: f"use the transactional id {self._prefix}{TRANSACTIONAL_ID}",
            KafkaError.TOPIC_AUTHORIZATION_FAILED: f"write to {topic}",
            KafkaError.GROUP_AUTHORIZATION_FAILED: f"keep positions of the group {self._prefix}{GROUP}",
        }
        producer = self._producer()
        with _asking("no transaction could be begun", rights):
            producer.init_transactions(ATTEMPT_S)
            producer.begin_transaction()
        sent = now()
        try:
            with _asking(f"{topic} took no record", rights):
                producer.produce(
                    topic, VALUE, partition=0, on_delivery=lambda *report: told.append((*report, now()))
                )
                producer.flush(FIRST_S)
                # of a record that is refused nothing is reported: the next step of the transaction says so
                self._give_position(producer, topic)
                producer.flush(ATTEMPT_S)
                if not told:
                    raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))  # noqa: SLF001
                error, message, confirmed = told[0]
                if error is not None:
                    raise KafkaException(error)
        finally:
            with suppress(KafkaException):
                producer.abort_transaction(ATTEMPT_S)
            self._take_group_away()
        kind, stamp_ms = message.timestamp()
        appended = WallTime(stamp_ms * 1_000) if kind == TIMESTAMP_LOG_APPEND_TIME else None
        return Attempt(sent=sent, confirmed=confirmed, appended=appended)

    def read(self, topic: str) -> int:
        """Return how many of the last ten offsets of a topic's first partition hold a record that readers see."""
        consumer = Consumer(self._reading())
        try:
            with _asking(f"{topic} cannot be read", {KafkaError.TOPIC_AUTHORIZATION_FAILED: f"read {topic}"}):
                return self._read(consumer, topic)
        finally:
            consumer.close()

    def _read(self, consumer: Any, topic: str) -> int:
        deadline_s, seen = monotonic_s() + self._within_s, 0
        low, high = consumer.get_watermark_offsets(Place(topic, 0), timeout=self._within_s)
        consumer.assign([Place(topic, 0, max(low, high - 10))])
        while monotonic_s() < deadline_s:
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                seen += 1
            elif event_of(error) is LogEvent.END:
                return seen
            elif event_of(error) is not LogEvent.PASSING and error.code() not in NO_LEADER_YET:
                raise KafkaException(error)
        raise BrokerUnavailable(f"{topic} was not read to its end within {self._within_s:g} s")

    def _give_position(self, producer: Producer, topic: str) -> None:
        group = self._prefix + GROUP
        consumer = Consumer({**self._reading(), "group.id": group})
        try:
            producer.send_offsets_to_transaction(
                [Place(topic, 0, 0)], consumer.consumer_group_metadata(), ATTEMPT_S
            )
        finally:
            consumer.close()

    def _take_group_away(self) -> None:
        admin = self._admin()  # held: what it was asked ends with it
        with suppress(KafkaException, TimeoutError):
            group = self._prefix + GROUP
            answers = admin.delete_consumer_groups([group], request_timeout=self._within_s)
            answers[group].result(self._within_s)

    def _admin(self) -> AdminClient:
        return AdminClient({**common_config(self._bootstrap, CLIENT), **QUIET})

    def _producer(self) -> Producer:
        within_ms = int(ATTEMPT_S * 1_000)
        config = {
            **producer_config(self._bootstrap, CLIENT, linger_ms=0),
            **QUIET,
            "transactional.id": self._prefix + TRANSACTIONAL_ID,
            "max.in.flight.requests.per.connection": IN_FLIGHT_OF_TRANSACTIONS,
            "transaction.timeout.ms": within_ms,
            "delivery.timeout.ms": within_ms,
        }
        return Producer(config)

    def _reading(self) -> dict[str, Any]:
        return {**consumer_config(self._bootstrap, CLIENT), **QUIET}


@contextmanager
def _asking(otherwise: str, rights: Mapping[int, str] = NOTHING_ELSE) -> Iterator[None]:
    """Turn the library's errors into ours: a refused right is NotAllowed, in the words of `rights` by its code."""
    try:
        yield
    except KafkaException as error:
        cause = error.args[0]
        if cause.code() in NOT_ALLOWED:
            raise NotAllowed(rights.get(cause.code(), "ask the cluster about this"), cause.str()) from error
        raise unavailable(otherwise, error) from error
    except TimeoutError as error:
        raise BrokerUnavailable(f"{otherwise} in time; is the broker up?") from error
