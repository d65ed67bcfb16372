"""Topics on the broker: created as schemas/topics.yaml declares them, described, never changed in place."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
)
from confluent_kafka.cimpl import NewTopic

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import NO_LEADER_YET, RIGHTS_ADVICE, common_config, unavailable
from infra.runtime.kafka.login import check_login
from infra.runtime.kafka_access import SecuredServers
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import (
    CANONICAL_TOPICS,
    DEFAULT_PARTITIONS,
    RAW_TOPICS,
    Topic,
    agreed_partitions,
    catalogue,
)

ADMIN_TIMEOUT_S = 15.0
SHOWN_POLL_S, LEADER_POLL_S = 0.05, 0.1
LED_WITHIN_S = 120.0  # hundreds of new partitions on a small machine, a minute after they are shown
NO_TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # what a broker without topic ids answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A topic as the broker has it; `topic_id` is another one after it was deleted and made again."""

    topic_id: str
    partitions: int


class Bounds(NamedTuple):
    """A partition's log: offsets [start, end), and the epoch of the leader that says so, negative where it does not."""

    start: int
    end: int
    leader_epoch: int


class Topics:
    """The admin protocol; every method blocks, and raises BrokerUnavailable where the broker does not answer."""

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        within_s: float = ADMIN_TIMEOUT_S,
        tuning: Mapping[str, Any] | None = None,
    ) -> None:
        """Connect lazily; `within_s` bounds each question, `tuning` are settings of librdkafka that replace ours."""
        self._admin = AdminClient({**common_config(bootstrap, client_id), **(tuning or {})})
        self._within_s = within_s

    def brokers(self) -> int:
        """Return how many brokers the cluster has, as the one that answers sees it."""
        return len(self._metadata().brokers)

    def partition_counts(self) -> dict[str, int]:
        """Return the partition count of every topic on the broker."""
        return {name: len(topic.partitions) for name, topic in self._metadata().topics.items()}

    def describe(self, names: Collection[str]) -> dict[str, Described]:
        """Return each topic by its name; raise ConfigurationError where one does not exist.

        A broker too old for topic ids answers with its cluster's id instead.
        """
        found = {}
        with self._asking("no description of topics"):
            described = self._admin.describe_topics(
                TopicCollection(sorted(names)), request_timeout=self._within_s
            )
            for name, future in described.items():
                try:
                    topic = future.result(self._within_s)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
                    raise ConfigurationError(
                        f"topic {name} does not exist", remedy="run `mds topics apply`"
                    ) from error
                found[name] = Described(topic_id=str(topic.topic_id), partitions=len(topic.partitions))
        if any(topic.topic_id == NO_TOPIC_ID for topic in found.values()):
            cluster = f"cluster {self._cluster_id()}"
            return {name: replace(topic, topic_id=cluster) for name, topic in found.items()}
        return found

    def bounds(
        self, partitions: Sequence[TopicPartition], *, within_s: float | None = None
    ) -> dict[TopicPartition, Bounds]:
        """Return the bounds of each partition's log; two questions, however many there are.

        Of topics just made their leaders answer soon, which is waited for: `within_s` stands in place of the usual time.
        """
        deadline_s = monotonic_s() + (self._within_s if within_s is None else within_s)
        starts = self._offsets(partitions, OffsetSpec.earliest(), deadline_s)  # type: ignore[no-untyped-call]
        ends = self._offsets(partitions, OffsetSpec.latest(), deadline_s)  # type: ignore[no-untyped-call]
        return {
            partition: Bounds(starts[partition].offset, ends[partition].offset, _epoch(ends[partition]))
            for partition in partitions
        }

    def create(
        self,
        topics: Mapping[str, Topic],
        *,
        partitions: int,
        replication: int | None = None,
        changed: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Create the topics by name, `partitions` each unless it has its own; return those nobody else created.

        `changed` are settings of the broker that stand in place of the declared ones.
        """
        if not topics:
            return []
        created = []
        with self._asking("topics could not be created"):
            asked = [
                NewTopic(
                    name,
                    num_partitions=topic.partitions(partitions),
                    replication_factor=replication or -1,
                    config={**topic.config, **(changed or {})},
                )
                for name, topic in topics.items()
            ]
            for name, future in self._admin.create_topics(asked).items():
                try:
                    future.result(self._within_s)
                    created.append(name)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
        return created

    def settings(self, names: Collection[str], key: str) -> dict[str, str]:
        """Return one setting of each topic."""
        asked = {name: ConfigResource(ConfigResource.Type.TOPIC, name) for name in names}
        with self._asking("no settings of topics"):
            answers = self._admin.describe_configs(list(asked.values()), request_timeout=self._within_s)
            return {
                name: str(answers[resource].result(self._within_s)[key].value)
                for name, resource in asked.items()
            }

    def change(self, names: Collection[str], key: str, value: str) -> None:
        """Change one setting of each topic."""
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        changes = [
            ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry]) for name in names
        ]
        with self._asking("settings of topics could not be changed"):
            answers = self._admin.incremental_alter_configs(changes, request_timeout=self._within_s)
            for future in answers.values():
                future.result(self._within_s)

    def _metadata(self) -> Any:
        with self._asking("the broker does not answer"):
            return self._admin.list_topics(timeout=self._within_s)

    def _cluster_id(self) -> str:
        with self._asking("the broker does not name its cluster"):
            answer = self._admin.describe_cluster(request_timeout=self._within_s).result(self._within_s)
            return str(answer.cluster_id)

    def _offsets(
        self, partitions: Sequence[TopicPartition], spec: Any, deadline_s: float
    ) -> dict[TopicPartition, Any]:
        asked = {Place(topic, number): spec for topic, number in partitions}
        with self._asking("the broker does not tell where its logs end"):
            while True:
                answers = self._admin.list_offsets(asked, request_timeout=self._within_s)
                try:
                    return {
                        TopicPartition(place.topic, place.partition): future.result(self._within_s)
                        for place, future in answers.items()
                    }
                except KafkaException as error:
                    if error.args[0].code() not in NO_LEADER_YET or monotonic_s() > deadline_s:
                        raise
                time.sleep(LEADER_POLL_S)

    @contextmanager
    def _asking(self, otherwise: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise unavailable(otherwise, error) from error
        except TimeoutError as error:
            raise BrokerUnavailable(
                f"{otherwise} within {self._within_s:.0f} s; is the broker up?"
            ) from error


def _epoch(told: Any) -> int:
    return -1 if told.leader_epoch is None else int(told.leader_epoch)


def ensure_topics(
    bootstrap: str,
    *,
    prefix: str = "",
    partitions: int | None = None,
    default: int = DEFAULT_PARTITIONS,
    replication: int | None = None,
) -> list[str]:
    """Create every declared topic that is missing, wait until all can be used, and return the names created.

    They get the count of those that are there; where none is, `partitions`, or without it `default`. A count that is
    named must be theirs. `replication` None takes the broker's default. Raises ConfigurationError where counts differ,
    BrokerUnavailable where the broker does not answer. Safe to run from several processes that name one count.
    """
    broker = Topics(bootstrap, "mds-admin")
    existing = broker.partition_counts()
    found = agreed_partitions(existing, prefix=prefix)
    if found is not None and partitions is not None and partitions != found:
        raise ConfigurationError(
            f"the topics{f' of prefix {prefix}' if prefix else ''} have {found} partitions, not {partitions}",
            remedy=f"leave them at {found}, or move their records to topics of another prefix: "
            f"`mds topics move --to-prefix NEW --partitions {partitions}`; a count never changes in place",
        )
    chosen = found or partitions or default
    declared = {prefix + topic.name: topic for topic in catalogue().topics.values()}
    missing = {name: topic for name, topic in declared.items() if name not in existing}
    created = broker.create(missing, partitions=chosen, replication=replication)
    if missing:
        _wait_until_known(broker, declared.keys())
        # Somebody else, who chose another count, may have made some meanwhile.
        counts = broker.partition_counts()
        agreed_partitions(counts, prefix=prefix)
        made = [TopicPartition(name, number) for name in missing for number in range(counts[name])]
        broker.bounds(made, within_s=LED_WITHIN_S)
    return created


def partition_count(
    bootstrap: str, *, prefix: str = "", client_id: str, within_s: float = ADMIN_TIMEOUT_S
) -> int:
    """Return how many partitions the cluster's topics under `prefix` have: the one count of everything by symbol.

    Raises ConfigurationError where a market-data topic is missing, counts differ or the broker refuses us, BrokerUnavailable.
    """
    try:
        existing = Topics(bootstrap, client_id, within_s=within_s).partition_counts()
    except BrokerUnavailable:
        check_login(bootstrap, within_s=within_s)
        raise
    for name in (*RAW_TOPICS, *CANONICAL_TOPICS):
        if prefix + name not in existing:
            raise _absent(bootstrap, f"topic {prefix + name} does not exist")
    count = agreed_partitions(existing, prefix=prefix)
    if count is None:
        raise _absent(bootstrap, "there are no topics")
    return count


def _absent(bootstrap: str, problem: str) -> ConfigurationError:
    # to who may not see a topic a broker says that there is none
    if isinstance(bootstrap, SecuredServers):
        return ConfigurationError(
            f"{problem}, or this user may not see it", remedy=f"run `mds topics apply`, and {RIGHTS_ADVICE}"
        )
    return ConfigurationError(problem, remedy="run `mds topics apply`")


def _wait_until_known(broker: Topics, names: Collection[str]) -> None:
    """Return when the broker's metadata has all topics: it lags behind their creation, and who asks meets none."""
    deadline_s = monotonic_s() + ADMIN_TIMEOUT_S
    while unknown := set(names) - broker.partition_counts().keys():
        if monotonic_s() > deadline_s:
            raise BrokerUnavailable(
                f"the broker does not show {len(unknown)} created topics after {ADMIN_TIMEOUT_S:.0f} s; try again"
            )
        time.sleep(SHOWN_POLL_S)
