"""The parts of one system on this machine, as the settings describe them: names, ports, environment, order."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.embedded.home import Home
from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.ports import LOOPBACK, PortNeed
from infra.embedded.postgres import EmbeddedPostgres
from infra.embedded.server import EmbeddedServer
from infra.embedded.service import ServicePart
from infra.runtime.installation import default_configuration
from infra.runtime.kafka.login import check_login
from infra.runtime.kafka.topics import ensure_topics, partition_count
from infra.runtime.settings import MdsSettings
from schemas.errors import BrokerUnavailable, ConfigurationError

GATEWAY_PORT = 8001
FINNHUB_TOKEN = "PRODUCERS_FINNHUB_TOKEN"  # noqa: S105 - the name of the setting
SIMULATOR_TOKEN = "simulator"  # noqa: S105 - the simulator takes any
MAX_PORT = 65_535
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceName:
    """A service's names: its module, the prefix of its settings and the default of its ops port."""

    module: str
    prefix: str
    ops_port: int


# In order of start: whoever consumes is there before whoever produces. Stopped in reverse.
SERVICES = (
    ServiceName(module="gateway", prefix="GATEWAY_", ops_port=8104),
    ServiceName(module="sinks", prefix="SINKS_", ops_port=8103),
    ServiceName(module="stream_processors", prefix="PROCESSORS_", ops_port=8102),
    ServiceName(module="producers", prefix="PRODUCERS_", ops_port=8101),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Settings, home and environment of the system a command works on."""

    settings: MdsSettings
    home: Home
    env: Mapping[str, str]

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read the settings and open the home folder; raises ConfigurationError."""
        env = dict(os.environ if env is None else env)
        settings = MdsSettings.from_env(env)
        return cls(settings=settings, home=Home.open(settings.home), env=env)

    @property
    def embeds_kafka(self) -> bool:
        """Whether the broker is ours to run."""
        return not self.settings.kafka

    @property
    def embeds_postgres(self) -> bool:
        """Whether the database is ours to run."""
        return not self.settings.postgres_dsn.get_secret_value()

    @property
    def gateway_port(self) -> int:
        """Port of REST and WebSocket."""
        return self.port_setting("GATEWAY_PORT", GATEWAY_PORT)

    @property
    def gateway_url(self) -> str:
        """Base URL of REST."""
        return f"http://{LOOPBACK}:{self.gateway_port}"

    @property
    def configuration_path(self) -> Path:
        """The file of what to collect from vendors, named or in its default place; it may not be there."""
        return self.settings.config or default_configuration(self.home.root)

    def ops_port(self, service: ServiceName) -> int:
        """Ops port of a service."""
        return self.port_setting(f"{service.prefix}OPS_PORT", service.ops_port)

    def ops_url(self, service: ServiceName) -> str:
        """Return the base URL of a service's ops port."""
        return f"{self.settings.ops_base_url}:{self.ops_port(service)}"

    def port_setting(self, name: str, default: int) -> int:
        """Return a port from the environment; raise ConfigurationError where it is none."""
        text = self.env.get(name, "") or str(default)
        if not text.isdecimal() or not 1 <= int(text) <= MAX_PORT:
            raise ConfigurationError(f"{name}={text} is not a port", remedy=f"set {name} to 1..{MAX_PORT}")
        return int(text)

    def reach_kafka(self) -> None:
        """Raise BrokerUnavailable at once when nobody listens: librdkafka would try, loudly, for long.

        Raises ConfigurationError where the broker refuses us.
        """
        first = self.settings.bootstrap_servers.partition(",")[0]
        host, _, port = first.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
        except (OSError, ValueError) as error:
            raise BrokerUnavailable(
                f"no Kafka answers on {first}; start it with `mds up kafka`, or set MDS_KAFKA"
            ) from error
        check_login(self.settings.bootstrap_servers)

    def partition_count(self) -> int:
        """Return how many partitions the topics on the broker have; raises BrokerUnavailable, ConfigurationError."""
        self.reach_kafka()
        settings = self.settings
        return partition_count(settings.bootstrap_servers, prefix=settings.topic_prefix, client_id="mds-cli")

    def apply_topics(self, partitions: int | None = None) -> list[str]:
        """Create the topics that are missing and return their names; raises like `ensure_topics`.

        `partitions` is how many they get where none are; None: MDS_PARTITIONS, or the count of those that are there.
        """
        settings = self.settings
        return ensure_topics(
            settings.bootstrap_servers,
            prefix=settings.topic_prefix,
            partitions=partitions,
            default=settings.partitions,
        )

    def kafka(self, *, detached: bool = False) -> EmbeddedKafka:
        """Return the embedded broker."""
        return EmbeddedKafka(self.home.root, port=self.settings.kafka_port, detached=detached)

    def postgres(self, *, detached: bool = False) -> EmbeddedPostgres:
        """Return the embedded database."""
        return EmbeddedPostgres(self.home.root, port=self.settings.postgres_port, detached=detached)

    def servers(self, *, detached: bool = False) -> list[EmbeddedServer]:
        """Return broker and database, where they are ours to run."""
        servers: list[EmbeddedServer] = []
        if self.embeds_kafka:
            servers.append(self.kafka(detached=detached))
        if self.embeds_postgres:
            servers.append(self.postgres(detached=detached))
        return servers

    def simulator(self) -> ServicePart:
        """Return the vendor simulator."""
        port = self.settings.simulator_port
        return ServicePart(
            name="simulator",
            module="infra.simulator",
            home=self.home,
            env=self.env,
            ready_url=f"http://{LOOPBACK}:{port}/simulator/health",
            ports=(PortNeed(port=port, purpose="the simulator", setting="MDS_SIMULATOR_PORT"),),
        )

    def services(self, *, live: bool) -> list[ServicePart]:
        """Return the four services in order of start; unless `live`, they poll the simulator by its clock."""
        given = {name: value for name, value in self.env.items() if value}
        env = {FINNHUB_TOKEN: SIMULATOR_TOKEN, **given, "MDS_MARKET_CLOCK": "simulator"}
        if live:
            env = {**given, "MDS_MARKET_CLOCK": "wall"}
        return [self._service(service, env) for service in SERVICES]

    def _service(self, service: ServiceName, env: Mapping[str, str]) -> ServicePart:
        ops = self.ops_port(service)
        ports = [PortNeed(port=ops, purpose=f"{service.module} ops", setting=f"{service.prefix}OPS_PORT")]
        if service.module == "gateway":
            ports.append(PortNeed(port=self.gateway_port, purpose="the gateway", setting="GATEWAY_PORT"))
        return ServicePart(
            name=service.module,
            module=service.module,
            home=self.home,
            env=env,
            ready_url=f"{self.ops_url(service)}/readyz",
            ports=tuple(ports),
        )
