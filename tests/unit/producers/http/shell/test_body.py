"""Bodies: the cap counts what they inflate to, and no more than the cap is ever inflated."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.http.shell.body import MAX_BODY_BYTES, BrokenEncoding, Inflater, TooLarge, redacted

BOMB_BYTES = 1 << 30  # 1 GiB, about 1 MiB compressed


def inflated(encoding: str, body: bytes, step: int = 65_536, **cap: int) -> bytes:
    inflater = Inflater(encoding, **cap)
    for at in range(0, len(body), step):
        inflater.feed(body[at : at + step])
    return inflater.finished()


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@given(st.binary(max_size=5_000), st.integers(1, 700), st.integers(0, 2))
def test_every_encoding_we_offer_gives_the_body_back(body: bytes, step: int, extra: int) -> None:
    """Whole or in parts of any size; gzip in several members; deflate with and without its header."""
    members = b"".join(gzip.compress(body) for _ in range(extra + 1))

    assert inflated("gzip", members, step) == body * (extra + 1)
    assert inflated("deflate", zlib.compress(body), step) == body
    assert inflated("", body, step) == body


def test_deflate_without_its_header_is_read() -> None:
    """Some servers send what the standard does not say."""
    assert inflated("deflate", raw_deflate(b'{"c":1}' * 100), 10) == b'{"c":1}' * 100


def test_the_cap_counts_inflated_bytes() -> None:
    """Exactly the cap passes; one byte more does not."""
    assert len(inflated("gzip", gzip.compress(b"0" * 1_000), cap=1_000)) == 1_000
    with pytest.raises(TooLarge):
        inflated("gzip", gzip.compress(b"0" * 1_001), cap=1_000)
    with pytest.raises(TooLarge):
        inflated("gzip", gzip.compress(b"0" * 600) * 2, cap=1_000)


def test_a_bomb_takes_no_more_memory_than_the_cap() -> None:
    """A gibibyte of zeros in a megabyte, fed whole: refused, with a few times the cap at the worst moment."""
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    block = b"\0" * (1 << 20)
    first, again = (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    bomb = first + again * ((BOMB_BYTES >> 20) - 1)  # after a full flush the same input is the same output
    assert len(bomb) < 2 << 20
    tracemalloc.start()
    with pytest.raises(TooLarge):
        inflated("gzip", bomb, len(bomb))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 4 * MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", b"not gzip", id="not-gzip"),
        pytest.param("gzip", gzip.compress(b"0123456789" * 50)[:-5], id="cut-short"),
        pytest.param("br", b"", id="never-offered"),
    ],
)
def test_what_is_not_as_its_header_says_is_refused(encoding: str, body: bytes) -> None:
    """Half a body is not taken for a whole one."""
    with pytest.raises(BrokenEncoding):
        inflated(encoding, body)


def test_an_echoed_key_is_struck_out() -> None:
    """A vendor that repeats our key does not bring it into a dead letter; short words are data."""
    assert (
        redacted(b'{"error":"bad key canary-0815"}', (b"canary-0815",)) == b'{"error":"bad key [redacted]"}'
    )
    assert redacted(b'{"c":"demo"}', (b"demo", b"")) == b'{"c":"demo"}'
