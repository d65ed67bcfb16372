"""Generations of the configuration: numbered texts, as one record each on the compacted topic `configuration.v1`.

The topic has one partition, and generations one key, so compaction keeps the newest for ever and only that one. What a
generation says of the calendars is a record of its own key beside it, which is kept: answers of past moments need it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast, get_args

from schemas.calendar.overlay import CalendarOverlay, overlay_of
from schemas.configuration.model import MAX_FILE_BYTES
from schemas.errors import ConfigurationError, MalformedPayload
from schemas.topics import CONFIGURATION
from schemas.wire.codec import MAX_RECORD_BYTES, decode_value, encode_value

Origin = Literal["api", "signal", "watch", "start"]
KEY = b"generation"
CALENDARS_KEY = b"calendars:"  # and the number of the generation
CALENDARS_ORIGIN = "calendars"  # so that whoever does not look at keys refuses it as a generation
PARTITION = 0
ENVELOPE_BYTES = 256  # of a record besides its text: framing, number, hash, origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generation; `sha256` is of the text as UTF-8, in lower-case hex."""

    generation: int
    sha256: str
    origin: Origin
    text: str


def sha256_of(text: str) -> str:
    """Return what two equal texts have in common."""
    return hashlib.sha256(text.encode()).hexdigest()


def following(newest: Generation | None, text: str, origin: Origin) -> Generation | None:
    """Return the generation a text makes after the newest; None where it is the newest's own text."""
    digest = sha256_of(text)
    if newest is not None and newest.sha256 == digest:
        return None
    number = 1 if newest is None else newest.generation + 1
    return Generation(generation=number, sha256=digest, origin=origin, text=text)


def encode_generation(generation: Generation) -> bytes:
    """Return the record's value; raise ConfigurationError where the text is too large for one record."""
    packed = zlib.compress(generation.text.encode())
    if len(packed) > MAX_RECORD_BYTES - ENVELOPE_BYTES:
        raise ConfigurationError(
            f"the configuration has {len(packed)} bytes compressed, {MAX_RECORD_BYTES - ENVELOPE_BYTES} fit",
            remedy="shorten its comments or list fewer symbols",
        )
    fields = {
        "generation": generation.generation,
        "sha256": generation.sha256,
        "origin": generation.origin,
        "text": packed,
    }
    return encode_value(CONFIGURATION, fields)


def encode_calendars(number: int, overlay: CalendarOverlay) -> tuple[bytes, bytes]:
    """Return key and value of the record that keeps the overlay of generation `number`."""
    closures = {name: sorted(each.closed) for name, each in overlay.markets}
    early_closes = {name: dict(each.early_closes) for name, each in overlay.markets}
    text = json.dumps({"calendar_closures": closures, "calendar_early_closes": early_closes})
    fields = {
        "generation": number,
        "sha256": sha256_of(text),
        "origin": CALENDARS_ORIGIN,
        "text": zlib.compress(text.encode()),
    }
    return CALENDARS_KEY + str(number).encode(), encode_value(CONFIGURATION, fields)


def decode_calendars(value: bytes | None) -> tuple[int, CalendarOverlay]:
    """Return number and overlay in such a record; raise MalformedPayload where it is none, or not its own."""
    number, text = _decoded(value, (CALENDARS_ORIGIN,))[::2]
    try:
        told = json.loads(text)
        return number, overlay_of(told["calendar_closures"], told["calendar_early_closes"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedPayload(f"{CONFIGURATION}: calendars that cannot be read; reload again") from error


def decode_generation(value: bytes | None) -> Generation:
    """Return the generation in a record; raise MalformedPayload where it is none, its text too large or not its own."""
    number, origin, text = _decoded(value, get_args(Origin))
    return Generation(generation=number, sha256=sha256_of(text), origin=cast("Origin", origin), text=text)


def _decoded(value: bytes | None, origins: Collection[str]) -> tuple[int, str, str]:
    """Return number, origin and text."""
    fields = decode_value(CONFIGURATION, value)
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(fields["text"], MAX_FILE_BYTES + 1)
        text = data.decode("utf-8")
    except (zlib.error, UnicodeDecodeError) as error:
        raise MalformedPayload(f"{CONFIGURATION}: the text is not zlib of UTF-8; reload again") from error
    if len(data) > MAX_FILE_BYTES or not inflater.eof:
        raise MalformedPayload(
            f"{CONFIGURATION}: the text is cut or over {MAX_FILE_BYTES} bytes; reload again"
        )
    number, origin = fields["generation"], fields["origin"]
    if fields["sha256"] != sha256_of(text) or number < 1 or origin not in origins:
        raise MalformedPayload(f"{CONFIGURATION}: number, hash and text do not agree; reload again")
    return number, origin, text
