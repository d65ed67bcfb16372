"""PostgreSQL with TimescaleDB in a Node process beside us, spoken to as to a connection of asyncpg."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from infra.embedded.jars import cache_folder
from infra.runtime.postgres.files import migrations, statements
from infra.runtime.postgres.migrate import DIRECTORY, LEDGER

HOME = Path(__file__).parent.parent / "timescale"
INSTALLED_WITHIN_S = 240
OLDEST_NODE = 18
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BOOL, INT8, INT2, INT4, FLOAT4, FLOAT8, TIMESTAMPTZ, TIMESTAMPTZ_ARRAY = 16, 20, 21, 23, 700, 701, 1184, 1185


class Row(tuple[Any, ...]):
    """A row: by position or by name of its column; times are µs since the Unix epoch."""

    names: tuple[str, ...]

    def __getitem__(self, key: Any) -> Any:
        """Return a value."""
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)


def _time_us(text: str) -> int | str:
    if text.endswith("infinity"):
        return text
    return (datetime.fromisoformat(text) - EPOCH) // MICROSECOND


_READ: dict[int, Callable[[str], Any]] = {
    BOOL: lambda text: text == "t", **dict.fromkeys((INT8, INT2, INT4), int),
    **dict.fromkeys((FLOAT4, FLOAT8), float), TIMESTAMPTZ: _time_us,
}  # fmt: skip


def _row(answer: dict[str, Any], texts: list[str | None]) -> Row:
    read = (
        text if text is None else _READ.get(kind, str)(text)
        for text, kind in zip(texts, answer["types"], strict=True)
    )
    row = Row(read)
    row.names = tuple(answer["names"])
    return row


def _written(value: Any, of_type: int) -> str | None:
    """Return a value as PostgreSQL reads it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        element = TIMESTAMPTZ if of_type == TIMESTAMPTZ_ARRAY else 0
        parts = (_written(each, element) for each in value)
        return "{" + ",".join("NULL" if part is None else json.dumps(part) for part in parts) + "}"
    if of_type == TIMESTAMPTZ:
        return (EPOCH + value * MICROSECOND).isoformat()
    return str(value)


class Bridge:
    """The process and its one database; errors are asyncpg's own, by SQLSTATE."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Speak to a process that runs `bridge.mjs`."""
        self._process = process
        self._types: dict[str, list[int]] = {}
        self._depth = 0

    def ask(self, command: str, **its: Any) -> dict[str, Any]:
        """Return the answer to one command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **its}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the bridge ended with {self._process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        if error := answer.get("error"):
            fields = {"S": "ERROR", "C": error.get("code") or "XX000", "M": error["message"]}
            fields |= {key: error[name] for key, name in (("D", "detail"), ("H", "hint")) if error.get(name)}
            raise asyncpg.PostgresError.new(fields)
        return answer

    def open(self) -> None:
        """Begin with an empty database that has no extension yet."""
        self.ask("open")
        self._types.clear()
        self._depth = 0
        self.ask("exec", sql="SET timezone = 'UTC'")

    async def execute(self, query: str, *args: Any) -> str:
        """Execute statements without values, or one with."""
        if args:
            await self.fetch(query, *args)
        else:
            self.ask("exec", sql=query)
        return ""

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """Return the rows of a statement."""
        if query not in self._types:
            self._types[query] = self.ask("describe", sql=query)["types"] if args else []
        values = [_written(value, kind) for value, kind in zip(args, self._types[query], strict=True)]
        answer = self.ask("query", sql=query, values=values)
        return [_row(answer, row) for row in answer["rows"]]

    async def fetchrow(self, query: str, *args: Any) -> Row | None:
        """Return the first row, or None."""
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Return the first value of the first row, or None."""
        row = await self.fetchrow(query, *args)
        return row and row[0]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commit what is done inside, or nothing of it; inside of another it is a savepoint."""
        name = f"inner_{self._depth}" if self._depth else ""
        self.ask("exec", sql=f"SAVEPOINT {name}" if name else "BEGIN")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            self.ask("exec", sql=f"ROLLBACK TO {name}" if name else "ROLLBACK")
            raise
        self._depth -= 1
        self.ask("exec", sql=f"RELEASE {name}" if name else "COMMIT")

    def terminate(self) -> None:
        """End the process, as a deadline does with a connection."""
        self._process.kill()

    async def copy_to_table(
        self,
        table: str,
        *,
        source: AsyncIterable[Any],
        columns: Sequence[str],
        format: str,  # noqa: A002 - asyncpg's
    ) -> str:
        """Store rows encoded as COPY reads them."""
        data = b"".join([bytes(chunk) async for chunk in source])
        sql = f"COPY {table} ({', '.join(columns)}) FROM '/dev/blob' WITH (FORMAT {format})"
        self.ask("copy", sql=sql, base64=base64.b64encode(data).decode())
        return ""


def node_home() -> Path:
    """Return the folder with the bridge and its packages, installed from the lock file where they are not.

    Raises FileNotFoundError where this machine lacks npm, or a node that is new enough.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise FileNotFoundError(f"no node and npm on this machine; install Node {OLDEST_NODE} or newer")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        raise FileNotFoundError(f"node is {version} on this machine; install {OLDEST_NODE} or newer")
    bridge = HOME / "bridge.mjs"
    digest = hashlib.sha256((HOME / "package-lock.json").read_bytes()).hexdigest()[:16]
    home = cache_folder() / f"timescale-bridge-{digest}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copy(bridge, home)
        if not (home / "installed").exists():
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(HOME / name, home)
            subprocess.run([npm, "ci", "--silent"], cwd=home, check=True, timeout=INSTALLED_WITHIN_S)
            (home / "installed").touch()
    return home


@contextmanager
def running_bridge(home: Path) -> Iterator[Bridge]:
    """Run the bridge inside; it ends with its input."""
    process = subprocess.Popen(
        ["node", "bridge.mjs"], cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Bridge(process)


async def migrated(bridge: Bridge) -> None:
    """Run every migration of plain PostgreSQL, unchanged."""
    await bridge.execute(LEDGER)
    for migration in migrations(DIRECTORY):
        if migration.transactional:
            async with bridge.transaction():
                await bridge.execute(migration.text)
        else:
            for statement in statements(migration.text):
                await bridge.execute(statement)
