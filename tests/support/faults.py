"""Every kind of fault that a run strikes with: what is done, what ends it, and how soon all must be as before."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import asyncpg
import orjson
import psutil
from confluent_kafka import Producer

from infra.embedded.server import EmbeddedServer
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.publisher import Outgoing
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, RAW_QUOTES
from schemas.wire.codec import encode
from tests.support.apparatus import Disk, Link
from tests.support.eventually import eventually
from tests.support.hostile_records import POISONED, SYMBOL, poison
from tests.support.loaded_partitions import block_of_quotes, symbols_at_home
from tests.support.producer_processes import dead_letters
from tests.support.sink_records import publish

if TYPE_CHECKING:
    from tests.support.nemesis import World

PROCESSORS = ("stream_processors", "stream_processors#2")
SINKS = ("sinks", "sinks#2")
SESSION_TIMEOUT_S = 6
FREEZE_S = 9.0  # beyond the Kafka session
SERVER_FREEZE_S = 15.0
DOWN_S = 1.5
CUT_S = 10.0
SLOW_S, DELAY_S, BYTES_PER_S = 15.0, 0.1, 2e6
FULL_S = 12.0
NO_SPACE = b"No space left on device"
CLOCK_S = 300.0
VENDOR_S = 10.0
HANG_S = 30.0
STOPPED_WITHIN_S = 15.0
NOTICED_WITHIN_S = 30.0
SLOW_CLIENTS = 20
SENT_AWAY_WITHIN_S = 60.0
WAITING, EVENTS_PER_BLOCK, SYMBOLS_PER_PARTITION = 1_000_000, 200, 32
WAITING_OF = "alpaca"  # no live feed of quotes here: its events are told apart by it

Strike = Callable[["World"], Awaitable[str]]


def _always(_: World) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault.

    `strike` returns when it is healed, with what showed that it struck. Within `bound_s` from then new data must be everywhere, and
    what `afterwards` asks. `unable` says why it cannot be here, where it cannot.
    """

    name: str
    does: str
    healed: str
    bound_s: float
    strike: Strike
    afterwards: Callable[[World], Awaitable[bool]] | None = None
    unable: Callable[[World], str] = _always


# --- processes


async def _kill(world: World, names: Sequence[str]) -> str:
    name = world.random.choice(names)
    world.system.processes[name].kill()
    return f"{name} was killed"


async def _freeze(world: World, names: Sequence[str]) -> str:
    name = world.random.choice(names)
    process = world.system.processes[name]
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(FREEZE_S)
    process.send_signal(signal.SIGCONT)
    return f"{name} stood"


async def _stop(world: World, names: Sequence[str]) -> str:
    """Stop processes as an upgrade does; each must end by itself, without an error."""
    ending = {name: world.system.processes.pop(name) for name in names}
    for process in ending.values():
        process.terminate()
    for name, process in ending.items():
        code = await asyncio.to_thread(process.wait, STOPPED_WITHIN_S)
        assert code == 0, f"{name} ended with {code}"
    return f"{' and '.join(names)} ended with 0"


async def _restart(world: World, names: Sequence[str]) -> str:
    name = world.random.choice(names)
    saw = await _stop(world, [name])
    world.system.start(name)
    return saw


# --- broker and database


def _family(server: EmbeddedServer) -> list[psutil.Process]:
    assert server.pid is not None
    parent = psutil.Process(server.pid)
    return [parent, *parent.children(recursive=True)]


async def _kill_server(world: World, which: str) -> str:
    server: EmbeddedServer = getattr(world, which)
    server.kill()
    await asyncio.sleep(DOWN_S)
    if which == "server":
        await asyncio.to_thread(_until_free, server)
    server.start()
    await asyncio.to_thread(server.wait_ready)
    return "was killed"


async def _freeze_server(world: World, which: str) -> str:
    family = _family(getattr(world, which))
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    await asyncio.sleep(SERVER_FREEZE_S)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    return f"{len(family)} of its processes stood"


def _until_free(server: EmbeddedServer) -> None:
    # Backends outlive a killed postmaster for a moment and hold its shared memory.
    folder = str(server.home.postgres)
    for process in psutil.process_iter(["cmdline", "cwd"]):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.TimeoutExpired):
            if process.info["cwd"] == folder and process.pid != os.getpid():
                process.wait(10)


def _link(world: World, which: str) -> Link:
    link: Link | None = world.broker_link if which == "broker" else world.database_link
    assert link is not None
    return link


