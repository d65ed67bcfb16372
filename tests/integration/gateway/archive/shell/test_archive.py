"""The archive over HTTP, from a real gateway with files on the disk: whole, in ranges, and gone."""

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
from tests.support.archives import INCARNATION, NOON_US, a_row
from tests.support.builders import a_gap
from tests.support.gateway_rest import Rest, rest

FOLDER = f"raw.trades.v1/{INCARNATION}/partition=3"


async def bytes_of(
    gateway: Rest, path: str, method: str = "GET", **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of a file."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.session.request(method, f"{gateway.url}/archive/{path}", headers=named) as response:
        return response.status, await response.read(), dict(response.headers)


async def test_files_come_as_they_lie_on_the_disk(database: str, tmp_path: Path) -> None:
    """Of three sizes, from less than a block to many: whole, in ranges that make the whole, by HEAD, and not again."""
    for number, rows in enumerate((3, 300, 3_000)):
        root = tmp_path / str(number)
        _, (kept,) = filled(root, 1, rows=rows, size=700)
        content = (root / FOLDER / kept.path).read_bytes()
        async with rest(database, archive=root) as gateway:
            day = await gateway.get("/archive", day="2025-11-28")
            (listed,) = day["data"][0]["files"]
            assert (listed["sha256"], listed["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
            status, body, headers = await bytes_of(gateway, listed["path"])
            assert (status, body, headers["Content-Type"]) == (200, content, PARQUET)
            assert headers["ETag"] == f'"{listed["sha256"]}"'
            assert "immutable" in headers["Cache-Control"]
            step = len(content) // 3
            parts = [
                await bytes_of(gateway, listed["path"], Range=f"bytes={start}-{start + step - 1}")
                for start in range(0, len(content), step)
            ]
            assert {part[0] for part in parts} == {206}
            assert b"".join(part[1] for part in parts) == content
            tail = await bytes_of(gateway, listed["path"], Range="bytes=-8")
            assert (tail[1][-4:], tail[2]["Content-Range"]) == (
                b"PAR1", f"bytes {len(content) - 8}-{len(content) - 1}/{len(content)}",
            )  # fmt: skip
            head = await bytes_of(gateway, listed["path"], "HEAD")
            assert (head[0], head[1], head[2]["Content-Length"]) == (200, b"", str(len(content)))
            again = await bytes_of(gateway, listed["path"], If_None_Match=headers["ETag"])
            assert (again[0], again[1]) == (304, b"")
            other = await bytes_of(gateway, listed["path"], Range="bytes=0-9", If_Range='"another"')
            assert (other[0], other[1]) == (200, content)
            copy = tmp_path / "copy.parquet"
            copy.write_bytes(body)
            assert list(read_rows(copy, rows=rows, content_bytes=kept.content_bytes)) == [
                a_row(n, size=700, append_us=NOON_US + n) for n in range(rows)
            ]


async def test_curl_fetches_a_file_and_goes_on_where_it_stopped(database: str, tmp_path: Path) -> None:
    """A stock client, with its own idea of ranges."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on this machine")
    _, (kept,) = filled(tmp_path / "archive", 1, rows=2_000, size=700)
    content = (tmp_path / "archive" / FOLDER / kept.path).read_bytes()
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(content[:1_000])
    async with rest(database, archive=tmp_path / "archive") as gateway:
        url = f"{gateway.url}/archive/{FOLDER}/{kept.path}"
        process = await asyncio.create_subprocess_exec(
            curl, "--silent", "--fail", "--continue-at", "-", "--output", str(copy), url
        )
        assert await process.wait() == 0
        assert copy.read_bytes() == content


async def test_what_is_no_file_of_the_archive_is_a_problem_with_its_remedy(
    database: str, tmp_path: Path
) -> None:
    """Its own files, ways out of it, what was pruned, a range behind the end; and no archive at all."""
    root = tmp_path / "archive"
    folder, kept = filled(root, 3)
    (tmp_path / "secret").write_text("key")
    pruned_to(root, folder, kept[:1])
    async with rest(database, archive=root) as gateway:
        for path in (
            "owner.json", "lock", "%2e%2e/secret", f"{FOLDER}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret", f"{FOLDER}/manifest.jsonl",
            "%2Fetc%2Fpasswd", "raw.trades.v1", f"{FOLDER}/{kept[1].path}%00", f"{FOLDER}/%2e/{kept[1].path}",
        ):  # fmt: skip
            status, _, problem = await gateway.ask("GET", f"/archive/{path}")
            assert (status, problem["code"]) == (404, "unknown_file"), path
        status, _, problem = await gateway.ask("GET", f"/archive/{FOLDER}/{kept[0].path}")
        assert (status, problem["code"]) == (410, "file_pruned")
        assert "GET /archive" in problem["detail"]
        status, headers, problem = await gateway.ask(
            "GET", f"/archive/{FOLDER}/{kept[1].path}", headers={"Range": "bytes=9999999-"}
        )
        assert (status, problem["code"]) == (416, "range_not_satisfiable")
        assert headers["Content-Range"] == f"bytes */{kept[1].file_bytes}"
        (named,) = (await gateway.get("/archive"))["data"]
        assert [each["kind"] for each in named["missing"]] == ["pruned"]
    async with rest(database, archive=tmp_path / "nowhere") as gateway:
        for path in ("/archive", f"/archive/{FOLDER}/{kept[1].path}"):
            status, _, problem = await gateway.ask("GET", path)
            assert (status, problem["code"]) == (404, "no_archive")
            assert "GATEWAY_ARCHIVE" in problem["detail"]


async def test_a_file_that_shrinks_while_it_is_sent_is_cut_off_not_filled_up(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    async with rest(database, archive=tmp_path) as gateway:
        with pytest.raises(aiohttp.ClientError):
            await bytes_of(gateway, f"{FOLDER}/{kept.path}")
        assert len(shown) == 2
        monkeypatch.undo()
        status, _, problem = await gateway.ask("GET", f"/archive/{FOLDER}/{kept.path}")
        assert (status, problem["code"]) == (500, "archive_damaged")


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
        status, _, problem = await gateway.ask("GET", "/archive", params={"day": "soon"})
        assert (status, problem["errors"][0]["param"]) == (422, "day")
