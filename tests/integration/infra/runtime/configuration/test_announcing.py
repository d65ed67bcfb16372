"""Generations of a configuration, announced to the real broker by several at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from infra.runtime.configuration.announcing import announce
from schemas.topics import CONFIGURATION, PROGRESS
from tests.support.generations import generations, text_of


def test_racing_announcers_number_without_gap_and_never_repeat_a_text(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Eight threads, four texts: numbers are 1, 2, 3 ... and no two neighbours hold the same text."""
    texts = [text_of(number % 4) for number in range(8)]

    with ThreadPoolExecutor(len(texts)) as threads:
        outcomes = list(
            threads.map(
                lambda text: announce(kafka_bootstrap, lambda: text, "api", prefix=topic_prefix), texts
            )
        )
    log = generations(kafka_bootstrap, topic_prefix)

    assert [entry.generation for entry in log] == list(range(1, len(log) + 1))
    assert all(one.text != other.text for one, other in pairwise(log))
    assert len(log) == sum(outcome.is_new for outcome in outcomes)
    assert {outcome.generation.text for outcome in outcomes} == set(texts)
    again = announce(kafka_bootstrap, lambda: log[-1].text, "signal", prefix=topic_prefix)
    assert (again.is_new, again.generation) == (False, log[-1])


def test_the_topic_is_one_compacted_partition() -> None:
    """The newest generation is never deleted by age, and one partition orders them all."""
    from schemas.topics import catalogue

    topic = catalogue().topics[CONFIGURATION]
    assert (topic.fixed_partitions, topic.config["cleanup.policy"]) == (1, "compact")
    assert catalogue().topics[PROGRESS].fixed_partitions is None