async def _cut_off(world: World, which: str) -> str:
    link = _link(world, which)
    before = link.broken
    link.cut()
    await asyncio.sleep(CUT_S)
    link.mend()
    broken = link.broken - before
    assert broken > 0, "nobody was connected"
    return f"{broken} connections were broken"


async def _slow(world: World, which: str) -> str:
    """Slow a server down; what the market does must go on to reach everybody."""
    link = _link(world, which)
    before = link.carried
    link.slow(DELAY_S, BYTES_PER_S)
    try:
        await asyncio.gather(asyncio.sleep(SLOW_S), world.goes_on(world.within_s))
    finally:
        link.mend()
    return f"{(link.carried - before) / 1e6:.1f} MB came through it"


def _disk(world: World, which: str) -> Disk | None:
    return world.broker_disk if which == "broker" else world.database_disk


async def _fill_disk(world: World, which: str) -> str:
    """Fill the disk of a server; where it ends of that, its supervisor starts it again once there is room."""
    server: EmbeddedServer = getattr(world, which)
    full = _disk(world, which)
    assert full is not None
    logs = [
        *server.home.logs.glob("*.log"),
        *world.system.logs.glob("*.log"),
    ]  # its own may be on the full disk
    before = sum(map(_told, logs))
    await asyncio.to_thread(full.fill)
    try:
        await asyncio.sleep(FULL_S)
    finally:
        full.empty()
    ended = server.pid is None
    if ended:
        server.start()
    await asyncio.to_thread(server.wait_ready)
    refusals = sum(map(_told, logs)) - before
    assert ended or refusals, "it wrote nothing while its disk was full"
    return "it ended" if ended else f"logs tell {refusals} times that there was no room"


def _told(log: Path) -> int:
    return log.read_bytes().count(NO_SPACE)


def _no_disk(world: World, which: str) -> str:
    return "" if _disk(world, which) else "this user may not mount a small disk"


def _of_server(which: str, name: str) -> tuple[Fault, ...]:
    return (
        Fault(
            name=f"kill {name}", does="SIGKILL, down for 1.5 s", healed="it is started on its data and serves", bound_s=30,
            strike=partial(_kill_server, which=which),
        ),
        Fault(
            name=f"freeze {name}", does="SIGSTOP of all its processes for 15 s", healed="SIGCONT", bound_s=30,
            strike=partial(_freeze_server, which=which),
        ),
        Fault(
            name=f"cut off {name}", does="a proxy breaks every connection of the services, and each new one, for 10 s",
            healed="the proxy lets them through", bound_s=30, strike=partial(_cut_off, which=which),
        ),
        Fault(
            name=f"slow {name}", bound_s=30, strike=partial(_slow, which=which),
            does="a proxy adds 0.1 s each way and leaves 2 MB/s, for 15 s; new data must be everywhere within the bound meanwhile",
            healed="the proxy is quick",
        ),
        Fault(
            name=f"fill the disk of {name}", does="not a byte is left on its disk for 12 s", bound_s=45,
            healed="there is room, and it serves; where it ended, it is started", strike=partial(_fill_disk, which=which),
            unable=partial(_no_disk, which=which),
        ),
    )  # fmt: skip


# --- clocks, vendors, configuration


async def _shift_clock(world: World, seconds: float) -> str:
    """Set the services' wall clock; the market must go on to reach everybody."""
    clock = world.clock
    assert clock is not None
    clock.shift(seconds)
    try:
        await asyncio.gather(asyncio.sleep(CUT_S), world.goes_on(world.within_s))
    finally:
        clock.shift(0.0)
    return "new data was everywhere meanwhile"


async def _spoil(world: World, rules: Sequence[dict[str, Any]]) -> str:
    before = await world.spoiled()
    await world.spoil(list(rules))
    await asyncio.sleep(VENDOR_S)
    await world.spoil([])
    struck = await world.spoiled() - before
    assert struck > 0, "no vendor was asked meanwhile"
    return f"{struck} answers were so"


async def _break_configuration(world: World) -> str:
    """Break the file, and kill who must start with it; the last good one stays in force."""
    good = world.system.configure("symbols: [SIM001\n")
    try:
        error = str(await eventually(partial(_refused, world), within_s=NOTICED_WITHIN_S))
        await _kill(world, ["producers"])
        await world.goes_on(world.within_s)
    finally:
        world.system.configure(good)
    return f"`/readyz` of producers said: {error.partition(':')[2].strip()[:60]}…"


