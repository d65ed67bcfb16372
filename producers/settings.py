"""What tunes the producers (`PRODUCERS_*`)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, SecretStr

from infra.runtime.settings import Port, Settings


class ProducersSettings(Settings):
    """Settings of the producers; what to collect is in the YAML that MDS_CONFIG names."""

    prefix: ClassVar[str] = "PRODUCERS_"

    ops_port: Port = Field(default=8101, ge=1, le=65535)
    finnhub_token: SecretStr = SecretStr("")  # empty = Finnhub is off (on the simulator any token does)
    concurrency: int = Field(default=8, ge=1, le=64)  # requests in flight per provider
    request_deadline_s: float = Field(default=10.0, gt=0.0, le=120.0)
    cursor_wait_s: float = Field(default=15.0, ge=0.0, le=600.0)  # for the database, before going on without
