"""`python -m sinks archive` as an operator meets it: exit codes, sentences, and a stream that replays read."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient

from infra.runtime.kafka.publisher import Outgoing
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition, partition_of
from schemas.topics import DEFAULT_PARTITIONS, RAW_TOPICS, RAW_TRADES
from schemas.wire.codec import encode
from schemas.wire.framing import read_records
from sinks.archive.shell import commands
from sinks.progress.positions import Log
from sinks.reading.shell.logs import TopicLogs
from stream_processors.replay import from_kafka, from_stream
from tests.conftest import free_port
from tests.support.archives import INCARNATION, a_round, a_row, archiver, opened, rows_of, stored_rows
from tests.support.builders import a_block, a_trade_event
from tests.support.eventually import eventually
from tests.support.sink_records import ROOT, publish

WITHIN_S = 30.0
SPY = partition_of("SPY", DEFAULT_PARTITIONS)


class Archive:
    """The command on an archive of a test's own."""

    def __init__(self, root: Path, bootstrap: str, prefix: str) -> None:
        """Know where it is."""
        kept = {name: v for name, v in os.environ.items() if not name.startswith(("MDS_", "SINKS_"))}
        self.root, self.bootstrap, self.prefix = root, bootstrap, prefix
        self.env = kept | {
            "MDS_KAFKA": bootstrap,
            "MDS_TOPIC_PREFIX": prefix,
            "SINKS_ARCHIVE": str(root),
            "SINKS_ARCHIVE_FILE_MB": "1",
            "SINKS_ARCHIVE_KEEP_FREE_MB": "0",
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "sinks", "archive", *arguments]

    async def __call__(self, *arguments: str, expect: int = 0, **env: str) -> tuple[bytes, str]:
        """Run a command, check its exit code, and return what it printed on stdout, and on stderr."""
        done = await asyncio.to_thread(
            subprocess.run,
            self.command(*arguments),
            cwd=ROOT,
            env=self.env | env,
            capture_output=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == expect, (done.stdout[-2_000:], done.stderr[-2_000:])
        assert b"Traceback" not in done.stderr
        return done.stdout, done.stderr.decode()

    @contextmanager
    def running(self) -> Iterator[tuple[subprocess.Popen[str], int]]:
        """Run the archive and give it with its ops port; it is killed afterwards where it still lives."""
        port = free_port()
        env = self.env | {"SINKS_ARCHIVE_OPS_PORT": str(port)}
        with subprocess.Popen(
            self.command("run"), cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process, port
            finally:
                process.kill()


@pytest.fixture
def archive(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Archive:
    """The command, on an archive that does not exist yet."""
    return Archive(tmp_path / "archive", kafka_bootstrap, topic_prefix)


def blocks(prefix: str, count: int, *, padding: int = 0) -> list[Outgoing]:
    """Return raw records of SPY."""
    events = [a_trade_event(), *(a_trade_event(price=100.0 + n) for n in range(padding))]
    value = encode(RAW_TRADES, a_block(*events))
    return [Outgoing(topic=prefix + RAW_TRADES, partition=SPY, key=b"SPY", value=value) for _ in range(count)]


def _page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


async def _page_with(port: int, path: str, text: str) -> None:
    async def shown() -> bool:
        return text in await asyncio.to_thread(_page, port, path)

    await eventually(shown, within_s=WITHIN_S, what=f"{text} on {path}")


async def test_it_runs_beside_the_services_until_another_takes_over(archive: Archive) -> None:
    """Full files within the hour; the earlier of two says who took over and ends for good; SIGTERM ends the later."""
    sent = blocks(archive.prefix, 40, padding=3_000)
    size = len(sent[0].value or b"")
    await publish(archive.bootstrap, sent)
    of_a_file = -(-(2**20) // size)
    assert 4 < of_a_file < 20, size
    archived = len(sent) // of_a_file * of_a_file - (of_a_file if len(sent) % of_a_file == 0 else 0)
    shown = f'mds_archive_next_offset{{partition="{SPY}",topic="{RAW_TRADES}"}} {float(archived)}'
    with archive.running() as (first, port):
        await _page_with(port, "/readyz", '"ok": true')
        await _page_with(port, "/metrics", shown)
        with archive.running() as (second, second_port):
            await _page_with(second_port, "/metrics", shown)
            _, told = await asyncio.to_thread(first.communicate, timeout=WITHIN_S)
            second.send_signal(signal.SIGTERM)
            await asyncio.to_thread(second.communicate, timeout=WITHIN_S)

    assert first.returncode == 2
    assert "took over the archive" in told.splitlines()[-1]
    assert second.returncode == 0
    (entry,) = [
        entry
        for entry in json.loads((await archive("status", "--json"))[0])
        if entry["partition"] == SPY and entry["files"]
    ]
    assert (entry["topic"], entry["next_offset"], entry["rows"]) == (RAW_TRADES, archived, archived)
    assert entry["ratio"] > 2


async def test_what_the_broker_lost_is_replayed_from_the_archive(archive: Archive) -> None:
    """Identical raw records, by an ordinary pipe; pruning refuses them then, and says what it takes."""
    await publish(archive.bootstrap, blocks(archive.prefix, 30))
    held = list(
        await asyncio.to_thread(
            list, from_kafka(archive.bootstrap, RAW_TOPICS, DEFAULT_PARTITIONS, prefix=archive.prefix)
        )
    )
    await a_round(
        archiver(archive.root, archive.bootstrap, archive.prefix, topics=RAW_TOPICS, file_bytes=1_000)
    )
    whole, _ = await archive("verify")
    assert b"are whole" in whole
    admin = AdminClient({"bootstrap.servers": archive.bootstrap})
    (deleted,) = admin.delete_records([Place(archive.prefix + RAW_TRADES, SPY, 17)]).values()
    deleted.result(WITHIN_S)

    stream, told = await archive("cat", MDS_KAFKA="127.0.0.1:1")
    assert list(from_stream(io.BytesIO(stream))) == held
    assert told == ""

    refused, why = await archive("prune", "--older-than", "0", expect=1)
    assert (refused, "--yes-lose" in why) == (b"", True)

    done, _ = await archive("prune", "--older-than", "0", "--yes-lose")
    assert f"partition={SPY}" in done.decode()
    again, told = await archive("cat")
    assert list(read_records(io.BytesIO(again))) == []
    assert f"{RAW_TRADES}/{SPY}: offsets 0 to 29 were pruned" in told
    assert b"0 files" in (await archive("verify"))[0]


async def test_what_the_broker_still_has_may_be_pruned(archive: Archive) -> None:
    """The archive is whole to `verify` then, though it is empty."""
    await publish(archive.bootstrap, blocks(archive.prefix, 5))
    await a_round(archiver(archive.root, archive.bootstrap, archive.prefix))

    await archive("prune", "--older-than", "0")

    assert b"0 files" in (await archive("verify"))[0]


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the settings of whoever runs the tests out of this process."""
    for name in list(os.environ):
        if name.startswith(("MDS_", "SINKS_")):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("unset")
def test_a_broker_that_cannot_be_asked_has_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pruning is refused; verifying goes by the files alone, and says so."""

    async def away(*_: object) -> dict[TopicPartition, Log]:
        raise BrokerUnavailable("nobody answers")

    monkeypatch.setattr(TopicLogs, "look", away)
    folder = opened(tmp_path)
    folder.keep(rows_of([a_row(0), a_row(1)]), leader_epoch=1)
    parser = argparse.ArgumentParser()
    commands.add_commands(parser.add_subparsers())

    def run(*arguments: str) -> int:
        return commands.command(parser.parse_args(["archive", f"--path={tmp_path}", *arguments]))

    for age in ("-1", "nan", "inf", "soon"):
        with pytest.raises(SystemExit):
            run("prune", "--older-than", age)
    assert run("prune", "--older-than", "1") == 1
    assert "2 records of 1 files are nowhere else" in capsys.readouterr().err
    assert run("verify") == 0
    told = capsys.readouterr()
    assert "1 files of 1 partitions are whole" in told.out
    assert "not compared with the broker" in told.err
    assert run("prune", "--older-than", "1", "--yes-lose") == 0
    assert stored_rows(folder.path) == []


@pytest.mark.usefixtures("unset")
def test_a_part_of_it_is_printed(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """By topic, partition, moment and incarnation; a moment without a zone is nobody's."""
    folder = opened(tmp_path)
    folder.keep(rows_of(a_row(at) for at in range(4)), leader_epoch=1)
    parser = argparse.ArgumentParser()
    commands.add_commands(parser.add_subparsers())

    def printed(*arguments: str) -> list[int]:
        given = parser.parse_args(["archive", f"--path={tmp_path}", "cat", *arguments])
        assert commands.command(given) == 0
        return [record.offset for record in read_records(io.BytesIO(capfdbinary.readouterr().out))]

    assert printed() == [0, 1, 2, 3]
    assert printed("--topic", RAW_TRADES, "--partition", "3", "--partition", "0") == [0, 1, 2, 3]
    assert printed("--topic", "raw.bars.v1") == []
    assert printed("--partition", "2") == []
    assert printed("--from", "2025-11-28T13:00:00.001+01:00", "--to", "2025-11-28T12:00:00.003Z") == [1, 2]
    assert printed(f"--incarnation={INCARNATION}") == [0, 1, 2, 3]
    assert printed(f"--incarnation={INCARNATION}", "--partition", "63") == []
    for wrong, told in {
        "2025-11-28": b"names no zone",
        "noon": b"'noon' is no moment; write it like",
    }.items():
        with pytest.raises(SystemExit):
            parser.parse_args(["archive", "cat", "--from", wrong])
        assert told in capfdbinary.readouterr().err


@pytest.mark.usefixtures("unset")
def test_what_is_not_archived_is_not_answered_with_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an incarnation that is not there the newest is no substitute; of a partition that is not there nothing comes."""
    opened(tmp_path).keep(rows_of([a_row(0)]), leader_epoch=1)
    parser = argparse.ArgumentParser()
    commands.add_commands(parser.add_subparsers())

    def run(*arguments: str) -> int:
        return commands.command(parser.parse_args(["archive", f"--path={tmp_path}", "cat", *arguments]))

    assert run("--incarnation=AAAAAAAAAAAAAAAAAAAAAA") == 2
    told = capsys.readouterr()
    assert (told.out, INCARNATION in told.err, "AAAAAAAAAAAAAAAAAAAAAA" in told.err) == ("", True, True)
    assert run("--partition", "63") == 0
    assert "nothing archived is of such a topic and partition" in capsys.readouterr().err


async def test_a_fault_is_an_exit_code_and_a_line(archive: Archive) -> None:
    """By file and offsets; without a broker the files themselves are checked."""
    await publish(archive.bootstrap, blocks(archive.prefix, 5))
    await a_round(archiver(archive.root, archive.bootstrap, archive.prefix))
    (file,) = archive.root.glob("*/*/*/*/*.parquet")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))

    told, _ = await archive("verify", "--offline", expect=1)

    assert (
        f"partition={SPY}/{file.parent.name}/{file.name}, offsets 0 to 4: the file was changed"
        in told.decode()
    )
    assert "there is no archive" in (await archive("--path", "absent", "status", expect=2))[1]


@pytest.mark.parametrize("name", ["MDS_ICEBERG_CATALOG_UR", "SINKS_ARCHIVE_FILE_MB"])
def test_a_wrong_setting_is_a_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its name and the remedy, as every other failure of the command."""
    monkeypatch.setenv(name, "none")

    assert commands.command(argparse.Namespace(path=None, verb="status", json=True)) == 2
    assert capsys.readouterr().err.startswith(f"error: {name}")