async def _refused(world: World) -> str:
    return str((await _part(world, "producers", "configuration")).get("last_error", ""))


async def _is_taken(world: World) -> bool:
    assert not await _refused(world), "the configuration is refused"
    return True


async def _part(world: World, service: str, part: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{world.system.ports[service]}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        found: dict[str, Any] = (await answer.json())["parts"].get(part, {})
        return found


# --- clients and records


async def _slow_clients(world: World) -> str:
    """Open clients that ask for everything and read nothing, until each is sent away."""
    before = await _slow_closes(world)
    names = [f"{channel}:best:{symbol}" for channel in ("trades", "quotes") for symbol in world.symbols]
    items = [{"stream": name, "conflate": {"mode": "none"}} for name in names]
    command = orjson.dumps({"id": 1, "t": "subscribe", "items": items}).decode()
    held = []  # a client nobody holds is closed
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=_small_socket)) as session:
        for _ in range(SLOW_CLIENTS):
            url = f"{world.system.socket_url}/ws"
            opened = await session.ws_connect(url, protocols=["mds.v1.json"], max_msg_size=0)
            await opened.send_str(command)
            held.append(opened)

        async def sent_away() -> bool:
            closed = await _slow_closes(world) - before
            assert closed >= SLOW_CLIENTS, f"{closed} were sent away"
            return True

        await world.goes_on(world.within_s)
        await eventually(sent_away, within_s=SENT_AWAY_WITHIN_S, every_s=0.5)
    return f"{SLOW_CLIENTS} clients were closed with 4008"


