"""The release of a broker by the features it names."""

from __future__ import annotations

import struct
import time

import pytest

from infra.runtime.kafka.releases import (
    CORRELATION,
    FEATURE,
    HIGHEST_LEVELS,
    MAX_ANSWER_BYTES,
    Release,
    levels,
    parse_release,
    release_of,
)
from schemas.errors import ConfigurationError


def compact(text: str) -> bytes:
    """Return a text as the protocol writes it."""
    return bytes([len(text) + 1]) + text.encode()


def answer(*features: tuple[str, int], error: int = 0) -> bytes:
    """Return an answer to ApiVersions with two APIs, an unknown tagged field and these features."""
    head = struct.pack(">ih", CORRELATION, error)
    apis = b"\x03" + struct.pack(">hhh", 0, 0, 13) + b"\0" + struct.pack(">hhh", 18, 0, 4) + b"\0"
    named = b"".join(compact(name) + struct.pack(">hh", 1, level) + b"\0" for name, level in features)
    supported = bytes([len(features) + 1]) + named
    epoch = struct.pack(">q", 7)
    tags = b"\x02" + b"\x01\x08" + epoch + b"\x00" + bytes([len(supported)]) + supported
    return head + apis + struct.pack(">i", 0) + tags


def test_the_newest_metadata_version_is_read_between_all_else() -> None:
    """Fields that are not known are passed over."""
    assert levels(answer(("group.version", 1), (FEATURE, 29)))[FEATURE] == 29
    assert levels(answer(("group.version", 1))) == {"group.version": 1}


def test_a_broker_that_refuses_the_question_names_nothing() -> None:
    """One of before 2.4 answers with error 35."""
    assert levels(answer((FEATURE, 29), error=35)) == {}


@pytest.mark.parametrize("size", range(len(answer((FEATURE, 29)))))
def test_an_answer_that_ends_too_soon_is_no_answer(size: int) -> None:
    """Whatever is missing, it is one of the errors that mean so."""
    with pytest.raises((IndexError, struct.error, ValueError)):
        assert levels(answer((FEATURE, 29))[:size])[FEATURE] == 29


@pytest.mark.parametrize("byte", [b"\xff", b"\x80", b"\x7f"])
def test_a_megabyte_of_anything_is_no_answer_and_is_given_up_at_once(byte: bytes) -> None:
    """A number of a million bytes would be worked at for minutes, and a lying broker would hold up everybody."""
    began_s = time.monotonic()
    with pytest.raises((IndexError, struct.error, ValueError)):
        assert levels(struct.pack(">ih", CORRELATION, 0) + byte * MAX_ANSWER_BYTES)[FEATURE]

    assert time.monotonic() - began_s < 10.0


def test_an_answer_to_another_question_is_none() -> None:
    """Somebody else speaks there."""
    with pytest.raises(ValueError, match="another question"):
        levels(struct.pack(">ih", 1, 0))


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (7, "3.6.x"),
        (25, "4.0.x"),
        (26, "4.1.x"),
        (28, "4.2.x"),
        (29, "4.2.x"),
        (30, "4.3.x"),
        (31, "4.4.x"),
        (33, "4.4.x"),
    ],
)
def test_a_level_is_of_one_minor_release(level: int, text: str) -> None:
    """Patches have none of their own."""
    assert str(release_of(level)) == text


def test_what_is_newer_than_this_table_is_not_known() -> None:
    """It is not taken for the newest one that is."""
    assert release_of(HIGHEST_LEVELS[-1][0] + 1) is None
    assert [level for level, _ in HIGHEST_LEVELS] == sorted(level for level, _ in HIGHEST_LEVELS)


@pytest.mark.parametrize(
    ("release", "losing"),
    [
        ("4.2.2", False), ("4.2", False), ("4.3.0", True), ("4.3", True), ("4.3.9", True), ("4.4.0", True), ("4.4", None),
        ("4.4.1", False), ("4.5", False), ("3.9.1", False),
    ],
)  # fmt: skip
def test_the_releases_of_kafka_20734(release: str, losing: bool | None) -> None:
    """4.3.0 to 4.4.0, both included; of 4.4 the patch decides."""
    assert parse_release(release).loses_transactions is losing


@pytest.mark.parametrize("text", ["", "4", "v4.2", "4.2.2-rc1", "4.2.2.2"])
def test_what_is_no_version_is_refused(text: str) -> None:
    """With how one is written."""
    with pytest.raises(ConfigurationError, match="write it like"):
        parse_release(text)


def test_a_release_is_written_as_kafka_writes_it() -> None:
    """With an x where nobody told the patch."""
    assert (str(Release(4, 2, 2)), str(Release(4, 2))) == ("4.2.2", "4.2.x")
