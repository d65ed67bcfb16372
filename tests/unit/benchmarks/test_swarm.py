"""What the swarm reads out of a frame: every record once, whichever server sent it."""

from __future__ import annotations

import orjson
import pytest

from benchmarks.swarm import records_in
from gateway.live.streams import parse_stream
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.frames import OpenSubscription
from gateway.websocket.subscription import Subscription
from tests.support.live_feeds import UnreadPast, apply_trade, empty_feeds

RECORDS = [{"event_id": str(at), "offset": at, "known_from": 7 + at} for at in range(3)]


def test_of_a_frame_of_ours_each_record_is_read_with_its_offset() -> None:
    """As the gateway makes it, a heartbeat beside them."""
    feeds = empty_feeds()
    outbox = ClientQueue(feeds, UnreadPast())
    stream = parse_stream("trades:best:SPY")
    place = OpenSubscription(Subscription(1, stream, conflate=False, covered=-1), feeds.feed(*stream.feed))
    outbox.open(place)
    outbox.heartbeat(5)
    for offset in range(3):
        apply_trade(feeds, offset)
    outbox.wake(1)
    frame = outbox.frame()
    assert frame is not None

    found = list(records_in(frame.encode()))

    assert [at for at, _ in found] == [0, 1, 2]
    assert all(record["known_from"] > 0 for _, record in found)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\n".join(orjson.dumps(record) for record in RECORDS), id="plain"),
        pytest.param(
            b"\n".join(
                orjson.dumps({"push": {"channel": "records", "pub": {"data": record}}}) for record in RECORDS
            ),
            id="centrifuge",
        ),
    ],
)
def test_a_yardstick_may_put_several_lines_into_a_frame(frame: bytes) -> None:
    """Each is one record."""
    assert list(records_in(frame)) == [(record["offset"], record) for record in RECORDS]


@pytest.mark.parametrize("frame", [b'{"id":2,"subscribe":{}}', b"{}", b'{"t":"subscribed"}', b'[{"t":"hb"}]'])
def test_what_is_no_record_is_none(frame: bytes) -> None:
    """Answers, pings and heartbeats."""
    assert list(records_in(frame)) == []
