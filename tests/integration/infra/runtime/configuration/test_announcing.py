"""Generations of a configuration, announced to the real broker by several at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from confluent_kafka import Producer

from infra.runtime.clock import wall_us
from infra.runtime.configuration.announcing import announce, calendars_in, newest_generation
from infra.runtime.configuration.following import read_calendars
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.logs import LogReader
from producers.reloading import ConfigurationFile, first_generation
from schemas.calendar.history import CalendarHistory
from schemas.clocks import KnowledgeTime
from schemas.configuration.generation import KEY, PARTITION, encode_generation, following
from schemas.intervals import SECOND_US
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


def closing(*days: str) -> str:
    """Return a configuration with these closed days in New York."""
    return text_of(1) + f"calendar_closures: {{XNYS: [{', '.join(days)}]}}\n"


def kept(kafka: str, prefix: str) -> list[tuple[int, int]]:
    """Return number and number of closed days of all calendars that are kept."""
    with LogReader(kafka, "test-reader") as reader:
        found = map(calendars_in, reader.read(prefix + CONFIGURATION, PARTITION, 0))
        return [(each.number, len(each.overlay.of("XNYS").closed)) for each in found if each is not None]


def test_calendars_are_kept_beside_each_generation_that_changes_them(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """In its transaction, under a key compaction keeps; other generations add nothing."""
    texts = [text_of(1), closing("2026-03-10"), closing("2026-03-10") + "# why\n", text_of(2)]
    for text in texts:
        announce(kafka_bootstrap, lambda text=text: text, "api", prefix=topic_prefix)  # type: ignore[misc]

    assert kept(kafka_bootstrap, topic_prefix) == [(1, 0), (2, 1), (4, 0)]
    assert [each.generation for each in generations(kafka_bootstrap, topic_prefix)] == [1, 2, 3, 4]
    stored = newest_generation(kafka_bootstrap, prefix=topic_prefix)
    assert stored is not None and stored.generation.text == texts[-1]


def older_version_announces(kafka: str, prefix: str, text: str) -> None:
    """Append the next generation as versions did that kept no calendars."""
    stored = newest_generation(kafka, prefix=prefix)
    older = following(None if stored is None else stored.generation, text, "start")
    assert older is not None
    producer = Producer(producer_config(kafka, "test-older"))
    producer.produce(prefix + CONFIGURATION, encode_generation(older), KEY, partition=PARTITION)
    producer.flush(15)


def test_what_an_older_version_announced_is_kept_with_the_next_generation(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Else its days would be answered by the next one's calendars."""
    older_version_announces(kafka_bootstrap, topic_prefix, closing("2026-03-10"))

    announce(kafka_bootstrap, lambda: closing("2026-03-10", "2026-03-11"), "api", prefix=topic_prefix)

    assert kept(kafka_bootstrap, topic_prefix) == [(1, 1), (2, 2)]


def test_versions_that_announce_in_turn_leave_the_calendars_of_the_newest(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Also where the newer one has the same text to say: else past moments were answered by calendars long replaced."""
    texts = [closing("2026-07-20"), closing("2026-07-20", "2026-07-21"), text_of(3)]
    for newer, older in pairwise([*texts, texts[0]]):
        announce(kafka_bootstrap, lambda text=newer: text, "start", prefix=topic_prefix)  # type: ignore[misc]
        older_version_announces(kafka_bootstrap, topic_prefix, older)

    file = ConfigurationFile(path=tmp_path / "mds.yaml", bootstrap=kafka_bootstrap, prefix=topic_prefix)
    file.path.write_text(texts[0])
    started = [first_generation(file)[0].generation for _ in range(2)]

    assert started == [4, 4]
    assert announce(kafka_bootstrap, lambda: texts[0], "signal", prefix=topic_prefix).is_new is False
    assert kept(kafka_bootstrap, topic_prefix) == [(1, 1), (2, 2), (3, 0), (4, 1)]
    assert [each.generation for each in generations(kafka_bootstrap, topic_prefix)] == [1, 2, 3, 4]


def test_a_history_is_read_whole_and_followed(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Noise and other records beside them cost nothing; and it knows up to when it has read."""
    announce(kafka_bootstrap, lambda: closing("2026-03-10"), "api", prefix=topic_prefix)
    producer = Producer(producer_config(kafka_bootstrap, "test-noise"))
    for value in (b"", b"\x00garbage", None):
        producer.produce(topic_prefix + CONFIGURATION, value, b"calendars:7", partition=PARTITION)
    producer.flush(15)
    announce(kafka_bootstrap, closing, "api", prefix=topic_prefix)
    history, before = CalendarHistory(), wall_us()

    with LogReader(kafka_bootstrap, "test-reader") as reader:
        read_calendars(reader, topic_prefix, history)

    closed = [
        len(history.at(KnowledgeTime(at)).overlay.of("XNYS").closed) for at in (0, before + 11 * SECOND_US)
    ]
    assert closed == [1, 0]
    assert history.is_settled(KnowledgeTime(before))
