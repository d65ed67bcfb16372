"""Turns of the pump: as many records as are applied before the sockets have their turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.shell.pump import TURN_BYTES, TURN_MESSAGES, turns

SIZES = st.lists(st.sampled_from([0, 150, 30_000, 500_000]), max_size=600)


class Sized:
    """A message of which only its size matters."""

    def __init__(self, size: int) -> None:
        self.held = b"x" * size

    def value(self) -> bytes | None:
        """Return what it holds."""
        return self.held or None


@given(SIZES)
def test_a_turn_is_bounded_by_messages_and_by_bytes(sizes: list[int]) -> None:
    """In order and each once; one that is larger than the bound still has a turn, its last."""
    batch = [Sized(size) for size in sizes]
    taken = list(turns(batch))  # type: ignore[arg-type]
    assert [message for part in taken for message in part] == batch
    for part in taken:
        assert 0 < len(part) <= TURN_MESSAGES
        *others, _ = part
        assert sum(len(message.value() or b"") for message in others) < TURN_BYTES
