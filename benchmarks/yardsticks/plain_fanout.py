"""The plain way: aiohttp on uvloop, one consumer, and every record sent to every client as it comes.

`python -m benchmarks.yardsticks.plain_fanout BOOTSTRAP TOPIC PARTITION` prints `ready PORT`. It decodes and encodes each record once, as
the gateway does, and promises nothing: no chain, no resume, no bound on what a slow client costs.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.yardsticks.records import Records


async def main(bootstrap: str, topic: str, partition: int) -> None:
    """Serve until killed."""
    clients: set[web.WebSocketResponse] = set()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str('{"t":"subscribed"}')
        clients.add(socket)
        async for _ in socket:
            pass
        clients.discard(socket)
        return socket

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    records = Records(bootstrap, topic, partition)
    print(f"ready {runner.addresses[0][1]}", flush=True)
    loop = asyncio.get_running_loop()
    while True:
        for record in await loop.run_in_executor(None, records.fetch):
            for client in tuple(clients):
                try:
                    await client.send_frame(record, WSMsgType.TEXT)
                except ConnectionError:
                    clients.discard(client)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as running:
        running.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
