"""The settings that all services and the command line share: broker, database, simulator, archive's catalog, tracing."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyAddress,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from infra.runtime.dsn import Dsn
from infra.runtime.environment import Port, Settings, read_secret
from infra.runtime.installation import default_configuration, default_home
from infra.runtime.kafka_access import (
    PLAIN,
    PREFIX,
    KafkaAccess,
    SaslMechanism,
    SecuredServers,
    SecurityProtocol,
    digests_of,
)
from schemas.errors import ConfigurationError
from schemas.topics import DEFAULT_PARTITIONS, MAX_PARTITIONS, checked_prefix


def _checked_endpoint(url: str) -> str:
    if not url:
        return url
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment:
        raise ValueError("it is no base URL; write it like http://127.0.0.1:4318")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a password; give that in OTEL_EXPORTER_OTLP_HEADERS")
    return url.rstrip("/")


Endpoint = Annotated[str, AfterValidator(_checked_endpoint)]
"""Base URL of an OTLP/HTTP receiver; empty: none is named."""


class MdsSettings(Settings):
    """Settings that all services and the CLI share (`MDS_*`)."""

    prefix: ClassVar[str] = "MDS_"

    home: Path = Field(
        default=Path(".mds"),
        description="Folder of embedded broker and database, logs, pids, keys and traces. An installed command without a checkout "
        "takes `market-data-service` in `XDG_DATA_HOME`, which is `~/.local/share` unless set.",
    )
    config: Path | None = Field(
        default=None,
        description="What to collect, from whom and how often: a YAML file. Unset: `config/mds.yaml` of a checkout, else `mds.yaml` "
        "in MDS_HOME; on the simulator's clock all that the simulator offers.",
    )
    kafka: str = Field(
        default="",
        description="Bootstrap servers, `host:port,…`. Empty: the embedded broker on MDS_KAFKA_PORT.",
    )
    kafka_port: Port = Field(default=19092, ge=1, le=65535, description="Port of the embedded broker.")
    kafka_security_protocol: Annotated[SecurityProtocol, BeforeValidator(str.lower)] = Field(
        default="plaintext", description="How brokers are reached, in small or capital letters."
    )
    kafka_sasl_mechanism: SaslMechanism | None = Field(
        default=None, description="How we log in; needed with a `sasl_…` protocol."
    )
    kafka_username: str = Field(
        default="", description="User of the brokers, one for each service; needed with SASL."
    )
    kafka_password: SecretStr = Field(
        default=SecretStr(""), description="Password of that user; needed with SASL, unless a file holds it."
    )
    kafka_password_file: Path | None = Field(
        default=None,
        description="File that holds the password alone, in place of MDS_KAFKA_PASSWORD.",
    )
    kafka_ca_file: Path | None = Field(
        default=None, description="PEM: who vouches for the brokers. Unset: the authorities of the system."
    )
    kafka_certificate_file: Path | None = Field(
        default=None,
        description="PEM, with its chain: the certificate we show where brokers ask for one (mutual TLS).",
    )
    kafka_key_file: Path | None = Field(
        default=None,
        description="PEM: the key of MDS_KAFKA_CERTIFICATE_FILE. Unset: it is in the certificate's file.",
    )
    kafka_key_password: SecretStr = Field(default=SecretStr(""), description="Opens an encrypted key.")
    postgres_dsn: Dsn = Field(
        default=SecretStr(""),
        description="Database, `postgresql://user:password@host:5432/database`. Empty: the embedded one on MDS_POSTGRES_PORT.",
    )
    postgres_port: Port = Field(default=15432, ge=1, le=65535, description="Port of the embedded database.")
    market_clock: Literal["wall", "simulator"] = Field(
        default="wall",
        description="Whose time market time is: the machine's, or that of the simulator, which then stands for all vendors. "
        "`mds run` sets it.",
    )
    simulator_host: str = Field(
        default="127.0.0.1",
        description="Address the simulator listens on. What it serves looks like a vendor's: only where others cannot reach it.",
    )
    simulator_port: Port = Field(default=18080, ge=1, le=65535, description="Port the simulator listens on.")
    simulator_url: str = Field(
        default="", description="Base URL of the simulator. Empty: this machine, at MDS_SIMULATOR_PORT."
    )
    simulator_data: Path | None = Field(
        default=None,
        description="Folder of recorded data, laid out as LEAN does, that the simulator plays. Unset: a synthetic market.",
    )
    simulator_start: str = Field(
        default="",
        description="Market time the simulator begins at, RFC 3339. Empty: the first event of the data; now, of a synthetic market.",
    )
    simulator_speed: str = Field(
        default="1",
        description="How fast market time passes: a positive number of seconds a second, or `max`.",
    )
    simulator_seed: int = Field(
        default=1, description="Seed of the synthetic market: the same, the same prices."
    )
    simulator_scenario: Path | None = Field(
        default=None,
        description="YAML file of faults that the simulator plays (infra/simulator/faults/scenario.py).",
    )
    map_files: Path | None = Field(
        default=None,
        description="Folder of LEAN map files, one CSV an instrument: which symbol it bore when.",
    )
    api_key: SecretStr = Field(
        default=SecretStr(""), description="Key that commands show a gateway which asks for one."
    )
    partitions: int = Field(
        default=DEFAULT_PARTITIONS,
        ge=1,
        le=MAX_PARTITIONS,
        description="Partitions of topics that are made where none are yet; those that are there stay as they are.",
    )
    iceberg_catalog_uri: SecretStr = Field(
        default=SecretStr(""),
        description="Catalog of `mds archive iceberg`: `postgresql://…`, `sqlite:////…`, or `https://…` of a REST catalog. "
        "Empty: SQLite in MDS_HOME.",
    )
    iceberg_warehouse: str = Field(
        default="",
        description="Where its metadata lies, or what a REST catalog calls its warehouse. "
        "Empty: `iceberg/warehouse` in MDS_HOME, or that of the REST catalog.",
    )
    iceberg_namespace: str = Field(
        default="mds",
        pattern=r"^[a-z][a-z0-9_]{0,62}$",
        description="Namespace of its tables, which is made.",
    )
    iceberg_token: SecretStr = Field(default=SecretStr(""), description="Token that a REST catalog is shown.")
    iceberg_credential: SecretStr = Field(
        default=SecretStr(""),
        description="`CLIENT_ID:SECRET`, for which a REST catalog gives a token.",
    )
    topic_prefix: Annotated[str, AfterValidator(checked_prefix)] = Field(
        default="",
        description="Stands before every topic, group and transactional id, such as `trial.`: two systems on one cluster.",
    )
    ops_host: IPvAnyAddress = Field(
        default=ipaddress.IPv4Address("127.0.0.1"),
        description="Address of the ops ports, which ask for no key; `0.0.0.0` where probes and scrapers come from elsewhere.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe lines that are logged."
    )
    otel: bool = Field(
        default=False,
        description="Whether spans are recorded and sent over OTLP/HTTP; needs the extra `otel`.",
    )
    otel_endpoint: Endpoint = Field(
        default="",
        description="Base URL of their receiver, without `/v1/traces`. "
        "Empty: that of `OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://localhost:4318`.",
    )
    otel_ratio: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="Share of the traces that are recorded, of those that begin here; under load 0.01.",
    )
    trace: bool = Field(
        default=False,
        description="Whether a trace of every call of a process may be asked for; needs the extra `trace`.",
    )

    _kafka_access: KafkaAccess = PrivateAttr(default=PLAIN)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Raise ConfigurationError unless the settings of Kafka agree as a whole; what is only doubtful is told on stderr."""
        self._kafka_access = self._access()
        if warning := self._kafka_access.check(self.kafka):
            print(f"warning: {warning}", file=sys.stderr)
        return self

    def _access(self) -> KafkaAccess:
        password = self.kafka_password
        if self.kafka_password_file is not None:
            name = f"{PREFIX}PASSWORD"
            if password.get_secret_value():
                raise ConfigurationError(
                    f"{name} and {name}_FILE are both set", remedy="leave one of them out"
                )
            password = read_secret(f"{name}_FILE", self.kafka_password_file)
        files = (
            self.kafka_password_file,
            self.kafka_ca_file,
            self.kafka_certificate_file,
            self.kafka_key_file,
        )
        return KafkaAccess(
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password=password,
            ca_file=self.kafka_ca_file,
            certificate_file=self.kafka_certificate_file,
            key_file=self.kafka_key_file,
            key_password=self.kafka_key_password,
            digests=digests_of(path for path in files if path is not None),
        )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Return the settings in force, with the home that this installation has by default; raises ConfigurationError."""
        env = os.environ if env is None else env
        return super().from_env(env if env.get("MDS_HOME") else {**env, "MDS_HOME": str(default_home(env))})

    @property
    def configuration_path(self) -> Path | None:
        """The configuration file in force; None where the simulator's own offer is collected instead."""
        if self.config is None and self.market_clock == "simulator":
            return None
        return self.config or default_configuration(self.home)

    @property
    def bootstrap_servers(self) -> str:
        """Kafka bootstrap servers in force; where they ask who comes, with what is shown there."""
        servers = self.kafka or f"127.0.0.1:{self.kafka_port}"
        access = self._kafka_access
        return servers if access == PLAIN else SecuredServers(servers, access)

    @property
    def dsn(self) -> str:
        """PostgreSQL DSN in force; holds a password, so never log it."""
        return (
            self.postgres_dsn.get_secret_value() or f"postgresql://mds:mds@127.0.0.1:{self.postgres_port}/mds"
        )

    @property
    def ops_base_url(self) -> str:
        """Base URL of this machine's ops ports as it reaches them itself: a colon and the port follow."""
        host = self.ops_host
        if host.is_unspecified:  # all addresses: one listens there, and asks at one
            host = ipaddress.ip_address("127.0.0.1" if host.version == 4 else "::1")
        return f"http://[{host}]" if host.version == 6 else f"http://{host}"

    @property
    def simulator_base_url(self) -> str:
        """Base URL of the vendor simulator, without a trailing slash."""
        return (self.simulator_url or f"http://127.0.0.1:{self.simulator_port}").rstrip("/")
