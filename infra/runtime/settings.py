"""Settings: environment variables become frozen, validated values at start-up; a typo is an error, never a default."""

from __future__ import annotations

import difflib
import ipaddress
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyAddress,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from infra.runtime.dsn import Dsn
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
from schemas.remedies import problem_of, remedy_of
from schemas.topics import DEFAULT_PARTITIONS, MAX_PARTITIONS, checked_prefix

SERVICE_PREFIXES = ("PRODUCERS_", "PROCESSORS_", "SINKS_", "GATEWAY_")
MAX_SECRET_BYTES = 65_536
KUBERNETES_SERVICE_LINK = ("_SERVICE_HOST", "_SERVICE_PORT", "_PORT")


class Settings(BaseSettings):
    """Base of every settings class: frozen, from one mapping, unknown names refused with a suggestion.

    Subclasses set `prefix`. `from_env` is the only way in, so a test passes a plain dict and
    never patches the process environment.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=True)
    prefix: ClassVar[str]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the mapping given to `from_env` and nothing else."""
        return (init_settings,)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Return the settings in force; raise ConfigurationError naming the variable and the remedy."""
        env = os.environ if env is None else env
        given = {
            name.removeprefix(cls.prefix).lower(): value
            for name, value in env.items()
            if name.startswith(cls.prefix) and value != ""
        }
        known: dict[str, Any] = {name: value for name, value in given.items() if name in cls.model_fields}
        unknown = sorted(set(given) - set(known))
        _report_unknown(cls.prefix, unknown, cls.model_fields)
        try:
            return cls(**known)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = cls.prefix + ".".join(str(part) for part in first["loc"]).upper()
            raise ConfigurationError(
                f"{name}: {problem_of(first)}", remedy=f"in {name}, {remedy_of(first)}"
            ) from error


def _report_unknown(prefix: str, unknown: Iterable[str], fields: Iterable[str]) -> None:
    """Refuse an unknown MDS_ name; warn about one that carries a service's prefix.

    Kubernetes injects `GATEWAY_SERVICE_HOST` and friends next to our own prefixes, so those
    cannot be fatal; MDS_ is ours alone.
    """
    for name in unknown:
        full = prefix + name.upper()
        close = difflib.get_close_matches(name, list(fields), n=1)
        hint = f"did you mean {prefix}{close[0].upper()}?" if close else "remove it"
        if prefix == "MDS_":
            raise ConfigurationError(f"{full} is not a setting", remedy=hint)
        if not full.endswith(KUBERNETES_SERVICE_LINK):
            print(f"warning: {full} is not a setting; {hint}", file=sys.stderr)


def read_secret(variable: str, path: Path) -> SecretStr:
    """Return the secret in a file, without the white space around it; raise ConfigurationError naming its variable."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        text = content.decode("ascii").strip() if len(content) <= MAX_SECRET_BYTES else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file of {variable} cannot be read ({type(error).__name__})",
            remedy=f"set {variable} to the path of a file that this process may read and that holds ASCII text",
        ) from None
    if not text or not text.isprintable():
        raise ConfigurationError(f"the file of {variable} holds no key", remedy="put the key into it, alone")
    return SecretStr(text)


Port = int


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

    # embedded broker, database, logs, pids; by default as `default_home` says
    home: Path = Path(".mds")
    config: Path | None = None  # None: all of the simulator's symbols, and of vendors `default_configuration`
    kafka: str = ""  # bootstrap servers; empty = the embedded broker on kafka_port
    kafka_port: Port = Field(default=19092, ge=1, le=65535)
    # how the brokers are reached, as they spell it or in small letters; what belongs to it follows
    kafka_security_protocol: Annotated[SecurityProtocol, BeforeValidator(str.lower)] = "plaintext"
    kafka_sasl_mechanism: SaslMechanism | None = None
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    # holds the password alone; in place of the variable
    kafka_password_file: Path | None = None
    # PEM: who vouches for the brokers; None = the authorities of the system
    kafka_ca_file: Path | None = None
    kafka_certificate_file: Path | None = None  # PEM, with the chain: ours, where brokers ask for one
    kafka_key_file: Path | None = None  # PEM; None = it is in the certificate's file
    kafka_key_password: SecretStr = SecretStr("")  # of an encrypted key
    postgres_dsn: Dsn = SecretStr("")  # empty = the embedded database on postgres_port
    postgres_port: Port = Field(default=15432, ge=1, le=65535)
    market_clock: Literal["wall", "simulator"] = "wall"
    # address the simulator listens on; what it serves looks like a vendor, so only where others cannot reach it
    simulator_host: str = "127.0.0.1"
    simulator_port: Port = Field(default=18080, ge=1, le=65535)
    simulator_url: str = ""  # empty = http://127.0.0.1:<simulator_port>
    simulator_data: Path | None = None  # None = the synthetic market
    simulator_start: str = ""  # RFC 3339; empty = the first event of the data, or now when synthetic
    simulator_speed: str = "1"  # a positive number, or "max"
    simulator_seed: int = 1
    simulator_scenario: Path | None = None  # faults, see infra/simulator/faults/scenario.py
    map_files: Path | None = None  # LEAN map files, one CSV an instrument: which symbol it bore when
    api_key: SecretStr = SecretStr("")  # what commands show the gateway, where it asks for a key
    # of topics that are made where none are yet; what is there stays as it is, and is asked of the broker
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, le=MAX_PARTITIONS)
    # the Iceberg catalog of `mds archive iceberg`, by an SQLAlchemy URL or that of a REST catalog; empty = SQLite in MDS_HOME
    iceberg_catalog_uri: SecretStr = SecretStr("")
    # where its metadata lies, or the warehouse's name in REST; empty = in MDS_HOME, or REST's own
    iceberg_warehouse: str = ""
    iceberg_namespace: str = Field(default="mds", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    iceberg_token: SecretStr = SecretStr("")  # shown to a REST catalog
    iceberg_credential: SecretStr = SecretStr("")  # CLIENT_ID:SECRET, for which a REST catalog gives a token
    # put before every topic, group and transactional id: two systems on one cluster
    topic_prefix: Annotated[str, AfterValidator(checked_prefix)] = ""
    # where services answer on their ops ports, without asking for a key; 0.0.0.0 where probes and scrapers come from elsewhere
    ops_host: IPvAnyAddress = ipaddress.IPv4Address("127.0.0.1")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otel: bool = False  # record spans and send them over OTLP/HTTP; needs the extra otel
    # base URL of the receiver; empty = that of OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318
    otel_endpoint: Endpoint = ""
    # share of the traces that are recorded, of those that begin here
    otel_ratio: float = Field(default=1.0, ge=0.0, le=1.0)
    trace: bool = False  # a trace of every call may be asked for; needs the extra trace

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
