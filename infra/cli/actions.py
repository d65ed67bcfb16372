"""`mds actions`: corporate actions stated by hand or by files of LEAN's, put onto the raw topic like a vendor's."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from infra.cli.output import say
from infra.cli.symbols import asked_symbol
from infra.cli.system import System
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.calendar.sessions import calendar_of
from schemas.clocks import KnowledgeTime, day_of
from schemas.entries import ActionType
from schemas.errors import ConfigurationError, InvalidRecord
from schemas.jobs import by_partition
from schemas.records import Event
from schemas.streams import ACTION_STREAM
from schemas.symbology.factor_files import parse_factor_file
from schemas.symbology.file_actions import factor_actions, rename_actions
from schemas.symbology.map_files import parse_map_file
from schemas.symbology.stated_actions import BY_FILES, BY_HAND, file_events, stated_event
from schemas.symbols.instruments import classify
from schemas.validation import check_action
from schemas.wire.codec import encode_value

MAX_BLOCK_EVENTS = 500  # 200 kB of them
MAX_FILE_BYTES = 1_048_576

actions_app = typer.Typer(help="State corporate actions that no vendor tells.", no_args_is_help=True)

KINDS = get_args(ActionType)
DAY = ["%Y-%m-%d"]
AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Z]{3})?")


@actions_app.command("add")
def add_command(
    symbol: Annotated[str, typer.Argument(help="Symbol as of the ex-date.")],
    kind: Annotated[str, typer.Argument(help=" ".join(KINDS), metavar="TYPE")],
    ex_date: Annotated[datetime, typer.Argument(help="First day without it.", formats=DAY, metavar="DAY")],
    ratio: Annotated[str, typer.Option(help="Shares after to shares before, as in 7:1.")] = "",
    amount: Annotated[str, typer.Option(help="Cash a share of that day, as in 0.47 or 0.47EUR.")] = "",
    other: Annotated[str, typer.Option(help="Symbol after a rename or merger, or of what is spun off.")] = "",
    declared: Annotated[
        datetime | None, typer.Option(help="Day it was declared.", formats=DAY, metavar="DAY")
    ] = None,
    cancelled: Annotated[bool, typer.Option("--cancelled", help="Take back one that was stated.")] = False,
) -> None:
    """State one action, or put right the one of that type and day; it is known from now on."""
    if kind not in KINDS:
        raise ConfigurationError(f"{kind!r} is no action", remedy=f"use one of {' '.join(KINDS)}")
    if classify(asked_symbol(symbol)) is None:
        raise ConfigurationError(f"{symbol!r} names nothing", remedy="see `mds symbols resolve`")
    said = {**_ratio(ratio), **_amount(amount)}
    if other:
        said["child_symbol" if kind == "spin_off" else "new_symbol"] = asked_symbol(other, "--other")
    if cancelled:
        said["state"] = "cancelled"
    event = stated_event(
        symbol,
        kind,  # type: ignore[arg-type]  # one of them
        day_of(ex_date.date()),
        calendar=calendar_of(symbol),
        stated=wall_us(),
        declared=None if declared is None else day_of(declared.date()),
        **said,
    )
    _publish(System.from_env(), BY_HAND, [event])


@actions_app.command("import")
def import_command(
    files: Annotated[list[Path], typer.Argument(help="LEAN's factor files, named by symbol: aapl.csv.")],
    maps: Annotated[
        Path | None, typer.Option(help="Folder of map files, for the names of those days.")
    ] = None,
) -> None:
    """State the splits, dividends and renames that factor and map files hold; one fault in them and nothing is stated."""
    events = [event for path in files for event in _of_files(path, maps)]
    _publish(System.from_env(), BY_FILES, events)


def _of_files(path: Path, maps: Path | None) -> list[Event]:
    symbol = path.stem.upper()
    calendar = calendar_of(asked_symbol(symbol))
    actions = factor_actions(parse_factor_file(_text(path), source=str(path)), calendar)
    beside = None if maps is None else maps / path.name
    history = None
    if beside is not None and beside.exists():
        history = parse_map_file(_text(beside), source=str(beside))
        actions = (*actions, *rename_actions(history, calendar))
    return file_events(actions, symbol, history, calendar=calendar, stated=wall_us())


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidRecord(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", remedy="name a file of LEAN's") from error


def _ratio(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        to, before = (float(part) for part in text.split(":"))
    except ValueError:
        raise ConfigurationError(f"{text!r} is no ratio", remedy="write --ratio 7:1, seven for one") from None
    return {"ratio_to": to, "ratio_from": before}


def _amount(text: str) -> dict[str, Any]:
    if not text:
        return {}
    found = AMOUNT.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"{text!r} is no amount", remedy="write --amount 0.47, or 0.47EUR")
    return {"amount": float(found[1]), "currency": found[2] or "USD", "amount_basis": "as_declared"}


def _publish(system: System, provider: str, events: Sequence[Event]) -> None:
    """Put events onto the raw topic and say how many; raise InvalidRecord where one is impossible."""
    for event in events:
        check_action(event, KnowledgeTime(wall_us()))
    system.reach_kafka()
    records = _records(system, provider, events)

    async def send() -> None:
        publisher = Publisher(system.settings.bootstrap_servers, f"mds-actions-{os.getpid()}")
        try:
            await publisher.publish(records)
        finally:
            publisher.close()

    asyncio.run(send())
    say(f"{len(events)} actions of {len({event['symbol'] for event in events})} symbols, as {provider}")


def _records(system: System, provider: str, events: Sequence[Event]) -> list[Outgoing]:
    """Return events as raw blocks, each of one partition."""
    now, topic, records = wall_us(), ACTION_STREAM.raw_topic, list[Outgoing]()
    names = list(dict.fromkeys(event["symbol"] for event in events))
    for partition, symbols in by_partition(names, system.partition_count()).items():
        own = [event for event in events if event["symbol"] in set(symbols)]
        for start in range(0, len(own), MAX_BLOCK_EVENTS):
            block = {
                "provider": provider, "endpoint": provider, "route": "primary", "job_id": "",
                "received_time": now, "connection_id": "", "hints": {}, "discontinuities": [],
                "events": own[start : start + MAX_BLOCK_EVENTS],
            }  # fmt: skip
            value = encode_value(topic, block)
            records.append(
                Outgoing(topic=system.settings.topic_prefix + topic, partition=partition, value=value)
            )
    return records
