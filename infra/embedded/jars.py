"""Fetches the jars of Apache Kafka once per user and proves each against the committed lock, showing how far it is.

`kafka.lock.json` names every jar by Maven coordinate, size and SHA-256. A jar reaches the cache only
after its hash was verified, by a rename; so a jar in the cache is whole. Later starts compare sizes;
hashes are computed again when the lock changed. `python -m infra.embedded.jars` writes the lock anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TextIO

from infra.embedded.maven import MavenCoordinate, download, resolve_tree
from schemas.errors import ConfigurationError

LOCK_FILE = Path(__file__).with_name("kafka.lock.json")
# From 4.3.0 to 4.4.0 a broker that was killed may forget the commit markers of a confirmed transaction, and the next
# abort takes its records away (KAFKA-20734; seen here with 4.3.0). Not before a release has the fix.
KAFKA_VERSION = "4.2.2"
KAFKA_ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
# Sends the broker's slf4j log to log4j2, whose version it must share; the broker's POM leaves it out.
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"
PARALLEL_DOWNLOADS = 4
HASH_CHUNK_BYTES = 1024 * 1024

Download = Callable[[MavenCoordinate, Path, Callable[[int], None]], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedJar:
    """One line of the lock."""

    coordinate: str  # group:artifact:version[:classifier]
    sha256: str
    size_bytes: int

    @property
    def file_name(self) -> str:
        """Name of the jar in the cache, as Maven names it."""
        return MavenCoordinate.parse(self.coordinate).file_name


@dataclass(frozen=True, slots=True, kw_only=True)
class JarLock:
    """The committed list of jars, in class path order."""

    jars: tuple[LockedJar, ...]

    @classmethod
    def read(cls, path: Path = LOCK_FILE) -> Self:
        """Read a lock file."""
        return cls(jars=tuple(LockedJar(**jar) for jar in json.loads(path.read_text())["jars"]))

    @property
    def digest(self) -> str:
        """A short name of exactly this list."""
        return hashlib.sha256(json.dumps([asdict(jar) for jar in self.jars]).encode()).hexdigest()[:16]


def cache_folder() -> Path:
    """Return this user's cache folder, by the custom of the platform (`XDG_CACHE_HOME` is honoured)."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "market-data-service"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "market-data-service"
    return Path.home() / ".cache" / "market-data-service"


def class_path(
    lock: JarLock, cache: Path, *, fetch: Download = download, what: str = "Apache Kafka"
) -> list[Path]:
    """Return the verified jars in class path order, fetching what is missing.

    Raises ConfigurationError naming the jar whose content is not what the lock says, and when
    the jars cannot be fetched.
    """
    folder = cache / "kafka-jars"
    verified = folder / f"verified-{lock.digest}"
    paths = [folder / jar.file_name for jar in lock.jars]
    if verified.exists() and all(map(_has_right_size, lock.jars, paths)):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder / ".lock"):
        present = [(jar, path) for jar, path in zip(lock.jars, paths, strict=True) if path.exists()]
        for jar, path in present:
            _verify(jar, path)
        _fetch_all(
            [jar for jar, path in zip(lock.jars, paths, strict=True) if not path.exists()],
            folder,
            fetch,
            what,
        )
        verified.touch()
    return paths


def _has_right_size(jar: LockedJar, path: Path) -> bool:
    return path.exists() and path.stat().st_size == jar.size_bytes


def _verify(jar: LockedJar, path: Path) -> None:
    """Refuse a jar that is not the locked one."""
    if sha256_of(path) != jar.sha256:
        raise ConfigurationError(
            f"{path.name} is not the file that the lock names: its SHA-256 differs",
            remedy=f"delete {path} and start again; if it happens twice, do not trust where it is downloaded from",
        )


def _fetch_all(missing: list[LockedJar], folder: Path, fetch: Download, what: str) -> None:
    """Download into a scratch folder, verify, and only then move into place."""
    if not missing:
        return
    total_bytes = sum(jar.size_bytes for jar in missing)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".incoming-") as scratch,
        DownloadProgress(f"fetching {what}", items=len(missing), total_bytes=total_bytes) as progress,
        ThreadPoolExecutor(max_workers=PARALLEL_DOWNLOADS) as pool,
    ):

        def fetch_one(jar: LockedJar) -> None:
            path = fetch(MavenCoordinate.parse(jar.coordinate), Path(scratch), progress.add_bytes)
            _verify(jar, path)
            shutil.move(path, folder / jar.file_name)
            progress.finish_item()

        try:
            for done in [pool.submit(fetch_one, jar) for jar in missing]:
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C must not wait for what was not begun
            raise


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Make a second process wait until the first has filled the cache."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_lock(path: Path = LOCK_FILE) -> JarLock:
    """Resolve the broker's dependencies afresh and write the lock file; returns what it wrote."""
    with tempfile.TemporaryDirectory() as scratch:
        jars = []
        for coordinate in [*resolve_tree(KAFKA_ENDPOINT, Path(scratch)), MavenCoordinate.parse(LOG_BINDING)]:
            jar = download(coordinate, Path(scratch), lambda _: None)
            jars.append(
                LockedJar(coordinate=str(coordinate), sha256=sha256_of(jar), size_bytes=jar.stat().st_size)
            )
            print(f"locked {coordinate}", file=sys.stderr)
    lock = JarLock(jars=tuple(jars))
    content = {"kafka_version": KAFKA_VERSION, "jars": [asdict(jar) for jar in lock.jars]}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return lock


if __name__ == "__main__":
    write_lock()


QUIET_S = 1.0  # quicker work says nothing
TERMINAL_INTERVAL_S = 0.2  # the line of a terminal is redrawn in place
PLAIN_INTERVAL_S = 5.0  # a log file gets a new line this often
BYTES_PER_MB = 1_000_000


class DownloadProgress:
    """Counts finished items and bytes of one piece of work; safe to feed from several threads."""

    def __init__(self, label: str, *, items: int, total_bytes: int, stream: TextIO | None = None) -> None:
        """Describe the work; nothing is shown before QUIET_S has passed."""
        self._label = label
        self._items = items
        self._total_bytes = total_bytes
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._lock = threading.Lock()
        self._done_items = 0
        self._done_bytes = 0
        self._shown = False
        self._next_show = time.monotonic() + QUIET_S

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave a whole last line behind, if any line was shown."""
        if self._shown:
            self._show(end="\n")

    def add_bytes(self, count: int) -> None:
        """Note `count` more bytes."""
        with self._lock:
            self._done_bytes += count
            self._show_when_due()

    def finish_item(self) -> None:
        """Note one more finished item."""
        with self._lock:
            self._done_items += 1
            self._show_when_due()

    def _show_when_due(self) -> None:
        now = time.monotonic()
        if now >= self._next_show:
            self._next_show = now + (TERMINAL_INTERVAL_S if self._terminal else PLAIN_INTERVAL_S)
            self._show(end="" if self._terminal else "\n")

    def _show(self, *, end: str) -> None:
        self._shown = True
        megabytes = f"{self._done_bytes / BYTES_PER_MB:.0f} of {self._total_bytes / BYTES_PER_MB:.0f} MB"
        start = "\r" if self._terminal else ""
        line = f"{start}{self._label}: {self._done_items} of {self._items} files, {megabytes}"
        print(line, end=end, file=self._stream, flush=True)
