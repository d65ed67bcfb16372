"""Settings of our Kafka clients, which agree with each other, and the type a service sees of the library.

librdkafka's own defaults are wrong for us in two places that fail silently: its partitioner differs from
Java's and Faust's, and idempotence is off. Both are set here and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias
from weakref import WeakMethod

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka_access import PREFIX, RefusedLogin, access_of
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.rights import NO_GROUP

log = logging.getLogger(__name__)

LOG_CRITICAL = 2  # syslog's scale
TELL_AGAIN_S = 10.0
DELIVERY_TIMEOUT_MS = 120_000
# A request that overtakes a refused one on a partition whose writers the broker does not know yet is taken, and the refused
# one is then taken for its repeat: confirmed, and in no log. In transactions the broker verifies the first number.
IN_FLIGHT, IN_FLIGHT_OF_TRANSACTIONS = 1, 5
UNKNOWN_TOPIC_AFTER_MS = 5_000  # a topic the broker does not know by then does not exist
QUEUE_MAX_MESSAGES = 100_000
QUEUE_MAX_KBYTES = 131_072
MAX_MESSAGE_BYTES = 4_194_304
# Of a topic just made, or whose broker went: who leads it is known soon, or which of its leaders we mean.
NO_LEADER_YET = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
    }
)

# Of a user that may not do what it asks for.
NOT_ALLOWED = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
RIGHTS_ADVICE = "give this user the rights that `mds topics rights` lists"
# Said of a login that is refused, on either side; the client tries again by itself.
LOGIN_CODES = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})  # noqa: SLF001 - the library's own codes

Message: TypeAlias = confluent_kafka.Message
"""A record as the client gave it, or, where `error()` is one, an event of its partition (`logs.event_of`)."""


def common_config(bootstrap: str, client_id: str) -> dict[str, Any]:
    """Return the settings every client shares; of servers that ask who comes they hold secrets."""
    return {
        "bootstrap.servers": str(bootstrap),
        **access_of(bootstrap).client_config(),
        "client.id": client_id,
        # librdkafka would write to stderr, between our JSON, forty lines a second while a broker is away; what it
        # has to say comes through the callback as well.
        "log_level": LOG_CRITICAL,
        "error_cb": _teller(client_id, access_of(bootstrap).refusal),
        "log.connection.close": False,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "socket.keepalive.enable": True,
    }


def _teller(client_id: str, refusal: RefusedLogin) -> Callable[[KafkaError], None]:
    """Return a callback that logs a client's errors, each kind at most once in ten seconds, and notes refused logins."""
    told_s: dict[int, float] = {}

    def tell(error: KafkaError) -> None:
        now_s = monotonic_s()
        if error.code() in LOGIN_CODES:
            refusal.says = error.str()
        if now_s - told_s.get(error.code(), -TELL_AGAIN_S) >= TELL_AGAIN_S:
            told_s[error.code()] = now_s
            log.warning(
                "kafka_client_error",
                extra={"client": client_id, "error": error.str(), "fatal": error.fatal()},
            )

    return tell


def heard_by(method: Callable[[KafkaError], None]) -> Callable[[KafkaError], None]:
    """Return the error callback of the client that the method's owner holds: it does not hold the owner in turn.

    A process has some thousand keys of thread-local storage, and the library takes one for each client until its memory
    is given back: clients in a cycle keep theirs until the garbage collector comes, which counts objects and not these.
    """
    held = WeakMethod(method)

    def tell(error: KafkaError) -> None:
        alive = held()
        if alive is not None:
            alive(error)

    return tell


def producer_config(bootstrap: str, client_id: str, *, linger_ms: float = 5) -> dict[str, Any]:
    """Return settings of an idempotent producer: acks=all, bounded queue, Kafka's own partitioner."""
    return {
        **common_config(bootstrap, client_id),
        "acks": "all",
        "enable.idempotence": True,
        "max.in.flight.requests.per.connection": IN_FLIGHT,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": linger_ms,
        "topic.metadata.propagation.max.ms": UNKNOWN_TOPIC_AFTER_MS,
        "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.messages": QUEUE_MAX_MESSAGES,
        "queue.buffering.max.kbytes": QUEUE_MAX_KBYTES,
    }


def consumer_config(bootstrap: str, client_id: str, *, group: str | None = None) -> dict[str, Any]:
    """Return settings of a read-committed consumer that commits nothing by itself and reports end of partition.

    Without a `group` the consumer is for `assign` only. An offset out of range is an error, never a silent jump.
    """
    return {
        **common_config(bootstrap, client_id),
        "group.id": group or NO_GROUP,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "partition.assignment.strategy": "range",
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "fetch.wait.max.ms": 100,  # how long an end of partition takes to be reported
        "fetch.queue.backoff.ms": 20,  # the default of a second stalls a reader whose queue was full
    }


def refused_login(bootstrap: str, error: KafkaError) -> ConfigurationError:
    """Return what a refused login asks of an operator; it shows no secret."""
    access, says = access_of(bootstrap), error.str().partition(" (after ")[0]
    if error.code() != KafkaError._AUTHENTICATION:  # noqa: SLF001
        return ConfigurationError(
            f"no TLS with the brokers at {bootstrap}: {says}",
            remedy=f"correct {PREFIX}CA_FILE, and {PREFIX}CERTIFICATE_FILE where they ask for one; `mds preflight` says which",
        )
    return ConfigurationError(
        f"the brokers at {bootstrap} refuse the user {access.username}: {says}",
        remedy=f"correct {PREFIX}USERNAME and {PREFIX}PASSWORD; the user must have a password of {access.sasl_mechanism} on the cluster",
    )


def unavailable(what: str, error: KafkaException) -> BrokerUnavailable:
    """Return the error that says `what` could not be done, and why."""
    return BrokerUnavailable(f"{what}: {error.args[0].str()}; {advice(error.args[0])}")


def advice(error: KafkaError) -> str:
    """Return what to look at after an error, as the end of a sentence."""
    return RIGHTS_ADVICE if error.code() in NOT_ALLOWED else "is the broker up?"
