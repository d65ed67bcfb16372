"""`mds demo`: what the service does about a hole, shown on the system that runs here, and undone again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import typer

from infra.cli.demo_market import (
    PROVIDER,
    STARTING,
    VALUES,
    CutMinute,
    Stopped,
    market_us,
    running_minute,
    swap,
    usable_clock,
    vendor_bars,
    zone_of,
)
from infra.cli.demo_words import (
    BEGINNING,
    gap_in_words,
    job_in_words,
    minute_text,
    what_next,
    whole_in_words,
)
from infra.cli.http import asked, called, complaints, get_json
from infra.cli.output import DIM, GREEN, colour, fail, say, step
from infra.cli.system import SERVICES, System
from infra.runtime.clock import monotonic_s, rfc3339
from infra.runtime.exit_codes import ExitCode
from schemas.backfill import ENDED
from schemas.intervals import MINUTE_US, SECOND_US, micros

CANDIDATES = 20  # symbols that are looked at
FRESH_US = 4 * MINUTE_US
AROUND = 2  # minutes before and after the one that is cut, compared as well
POLLED_WITHIN_US = 75 * SECOND_US  # market time: of a minute's end, by the usual cadence
GRACE_S = 20.0
JOB_WITHIN_S = 60.0
LOOK_EVERY_S = 0.3
LOOKS = 60
SOCKET_S = 10.0

demo_app = typer.Typer(help="Show on a running system what it does.", no_args_is_help=True)


@dataclass(slots=True)
class Heard:
    """Gap notices of the socket, as they came."""

    notices: list[dict[str, Any]] = field(default_factory=list)
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: str = ""

    def take(self, text: str) -> None:
        """Take a frame."""
        for message in orjson.loads(text):
            if message["t"] == "subscribed":
                self.subscribed.set()
            elif message["t"] in ("gap", "gap_fill"):
                self.notices.append(message)

    def of(self, cut: CutMinute, kind: str) -> dict[str, Any] | None:
        """Return the first notice of a kind that is of the minute."""
        return next(
            (
                each
                for each in self.notices
                if each["t"] == kind
                and PROVIDER in each["stream"]
                and each["from"] <= cut.minute < each["to"]
            ),
            None,
        )


@demo_app.command("gap")
def gap_command() -> None:
    """Cut a minute out of a vendor's answers, and watch the gap being found, fetched again and filled.

    Needs `mds run` with its simulated market. Takes about two minutes; Ctrl-C ends it, and nothing stays cut.
    """
    try:
        asyncio.run(_until_told_to_stop(System.from_env()))
    except Stopped as stopped:
        fail(str(stopped))
        raise typer.Exit(ExitCode.NO) from None
    except asyncio.CancelledError:
        fail("stopped; nothing is cut any more")
        raise typer.Exit(ExitCode.NO) from None


async def _until_told_to_stop(system: System) -> None:
    shown = asyncio.ensure_future(_show(system))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, shown.cancel)
    await shown


async def _show(system: System) -> None:
    speed = float(usable_clock(system)["speed"])
    symbol, zone = await asyncio.to_thread(_chosen, system)
    say(BEGINNING)
    async with _listening(system, symbol) as heard:
        minute = running_minute(market_us(system), speed)
        cut = CutMinute(symbol=symbol, minute=minute, zone=zone)
        try:
            await _cut(system, cut, speed, heard)
        finally:
            lifted = swap(system, [])  # also when told to stop: no await may come before it
        if not lifted:
            raise Stopped(f"the simulator does not answer any more; {STARTING}")
        await _heal(system, cut, heard)
    await _compare(system, cut)
    say(what_next(system.gateway_url, cut.symbol, cut.minute))


async def _cut(system: System, cut: CutMinute, speed: float, heard: Heard) -> None:
    """Cut the minute, and wait until its gap is told."""
    if not swap(system, [cut.rule()]):
        raise Stopped(f"the simulator takes no scenario; {STARTING}")
    step(
        f"cut: from now on the simulated vendor {PROVIDER} leaves the minute {minute_text(cut.minute)} of {cut.symbol} out of its answers"
    )
    wait_s = (cut.minute + 2 * MINUTE_US - market_us(system)) / SECOND_US / speed
    say(
        f"  The service cannot know yet. In {wait_s:.0f} s the minute after it is over: its bar will show that one is missing."
    )
    begun_s = monotonic_s()
    longest_s = wait_s + POLLED_WITHIN_US / SECOND_US / speed + GRACE_S
    notice = await _awaited(heard, cut, "gap", longest_s)
    if notice is None:
        raise Stopped(
            f"no gap was told within {longest_s:.0f} s; look at `mds status` and at the producers' log in {system.home.logs}, then run this again"
        )
    step(f"gap: after {monotonic_s() - begun_s:.0f} s the WebSocket of {cut.symbol} told it")
    say(f"  {colour(orjson.dumps(notice).decode(), DIM)}")
    say(f"  {gap_in_words(notice)}")
    await _say_ledger(system, cut)


async def _heal(system: System, cut: CutMinute, heard: Heard) -> None:
    """Have the minute fetched again, and wait until the subscribers hear that it is there."""
    step("backfill: the vendor answers in full again; the minute is asked for with POST /ops/backfill")
    body = {"symbol": cut.symbol, "interval": "1m", "priority": "T0", "source": PROVIDER, **_stretch(cut)}
    job = (await asyncio.to_thread(called, system, "POST", "ops", "backfill", body=body))["data"]
    say(f"  {job_in_words(job)}")
    deadline_s = monotonic_s() + JOB_WITHIN_S
    while job["state"] not in ENDED and monotonic_s() < deadline_s:
        await asyncio.sleep(LOOK_EVERY_S)
        before = job
        job = (await asyncio.to_thread(called, system, "GET", "ops", "backfill", job["job_id"]))["data"]
        if job["state"] != before["state"]:
            say(f"  {job_in_words(job)}")
    if job["state"] != "done":
        raise Stopped(
            f"the job is {job['state']}: {job['reason'] or 'no worker has taken it'}; look at the part backfill of "
            f"`curl -s {_producers(system)}/readyz` and at `mds backfill status {job['job_id']}`"
        )
    notice = await _awaited(heard, cut, "gap_fill", GRACE_S)
    if notice is None:
        raise Stopped(
            f"the job is done, and no gap_fill was told within {GRACE_S:.0f} s; look at `mds status`, and ask again with "
            f"`curl -s '{system.gateway_url}/gaps?symbol={quote(cut.symbol)}'`"
        )
    step("filled: the WebSocket told the end of the gap")
    say(f"  {colour(orjson.dumps(notice).decode(), DIM)}")


async def _awaited(heard: Heard, cut: CutMinute, kind: str, within_s: float) -> dict[str, Any] | None:
    deadline_s = monotonic_s() + within_s
    while (notice := heard.of(cut, kind)) is None and monotonic_s() < deadline_s:
        if heard.ended:
            raise Stopped(f"the WebSocket ended ({heard.ended}); look at `mds status`, then run this again")
        await asyncio.sleep(LOOK_EVERY_S)
    return notice


async def _compare(system: System, cut: CutMinute) -> None:
    """Compare what is stored around the minute with the vendor's own answer."""
    low, high = cut.minute - AROUND * MINUTE_US, cut.minute + (AROUND + 1) * MINUTE_US
    known = await asyncio.to_thread(vendor_bars, system, cut.symbol, low, high)
    theirs = {time: bar for time, bar in known.items() if bar is not None}
    deadline_s, rows = monotonic_s() + GRACE_S, dict[int, dict[str, Any]]()
    while cut.minute not in rows and monotonic_s() < deadline_s:  # the socket may be ahead of the database
        await asyncio.sleep(LOOK_EVERY_S)
        stored = await asyncio.to_thread(_stored, system, cut.symbol, start=rfc3339(low), end=rfc3339(high))
        rows = {_micros(row["event_time"]): row for row in stored}
    common = sorted(set(rows) & set(theirs))
    wrong = [minute for minute in common if tuple(rows[minute][name] for name in VALUES) != theirs[minute]]
    if cut.minute not in common or wrong:
        told = ", ".join(map(minute_text, wrong)) or f"{minute_text(cut.minute)} is missing"
        raise Stopped(
            f"what is stored is not what the vendor shows: {told}; compare "
            f"`curl -s '{system.gateway_url}/stocks/{quote(cut.symbol)}/intraday'`"
        )
    say(f"{colour('✓', GREEN)} {whole_in_words(len(common), common[0], rows[cut.minute].get('route'))}")


