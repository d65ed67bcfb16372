"""Configurations and their generations on the broker."""

from __future__ import annotations

from infra.runtime.kafka.logs import LogReader
from schemas.configuration.generation import KEY, PARTITION, Generation, decode_generation
from schemas.topics import CONFIGURATION

WITHIN_S = 20.0

GOOD = "symbols: [SIM001]\nstreams: {bars: {provider: yahoo}}\n"


def text_of(number: int) -> str:
    """Return a good configuration unlike those of other numbers."""
    return f"symbols: [SIM001, SIM{number:03d}X]\nstreams: {{bars: {{provider: yahoo}}}}\n"


def generations(kafka: str, prefix: str) -> list[Generation]:
    """Return every generation in the log."""
    with LogReader(kafka, "test-reader") as reader:
        messages = reader.read(prefix + CONFIGURATION, PARTITION, 0)
        return [decode_generation(message.value()) for message in messages if message.key() == KEY]