def _small_socket(found: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket whose kernel buffer is full of what a client does not read within seconds."""
    made = socket.socket(*found[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    return made


async def _slow_closes(world: World) -> int:
    url = f"http://127.0.0.1:{world.system.ports['gateway']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        lines = (await answer.text()).splitlines()
    found = (line for line in lines if line.startswith("mds_ws_slow_closes_total "))
    return int(float(next(found).rpartition(" ")[2]))


async def _poison(world: World) -> str:
    """Append records that no service wrote to every topic that a service reads."""
    home = partition_of(SYMBOL, DEFAULT_PARTITIONS)
    records = [
        Outgoing(topic=world.prefix + topic, partition=home, key=SYMBOL.encode(), value=value)
        for topic in POISONED
        for value in poison(topic)
    ]
    await publish(world.broker.bootstrap_servers, records)
    world.poisoned += len(records)
    return f"{len(records)} records in {len(POISONED)} topics"


async def _is_put_aside(world: World) -> bool:
    """Whether each is a dead letter, once."""
    found = 0
    for topic in POISONED:
        letters = await dead_letters(world.broker.bootstrap_servers, world.prefix, topic)
        found += sum(letter.payload in poison(topic) for letter in letters)
    assert found == world.poisoned, f"{found} of {world.poisoned} are dead letters"
    return True


async def _cold_start(world: World) -> str:
    """Stop everybody who works the raw log off, append a million events, and start them."""
    names = (*PROCESSORS, *SINKS)
    await _stop(world, names)
    world.waiting = await asyncio.to_thread(_append, world.broker.bootstrap_servers, world.prefix)
    for name in names:
        world.system.start(name)
    return f"{world.waiting:,} events were waiting"


def _append(bootstrap: str, prefix: str) -> int:
    producer = Producer(producer_config(bootstrap, "test-waiting"))
    homes = symbols_at_home(DEFAULT_PARTITIONS, SYMBOLS_PER_PARTITION)
    refused: list[object] = []
    for number in range(WAITING // EVENTS_PER_BLOCK):
        home = number % DEFAULT_PARTITIONS
        block = replace(block_of_quotes(homes[home], number, EVENTS_PER_BLOCK), provider=WAITING_OF)
        producer.produce(
            prefix + RAW_QUOTES, encode(RAW_QUOTES, block), partition=home,
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )  # fmt: skip
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not refused, refused[0]
    return WAITING


async def _is_worked_off(world: World) -> bool:
    connection = await asyncpg.connect(world.dsn)
    try:
        query = "SELECT count(*) FROM quotes WHERE stream_id IN (SELECT stream_id FROM streams WHERE provider = $1)"
        stored = await connection.fetchval(query, WAITING_OF)
    finally:
        await connection.close()
    assert stored == world.waiting, f"{stored} of {world.waiting} are stored"
    return True


def _of_process(names: Sequence[str], name: str) -> tuple[Fault, ...]:
    which = "one of the two " if len(names) > 1 else "its process "
    return (
        Fault(name=f"kill {name}", does=f"SIGKILL of {which}".rstrip(), healed="at once", bound_s=30, strike=partial(_kill, names=names)),
        Fault(
            name=f"freeze {name}", does=f"SIGSTOP of {which}for 9 s, longer than its Kafka session", healed="SIGCONT", bound_s=30,
            strike=partial(_freeze, names=names),
        ),
        Fault(
            name=f"stop {name}", does=f"SIGTERM to {which}, which must end with 0".replace(" ,", ","), healed="it is started again",
            bound_s=30, strike=partial(_restart, names=names),
        ),
    )  # fmt: skip


def _of_vendors(name: str, does: str, *rules: dict[str, Any]) -> Fault:
    return Fault(
        name=f"vendors {name}", does=f"for 10 s {does}", healed="they answer as they should", bound_s=60,
        strike=partial(_spoil, rules=rules),
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (
    *_of_process(["producers"], "producers"),
    *_of_process(PROCESSORS, "processor"),
    *_of_process(SINKS, "sink"),
    *_of_process(["gateway"], "gateway"),
    *_of_server("broker", "broker"),
    *_of_server("server", "database"),
    Fault(
        name="clock ahead", does="the services' wall clock is 5 min ahead for 10 s; new data must be everywhere within the bound meanwhile",
        healed="it is right", bound_s=30, strike=partial(_shift_clock, seconds=CLOCK_S),
    ),
    Fault(
        name="clock behind", does="the same, 5 min behind", healed="it is right", bound_s=30,
        strike=partial(_shift_clock, seconds=-CLOCK_S),
    ),
    _of_vendors("throttle", "every answer is 429, with Retry-After of 2 s", {"fault": {"type": "status", "status": 429, "retry_after": 2}}),
    _of_vendors("fail", "every answer is 500", {"fault": {"type": "status", "status": 500}}),
    _of_vendors("hang", "every answer takes 30 s", {"fault": {"type": "hang", "s": HANG_S}}),
    _of_vendors(
        "lie", "Yahoo's prices are doubled and each seventh of its minutes is empty, Finnhub's quotes are zeros",
        {"match": {"vendor": "yahoo"}, "fault": {"type": "scaled_symbols", "symbols": [f"SIM{n:03d}" for n in range(1, 9)], "factor": 2}},
        {"match": {"vendor": "yahoo"}, "fault": {"type": "null_bars", "every": 7}},
        {"match": {"vendor": "finnhub"}, "fault": {"type": "zero_quote"}},
    ),
    _of_vendors(
        "change their format", "Yahoo answers with a web page, all others with the first 40 bytes",
        {"match": {"vendor": "yahoo"}, "fault": {"type": "html"}},
        *({"match": {"vendor": vendor}, "fault": {"type": "truncate", "bytes": 40}} for vendor in ("finnhub", "polygon", "alpaca", "fred")),
    ),
    Fault(
        name="break the configuration", bound_s=30, strike=_break_configuration, afterwards=_is_taken,
        does="the file is no YAML any more, producers are killed; new data must be everywhere within the bound meanwhile",
        healed="the file is whole; it must also be taken",
    ),
    Fault(
        name="slow clients", bound_s=30, strike=_slow_clients,
        does="20 WebSocket clients ask for all trades and read nothing; new data must be everywhere within the bound meanwhile",
        healed="each is sent away with 4008",
    ),
    Fault(
        name="poison records", does="truncated, foreign, oversized, random and empty values in every topic that a service reads",
        healed="at once; each must also be a dead letter, once", bound_s=30, strike=_poison, afterwards=_is_put_aside,
    ),
    Fault(
        name="cold start", does="processors and sinks are stopped, a million events are appended", bound_s=180, strike=_cold_start,
        healed="they are started; all must also be stored", afterwards=_is_worked_off,
    ),
)  # fmt: skip

BY_NAME = {fault.name: fault for fault in FAULTS}
EITHER = (
    "kill producers", "kill processor", "freeze processor", "kill sink", "freeze sink", "kill gateway", "kill broker",
    "kill database", "freeze database",
)  # fmt: skip
"""What needs no apparatus and is struck in the default suite."""
