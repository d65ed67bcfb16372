"""Parts that tests of the protocol on a real broker share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.runtime.kafka.publisher import Publisher


@pytest.fixture
def publisher(kafka_bootstrap: str) -> Iterator[Publisher]:
    """Return a publisher of canonical records."""
    opened = Publisher(kafka_bootstrap, "test-canonical")
    yield opened
    opened.close()
