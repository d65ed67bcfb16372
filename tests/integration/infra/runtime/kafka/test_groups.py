"""Members of a consumer group on the real broker."""

from __future__ import annotations

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.groups import GroupMember
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS


class Reading:
    """Reads whatever a member is given from its beginning, and keeps what it owns."""

    def __init__(self) -> None:
        self.owned: set[tuple[str, int]] = set()

    def gained(self, member: GroupMember, partitions: frozenset[tuple[str, int]]) -> None:
        """Read them."""
        self.owned |= partitions
        member.read_from(dict.fromkeys(partitions, 0))

    def given_up(self, _: GroupMember, partitions: frozenset[tuple[str, int]]) -> None:
        """Forget them."""
        self.owned -= partitions

    def lost(self, _: GroupMember, partitions: frozenset[tuple[str, int]]) -> None:
        """Forget them."""
        self.owned -= partitions


async def test_what_a_paused_member_owned_is_read_on_after_it_gained_more(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """A rebalance while there is no room must not leave the partitions that stayed paused for ever."""
    topic = topic_prefix + RAW_BARS
    everything = {(topic, number) for number in range(DEFAULT_PARTITIONS)}

    def member(name: str) -> GroupMember:
        return GroupMember(
            kafka_bootstrap, name, group=f"{topic_prefix}group", session_timeout_s=10, cooperative=True
        )

    first, second = member("first"), member("second")
    owned, others = Reading(), Reading()

    def turn() -> None:
        for each in (first, second):
            each.poll(0.05)

    first.join([topic], owned)
    while owned.owned != everything:
        first.poll(0.1)
    first.pause(on=True)
    second.join([topic], others)
    while not others.owned or owned.owned | others.owned != everything:
        turn()
    kept = set(owned.owned)
    second.close()
    while owned.owned != everything:
        first.poll(0.1)
    first.pause(on=False)
    publisher = Publisher(kafka_bootstrap, "test")
    await publisher.publish([Outgoing(topic=topic, partition=number, value=b"x") for _, number in everything])
    publisher.close()
    read: set[tuple[str, int]] = set()
    deadline_s = monotonic_s() + 15
    while read != everything and monotonic_s() < deadline_s:
        message = first.poll(0.1)
        if message is not None and message.error() is None:
            read.add((message.topic() or "", message.partition() or 0))
    first.close()

    assert kept < everything
    assert read == everything
