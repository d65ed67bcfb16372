"""Tuning of the stream processors (`PROCESSORS_*`)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from infra.runtime.environment import Port, Settings


class ProcessorSettings(Settings):
    """Settings of one stream-processor process; everything has a default that works."""

    prefix: ClassVar[str] = "PROCESSORS_"

    ops_port: Port = Field(
        default=8102, ge=1, le=65535, description="Port of `/livez`, `/readyz` and `/metrics`."
    )
    session_timeout_s: float = Field(
        default=10.0, ge=6.0, le=60.0, description="Silence after which Kafka takes the partitions away."
    )
    tick_after_s: float = Field(
        default=1.0,
        ge=0.1,
        le=10.0,
        description="Least silence of a raw partition until a tick is appended, which moves its clock; "
        "of all together at most 64 a second.",
    )
    transaction_max_blocks: int = Field(
        default=512, ge=1, le=1_024, description="Most consecutive blocks in one transaction, when behind."
    )
    transaction_max_events: int = Field(
        default=4_000, ge=1, le=20_000, description="Most events in one transaction of several blocks."
    )
