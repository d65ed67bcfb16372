"""Only jars that the committed lock names, byte for byte, reach the class path."""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.embedded.jars import (
    KAFKA_VERSION,
    LOCK_FILE,
    PLAIN_INTERVAL_S,
    QUIET_S,
    DownloadProgress,
    JarLock,
    LockedJar,
    class_path,
)
from infra.embedded.maven import MavenCoordinate
from schemas.errors import ConfigurationError

FORGETS_COMMITS = {"4.3.0", "4.3.1", "4.4.0"}
CONTENT = {"org.one:first:1.0": b"the first jar", "org.two:second:2.0": b"the second jar"}


def a_lock() -> JarLock:
    """Return a lock of the two jars."""
    return JarLock(
        jars=tuple(
            LockedJar(coordinate=name, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
            for name, data in CONTENT.items()
        )
    )


class Repository:
    """Serves content by coordinate and counts what was asked for."""

    def __init__(self, content: dict[str, bytes]) -> None:
        """Serve `content`."""
        self.content = content
        self.asked: list[str] = []

    def __call__(self, coordinate: MavenCoordinate, folder: Path, on_bytes: Callable[[int], None]) -> Path:
        """Deliver into a folder below, as jgo does."""
        self.asked.append(str(coordinate))
        path = folder / "below" / coordinate.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content[str(coordinate)])
        on_bytes(path.stat().st_size)
        return path


def test_jars_arrive_once_in_class_path_order(tmp_path: Path) -> None:
    """The second start fetches nothing."""
    repository = Repository(CONTENT)
    paths = class_path(a_lock(), tmp_path, fetch=repository)
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert class_path(a_lock(), tmp_path, fetch=repository) == paths
    assert sorted(repository.asked) == sorted(CONTENT)


def test_a_download_with_another_hash_is_refused_by_name(tmp_path: Path) -> None:
    """A jar that is not the locked one never reaches the cache."""
    forged = CONTENT | {"org.two:second:2.0": b"the SECOND jar"}
    with pytest.raises(ConfigurationError, match=r"second-2\.0\.jar .*SHA-256"):
        class_path(a_lock(), tmp_path, fetch=Repository(forged))
    assert not list(tmp_path.rglob("second-2.0.jar"))


def test_a_changed_file_in_the_cache_is_refused_by_name(tmp_path: Path) -> None:
    """A torn or forged jar in the cache is named with what to do about it."""
    first, _ = class_path(a_lock(), tmp_path, fetch=Repository(CONTENT))
    first.write_bytes(b"something longer than it was")
    with pytest.raises(ConfigurationError, match=r"first-1\.0\.jar .*delete "):
        class_path(a_lock(), tmp_path, fetch=Repository(CONTENT))


def test_a_missing_file_is_fetched_again(tmp_path: Path) -> None:
    """A deleted jar heals; the others are left alone."""
    first, second = class_path(a_lock(), tmp_path, fetch=Repository(CONTENT))
    second.unlink()
    repository = Repository(CONTENT)
    assert class_path(a_lock(), tmp_path, fetch=repository) == [first, second]
    assert repository.asked == ["org.two:second:2.0"]


def test_a_failed_fetch_leaves_nothing_half_done(tmp_path: Path) -> None:
    """What was interrupted is fetched at the next start."""

    def unreachable(coordinate: MavenCoordinate, folder: Path, on_bytes: Callable[[int], None]) -> Path:
        (folder / coordinate.file_name).write_bytes(b"torn")
        raise ConfigurationError("no network", remedy="try again")

    with pytest.raises(ConfigurationError, match="no network"):
        class_path(a_lock(), tmp_path, fetch=unreachable)
    paths = class_path(a_lock(), tmp_path, fetch=Repository(CONTENT))
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())


def test_the_committed_lock_is_one_broker_version_with_no_address_in_it() -> None:
    """Every Kafka jar has the broker's version, every hash is a SHA-256, and no host is named."""
    lock = JarLock.read()
    kafka = [jar for jar in lock.jars if jar.coordinate.startswith("org.apache.kafka:")]
    assert len(kafka) >= 10
    assert {MavenCoordinate.parse(jar.coordinate).version for jar in kafka} == {KAFKA_VERSION}
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) and jar.size_bytes > 0 for jar in lock.jars)
    assert "://" not in LOCK_FILE.read_text()


def test_file_names_in_the_lock_are_unique() -> None:
    """Two jars of one name would overwrite each other in the cache."""
    names = [jar.file_name for jar in JarLock.read().jars]
    assert len(names) == len(set(names))


def test_the_locked_kafka_keeps_what_it_confirmed() -> None:
    """KAFKA-20734: these releases lose confirmed transactions when they are killed at the wrong moment."""
    brokers = [jar.coordinate for jar in JarLock.read().jars if ":kafka_2.13:" in jar.coordinate]
    assert brokers == [f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"]
    assert KAFKA_VERSION not in FORGETS_COMMITS


def test_quick_work_says_nothing() -> None:
    """Less than a second needs no line."""
    out = io.StringIO()
    with DownloadProgress("fetching", items=2, total_bytes=2_000_000, stream=out) as progress:
        progress.add_bytes(2_000_000)
        progress.finish_item()
    assert out.getvalue() == ""


def test_long_work_counts_files_and_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the quiet second a line appears, again after each interval, and at the end."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with DownloadProgress("fetching", items=2, total_bytes=2_000_000, stream=out) as progress:
        now[0] += QUIET_S
        progress.add_bytes(1_000_000)
        progress.finish_item()  # within the interval: no second line
        now[0] += PLAIN_INTERVAL_S
        progress.add_bytes(1_000_000)
        progress.finish_item()
    assert out.getvalue().splitlines() == [
        "fetching: 0 of 2 files, 1 of 2 MB",
        "fetching: 1 of 2 files, 2 of 2 MB",
        "fetching: 2 of 2 files, 2 of 2 MB",
    ]
