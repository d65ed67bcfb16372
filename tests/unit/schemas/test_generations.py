"""Generations as records: whole, checked and bounded."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode_value
from schemas.errors import ConfigurationError, MalformedPayload
from schemas.generations import decode_generation, encode_generation, following, sha256_of
from schemas.topics import CONFIGURATION


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
        pytest.param({"text": zlib.compress(bytes(50_000_000))}, id="bomb"),
    ],
)
def test_a_record_that_does_not_hold_together_is_refused(changes: dict[str, object]) -> None:
    """Before it is parsed, and without inflating more than a file may have."""
    fields = {"generation": 1, "sha256": sha256_of("text"), "origin": "api", "text": zlib.compress(b"text")}

    with pytest.raises(MalformedPayload, match="reload again"):
        decode_generation(encode_value(CONFIGURATION, fields | changes))


def test_bytes_that_are_no_record_are_refused() -> None:
    """Nothing and garbage alike."""
    for value in (None, b"", b"\x00garbage"):
        with pytest.raises(MalformedPayload):
            decode_generation(value)


def test_a_text_that_fits_no_record_is_refused_with_a_remedy() -> None:
    """Four megabytes of noise, as symbols never are."""
    noise = "".join(chr(33 + (n * n * 7919 + n * 31 + (n >> 7) ** 3) % 90) for n in range(1_700_000))
    generation = following(None, noise, "api")
    assert generation is not None

    if len(zlib.compress(noise.encode())) > 1_048_576:
        with pytest.raises(ConfigurationError, match="list fewer symbols"):
            encode_generation(generation)
