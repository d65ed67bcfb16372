"""Collections become rare, and what was loaded is left alone; cycles are still found."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from infra.runtime.garbage import NET_ALLOCATIONS, collect_rarely


class _Node:
    """Half of a cycle."""

    def __init__(self) -> None:
        self.other: _Node | None = None


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    gc.unfreeze()  # what tests/conftest.py froze; what is frozen here takes its place
    yield
    gc.set_threshold(*before)


def test_what_exists_is_exempt_and_later_cycles_are_found() -> None:
    """A cycle made afterwards goes once enough was allocated since."""
    collect_rarely()
    assert gc.get_freeze_count() > 0
    one, other = _Node(), _Node()
    one.other, other.other = other, one
    gone = weakref.ref(one)
    del one, other

    kept = [[number] for number in range(NET_ALLOCATIONS + 1_000)]

    assert gone() is None
    assert len(kept) > NET_ALLOCATIONS
