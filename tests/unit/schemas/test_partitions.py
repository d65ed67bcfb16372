"""Kafka's murmur2, against the vectors of Kafka's own test."""

from __future__ import annotations

import pytest

from schemas.partitions import murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_equals_kafkas(data: bytes, expected: int) -> None:
    """Signed as Java prints it; vectors from org.apache.kafka.common.utils.UtilsTest."""
    assert murmur2(data) == expected & 0xFFFFFFFF


def test_a_partition_is_within_the_count() -> None:
    """The sign bit is cleared before the modulo, as Java does."""
    assert {partition_of(f"S{number}", 4) for number in range(200)} == {0, 1, 2, 3}
