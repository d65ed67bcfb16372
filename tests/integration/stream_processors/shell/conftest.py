"""What the tests of this folder are given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processor_workers import Log, Raw


@pytest.fixture
def log(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Log]:
    """Give a reader of what was written."""
    reader = Log(kafka_bootstrap, topic_prefix)
    yield reader
    reader.close()


@pytest.fixture
def raw(kafka_bootstrap: str, topic_prefix: str) -> Raw:
    """Give a way to append raw records."""
    return Raw(kafka_bootstrap, topic_prefix)
