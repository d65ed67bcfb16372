"""Commands that show what is in force: `mds env`, `mds topics`, `mds simulator clock`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import SecretStr

from infra.cli.http import get_json
from infra.cli.system import SERVICES, System
from infra.runtime.clock import rfc3339
from infra.runtime.environment import SERVICE_PREFIXES
from infra.runtime.kafka.topics import Topics
from schemas.errors import ProviderUnavailable
from schemas.topics import DAY_MS, catalogue

MASK = "********"
SECRET_WORDS = ("TOKEN", "KEY", "SECRET", "PASSWORD", "DSN")


def env_in_force(system: System, *, show_secrets: bool) -> dict[str, str]:
    """Return every shared setting with its value, the addresses derived from them, and what is set for the services."""
    values: dict[str, str] = {}
    for name in type(system.settings).model_fields:
        value = getattr(system.settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        values[f"MDS_{name.upper()}"] = "" if text is None else str(text)
    values["MDS_HOME"] = str(system.home.root)
    values["MDS_KAFKA"] = system.settings.bootstrap_servers
    values["MDS_POSTGRES_DSN"] = system.settings.dsn
    values["MDS_SIMULATOR_URL"] = system.settings.simulator_base_url
    values["GATEWAY_PORT"] = str(system.gateway_port)
    for service in SERVICES:
        values[f"{service.prefix}OPS_PORT"] = str(system.ops_port(service))
    given = {name: text for name, text in system.env.items() if name.startswith(SERVICE_PREFIXES)}
    values |= given
    if show_secrets:
        return values
    return {name: MASK if text and _is_secret(name) else text for name, text in values.items()}


def _is_secret(name: str) -> bool:
    return any(word in name.split("_") for word in SECRET_WORDS)


def topic_entries(system: System, *, on_broker: bool) -> list[dict[str, Any]]:
    """Return the declared topics; with `on_broker` also what the broker has, and whether that is as declared.

    How many partitions they have is the count most of them have on the broker; where none are, the one they would get.
    """
    prefix = system.settings.topic_prefix
    existing: dict[str, int] = {}
    if on_broker:
        system.reach_kafka()
        existing = Topics(system.settings.bootstrap_servers, "mds-cli").partition_counts()
    topics = catalogue().topics.values()
    counts = [existing.get(prefix + topic.name) for topic in topics if topic.fixed_partitions is None]
    by_most = Counter(count for count in counts if count is not None).most_common(1)
    chosen = by_most[0][0] if by_most else system.settings.partitions
    entries = []
    for topic in topics:
        retention = "compacted" if topic.retention_ms is None else f"{topic.retention_ms // DAY_MS} days"
        entry: dict[str, Any] = {
            "name": prefix + topic.name,
            "kind": topic.kind,
            "key": topic.key,
            "schema": topic.schema,
            "partitions": topic.partitions(chosen),
            "retention": retention,
        }
        if on_broker:
            found = existing.get(prefix + topic.name)
            entry["found"] = found
            entry["ok"] = found == topic.partitions(chosen)
        entries.append(entry)
    return entries


def simulator_clock(system: System) -> dict[str, Any]:
    """Return the simulator's clock with readable times; raise ProviderUnavailable when it does not answer."""
    url = f"{system.settings.simulator_base_url}/simulator/clock"
    status, document = get_json(url)
    if status != 200 or not isinstance(document, dict):
        raise ProviderUnavailable(
            f"no simulator answers at {url}; start it with `mds simulator serve` or `mds run`"
        )
    readable = dict(document)
    for name in ("market_time", "start", "end"):
        if isinstance(document.get(name), int):
            readable[name] = rfc3339(document[name])
    return readable
