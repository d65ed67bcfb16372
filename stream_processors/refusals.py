"""Dead letters of the processor: of one event that cannot be true, and of a record that is no block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from schemas.clocks import KnowledgeTime, RawOffset
from schemas.errors import PermanentError
from schemas.records import DeadLetter
from stream_processors.evidence import PROCESSOR


def dead_event(
    error: PermanentError,
    event: Mapping[str, Any],
    *,
    topic: str,
    partition: int,
    offset: RawOffset,
    index: int,
    known_from: KnowledgeTime,
    provider: str,
) -> DeadLetter:
    """Return the dead letter of one event, or of what a block says beside its events (index -1), known from then on (µs)."""
    return DeadLetter(
        stage=PROCESSOR,
        reason=error.reason,
        message=str(error),
        topic=topic,
        partition=partition,
        offset=offset,
        index=index,
        known_from=known_from,
        provider=provider,
        symbol=str(event["symbol"]),
        payload=_as_json(event),
    )


def dead_record(
    error: PermanentError,
    *,
    topic: str,
    partition: int,
    offset: RawOffset,
    known_from: KnowledgeTime,
    key: bytes | None,
    value: bytes | None,
) -> DeadLetter:
    """Return the dead letter of a raw record, with its bytes."""
    return DeadLetter(
        stage=PROCESSOR,
        reason=error.reason,
        message=str(error),
        topic=topic,
        partition=partition,
        offset=offset,
        known_from=known_from,
        key=key,
        payload=value or b"",
    )


def _as_json(event: Mapping[str, Any]) -> bytes:
    """Return an event as JSON; a number JSON cannot hold becomes its name as text."""
    plain = {
        name: repr(value) if isinstance(value, float) and not isfinite(value) else value
        for name, value in event.items()
    }
    return json.dumps(plain, ensure_ascii=False).encode()
