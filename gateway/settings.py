"""Settings of the gateway (`GATEWAY_*`)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from infra.runtime.settings import Port, Settings

MIN_PAGE_TOKEN_KEY_CHARS = 32
OPS_PORT_STEP = 100


class GatewaySettings(Settings):
    """Settings of the gateway: where it listens, who may ask, and how much it does at once."""

    prefix: ClassVar[str] = "GATEWAY_"

    host: str = "127.0.0.1"  # anything but a loopback address demands keys_file
    port: Port = Field(default=8001, ge=0, le=65535)  # 0 = any free port, for tests
    ops_port: Port = Field(default=8104, ge=1, le=65535)
    processes: int = Field(default=1, ge=1, le=64)  # on one port, each complete; limits hold for each
    # Which of several this is, counted from 0; set by the one that begins them. It listens for ops at ops_port + 100 × replica.
    replica: int | None = Field(default=None, ge=0, le=63)
    keys_file: Path | None = None  # YAML or JSON list of {id, sha256, scopes, origins}
    origins: str = ""  # comma-separated Origins a browser may come from, besides the gateway's own
    # comma-separated addresses and networks of reverse proxies, whose X-Forwarded-For and -Proto are believed
    trusted_proxies: str = ""
    # PEM, with the chain; None: plain HTTP, for loopback or behind a proxy
    tls_certificate: Path | None = None
    tls_key: Path | None = None  # PEM; None: it is in tls_certificate
    page_token_key: SecretStr = SecretStr("")  # empty = one made once under MDS_HOME; replicas must share one
    services: str = ""  # name=url,... of the services' ops ports; empty = 127.0.0.1 and their *_OPS_PORT
    max_connections: int = Field(default=4_096, ge=1, le=65_536)  # WebSocket clients; one more gets 4013
    max_http_connections: int = Field(default=2_048, ge=16, le=65_536)  # besides those; one more gets 503
    # units a second: a request is one, each 16 KiB of its answer another; five seconds' worth may come at once; 0: no limit
    key_units_per_s: float = Field(default=1_000.0, ge=0.0, le=1e6)
    # of those who show no key, or a wrong one
    address_units_per_s: float = Field(default=50.0, ge=0.0, le=1e6)
    # folder served at /archive, that of SINKS_ARCHIVE; None: `archive` in MDS_HOME
    archive: Path | None = None
    database_connections: int = Field(default=8, ge=1, le=200)
    slo_symbols: int = Field(default=8_000, ge=1, le=20_000)  # for the objective `coverage`; of fewer 99 %

    @property
    def allowed_origins(self) -> frozenset[str]:
        """The Origins every key may come from."""
        return frozenset(part.strip().rstrip("/").lower() for part in self.origins.split(",") if part.strip())

    @property
    def own_ops_port(self) -> int:
        """The ops port of this process."""
        return self.ops_port + OPS_PORT_STEP * (self.replica or 0)
