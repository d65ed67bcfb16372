"""`mds dlq events`, `mds dlq replay` and `mds dlq discard`: what died, by cause; in again, or away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from infra.cli.backfill import Json, dlq_app
from infra.cli.http import called
from infra.cli.output import as_json, say, table
from infra.cli.system import System
from infra.runtime.exit_codes import ExitCode

PAGE = 1_000
CAUSE_COLUMNS = ("cause", "kind", "stage", "events", "last_time", "fault")
EVENT_COLUMNS = ("event_id", "state", "kind", "symbol", "dead_time", "message")
VERDICT_COLUMNS = ("event_id", "verdict", "records", "published", "detail")
Cause = Annotated[str | None, typer.Option(help="Of this cause.", metavar="CAUSE")]
Event = Annotated[int | None, typer.Option("--event", help="This one alone.", metavar="ID")]
Kind = Annotated[str | None, typer.Option(help="Died in this topic.", metavar="TOPIC")]
SymbolOption = Annotated[str | None, typer.Option("--symbol", help="Of this symbol.", metavar="SYMBOL")]
Provider = Annotated[str | None, typer.Option(help="Of this provider.", metavar="NAME")]
Most = Annotated[int, typer.Option("-n", min=1, max=PAGE, help="At most N.", metavar="N")]


@dlq_app.command("events")
def events_command(
    cause: Cause = None,
    kind: Kind = None,
    symbol: SymbolOption = None,
    provider: Provider = None,
    state: Annotated[
        str,
        typer.Option(
            help="open, replaying, replayed, unknown or discarded, several with commas between.",
            metavar="STATES",
        ),
    ] = "open",
    limit: Most = 100,
    json: Json = False,
) -> None:
    """List what died by cause; with --cause event by event; exit 1 where there is nothing."""
    query = {"kind": kind, "symbol": symbol, "provider": provider, "state": state, "limit": limit}
    path = ("events",) if cause is None else ("events", cause)
    answer = called(System.from_env(), "GET", "ops", "dlq", *path, query=query)
    rows = answer["data"]
    if json:
        say(as_json(rows))
    elif not rows:
        say(f"nothing that died is {state.replace(',', ' or ')}")
    else:
        columns = CAUSE_COLUMNS if cause is None else EVENT_COLUMNS
        say(_table(columns, rows))
        if cause is None:
            for row in rows:
                say(f"{row['cause']}: {row['remedy']}")
        if answer["next_page_token"] is not None:
            say(f"these are the newest {len(rows)}; -n shows more")
    if not rows:
        raise typer.Exit(ExitCode.NO)


@dlq_app.command("replay")
def replay_command(
    event: Event = None,
    cause: Cause = None,
    kind: Kind = None,
    symbol: SymbolOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Publish; without it only what would come out is shown.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also what takes the place of a value that is stored.")
    ] = False,
    limit: Most = 100,
    json: Json = False,
) -> None:
    """Show what would come out if open events came in again, and with --yes publish them, each once."""
    query = _meant(event, cause, kind, symbol, yes=yes, limit=limit)
    query["replace"] = str(replace).lower()
    answer = called(System.from_env(), "POST", "ops", "dlq", "events", "replay", query=query)
    rows, meta = answer["data"], answer["meta"]
    if json:
        say(as_json({**meta, "events": rows}))
        return
    if rows:
        say(_table(VERDICT_COLUMNS, rows))
    counts = (
        ", ".join(f"{count} {verdict}" for verdict, count in meta["verdicts"].items()) or "nothing is open"
    )
    said = f"published {meta['published']}" if yes else "nothing was published; --yes publishes"
    say(f"{counts}; {said}{_more(meta)}")


@dlq_app.command("discard")
def discard_command(
    reason: Annotated[str, typer.Option(help="Why, for whoever looks later.", metavar="TEXT")],
    event: Event = None,
    cause: Cause = None,
    kind: Kind = None,
    symbol: SymbolOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Put them away; without it they are only listed.")
    ] = False,
    limit: Most = 100,
    json: Json = False,
) -> None:
    """List open events, and with --yes put them away; their letters stay until they expire."""
    query = _meant(event, cause, kind, symbol, yes=yes, limit=limit) | {"reason": reason}
    answer = called(System.from_env(), "POST", "ops", "dlq", "events", "discard", query=query)
    rows, meta = answer["data"], answer["meta"]
    if json:
        say(as_json({**meta, "events": rows}))
        return
    if rows:
        say(_table(("event_id", "cause", "message"), rows))
    said = f"discarded {meta['discarded']}" if yes else f"{len(rows)} would be discarded; --yes does it"
    say(said + _more(meta))


def _meant(
    event: int | None,
    cause: str | None,
    kind: str | None,
    symbol: str | None,
    *,
    yes: bool,
    limit: int,
) -> dict[str, Any]:
    return {
        "event_id": event, "cause": cause, "kind": kind, "symbol": symbol,
        "dry_run": str(not yes).lower(), "limit": limit,
    }  # fmt: skip


def _more(meta: Mapping[str, Any]) -> str:
    return "; more are there: run it again, or raise -n" if meta["more"] else ""


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    return table(columns, [[_cell(row[name]) for name in columns] for row in rows])


def _cell(value: Any) -> str:
    return "-" if value is None or value == "" else str(value)