def _chosen(system: System) -> tuple[str, str]:
    """Return a symbol of which bars of the provider come, and the zone in which its minutes are named."""
    _, offered = get_json(f"{system.settings.simulator_base_url}/simulator/symbols")
    listed = [each["symbol"] for each in (offered or {}).get("symbols", []) if "bars" in each["streams"]]
    for symbol in listed[:CANDIDATES]:
        newest = _stored(system, symbol, sort="desc", limit="1", period="1d", provider=PROVIDER)
        now = market_us(system)
        if newest and now - _micros(newest[0]["event_time"]) < FRESH_US:
            return symbol, zone_of(system, symbol, now // MINUTE_US * MINUTE_US)
    raise Stopped(f"no bar of {PROVIDER} of the last minutes is stored yet; {STARTING}")


def _stored(system: System, symbol: str, **query: str) -> list[dict[str, Any]]:
    given = {"interval": "1m", "session": "all", **query}
    status, document = asked(system, "GET", "stocks", symbol, "history", query=given)
    if status in (0, 401, 403):
        raise Stopped(complaints(system.gateway_url, status, document)[0])
    return list((document or {}).get("data") or [])


def _ledger(system: System, cut: CutMinute) -> list[dict[str, Any]]:
    query = {"symbol": cut.symbol, "interval": "1m", "provider": PROVIDER, **_stretch(cut)}
    return list(called(system, "GET", "gaps", query=query)["data"])


def _stretch(cut: CutMinute) -> dict[str, str]:
    return {"start": rfc3339(cut.minute), "end": rfc3339(cut.minute + MINUTE_US)}


def _producers(system: System) -> str:
    return next(system.ops_url(each) for each in SERVICES if each.module == "producers")


def _micros(text: str) -> int:
    return micros(datetime.fromisoformat(text))


@asynccontextmanager
async def _listening(system: System, symbol: str) -> AsyncIterator[Heard]:
    """Listen to the symbol's WebSocket until the end of the block."""
    key = system.settings.api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{system.gateway_url.replace('http', 'ws', 1)}/ws/{quote(symbol, safe='')}"
    heard = Heard()
    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.timeout(SOCKET_S):
                socket = await session.ws_connect(url, headers=headers, protocols=("mds.v1.json",))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Stopped(
                f"no WebSocket at {url} ({error}); {STARTING}, and set MDS_API_KEY where keys are in use"
            ) from error
        reading = asyncio.create_task(_read(socket, heard))
        try:
            async with asyncio.timeout(SOCKET_S):
                await heard.subscribed.wait()
            yield heard
        except TimeoutError as error:
            raise Stopped(f"the WebSocket at {url} confirms no subscription; look at `mds status`") from error
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            await socket.close()


async def _read(socket: aiohttp.ClientWebSocketResponse, heard: Heard) -> None:
    async for message in socket:
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            heard.take(message.data)
    heard.ended = f"close code {socket.close_code}"


async def _say_ledger(system: System, cut: CutMinute) -> None:
    for _ in range(LOOKS):  # the socket reads the topic, this the database
        rows = await asyncio.to_thread(_ledger, system, cut)
        for row in rows:
            told = f"{row['state']}, {row['cause']}, {row['confidence']}, from {row['from_time']} to {row['to_time']}"
            say(f"  GET /gaps says of it: {told}")
        if rows:
            return
        await asyncio.sleep(LOOK_EVERY_S)
