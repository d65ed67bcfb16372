"""Settings: environment variables become frozen, validated values at start-up; a typo is an error, never a default."""

from __future__ import annotations

import difflib
import ipaddress
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, IPvAnyAddress, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from infra.runtime.dsn import Dsn
from schemas.configuration.model import DEFAULT_PATH
from schemas.errors import ConfigurationError
from schemas.remedies import problem_of, remedy_of
from schemas.topics import DEFAULT_PARTITIONS, MAX_PARTITIONS, checked_prefix

SERVICE_PREFIXES = ("PRODUCERS_", "PROCESSORS_", "SINKS_", "GATEWAY_")
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


Port = int


class MdsSettings(Settings):
    """Settings that all services and the CLI share (`MDS_*`)."""

    prefix: ClassVar[str] = "MDS_"

    home: Path = Path(".mds")  # embedded broker, database, logs, pids
    config: Path | None = None  # None: config/mds.yaml where it exists, else all simulator symbols
    kafka: str = ""  # bootstrap servers; empty = the embedded broker on kafka_port
    kafka_port: Port = Field(default=19092, ge=1, le=65535)
    postgres_dsn: Dsn = SecretStr("")  # empty = the embedded database on postgres_port
    postgres_port: Port = Field(default=15432, ge=1, le=65535)
    market_clock: Literal["wall", "simulator"] = "wall"
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

    @property
    def configuration_path(self) -> Path | None:
        """The configuration file in force; None where the simulator's own offer is collected instead."""
        if self.config is None and self.market_clock == "simulator":
            return None
        return self.config or DEFAULT_PATH

    @property
    def bootstrap_servers(self) -> str:
        """Kafka bootstrap servers in force."""
        return self.kafka or f"127.0.0.1:{self.kafka_port}"

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
