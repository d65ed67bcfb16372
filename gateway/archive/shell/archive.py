"""`GET /archive` and the files below it: listed from the manifests, sent from the disk."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any, ClassVar

from aiohttp import web

from gateway.archive.day_gaps import ABSENT, BLIND, absent_rows, blind_rows, closed_rows
from gateway.archive.file_request import FILE, PARQUET, Part, headers_of, wanted
from gateway.archive.listing import LISTING, dataset_row, file_rows, topic_row
from gateway.archive.shell.reading import ArchiveFolder, Opened, RawPartition
from gateway.database.shell.snapshot import Snapshots
from gateway.http.moments import rfc3339
from gateway.http.problems import Problem
from gateway.http.shell.answers import IMMUTABLE, Serves, answer
from gateway.operations.shell.configuration import Configured
from schemas.calendar.sessions import Calendar, calendar_name, calendars_in_force
from schemas.clocks import EventTime
from schemas.intervals import DAY_US

MAX_AT_ONCE = 16  # files being sent: each holds a descriptor and a block
BUSY_RETRY_S = 2
BLOCK_BYTES = 262_144
TAKEN_WITHIN_S = 30.0  # a block; who reads nothing for longer is cut off


class Archive:
    """Serves one archive; whole markets' calendars are those of the configured symbols."""

    def __init__(
        self, folder: ArchiveFolder, store: Snapshots, configured: Configured, partitions: int
    ) -> None:
        """Serve `folder`; a raw topic is complete where it has so many `partitions`."""
        self._folder, self._store, self._configured = folder, store, configured
        self._partitions = partitions
        self._sending = 0

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """GET /archive; without a day nothing is asked of the database."""
        start = LISTING.parse(request.query.items()).day
        day = None if start is None else rfc3339(start)[:10]
        data = await asyncio.to_thread(self._named, day)
        if start is None or day is None:
            return answer(data, {}, request)
        gaps = await self._gaps(start, EventTime(start + DAY_US))
        return answer(data, {"day": day}, request, gaps=gaps)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """GET /archive/{path}: never what no manifest names."""
        FILE.parse(request.query.items())
        if self._sending >= MAX_AT_ONCE:
            detail = f"{MAX_AT_ONCE} files are being sent already; come again"
            raise Problem(code="busy", detail=detail, retry_after_s=BUSY_RETRY_S)
        self._sending += 1
        try:
            opened = await asyncio.to_thread(self._folder.open, request.match_info["path"])
            try:
                return await _answered(request, opened)
            finally:
                os.close(opened.descriptor)
        finally:
            self._sending -= 1

    serves: ClassVar[Serves] = ((LISTING, listing), (FILE, file))

    def _named(self, day: str | None) -> list[dict[str, Any]]:
        with self._folder.lock:
            topics: dict[tuple[str, str], list[RawPartition]] = {}
            for part in self._folder.partitions():
                topics.setdefault((part.topic, part.incarnation), []).append(part)
            rows = [self._topic(*name, parts, day) for name, parts in topics.items()]
            return rows + [dataset_row(*found, day) for found in self._folder.datasets()]

    def _topic(
        self, topic: str, incarnation: str, parts: list[RawPartition], day: str | None
    ) -> dict[str, Any]:
        contents = {part.partition: part.contents for part in parts}
        row = topic_row(topic, incarnation, contents, expected=self._partitions, day=day)
        if day is not None:
            row["files"] = [
                file for part in parts for file in file_rows(part.folder, self._folder.lines_of(part, day))
            ]
        return row

    async def _gaps(self, start: EventTime, end: EventTime) -> list[dict[str, Any]]:
        async with self._store.snapshot() as snapshot:
            blind = await snapshot.rows(BLIND, start, end)
            absent = await snapshot.rows(ABSENT, start, end)
        calendars = await asyncio.to_thread(self._calendars)
        closed = closed_rows(calendars, start, end)
        return [*blind_rows(blind), *absent_rows(absent, start, end), *closed]

    def _calendars(self) -> dict[str, Calendar]:
        book = calendars_in_force()
        return {
            name: book.calendar(name) for name in {calendar_name(each) for each in self._configured.symbols}
        }


async def _answered(request: web.Request, opened: Opened) -> web.StreamResponse:
    tag = f'"{opened.sha256}"'
    part = wanted(request.headers, tag, opened.size_bytes, is_head=request.method == "HEAD")
    headers = headers_of(part, tag, opened.size_bytes)
    if part.status == 416:
        detail = f"the file has {opened.size_bytes:,} bytes; ask for a range within them"
        raise Problem(code="range_not_satisfiable", detail=detail, headers=headers)
    response = web.StreamResponse(status=part.status, headers={**headers, "Cache-Control": IMMUTABLE})
    if part.status != 304:
        response.content_type = PARQUET
    await response.prepare(request)
    if request.method != "HEAD":
        await _send(request, response, opened.descriptor, part)
    return response


async def _send(request: web.Request, response: web.StreamResponse, descriptor: int, part: Part) -> None:
    """Send a part; where it cannot be sent whole the connection is cut, so that nobody takes it for whole."""
    try:
        for start in range(part.start, part.end, BLOCK_BYTES):
            wanted_bytes = min(BLOCK_BYTES, part.end - start)
            block = await asyncio.to_thread(os.pread, descriptor, wanted_bytes, start)
            if len(block) < wanted_bytes:
                raise EOFError("the file is shorter than it was")
            async with asyncio.timeout(TAKEN_WITHIN_S):
                await response.write(block)
        await response.write_eof()
    except (OSError, EOFError, TimeoutError):
        # Whatever came after the headers, a problem document too, would be read as bytes of the file.
        with suppress(AttributeError):  # it is gone already
            request.transport.abort()  # type: ignore[union-attr]
