"""Topics as declared in schemas/topics.yaml, created on the broker; nothing is changed in place."""

from __future__ import annotations

import time
from collections.abc import Collection

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import common_config
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.topics import Topic, catalogue

ADMIN_TIMEOUT_S = 15.0
SHOWN_POLL_S = 0.05


def ensure_topics(bootstrap: str, *, prefix: str = "", replication: int | None = None) -> list[str]:
    """Create every declared topic that is missing, wait until all are known, and return the names created.

    `replication` None takes the broker's default. Raises ConfigurationError where an existing topic has another
    partition count, BrokerUnavailable where the broker does not answer. Safe to run from several processes.
    """
    admin = AdminClient(common_config(bootstrap, "mds-admin"))
    existing = partition_counts(admin)
    declared = {prefix + topic.name: topic for topic in catalogue().topics.values()}
    for name, topic in declared.items():
        if name in existing and existing[name] != topic.partitions:
            raise ConfigurationError(
                f"topic {name} has {existing[name]} partitions, topics.yaml declares {topic.partitions}",
                remedy="restore the declared count; it never changes in place",
            )
    missing = {name: topic for name, topic in declared.items() if name not in existing}
    futures = (
        admin.create_topics([_new(name, topic, replication) for name, topic in missing.items()])
        if missing
        else {}
    )
    created = []
    for name, future in futures.items():
        try:
            future.result(ADMIN_TIMEOUT_S)
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerUnavailable(
                    f"topic {name} could not be created: {error.args[0].str()}"
                ) from error
    if missing:
        _wait_until_known(admin, declared.keys())
    return created


def _wait_until_known(admin: AdminClient, names: Collection[str]) -> None:
    """Return when the broker's metadata has all topics: it lags behind their creation, and who asks meets none."""
    deadline_s = monotonic_s() + ADMIN_TIMEOUT_S
    while unknown := set(names) - partition_counts(admin).keys():
        if monotonic_s() > deadline_s:
            raise BrokerUnavailable(
                f"the broker does not show {len(unknown)} created topics after {ADMIN_TIMEOUT_S:.0f} s; try again"
            )
        time.sleep(SHOWN_POLL_S)


def partition_counts(admin: AdminClient) -> dict[str, int]:
    """Return the partition count of every topic on the broker."""
    try:
        metadata = admin.list_topics(timeout=ADMIN_TIMEOUT_S)
    except KafkaException as error:
        raise BrokerUnavailable(f"the broker does not answer: {error.args[0].str()}; is it up?") from error
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def _new(name: str, topic: Topic, replication: int | None) -> NewTopic:
    return NewTopic(
        name, num_partitions=topic.partitions, replication_factor=replication or -1, config=topic.config
    )
