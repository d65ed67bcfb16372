"""What COPY is fed with."""

from __future__ import annotations

from infra.runtime.postgres.session import chunks


def test_chunks_join_to_the_whole() -> None:
    """Cutting loses nothing."""
    assert b"".join(chunks(b"abcdefg", 3)) == b"abcdefg"
    assert [len(chunk) for chunk in chunks(b"abcdefg", 3)] == [3, 3, 1]
