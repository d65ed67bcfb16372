"""Values of a raw block's events read straight from their Avro bytes, three times as fast as the general reader.

Only the usual spelling is understood: texts below 64 bytes, times between 1978 and 2540, small numbers in a byte or two.
Anything else raises Unusual, and the general reader decides; a property test holds the two to equal results. Which
values follow one another is written out in `schemas.wire.generated_readers`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import itemgetter
from struct import Struct
from typing import Any

Read = tuple[list[dict[str, Any]], list[bytes], int]
"""The events, the bytes each one's canonical record begins with, and the position after them."""

LONG_TEXT = 0x81  # set in the first byte of a text that is negative or 64 bytes and longer


class Unusual(Exception):
    """The bytes are not spelt the usual way; they may still be right."""


def text(data: bytes, pos: int) -> tuple[str, int]:
    """Read a text of at most 63 bytes."""
    size = data[pos]
    if size & LONG_TEXT:
        raise Unusual
    pos += 1
    end = pos + (size >> 1)
    return data[pos:end].decode(), end


def small(data: bytes, pos: int) -> tuple[int, int]:
    """Read a number from 0 to 8,191."""
    first = data[pos]
    if first < 0x80:
        value, pos = first, pos + 1
    elif data[pos + 1] < 0x80:
        value, pos = first & 0x7F | data[pos + 1] << 7, pos + 2
    else:
        raise Unusual
    if value & 1:
        raise Unusual
    return value >> 1, pos


def moment(data: bytes, pos: int) -> int:
    """Read a positive number spelt in exactly 8 bytes of 7 bits, the lowest first: halves are joined in three steps."""
    value = int.from_bytes(data[pos : pos + 8], "little")
    if value & 0x8080808080808081 != 0x0080808080808080:
        raise Unusual
    value &= 0x7F7F7F7F7F7F7F7F
    value = (value & 0x007F007F007F007F) | ((value & 0x7F007F007F007F00) >> 1)
    value = (value & 0x00003FFF00003FFF) | ((value & 0x3FFF00003FFF0000) >> 2)
    value = (value & 0x000000000FFFFFFF) | ((value & 0x0FFFFFFF00000000) >> 4)
    return value >> 1


def whole(data: bytes, pos: int) -> tuple[int, int]:
    """Read a number of up to 64 bits, however it is spelt."""
    value, shift = 0, 0
    while (byte := data[pos]) >= 0x80:
        value |= (byte & 0x7F) << shift
        pos, shift = pos + 1, shift + 7
    value |= byte << shift
    if value >= 1 << 64:
        raise Unusual
    return value >> 1 ^ -(value & 1), pos + 1


def present(data: bytes, pos: int) -> int:
    """Return the position after the branch of a nullable value that is there."""
    if data[pos] != 2:
        raise Unusual
    return pos + 1


def nulls(data: bytes, pos: int, number: int) -> int:
    """Return which of the `number` nullable doubles at `pos` are there, as bits."""
    bits = 0
    for place in range(number):
        if data[pos]:
            bits |= 1 << place
            pos = present(data, pos) + 8
        else:
            pos += 1
    return bits


@cache
def optional_doubles(
    number: int, bits: int
) -> tuple[Struct, Callable[..., Any], tuple[int, ...], Callable[..., Any]]:
    """Return, for one pattern of nulls: layout, getter of the branches, what they must be, getter of the values.

    The values' getter takes what was unpacked and a None after it.
    """
    there = [bool(bits >> place & 1) for place in range(number)]
    layout = Struct("<" + "".join("Bd" if value else "B" for value in there))
    tags, values, place = [], [], 0
    for value in there:
        tags.append(place)
        values.append(place + 1 if value else -1)
        place += 2 if value else 1
    return layout, itemgetter(*tags), tuple(2 if value else 0 for value in there), itemgetter(*values)
