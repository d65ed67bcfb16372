"""Topics of the real broker: how many partitions they get, and what each process that asks is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import pytest
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewPartitions

from infra.runtime.kafka.topics import Topics, ensure_topics, partition_count
from schemas.errors import ConfigurationError
from schemas.topics import BARS, CONFIGURATION, DEFAULT_PARTITIONS, GAPS, QUOTES, RAW_BARS, catalogue
from tests.support.eventually import eventually


def counts(bootstrap: str, prefix: str) -> dict[str, int]:
    """Return how many partitions each topic under the prefix has, by its bare name."""
    found = Topics(bootstrap, "test").partition_counts()
    return {name.removeprefix(prefix): count for name, count in found.items() if name.startswith(prefix)}


def make(bootstrap: str, prefix: str, names: Collection[str], partitions: int) -> None:
    """Create these topics and wait until the broker shows them."""
    declared = {prefix + name: catalogue().topics[name] for name in names}
    Topics(bootstrap, "test").create(declared, partitions=partitions)
    soon(lambda: set(names) <= counts(bootstrap, prefix).keys())


def soon(holds: Callable[[], bool]) -> None:
    """Wait until the broker's metadata shows what was made or changed."""
    asyncio.run(eventually(holds, within_s=15.0))


def asked(bootstrap: str, prefix: str) -> int:
    """Return what a process that starts is told."""
    return partition_count(bootstrap, prefix=prefix, client_id="test")


@pytest.mark.parametrize(("chosen", "count"), [(None, DEFAULT_PARTITIONS), (1, 1), (16, 16)])
def test_topics_get_the_count_that_is_chosen(
    kafka_bootstrap: str, bare_prefix: str, chosen: int | None, count: int
) -> None:
    """Every topic but those with one of their own; a second run creates nothing, also where nobody names the count."""
    with pytest.raises(ConfigurationError, match="mds topics apply"):
        asked(kafka_bootstrap, bare_prefix)
    created = ensure_topics(kafka_bootstrap, prefix=bare_prefix, partitions=chosen)

    assert len(created) == len(catalogue().topics)
    found = counts(kafka_bootstrap, bare_prefix)
    assert found.pop(CONFIGURATION) == found.pop(f"{CONFIGURATION}.dead") == 1
    assert set(found.values()) == {count}
    assert asked(kafka_bootstrap, bare_prefix) == count
    assert ensure_topics(kafka_bootstrap, prefix=bare_prefix) == []


def test_what_is_made_can_be_used_at_once(kafka_bootstrap: str, bare_prefix: str) -> None:
    """Each leader answers the first question: a broker shows hundreds of partitions long before it leads them."""
    created = ensure_topics(kafka_bootstrap, prefix=bare_prefix, partitions=32)
    made = counts(kafka_bootstrap, bare_prefix)
    asked = {
        Place(name, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
        for name in created
        for number in range(made[name.removeprefix(bare_prefix)])
    }
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    answers = admin.list_offsets(asked)

    assert {future.result(15.0).offset for future in answers.values()} == {0}


def test_another_count_is_refused_and_the_way_there_named(kafka_bootstrap: str, bare_prefix: str) -> None:
    """Nothing changes in place; a topic that a newer version declares gets the count of the others."""
    make(kafka_bootstrap, bare_prefix, [RAW_BARS], 2)
    with pytest.raises(ConfigurationError, match=r"have 2 partitions, not 3.*mds topics move --to-prefix"):
        ensure_topics(kafka_bootstrap, prefix=bare_prefix, partitions=3)
    assert counts(kafka_bootstrap, bare_prefix) == {RAW_BARS: 2}

    ensure_topics(kafka_bootstrap, prefix=bare_prefix)
    assert counts(kafka_bootstrap, bare_prefix)[GAPS] == 2


def test_a_mix_is_refused_with_the_topics_their_counts_and_the_remedy(
    kafka_bootstrap: str, bare_prefix: str
) -> None:
    """Whoever starts is told, and so is who would add the missing ones."""
    make(kafka_bootstrap, bare_prefix, [BARS, QUOTES], 2)
    make(kafka_bootstrap, bare_prefix, catalogue().topics.keys() - {BARS, QUOTES}, 5)
    told = rf"2: .*{bare_prefix}{BARS}.*5: .*{bare_prefix}{RAW_BARS}.*mds topics move"
    for start in (asked, lambda broker, prefix: ensure_topics(broker, prefix=prefix)):
        with pytest.raises(ConfigurationError, match=told):
            start(kafka_bootstrap, bare_prefix)


def test_a_topic_with_a_count_of_its_own_must_have_it(kafka_bootstrap: str, bare_prefix: str) -> None:
    """Generations of the configuration are one sequence: two partitions would be two."""
    ensure_topics(kafka_bootstrap, prefix=bare_prefix, partitions=2)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_partitions([NewPartitions(bare_prefix + CONFIGURATION, 2)])[
        bare_prefix + CONFIGURATION
    ].result(15)
    soon(lambda: counts(kafka_bootstrap, bare_prefix)[CONFIGURATION] == 2)
    with pytest.raises(ConfigurationError, match=f"{CONFIGURATION} has 2 partitions, it must have 1"):
        asked(kafka_bootstrap, bare_prefix)
