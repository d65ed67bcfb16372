"""Whether a trade frame is a repeat: trades are occurrences, and equal ones at one moment are all real.

Only a vendor frame whose bytes equal another of the last REMEMBERED_FRAMES of the same connection is a repeat; the
same trade on a second connection, or further back, stays.
"""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED_FRAMES = 64  # per connection
MAX_CONNECTIONS = 256  # per partition; a reconnect is a new connection, the one silent longest is forgotten


class FrameHistory:
    """The last frames of each connection: sequence, hash, and whether it repeated another."""

    __slots__ = ("_connections",)

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._connections: OrderedDict[str, OrderedDict[int, tuple[int, bool]]] = OrderedDict()

    def repeats(self, connection_id: str, frame_sequence: int, frame_hash: int) -> bool:
        """Note a frame (once or several times: it may be split over blocks) and return whether it is a repeat.

        Without a connection nothing is: a request's answer has no frames.
        """
        if not connection_id:
            return False
        frames = self._connections.get(connection_id)
        if frames is None:
            frames = self._connect(connection_id)
        seen = frames.get(frame_sequence)
        if seen is not None and seen[0] == frame_hash:
            return seen[1]
        repeat = any(known == frame_hash for known, _ in frames.values())
        frames[frame_sequence] = (frame_hash, repeat)
        if len(frames) > REMEMBERED_FRAMES:
            frames.popitem(last=False)
        self._connections.move_to_end(connection_id)
        return repeat

    def _connect(self, connection_id: str) -> OrderedDict[int, tuple[int, bool]]:
        frames: OrderedDict[int, tuple[int, bool]] = OrderedDict()
        self._connections[connection_id] = frames
        if len(self._connections) > MAX_CONNECTIONS:
            self._connections.popitem(last=False)
        return frames
