"""A member of a consumer group, used by the one thread that polls: what its partitions are read from is the caller's to say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import OFFSET_END, Consumer, KafkaException
from confluent_kafka import TopicPartition as Place

from infra.runtime.kafka.clients import Message, consumer_config, unavailable
from schemas.partitions import TopicPartition

HEARTBEAT_MS = 1_000  # a woken zombie learns within this that it lost its partitions
COMMITTED_S = 10.0


class Owner(Protocol):
    """The one who is told what the group gives and takes; called by the polling thread, inside `poll` and `consume`."""

    def gained(self, member: GroupMember, partitions: frozenset[TopicPartition], /) -> None:
        """Own these: eagerly they are all there are, cooperatively they come on top; `read_from` reads them."""

    def given_up(self, member: GroupMember, partitions: frozenset[TopicPartition], /) -> None:
        """Own these no more once this returns; until then nobody else does."""

    def lost(self, member: GroupMember, partitions: frozenset[TopicPartition], /) -> None:
        """Own these no more: the session is over and somebody else may own them already."""


class GroupMember:
    """Joins a group and reads what it is given; nothing is committed by itself, no position comes from the group.

    Not for two threads. Methods raise BrokerUnavailable.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        group: str,
        session_timeout_s: float,
        instance: str | None = None,
        cooperative: bool = False,
        tuning: Mapping[str, Any] | None = None,
    ) -> None:
        """Connect lazily; `join` joins and `close` must be called.

        `instance` keeps its partitions over a restart. `cooperative`: when a member comes or goes only the partitions
        that move stop. `tuning` are settings of librdkafka that replace ours.
        """
        self.group = group
        self._cooperative = cooperative
        self._paused: bool | None = False
        settings: dict[str, Any] = {
            **consumer_config(bootstrap, client_id, group=group),
            "session.timeout.ms": int(session_timeout_s * 1_000),
            "heartbeat.interval.ms": HEARTBEAT_MS,
        }
        if cooperative:
            settings["partition.assignment.strategy"] = "cooperative-sticky"
        if instance is not None:
            settings["group.instance.id"] = instance
        self._consumer = Consumer({**settings, **(tuning or {})})

    def join(self, topics: Sequence[str], owner: Owner) -> None:
        """Ask for partitions of `topics`; `owner` is told what is given, held and not read, and what is taken."""

        def assigned(consumer: Consumer, places: list[Place]) -> None:
            # What comes is not paused and what stays may be: the next word is for all of it.
            self._paused = None
            if not self._cooperative:
                consumer.assign([])
            owner.gained(self, _partitions(places))

        def revoked(consumer: Consumer, places: list[Place]) -> None:
            owner.given_up(self, _partitions(places))
            self._let_go(consumer, places)

        def lost(consumer: Consumer, places: list[Place]) -> None:
            owner.lost(self, _partitions(places))
            self._let_go(consumer, places)

        self._consumer.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def read_from(
        self, positions: Mapping[TopicPartition, int], epochs: Mapping[TopicPartition, int] | None = None
    ) -> None:
        """Read partitions that are owned from these offsets on: eagerly these and no others, cooperatively these too.

        Where `epochs` gives the leader's epoch in which a position was found to be good, a log that is cut before it in
        a later one is told as POSITION_LOST instead of being read on; a negative epoch is not known.
        """
        places = _places(positions, epochs or {})
        if self._cooperative:
            self._consumer.incremental_assign(places)
        else:
            self._consumer.assign(places)

    def poll(self, within_s: float) -> Message | None:
        """Return the next message, None where nothing came within `within_s`."""
        try:
            return self._consumer.poll(within_s)
        except KafkaException as error:
            raise unavailable("polling the group", error) from error

    def consume(self, most: int, within_s: float) -> list[Message]:
        """Return `most` messages, or as many as came within `within_s`."""
        try:
            return self._consumer.consume(most, within_s)
        except KafkaException as error:
            raise unavailable("polling the group", error) from error

    def pause(self, *, on: bool) -> None:
        """Stop fetching or go on, while `poll` keeps the membership."""
        if on != self._paused:
            (self._consumer.pause if on else self._consumer.resume)(self._consumer.assignment())
            self._paused = on

    def skip_to_end(self, partition: TopicPartition) -> None:
        """Go on with what comes next: what the position stood before is no more."""
        self._consumer.seek(Place(*partition, OFFSET_END))

    def commit(self, positions: Mapping[TopicPartition, int], *, wait: bool) -> None:
        """Store positions in the group; without `wait` a refusal is not heard of."""
        if not positions:
            return
        try:
            if wait:
                self._consumer.commit(offsets=_places(positions, {}), asynchronous=False)
            else:
                self._consumer.commit(offsets=_places(positions, {}), asynchronous=True)
        except KafkaException as error:
            raise unavailable("offsets not committed", error) from error

    def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the positions stored in the group; a partition without one is left out."""
        if not partitions:
            return {}
        try:
            found = self._consumer.committed([Place(*each) for each in partitions], timeout=COMMITTED_S)
        except KafkaException as error:
            raise unavailable("no committed offsets", error) from error
        return {
            TopicPartition(place.topic, place.partition): place.offset for place in found if place.offset >= 0
        }

    def known_end(self, partition: TopicPartition) -> int | None:
        """Return the high watermark, an offset, as the last fetch told it, without asking; None where none did."""
        try:
            _, high = self._consumer.get_watermark_offsets(Place(*partition), cached=True)
        except KafkaException:
            return None
        return high

    def close(self) -> None:
        """Leave the group; `Owner.given_up` is called for what is owned."""
        self._consumer.close()

    def _let_go(self, consumer: Consumer, places: list[Place]) -> None:
        if self._paused:
            consumer.resume(places)  # or they would still be paused, unheard of, when they come back
        if self._cooperative:
            consumer.incremental_unassign(places)
        else:
            consumer.unassign()


def _places(positions: Mapping[TopicPartition, int], epochs: Mapping[TopicPartition, int]) -> list[Place]:
    def place(partition: TopicPartition, offset: int) -> Place:
        epoch = epochs.get(partition, -1)
        return Place(*partition, offset) if epoch < 0 else Place(*partition, offset, leader_epoch=epoch)

    return [place(partition, offset) for partition, offset in positions.items()]


def _partitions(places: Collection[Place]) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(place.topic, place.partition) for place in places)
