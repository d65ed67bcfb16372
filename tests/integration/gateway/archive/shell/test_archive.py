"""The archive over HTTP, with files on the disk: whole, in ranges, and gone; and of a day why something is not there."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

import aiohttp
import pytest

from gateway.archive.file_request import PARQUET
from gateway.archive.shell import archive as served
from gateway.http.moments import aware
from schemas.intervals import DAY_US
from schemas.topics import RAW_TRADES
from sinks.archive.shell.parquet import read_rows
from tests.support.archive_files import filled, pruned_to, publish
from tests.support.archive_gateway import archive_gateway
from tests.support.archives import INCARNATION, NOON_US, a_row
from tests.support.builders import a_gap
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest
from tests.support.requirements import absent

FOLDER = f"raw.trades.v1/{INCARNATION}/partition=3"


@pytest.mark.parametrize("rows", [3, 300, 3_000])
async def test_a_file_comes_as_it_lies_on_the_disk(tmp_path: Path, rows: int) -> None:
    """From less than a block to many: whole, in ranges that make the whole, by HEAD, and not again."""
    _, (kept,) = filled(tmp_path / "archive", 1, rows=rows, size=700)
    content = (tmp_path / "archive" / FOLDER / kept.path).read_bytes()
    path = f"/{FOLDER}/{kept.path}"
    async with archive_gateway(tmp_path / "archive") as gateway:
        whole = await gateway.ask(path)
        assert (whole.status, whole.body, whole.headers["Content-Type"]) == (200, content, PARQUET)
        assert whole.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert "immutable" in whole.headers["Cache-Control"]
        step = len(content) // 3
        parts = [
            await gateway.ask(path, Range=f"bytes={start}-{start + step - 1}")
            for start in range(0, len(content), step)
        ]
        assert {part.status for part in parts} == {206}
        assert b"".join(part.body for part in parts) == content
        tail = await gateway.ask(path, Range="bytes=-8")
        assert tail.body[-4:] == b"PAR1"
        assert tail.headers["Content-Range"] == f"bytes {len(content) - 8}-{len(content) - 1}/{len(content)}"
        head = await gateway.ask(path, "HEAD")
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(content)))
        again = await gateway.ask(path, If_None_Match=whole.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
        other = await gateway.ask(path, Range="bytes=0-9", If_Range='"another"')
        assert (other.status, other.body) == (200, content)
    (tmp_path / "copy").write_bytes(whole.body)
    assert list(read_rows(tmp_path / "copy", rows=rows, content_bytes=kept.content_bytes)) == [
        a_row(n, size=700, append_us=NOON_US + n) for n in range(rows)
    ]


async def test_curl_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A stock client, with its own idea of ranges."""
    curl = shutil.which("curl")
    if curl is None:
        absent("no curl on this machine")
    _, (kept,) = filled(tmp_path / "archive", 1, rows=2_000, size=700)
    content = (tmp_path / "archive" / FOLDER / kept.path).read_bytes()
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(content[:1_000])
    async with archive_gateway(tmp_path / "archive") as gateway:
        url = f"{gateway.url}/archive/{FOLDER}/{kept.path}"
        process = await asyncio.create_subprocess_exec(
            curl, "--silent", "--fail", "--continue-at", "-", "--output", str(copy), url
        )
        assert await process.wait() == 0
    assert copy.read_bytes() == content


async def test_what_is_no_file_of_the_archive_is_a_problem_with_its_remedy(tmp_path: Path) -> None:
    """Its own files, ways out of it, what was pruned, a range behind the end; and no archive at all."""
    root = tmp_path / "archive"
    folder, kept = filled(root, 3)
    (tmp_path / "secret").write_text("key")
    pruned_to(root, folder, kept[:1])
    up = "%2e%2e"
    async with archive_gateway(root) as gateway:
        for path in (
            "owner.json", "lock", f"{up}/secret", f"{FOLDER}/{up}/{up}/{up}/{up}/secret", f"{FOLDER}/manifest.jsonl",
            "%2Fetc%2Fpasswd", "raw.trades.v1", f"{FOLDER}/{kept[1].path}%00", f"{FOLDER}/%2e/{kept[1].path}",
        ):  # fmt: skip
            problem = await gateway.ask(f"/{path}")
            assert (problem.status, problem.json["code"]) == (404, "unknown_file"), path
        gone = await gateway.ask(f"/{FOLDER}/{kept[0].path}")
        assert (gone.status, gone.json["code"]) == (410, "file_pruned")
        assert "GET /archive" in gone.json["detail"]
        behind = await gateway.ask(f"/{FOLDER}/{kept[1].path}", Range="bytes=9999999-")
        assert (behind.status, behind.json["code"]) == (416, "range_not_satisfiable")
        assert behind.headers["Content-Range"] == f"bytes */{kept[1].file_bytes}"
        (named,) = (await gateway.ask("")).json["data"]
        assert [each["kind"] for each in named["missing"]] == ["pruned"]
        assert named["complete_before"] == "2025-11-28T14:00:00.000004Z"
        wrong = await gateway.ask("?day=soon")
        assert (wrong.status, wrong.json["errors"][0]["param"]) == (422, "day")
    async with archive_gateway(tmp_path / "nowhere") as gateway:
        for path in ("", f"/{FOLDER}/{kept[1].path}"):
            none = await gateway.ask(path)
            assert (none.status, none.json["code"]) == (404, "no_archive")
            assert "GATEWAY_ARCHIVE" in none.json["detail"]


