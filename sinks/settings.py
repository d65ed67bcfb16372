"""Settings of the sinks (`SINKS_*`)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, SecretStr

from infra.runtime.settings import Port, Settings


class SinkSettings(Settings):
    """Settings of the sinks alone; what all services share is in MdsSettings."""

    prefix: ClassVar[str] = "SINKS_"

    ops_port: Port = Field(default=8103, ge=1, le=65535)
    session_timeout_s: float = Field(
        default=10.0, ge=6.0, le=300.0
    )  # a silent sink loses its partitions after this
    batch_records: int = Field(default=20_000, ge=1, le=200_000)  # of one transaction, at most
    linger_ms: float = Field(
        default=20.0, ge=0.0, le=250.0
    )  # how long the first record of a batch waits for others
    provider_health_days: float = Field(
        default=30.0, gt=0.0, le=3_650.0
    )  # for which the history of provider health is kept
    write_timeout_s: float = Field(
        default=20.0, ge=1.0, le=300.0
    )  # of one transaction; then its connection is cut
    replay_dsn: SecretStr = SecretStr("")  # what `python -m sinks replay` fills; a password is no argument
