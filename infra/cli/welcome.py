"""The greeting once everything runs: whose data it is, addresses, the first bar, three commands to copy."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

import yaml

from infra.cli.http import get_json
from infra.cli.output import BOLD, DIM, colour
from infra.cli.system import SERVICES, System
from infra.embedded.ports import LOOPBACK
from infra.embedded.postgres import ROLE

HTTP_OK = 200


def source(system: System, *, live: bool) -> str:
    """Say whose data it is."""
    if live:
        return f"  source     the vendors themselves, as {system.configuration_path} says"
    data = system.settings.simulator_data
    what = f"real data of {data}" if data else "a seeded synthetic market, always open, symbols SIM…"
    return f"  source     the vendor simulator: {what}; `mds run --live` polls the vendors themselves"


def urls(system: System, *, live: bool) -> list[str]:
    """Return one line per address."""
    settings = system.settings
    database = _without_password(settings.dsn)
    # our own: its password is no secret, only this machine gets in
    if not settings.postgres_dsn.get_secret_value():
        database += f" (password {ROLE})"
    rows = [
        ("REST", f"{system.gateway_url}/health"),
        ("WebSocket", f"ws://{LOOPBACK}:{system.gateway_port}/ws"),
        ("console", f"{system.gateway_url}/"),
        ("Kafka", settings.bootstrap_servers),
        ("schemas", f"{system.gateway_url}/subjects"),
        ("PostgreSQL", database),
        ("metrics", "  ".join(f"{s.module} :{system.ops_port(s)}" for s in SERVICES)),
        ("logs", str(system.home.logs)),
    ]
    if not live:
        rows.insert(3, ("simulator", f"{settings.simulator_base_url}/simulator/clock"))
    return [f"  {name:<10} {value}" for name, value in rows]


def commands(system: System, symbol: str) -> list[str]:
    """Return three commands to copy: REST, WebSocket, Kafka."""
    escaped = quote(symbol, safe="")
    mds, read_socket = _programs()
    history = f"{system.gateway_url}/stocks/{escaped}/history?interval=1m&limit=5"
    return [
        "",
        colour("  try", BOLD),
        f"  curl -s '{history}'",
        f"  {read_socket} ws://{LOOPBACK}:{system.gateway_port}/ws/{escaped}",
        f"  {mds} tail '{symbol}' --stream bars --from-start",
        "",
        colour("  Ctrl-C stops everything in order; the next run goes on where this one was.", DIM),
    ]


def first_symbol(system: System, *, live: bool) -> str:
    """Return a symbol that will have bars: the simulator's first, or the first of the configuration."""
    if not live:
        _, document = get_json(f"{system.settings.simulator_base_url}/simulator/symbols")
        for entry in (document or {}).get("symbols", []):
            if "bars" in entry.get("streams", ["bars"]):
                return str(entry["symbol"])
        return "SIM001"
    return _first_configured(system.configuration_path) or "SPY"


def bar_is_visible(gateway_url: str, symbol: str) -> bool:
    """Return whether REST shows a minute bar of the symbol: it went the whole way."""
    path = f"/stocks/{quote(symbol, safe='')}/history?interval=1m&session=all&limit=1"
    status, document = get_json(gateway_url + path)
    return status == HTTP_OK and bool(document and document.get("data"))


def _first_configured(path: Path) -> str | None:
    """Return the first symbol of a configuration file, whether it lists names or entries with a name."""
    try:
        listed = yaml.safe_load(path.read_text()).get("symbols") or []
        first = next(iter(listed))
        return str(first["symbol"]) if isinstance(first, dict) else str(first)
    except (OSError, AttributeError, StopIteration, KeyError, yaml.YAMLError):
        return None


def _without_password(dsn: str) -> str:
    """Return the address of a database without its secret."""
    head, at, tail = dsn.rpartition("@")
    if not at:
        return dsn
    scheme, _, user = head.partition("://")
    return f"{scheme}://{user.partition(':')[0]}@{tail}"


def _programs() -> tuple[str, str]:
    """Return how `mds` and a reader of WebSockets are called from here, in as few words as will do."""
    folder = Path(sys.executable).parent
    try:
        prefix = f"{folder.relative_to(Path.cwd())}/"
    except ValueError:
        prefix = f"{folder}/"
    on_path = shutil.which("mds")
    mds = "mds" if on_path and Path(on_path).resolve() == (folder / "mds").resolve() else f"{prefix}mds"
    # nothing of ours needs that package: a checkout has it for its tests
    has_reader = importlib.util.find_spec("websockets") is not None
    return mds, f"{prefix}python -m websockets" if has_reader else "pipx run websockets"
