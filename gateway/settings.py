"""Settings of the gateway (`GATEWAY_*`)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from infra.runtime.environment import Port, Settings

MIN_PAGE_TOKEN_KEY_CHARS = 32
OPS_PORT_STEP = 100


class GatewaySettings(Settings):
    """Settings of the gateway: where it listens, who may ask, and how much it does at once."""

    prefix: ClassVar[str] = "GATEWAY_"

    host: str = Field(
        default="127.0.0.1",
        description="Address REST and WebSocket listen on; anything but loopback demands GATEWAY_KEYS_FILE.",
    )
    port: Port = Field(default=8001, ge=0, le=65535, description="Their port; 0: any that is free.")
    ops_port: Port = Field(
        default=8104, ge=1, le=65535, description="Port of `/livez`, `/readyz` and `/metrics`."
    )
    processes: int = Field(
        default=1, ge=1, le=64, description="Processes on one port, each complete; limits hold for each."
    )
    replica: int | None = Field(
        default=None,
        ge=0,
        le=63,
        description="Which of several processes this is, from 0; set by the one that begins them. "
        "Each listens for ops 100 ports above the one before.",
    )
    keys_file: Path | None = Field(
        default=None, description="Keys of callers: a YAML or JSON list of `{id, sha256, scopes, origins}`."
    )
    origins: str = Field(
        default="",
        description="Origins that a browser may come from, with commas between them, besides the gateway's own.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses and networks of reverse proxies, such as `10.0.0.7,192.168.4.0/24`, "
        "whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Demands keys.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM, with its chain; followed while it runs. Unset: plain HTTP, for loopback or behind a proxy.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM: its key. Unset: it is in the certificate's file."
    )
    page_token_key: SecretStr = Field(
        default=SecretStr(""),
        description="Seals page tokens; gateways on several machines share one. Empty: one is made under MDS_HOME.",
    )
    services: str = Field(
        default="",
        description="Ops ports of the services for `/health` and `/metrics`, `name=url,…`. "
        "Empty: those of this machine, by the `…_OPS_PORT` of each.",
    )
    max_connections: int = Field(
        default=4_096, ge=1, le=65_536, description="WebSocket clients; one more is closed with 4013."
    )
    max_http_connections: int = Field(
        default=2_048, ge=16, le=65_536, description="HTTP connections besides those; one more gets 503."
    )
    key_units_per_s: float = Field(
        default=1_000.0,
        ge=0.0,
        le=1e6,
        description="Units a second of a key: a request is at least one, each 16 KiB of its answer another; "
        "five seconds' worth may come at once. 0: no limit.",
    )
    address_units_per_s: float = Field(
        default=50.0,
        ge=0.0,
        le=1e6,
        description="The same, of an address that shows no key or a wrong one.",
    )
    archive: Path | None = Field(
        default=None,
        description="Folder served at `/archive`, that of SINKS_ARCHIVE. Unset: `archive` in MDS_HOME.",
    )
    database_connections: int = Field(default=8, ge=1, le=200, description="Connections to the database.")
    slo_symbols: int = Field(
        default=8_000,
        ge=1,
        le=20_000,
        description="Symbols the objective `coverage` needs; where fewer are collected, 99 % of them.",
    )

    @property
    def allowed_origins(self) -> frozenset[str]:
        """The Origins every key may come from."""
        return frozenset(part.strip().rstrip("/").lower() for part in self.origins.split(",") if part.strip())

    @property
    def own_ops_port(self) -> int:
        """The ops port of this process."""
        return self.ops_port + OPS_PORT_STEP * (self.replica or 0)
