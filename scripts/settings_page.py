"""The reference of every variable in the environment, docs/reference/settings.md, from the classes that read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from gateway.http.reference import table
from gateway.settings import GatewaySettings
from infra.runtime.environment import SERVICE_PREFIXES, Settings
from infra.runtime.settings import MdsSettings
from producers.settings import FILE_SUFFIX, ProducersSettings
from schemas.providers.built_in import BUILT_IN
from sinks.settings import SinkSettings
from stream_processors.settings import ProcessorSettings

DOCS = ".."
CREDENTIALS = "credentials"  # a variable of each vendor's instead
ALL = ("all",)
SERVICES = ("producers", "processors", "sinks", "archive", "gateway")
ASKING = ("gateway", "`mds`")  # who looks at the ops ports of others
_DATABASE = ("producers", "sinks", "archive", "gateway", "`mds`")
_VENDORS = ("producers", "sinks", "gateway", "`mds`")
READERS: Mapping[str, tuple[str, ...]] = {
    "MDS_POSTGRES_DSN": _DATABASE,
    "MDS_POSTGRES_PORT": _DATABASE,
    "MDS_MARKET_CLOCK": _VENDORS,
    "MDS_SIMULATOR_HOST": ("simulator",),
    "MDS_SIMULATOR_PORT": ("simulator", *_VENDORS),
    "MDS_SIMULATOR_URL": _VENDORS,
    "MDS_SIMULATOR_DATA": ("simulator", "gateway", "`mds`"),
    "MDS_SIMULATOR_START": ("simulator",),
    "MDS_SIMULATOR_SPEED": ("simulator",),
    "MDS_SIMULATOR_SEED": ("simulator",),
    "MDS_SIMULATOR_SCENARIO": ("simulator",),
    "MDS_MAP_FILES": ("producers", "gateway", "`mds`"),
    "MDS_API_KEY": ("`mds`",),
    "MDS_PARTITIONS": ("`mds`",),
    "MDS_ICEBERG_CATALOG_URI": ("archive",),
    "MDS_ICEBERG_WAREHOUSE": ("archive",),
    "MDS_ICEBERG_NAMESPACE": ("archive",),
    "MDS_ICEBERG_TOKEN": ("archive",),
    "MDS_ICEBERG_CREDENTIAL": ("archive",),
    "MDS_OTEL": SERVICES,
    "MDS_OTEL_ENDPOINT": SERVICES,
    "MDS_OTEL_RATIO": SERVICES,
    "MDS_TRACE": SERVICES,
    "PRODUCERS_OPS_PORT": ("producers", *ASKING),
    "PROCESSORS_OPS_PORT": ("processors", *ASKING),
    "SINKS_OPS_PORT": ("sinks", *ASKING),
    "SINKS_ARCHIVE": ("archive", "`mds`"),
    "SINKS_ARCHIVE_OPS_PORT": ("archive",),
    "SINKS_ARCHIVE_FILE_MB": ("archive",),
    "SINKS_ARCHIVE_KEEP_FREE_MB": ("archive",),
    "SINKS_REPLAY_DSN": ("sinks", "`mds`"),
    "GATEWAY_PORT": ("gateway", "`mds`"),
    "GATEWAY_OPS_PORT": ("gateway", "`mds`"),
}
"""Who reads a setting: what stands here, else every process of ours for `MDS_`, and the service of the class for others."""

CLASSES: Sequence[tuple[str, str, type[Settings], tuple[str, ...]]] = (
    ("All processes", "Broker, database, simulator and what else several processes share.", MdsSettings, ALL),
    (
        "Producers",
        (
            f"A key that is set turns its provider on ([who gives what]({DOCS}/PROVIDERS.md)). Each may stand in a file instead, named by the "
            f"same variable with `{FILE_SUFFIX}`; the variable itself goes first. A provider of a package of its own names its own variables."
        ),
        ProducersSettings,
        ("producers",),
    ),
    ("Processors", "", ProcessorSettings, ("processors",)),
    ("Sinks and archive", "", SinkSettings, ("sinks",)),
    (
        "Gateway",
        f"What keys, proxies and limits are for: [access]({DOCS}/concepts/access.md).",
        GatewaySettings,
        ("gateway",),
    ),
)
HEAD = f"""\
# Settings

