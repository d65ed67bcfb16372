"""What the polls of all streams share."""

from __future__ import annotations

from typing import Any, cast

from producers.polling.shell.polls import Rejections
from producers.vendors.answers import Answer, RejectedValue, Response
from tests.support.producer_fakes import RecordingTopics


def rejecting(*payloads: bytes) -> Response:
    rejected = [
        RejectedValue(symbol="SPY", reason="invalid", message="open is -1.0", payload=p) for p in payloads
    ]
    return Response(endpoint="chart", received_time=7, answer=Answer(rejected=rejected))


async def test_a_value_is_dead_lettered_when_it_was_not_in_the_answer_before() -> None:
    """The overlap of two polls brings the same bad row again; one that went and came back is told again."""
    raw = RecordingTopics()
    rejections = Rejections(cast(Any, raw), "raw.bars.v1", "yahoo")

    for payloads in ((b"1",), (b"1", b"2"), (b"2",), (b"1",)):
        await rejections.publish(rejecting(*payloads))

    assert [letter["payload"] for letter in raw.dead] == [b"1", b"2", b"1"]
    assert {(letter["topic"], letter["provider"], letter["received_time"]) for letter in raw.dead} == {
        ("raw.bars.v1", "yahoo", 7)
    }
