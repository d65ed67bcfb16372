"""Tuning of the stream processors (`PROCESSORS_*`)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from infra.runtime.settings import Port, Settings


class ProcessorSettings(Settings):
    """Settings of one stream-processor process; everything has a default that works."""

    prefix: ClassVar[str] = "PROCESSORS_"

    ops_port: Port = Field(default=8102, ge=1, le=65535)
    # Kafka takes the partitions away after this
    session_timeout_s: float = Field(default=10.0, ge=6.0, le=60.0)
    # silence of a raw partition until a tick is appended, at least: all together get at most 64 a second
    tick_after_s: float = Field(default=1.0, ge=0.1, le=10.0)
    # consecutive blocks in one transaction, when behind; large ones are fewer, by events and bytes
    transaction_max_blocks: int = Field(default=512, ge=1, le=1_024)
    transaction_max_events: int = Field(default=4_000, ge=1, le=20_000)
