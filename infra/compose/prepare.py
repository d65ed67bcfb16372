"""`python3 prepare.py demo|live`: what Compose is given that no repository may hold; passwords, keys, and what to start.

Needs nothing but Python, so that whoever has Docker alone can run it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
PASSWORD_BYTES = 32
PRIVATE, READABLE = 0o600, 0o644
# Of the keys that are made: what each may do, and the file its owner finds it in.
DESK, GRAFANA, BLACKBOX = "desk", "grafana", "blackbox"
SCOPES = {DESK: ("admin", "backfill", "dlq", "read", "stream"), GRAFANA: ("read",), BLACKBOX: ("read",)}
CHOICES = {
    "demo": "COMPOSE_PROFILES=demo,monitoring\nMARKET_CLOCK=simulator\nCONFIG=\n",
    "live": "COMPOSE_PROFILES=monitoring\nMARKET_CLOCK=wall\n",
}
PROVIDERS = {
    "demo": "# The simulator takes any key.\nPRODUCERS_FINNHUB_TOKEN=simulator\n",
    "live": "# Keys of vendors (docs/PROVIDERS.md), such as\n# PRODUCERS_FINNHUB_TOKEN=\n",
}
ENVIRONMENT = """\
# Written by prepare.py. Compose reads it; whoever reads it owns the system. Passwords stand in a URL: letters, digits, - and _ alone.
{choice}PASSWORD_SERVICES={services}
PASSWORD_READER={reader}
KEY_GRAFANA={grafana}
"""


def prepare(folder: Path, choice: str) -> list[Path]:
    """Write the files into a folder and return them; raise FileExistsError, and change nothing, where one is there.

    `secrets` lets nobody else in. What containers read there is readable within it, for they run as users of their own.
    """
    tokens = {name: f"mds_{secrets.token_urlsafe(PASSWORD_BYTES)}" for name in SCOPES}
    environment = ENVIRONMENT.format(
        choice=CHOICES[choice],
        services=secrets.token_urlsafe(PASSWORD_BYTES),
        reader=secrets.token_urlsafe(PASSWORD_BYTES),
        grafana=tokens[GRAFANA],
    )
    files = {
        ".env": (PRIVATE, environment),
        "providers.env": (PRIVATE, PROVIDERS[choice]),
        "secrets/desk_key": (PRIVATE, tokens[DESK]),
        "secrets/blackbox_key": (READABLE, tokens[BLACKBOX]),
        "secrets/grafana_password": (READABLE, secrets.token_urlsafe(PASSWORD_BYTES)),
        "secrets/postgres_password": (READABLE, secrets.token_urlsafe(PASSWORD_BYTES)),
        "secrets/gateway/keys.yaml": (READABLE, "".join(map(_entry, tokens, tokens.values()))),
    }
    for name in files:
        if (folder / name).exists():
            raise FileExistsError(folder / name)
    (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
    (folder / "secrets").chmod(0o700)
    (folder / "secrets" / "gateway").mkdir(exist_ok=True)
    (folder / "secrets" / "gateway").chmod(0o755)
    for name, (mode, text) in files.items():
        _write(folder / name, mode, text)
    return [folder / name for name in files]


def _entry(name: str, token: str) -> str:
    digest = hashlib.sha256(token.encode()).hexdigest()
    return f"- id: {name}\n  sha256: {digest}\n  scopes: [{', '.join(SCOPES[name])}]\n"


def _write(path: Path, mode: int, text: str) -> None:
    """Write a new file that nobody could read before it had its mode, whatever the umask."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    path.chmod(mode)


def main(arguments: Sequence[str] | None = None, *, folder: Path = HERE) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="prepare.py", description=__doc__)
    parser.add_argument("choice", choices=sorted(CHOICES), help="the simulator's market, or the vendors'")
    choice: str = parser.parse_args(arguments).choice
    try:
        written = prepare(folder, choice)
    except FileExistsError as error:
        print(
            f"{error.args[0]} is there already, and with it the passwords of the database; nothing was written.\n"
            "To begin anew: `docker compose down --volumes`, which deletes all data, and remove .env, providers.env and secrets.",
            file=sys.stderr,
        )
        return 2
    for path in written:
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
