"""Topics of a test are gone when it is over: hundreds of tests share one broker."""

from __future__ import annotations

from infra.runtime.kafka.topics import Topics, ensure_topics
from tests.conftest import own_prefix
from tests.support.eventually import eventually


async def test_what_was_made_under_a_prefix_of_its_own_is_deleted(kafka_bootstrap: str) -> None:
    """And nothing else; broker's metadata lags behind."""
    broker = Topics(kafka_bootstrap, "test")
    with own_prefix(kafka_bootstrap) as kept, own_prefix(kafka_bootstrap) as gone:
        ensure_topics(kafka_bootstrap, prefix=kept)

        def left(prefix: str) -> int:
            return sum(name.startswith(prefix) for name in broker.partition_counts())

        with own_prefix(kafka_bootstrap) as inner:
            ensure_topics(kafka_bootstrap, prefix=inner)
            ensure_topics(kafka_bootstrap, prefix=f"{inner}moved.")
            assert left(inner) == 2 * left(kept) > 0

        await eventually(lambda: left(inner) == 0, within_s=30)
        assert (left(gone), left(kept) > 0) == (0, True)
