"""The yardstick in Quix Streams: a streaming data frame over the same blocks, at least once; runs in its own environment.

python -m benchmarks.yardsticks.quix_streams BOOTSTRAP RAW_TOPIC OUT_TOPIC GROUP
"""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application, message_context
from quixstreams.models import Serializer

from benchmarks.yardsticks.canonical import canonical_quotes, encode_quote


class QuoteSerializer(Serializer):  # type: ignore[misc]
    """Canonical quotes as framed Avro."""

    def __call__(self, value: Any, ctx: Any) -> bytes:  # noqa: ARG002 - Quix gives its context, too
        """Return the bytes of one quote."""
        return encode_quote(value)


def main(bootstrap: str, raw_topic: str, out_topic: str, group: str) -> None:
    """Process until killed."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once",
        auto_create_topics=False,
        loglevel="WARNING",
        producer_extra_config={"enable.idempotence": True, "acks": "all", "compression.type": "lz4"},
    )
    raw = app.topic(raw_topic, key_deserializer="bytes", value_deserializer="bytes")
    out = app.topic(out_topic, key_serializer="bytes", value_serializer=QuoteSerializer())

    def expand(value: bytes, key: Any, timestamp: int, headers: Any) -> list[dict[str, Any]]:  # noqa: ARG001
        return list(canonical_quotes(value, message_context().offset, timestamp * 1_000))

    frame = app.dataframe(raw).apply(expand, expand=True, metadata=True)
    frame.to_topic(out, key=lambda quote: quote["symbol"].encode())
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
