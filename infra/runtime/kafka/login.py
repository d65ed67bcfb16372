"""Login at brokers that ask who comes: why one is refused, and what to change.

librdkafka says of a broker it does not trust only that it could not be verified; Python's TLS says which part of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import LOGIN_CODES, common_config, refused_login
from infra.runtime.kafka.releases import newest_level
from infra.runtime.kafka_access import PREFIX, SecuredServers
from infra.runtime.lifecycle import Health
from infra.runtime.threads import in_daemon_thread
from schemas.errors import BrokerUnavailable, ConfigurationError

CLIENT = "mds-login"
SLICE_S = 0.5
WITHIN_S = 6.0
PART = "kafka-login"
WATCH_S = 1.0
RUNNING_REMEDY = (
    f"give the cluster the user and password that {PREFIX}* name, or name those that it has, and restart"
)


def check_login(bootstrap: str, *, within_s: float = WITHIN_S) -> None:
    """Raise ConfigurationError where brokers refuse us or are none we trust, saying why and what to change; blocking.

    Raises BrokerUnavailable where none of them answers. Servers that do not ask who comes are not asked.
    """
    if not isinstance(bootstrap, SecuredServers):
        return
    if bootstrap.access.uses_tls:
        _check_tls(bootstrap, within_s)
    heard: list[KafkaError] = []
    config: dict[str, Any] = common_config(bootstrap, CLIENT) | {"log_level": 0, "error_cb": heard.append}
    admin, deadline_s = AdminClient(config), monotonic_s() + within_s
    while True:
        try:
            admin.list_topics(timeout=SLICE_S)
        except KafkaException as error:
            # what the callback hears is handed over by this
            admin.poll(0)
            for each in heard:
                if each.code() in LOGIN_CODES:
                    raise refused_login(bootstrap, each) from error
            if monotonic_s() > deadline_s:
                raise BrokerUnavailable(f"no broker of {bootstrap} answers: {error.args[0].str()}") from error
        else:
            return


async def watch_login(bootstrap: str, health: Health, *, log_in: Callable[[str], None] = check_login) -> None:
    """Tell in /readyz while brokers refuse a running process; nothing to do, hence done, where they do not ask who comes.

    It is refused until the cluster, or what is shown to it, is right again, and goes on by itself then. What is shown was
    read at the start: raises BrokerUnavailable, for a restart, where it is refused and a file holds something else by now.
    """
    if not isinstance(bootstrap, SecuredServers):
        return
    access = bootstrap.access
    while True:
        if access.refusal.says:
            if await in_daemon_thread(access.renewed, name="kafka-credentials"):
                raise BrokerUnavailable("Kafka's credentials are others now; restarting with them")
            # clients tell of a refusal, and never that they were let in
            if await in_daemon_thread(lambda: _is_let_in(bootstrap, log_in), name="kafka-login"):
                access.refusal.says = ""
        says = access.refusal.says
        health.report(PART, ready=not says, **({"refused": says, "remedy": RUNNING_REMEDY} if says else {}))
        await asyncio.sleep(WATCH_S)


def _is_let_in(bootstrap: str, log_in: Callable[[str], None]) -> bool:
    try:
        log_in(bootstrap)
    except (BrokerUnavailable, ConfigurationError):
        return False
    return True


def _check_tls(bootstrap: SecuredServers, within_s: float) -> None:
    """Ask the first broker that answers for its features, which any may do, through Python's TLS."""
    trouble: BrokerUnavailable | None = None
    for host, port in _addresses(bootstrap):
        try:
            newest_level(host, port, access=bootstrap.access, within_s=within_s)
        except BrokerUnavailable as error:
            trouble = trouble or error
        else:
            return
    if trouble is not None:
        raise trouble


def _addresses(servers: str) -> Iterator[tuple[str, int]]:
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if port.isdecimal():
            yield host.strip("[]"), int(port)
