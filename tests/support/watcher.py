"""A WebSocket client that believes nothing: it keeps every record and checks the chain of `prev` itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

RECONNECT_S = 0.2
OPEN_WITHIN_S = 30.0


@dataclass
class Transcript:
    """What one stream delivered: offsets in order, the records, and whether the client was ever told of a loss.

    `greeks` are those of slices of option chains, by offset too.
    """

    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    greeks: dict[int, dict[str, Any]] = field(default_factory=dict)
    order_kept: bool = True
    epoch: str = ""
    covered: int = -1
    losses_told: int = 0
    breaks: list[str] = field(default_factory=list)


class Watcher:
    """Subscribes to streams and, after any disconnect, presents its offsets again."""

    def __init__(self, url: str, streams: list[str]) -> None:
        """Watch `streams` at the gateway's base `ws://` URL."""
        self.url = f"{url}/ws"
        self.streams = streams
        self.transcripts = {stream: Transcript() for stream in streams}
        self.gaps: list[dict[str, Any]] = []
        self.connections = 0
        self.closes: list[int | None] = []
        self.ready = threading.Event()
        self._stop = threading.Event()

    def run(self) -> None:
        """Watch until told to stop; runs in its own thread and loop."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                await self._session()
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass
            await asyncio.sleep(RECONNECT_S)

    async def _session(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.ws_connect(self.url, protocols=["mds.v1.json"], max_msg_size=0) as socket,
        ):
            self.connections += 1
            command = {"id": 1, "t": "subscribe", "items": self._items()}
            await socket.send_str(orjson.dumps(command).decode())
            subs: dict[int, str] = {}
            while not self._stop.is_set():
                try:
                    frame = await socket.receive(timeout=1.0)
                except TimeoutError:
                    continue
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    self.closes.append(socket.close_code)
                    return
                for message in orjson.loads(frame.data):
                    self._take(message, subs)

    def _items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for stream, seen in self.transcripts.items():
            item: dict[str, Any] = {"stream": stream, "conflate": {"mode": "none"}}
            if seen.epoch:
                item["from"] = {"epoch": seen.epoch, "offset": seen.covered}
            items.append(item)
        return items

    def _take(self, message: dict[str, Any], subs: dict[int, str]) -> None:
        kind = message["t"]
        if kind == "subscribed":
            self._subscribed(message, subs)
        elif kind == "hb":
            for sub, offset, *_ in message["subs"]:
                self._cover(self.transcripts[subs[sub]], offset)
        elif kind in {"gap", "gap_fill"}:
            self.gaps.append(message)
        elif message.get("sub") in subs:
            self._of_stream(kind, message, self.transcripts[subs[message["sub"]]])

    def _subscribed(self, message: dict[str, Any], subs: dict[int, str]) -> None:
        for result in message["results"]:
            seen = self.transcripts[result["stream"]]
            if not result["ok"]:
                seen.breaks.append(f"refused: {result['error']}")
                continue
            subs[result["sub"]] = result["stream"]
            if not seen.epoch:
                seen.covered = result["offset"]
            seen.epoch = result["epoch"]
        self.ready.set()

    def _of_stream(self, kind: str, message: dict[str, Any], seen: Transcript) -> None:
        if kind == "d":
            if message["prev"] > seen.covered:
                seen.breaks.append(f"prev {message['prev']} > covered {seen.covered}")
            for offset, record in message["m"]:
                seen.order_kept = seen.order_kept and offset > seen.covered
                seen.records[offset] = record
                self._cover(seen, offset)
        elif kind == "greeks":
            for offset, values in message["m"]:
                if offset > seen.covered:
                    seen.breaks.append(f"greeks of {offset} before its slice, covered {seen.covered}")
                seen.greeks[offset] = values
        elif kind == "snapshot":
            self._cover(seen, message["offset"])
        elif kind == "recovered" and message["ok"]:
            self._cover(seen, message["to"])
        elif kind == "recovered":
            seen.losses_told += 1

    @staticmethod
    def _cover(seen: Transcript, offset: int) -> None:
        seen.covered = max(seen.covered, offset)


@contextmanager
def watching(url: str, streams: list[str]) -> Iterator[Watcher]:
    """Watch `streams` in a thread for as long as the block lasts."""
    watcher = Watcher(url, streams)
    thread = threading.Thread(target=watcher.run, name="watcher", daemon=True)
    thread.start()
    try:
        assert watcher.ready.wait(OPEN_WITHIN_S), "the gateway did not answer the subscription"
        yield watcher
    finally:
        watcher.stop()
        thread.join(10)
