"""Partitions of topics, and the one a symbol lives in: Kafka's murmur2, the same in Java, Faust and here."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
MASK = 0xFFFFFFFF


class TopicPartition(NamedTuple):
    """One partition of a topic; equal to the plain pair."""

    topic: str
    partition: int


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 of `data` (unsigned); source: org.apache.kafka.common.utils.Utils.murmur2."""
    length = len(data)
    digest = (SEED ^ length) & MASK
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * MULTIPLIER & MASK
        word = (word ^ word >> 24) * MULTIPLIER & MASK
        digest = (digest * MULTIPLIER & MASK) ^ word
    if length & 3:
        digest = (digest ^ int.from_bytes(data[whole:], "little")) * MULTIPLIER & MASK
    digest = (digest ^ digest >> 13) * MULTIPLIER & MASK
    return digest ^ digest >> 15


@lru_cache(maxsize=65_536)
def partition_of(symbol: str, partitions: int) -> int:
    """Return the partition of `symbol` among `partitions`: what a Java producer keyed by it would choose."""
    return (murmur2(symbol.encode()) & 0x7FFFFFFF) % partitions
