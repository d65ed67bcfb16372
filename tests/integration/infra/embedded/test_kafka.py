"""The embedded broker is real Kafka whose data survives a stop, a kill and another port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.embedded.jars import KAFKA_VERSION
from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.process_table import identify
from infra.embedded.server import EmbeddedServer
from schemas.errors import ConfigurationError
from tests.conftest import free_port

TOPIC = "survivors"
RECORDS = 200
WRITERS = 8


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder of this test."""
    return tmp_path / "home"


@pytest.fixture
def broker(home: Path) -> Iterator[EmbeddedKafka]:
    """A broker of this test alone, started."""
    with EmbeddedKafka(home, port=free_port(), controller_port=free_port()) as kafka:
        yield kafka


def create_topic(broker: EmbeddedKafka, name: str) -> None:
    """Create a topic of one partition."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(timeout=15)


def write(broker: EmbeddedKafka, values: range) -> None:
    """Write numbers, each confirmed by the broker."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True})
    errors: list[KafkaError] = []
    for value in values:
        producer.produce(
            TOPIC, str(value).encode(), on_delivery=lambda error, _: errors.append(error) if error else None
        )
    assert producer.flush(30) == 0
    assert errors == []


def read_all(broker: EmbeddedKafka) -> list[int]:
    """Return everything in the topic, in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "reader",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    found: list[int] = []
    try:
        while True:
            message = consumer.poll(15)
            assert message is not None, "the broker went silent"
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's name for it
                return found
            assert error is None, error
            found.append(int(message.value() or b""))
    finally:
        consumer.close()


@pytest.mark.soak
def test_confirmed_records_survive_kill_and_stop(broker: EmbeddedKafka) -> None:
    """Nothing confirmed is lost by kill -9, and a clean stop and start changes nothing."""
    create_topic(broker, TOPIC)
    write(broker, range(RECORDS))
    broker.kill()
    assert broker.pid is None
    broker.start().wait_ready()
    write(broker, range(RECORDS, 2 * RECORDS))
    assert broker.stop(), "it had to be killed"
    broker.start().wait_ready()
    assert read_all(broker) == list(range(2 * RECORDS))


def test_confirmed_transactions_survive_a_kill_and_a_later_abort(broker: EmbeddedKafka) -> None:
    """A commit that was confirmed stands, though the broker dies before it has written the transaction's markers."""
    create_topic(broker, TOPIC)
    producers = [_transactional(broker, number) for number in range(WRITERS)]
    confirmed: set[int] = set()
    enough, ended = threading.Event(), threading.Event()
    writers = [
        threading.Thread(target=_commit_until, args=(producer, number, confirmed, enough, ended))
        for number, producer in enumerate(producers)
    ]
    for writer in writers:
        writer.start()
    assert enough.wait(60)
    broker.kill()
    ended.set()  # the commits in flight return when the broker is back, and nothing commits after them
    broker.start().wait_ready()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()
    for producer in producers:
        producer.begin_transaction()
        producer.produce(TOPIC, b"-1")
        assert producer.flush(30) == 0
        producer.abort_transaction(30)

    assert confirmed - set(read_all(broker)) == set()


def _transactional(broker: EmbeddedKafka, number: int) -> Producer:
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": f"w{number}", "linger.ms": 0}
    )
    producer.init_transactions(30)
    return producer


def _commit_until(
    producer: Producer,
    number: int,
    confirmed: set[int],
    enough: threading.Event,
    ended: threading.Event,
) -> None:
    """Commit one record a transaction until `ended`; a commit in flight when the broker dies returns when it is back."""
    count = 0
    while not ended.is_set():
        value = number * 1_000_000 + count
        producer.begin_transaction()
        producer.produce(TOPIC, str(value).encode())
        producer.commit_transaction(60)
        confirmed.add(value)
        count += 1
        if count == RECORDS:
            enough.set()


@pytest.mark.soak
def test_another_port_serves_the_same_data(broker: EmbeddedKafka, home: Path) -> None:
    """Moving a port is a setting, not a new cluster."""
    create_topic(broker, TOPIC)
    write(broker, range(RECORDS))
    broker.stop()
    with EmbeddedKafka(home, port=free_port(), controller_port=free_port()) as moved:
        assert read_all(moved) == list(range(RECORDS))


def test_a_misspelled_topic_is_not_created(kafka_bootstrap: str) -> None:
    """Topics come from their catalogue alone."""
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "message.timeout.ms": 3000})
    errors: list[KafkaError | None] = []
    try:
        producer.produce("quuotes.v1", b"x", on_delivery=lambda error, _: errors.append(error))
        producer.flush(15)
    except KafkaException as error:
        errors.append(error.args[0])
    assert errors
    assert errors[0] is not None
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    assert "quuotes.v1" not in admin.list_topics(timeout=15).topics


def test_the_same_home_is_not_served_twice(broker: EmbeddedKafka, home: Path) -> None:
    """Two brokers on one data folder would destroy it."""
    with pytest.raises(ConfigurationError, match=rf"already runs.*pid {broker.pid}.*mds down"):
        EmbeddedKafka(home, port=free_port(), controller_port=free_port()).start()


def test_a_taken_port_is_one_sentence(home: Path) -> None:
    """It names the port, the setting and the process, and leaves nothing running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        kafka: EmbeddedServer = EmbeddedKafka(home, port=port, controller_port=free_port())
        with pytest.raises(ConfigurationError, match=rf"port {port} .*\(pid \d+\).*MDS_KAFKA_PORT"):
            kafka.start()
    assert kafka.pid is None


def test_data_of_a_newer_kafka_is_refused(broker: EmbeddedKafka, home: Path) -> None:
    """The sentence says how to move on."""
    broker.stop()
    (home / "kafka" / "formatted.json").write_text('{"cluster_id": "x", "kafka_version": "99.0.0"}')
    with pytest.raises(ConfigurationError, match=r"Kafka 99\.0\.0.*mv "):
        broker.start()


def test_the_broker_logs_to_the_home_and_ends_with_its_pid_file(broker: EmbeddedKafka, home: Path) -> None:
    """One file to read when something is wrong, none left to mislead."""
    pid = broker.pid
    assert pid is not None
    assert (home / "run" / "kafka.pid").exists()
    assert f"Kafka version: {KAFKA_VERSION}" in (home / "logs" / "kafka-server.log").read_text()
    broker.stop()
    assert identify(pid) is None
    assert not (home / "run" / "kafka.pid").exists()
