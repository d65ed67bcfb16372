"""Lines of a manifest: what one says comes back, and only behind the line it was written after."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.archive.chain import NO_HASH, ManifestDamaged, chained, unchained

CONTENT = st.dictionaries(
    st.text(min_size=1).filter(lambda name: name not in ("prev", "hash")), st.integers(-(2**53), 2**53)
)


@given(CONTENT, CONTENT)
def test_a_line_comes_back_behind_the_one_it_was_written_after(
    first: dict[str, int], second: dict[str, int]
) -> None:
    """And behind no other."""
    one, said = chained(first, NO_HASH)
    two, _ = chained(second, said)

    assert unchained(one.rstrip(b"\n"), NO_HASH, "m", 1) == (first, said)
    assert unchained(two.rstrip(b"\n"), said, "m", 2)[0] == second
    with pytest.raises(ManifestDamaged, match="line 2 of m: the chain is broken"):
        unchained(two.rstrip(b"\n"), NO_HASH, "m", 2)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"7", b'{"hash":"ab"}', b"\xff"])
def test_what_is_no_line_of_ours_is_damage(text: bytes) -> None:
    """Whatever JSON, or none, it is."""
    with pytest.raises(ManifestDamaged, match="not as it was written"):
        unchained(text, NO_HASH, "m", 1)