async def test_a_file_that_shrinks_while_it_is_sent_is_cut_off_not_filled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes what came for the whole: fewer bytes than the length says, and no problem document among them."""
    _, (kept,) = filled(tmp_path, 1, rows=3_000, size=700)
    path = tmp_path / FOLDER / kept.path
    pread, shown = served.os.pread, []

    def shrinking(descriptor: int, length: int, start: int) -> bytes:
        if start:
            with path.open("r+b") as file:
                file.truncate(start)
        shown.append(start)
        return pread(descriptor, length, start)

    monkeypatch.setattr(served.os, "pread", shrinking)
    async with archive_gateway(tmp_path) as gateway:
        with pytest.raises(aiohttp.ClientError):
            await gateway.ask(f"/{FOLDER}/{kept.path}")
        assert len(shown) == 2
        monkeypatch.undo()
        damaged = await gateway.ask(f"/{FOLDER}/{kept.path}")
        assert (damaged.status, damaged.json["code"]) == (500, "archive_damaged")


async def test_one_more_than_are_sent_at_once_is_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever reads nothing is cut off, so that the others have their turn."""
    _, (kept,) = filled(tmp_path, 1, rows=20_000, size=700)
    path = f"/{FOLDER}/{kept.path}"
    monkeypatch.setattr(served, "MAX_AT_ONCE", 1)
    monkeypatch.setattr(served, "TAKEN_WITHIN_S", 1.0)
    async with archive_gateway(tmp_path) as gateway:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(gateway.url.rpartition(":")[2]), limit=1_024
        )
        writer.write(f"GET /archive{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await reader.readline()  # it is being sent, and nothing more of it is read
        busy = await gateway.ask(path)
        assert (busy.status, busy.json["code"]) == (503, "busy")

        async def is_free() -> bool:
            return (await gateway.ask(path, "HEAD")).status == 200

        await eventually(is_free, within_s=30)
        writer.close()


async def test_a_day_is_told_with_its_files_and_why_something_is_not_there(
    database: str, tmp_path: Path
) -> None:
    """Downtime, no data and no trading are three words; a healed gap says what became of it."""
    folder, _ = filled(tmp_path, 24)
    publish(tmp_path, "bars/interval=1m", "2025-11-28", b"PAR1", as_of_us=NOON_US + DAY_US)
    async with rest(database, archive=tmp_path) as gateway:
        await gateway.database.execute(
            "INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition) VALUES (1, 'bars', '1m', 'yahoo', 'SPY', 0)"
        )
        await gateway.database.execute(
            "INSERT INTO coverage VALUES (1, $1, 390, '\\x07', '\\x18'), (1, $2, 390, '\\x01', '')",
            aware(NOON_US + 9_000_000_000), aware(NOON_US + DAY_US),
        )  # fmt: skip
        for number, state in enumerate(("open", "filled", "empty")):
            begin = NOON_US + number * 1_000_000
            await gateway.store(
                a_gap(
                    gap_id=f"gap-{number}",
                    from_time=begin,
                    to_time=begin + 9,
                    state=state,
                    cause="producer_down",
                )
            )
        answer = await gateway.get("/archive", day="2025-11-28")
        topic, dataset = answer["data"]
        assert (topic["name"], len(topic["files"])) == (RAW_TRADES, 12)
        assert (dataset["name"], len(dataset["files"])) == ("bars/interval=1m", 1)
        assert topic["complete_before"] is None  # three of four partitions are not there
        told = [
            (gap["kind"], gap.get("state"), gap.get("bars")) for gap in answer["gaps"] if "channel" in gap
        ]
        assert sorted(told, key=str) == sorted(
            [
                ("downtime", "open", None), ("downtime", "filled", None), ("no_trading", "empty", None),
                ("no_data", None, 3), ("no_trading", None, 2),
            ],
            key=str,
        )  # fmt: skip
        closed = [gap for gap in answer["gaps"] if "calendar" in gap]
        assert {gap["kind"] for gap in closed} <= {"no_trading"}
        days = {day["date"]: day["files"] for day in (await gateway.get("/archive"))["data"][0]["days"]}
        assert days == {"2025-11-28": 12, "2025-11-29": 12}
        assert folder.tail.next_offset == 120