For whoever runs processes: every variable of the environment that they read. What to collect, from whom and how often is in a file, whose
keys [CONFIGURATION.md]({DOCS}/CONFIGURATION.md) lists. Variables of the test suite are in [CONTRIBUTING.md]({DOCS}/../CONTRIBUTING.md).

*Generated from the settings classes by `make docs`.*

- They are read once, at the start. A value that is not valid, and an unknown name that begins with `MDS_`, ends the process with code 2 and
  the remedy; an unknown name with a service's prefix is warned of, because Kubernetes puts names of its own beside ours.
- A variable that is set to nothing counts as unset. A *yes or no* is `1` or `0`, `true` or `false`.
- `_s` are seconds, `_ms` milliseconds, `_mb` MB, `_days` days, of the machine's clock.
- `mds env` prints what is in force; it hides secrets, which are marked *secret* here. A file of a secret holds it alone, in ASCII.
- *all* are producers, processors, sinks, archive, gateway and `mds`; *archive* is `mds archive`, *simulator* is `mds simulator serve`, which
  `mds run` starts.

Read as others define them: `XDG_DATA_HOME`, `XDG_CACHE_HOME` and `HOME` for default places, `NO_COLOR`, and
[what OpenTelemetry reads]({DOCS}/TRACING.md#two-commands-to-a-trace)."""
COLUMNS = ("Setting", "Type", "Default", "Read by", "Meaning")
PREFIXES = "|".join(("MDS_", *SERVICE_PREFIXES))
NAMED = re.compile(rf"(?<!`)\b(?:{PREFIXES})[A-Z0-9_]+\b")
KINDS = {"string": "text", "boolean": "yes or no", "object": "JSON"}
FORMATS = {"path": "path", "password": "secret", "ipvanyaddress": "IP address"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One variable as a reader sees it; `default` is empty for a secret."""

    name: str
    type: str
    default: str
    readers: tuple[str, ...]
    meaning: str


def settings_page() -> str:
    """Return docs/reference/settings.md."""
    parts = [HEAD]
    for title, words, kind, readers in CLASSES:
        parts += [f"## {title}", *([words] if words else [])]
        parts.append(table(COLUMNS, map(_cells, settings_of(kind, readers))))
    return "\n\n".join(parts) + "\n"


def settings_of(kind: type[Settings], readers: tuple[str, ...]) -> Iterator[Setting]:
    """Yield the variables that a class reads, in its order; its own readers are those of what READERS does not name."""
    given = kind.model_json_schema()["properties"]
    for name, field in kind.model_fields.items():
        if name == CREDENTIALS:
            yield from _credentials()
            continue
        variable = f"{kind.prefix}{name.upper()}"
        yield Setting(
            name=variable,
            type=_type(given[name]),
            default=_default(field.get_default(call_default_factory=True)),
            readers=READERS.get(variable, readers),
            meaning=NAMED.sub(r"`\g<0>`", field.description or ""),
        )


def _credentials() -> Iterator[Setting]:
    for facts in BUILT_IN.values():
        for variable in facts.credentials:
            yield Setting(
                name=variable,
                type="secret",
                default="",
                readers=("producers",),
                meaning=f"Key of {facts.title}, or a part of it.",
            )


def _type(given: Mapping[str, Any]) -> str:
    several = [each for each in given.get("anyOf", ()) if each.get("type") != "null"]
    if several:
        return " or ".join(_type(each) for each in several)
    if "enum" in given:
        return ", ".join(f"`{value}`" for value in given["enum"])
    if (written := FORMATS.get(given.get("format", ""))) is not None:
        return written
    kind = str(given.get("type", "text"))
    return KINDS.get(kind, kind) + _bounds(given)


def _bounds(given: Mapping[str, Any]) -> str:
    low, above, high = (given.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    begin = f" from {_number(low)}" if low is not None else ""
    begin = f" above {_number(above)}" if above is not None else begin
    end = f" to {_number(high)}" if high is not None else " on" if begin else ""
    pattern = f" like `{given['pattern']}`" if "pattern" in given else ""
    return f"{begin}{end}{pattern}"


def _default(value: Any) -> str:
    if isinstance(value, SecretStr):
        return ""
    if value is None or value in ("", {}):
        return "none"
    if isinstance(value, bool):
        return "`1`" if value else "`0`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _cells(setting: Setting) -> tuple[str, ...]:
    return f"`{setting.name}`", setting.type, setting.default, ", ".join(setting.readers), setting.meaning
