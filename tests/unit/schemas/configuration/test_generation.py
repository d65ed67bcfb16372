"""Generations as records: whole, checked and bounded."""

from __future__ import annotations

import tracemalloc
import zlib
from base64 import b64encode
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar.overlay import overlay_of
from schemas.configuration.generation import (
    decode_calendars,
    decode_generation,
    encode_calendars,
    encode_generation,
    following,
    sha256_of,
)
from schemas.configuration.model import MAX_FILE_BYTES
from schemas.errors import ConfigurationError, MalformedPayload
from schemas.topics import CONFIGURATION
from schemas.wire.codec import encode_value


def test_numbers_follow_and_the_same_text_is_no_generation() -> None:
    """A → B → A is three."""
    first = following(None, "a", "start")
    assert first is not None
    assert first.generation == 1
    assert following(first, "a", "watch") is None
    second = following(first, "b", "api")
    third = following(second, "a", "signal")
    assert second is not None
    assert third is not None
    assert (second.generation, third.generation, third.origin) == (2, 3, "signal")


@given(st.text())
def test_a_generation_survives_the_wire(text: str) -> None:
    """To the byte."""
    generation = following(None, text, "api")
    assert generation is not None
    assert decode_generation(encode_generation(generation)) == generation


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sha256": sha256_of("other")}, id="another-hash"),
        pytest.param({"generation": 0}, id="no-number"),
        pytest.param({"origin": "nobody"}, id="unknown-origin"),
        pytest.param({"text": b"plain"}, id="not-compressed"),
        pytest.param({"text": zlib.compress(b"text")[:-3]}, id="cut"),
        pytest.param({"text": zlib.compress(b"\xff\xfe")}, id="not-utf-8"),
    ],
)
def test_a_record_that_does_not_hold_together_is_refused(changes: dict[str, object]) -> None:
    """Before it is parsed, and without inflating more than a file may have."""
    fields = {"generation": 1, "sha256": sha256_of("text"), "origin": "api", "text": zlib.compress(b"text")}

    with pytest.raises(MalformedPayload, match="reload again"):
        decode_generation(encode_value(CONFIGURATION, fields | changes))


DAYS = st.dates(date(1990, 1, 1), date(2030, 1, 1)).map(str)
CLOSURES = st.dictionaries(st.sampled_from(["XNYS", "XLON", "FX"]), st.frozensets(DAYS, max_size=5))
EARLY = st.dictionaries(
    st.sampled_from(["XNYS", "XTKS"]), st.dictionaries(DAYS, st.just("12:30"), max_size=5)
)


@given(CLOSURES, EARLY, st.integers(1, 1 << 40))
def test_calendars_survive_the_wire(
    closures: dict[str, frozenset[str]], early: dict[str, dict[str, str]], number: int
) -> None:
    """With the number of their generation, under a key of their own; as a generation they are refused."""
    overlay = overlay_of(closures, early)
    key, value = encode_calendars(number, overlay)

    assert key == b"calendars:%d" % number
    assert decode_calendars(value) == (number, overlay)
    with pytest.raises(MalformedPayload, match="do not agree"):
        decode_generation(value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"calendar_closures": 3, "calendar_early_closes": {}}', "x"]
)
def test_calendars_that_say_nothing_are_refused(text: str) -> None:
    """Whatever is wrong with them; and a generation is none."""
    fields = {
        "generation": 1,
        "sha256": sha256_of(text),
        "origin": "calendars",
        "text": zlib.compress(text.encode()),
    }
    with pytest.raises(MalformedPayload, match="reload again"):
        decode_calendars(encode_value(CONFIGURATION, fields))
    generation = following(None, text, "api")
    assert generation is not None
    with pytest.raises(MalformedPayload, match="do not agree"):
        decode_calendars(encode_generation(generation))


def test_a_bomb_is_inflated_no_further_than_a_file_may_be_long() -> None:
    """Fifty kilobytes that stand for fifty megabytes cost what a full file costs."""
    bomb = {"generation": 1, "sha256": "", "origin": "api", "text": zlib.compress(bytes(50_000_000))}
    value = encode_value(CONFIGURATION, bomb)
    tracemalloc.start()
    with pytest.raises(MalformedPayload, match="over 4194304 bytes"):
        decode_generation(value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4 * MAX_FILE_BYTES


def test_bytes_that_are_no_record_are_refused() -> None:
    """Nothing and garbage alike."""
    for value in (None, b"", b"\x00garbage"):
        with pytest.raises(MalformedPayload):
            decode_generation(value)


def test_a_text_that_fits_no_record_is_refused_with_a_remedy() -> None:
    """More noise than a list of symbols ever is; what compresses to less is taken."""
    generation = following(None, Random(1).randbytes(800_000).hex(), "api")
    assert generation is not None
    assert decode_generation(encode_generation(generation)) == generation
    noise = following(None, b64encode(Random(1).randbytes(1_500_000)).decode(), "api")
    assert noise is not None

    with pytest.raises(ConfigurationError, match="list fewer symbols"):
        encode_generation(noise)
