"""`mds backfill` and `mds dlq`: have a past stretch fetched again, and see to jobs that ended badly."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from infra.cli.http import called
from infra.cli.output import as_json, as_json_line, fail, say, table
from infra.cli.system import System
from infra.runtime.exit_codes import ExitCode
from schemas.backfill import ENDED

REQUEST = "request"
POLL_S = 1.0
PAGE = 1_000
GOOD = ("done", "empty")
SHOWN = (
    "job_id", "state", "meaning", "stream", "start", "end", "tier", "requested_by", "position", "eta_s", "eta_basis", "budget",
    "attempts", "rows", "reason", "finished_time",
)  # fmt: skip
COLUMNS = ("job_id", "state", "stream", "start", "end", "tier", "attempts", "finished_time", "reason")


class RequestUnlessNamed(TyperGroup):
    """Commands of which `request` is meant where none is named: `mds backfill SPY …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in where its place holds something else."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [REQUEST, *args]
        return super().parse_args(ctx, args)


backfill_app = typer.Typer(
    cls=RequestUnlessNamed,
    help="Fetch bars of a past stretch again. `request` may be left out: `mds backfill SYMBOL --start … --end …`.",
    no_args_is_help=True,
)
dlq_app = typer.Typer(help="What ended badly: look, try again, put away.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Status = Annotated[str, typer.Option(help=f"How they ended: {' '.join(ENDED)}, several with commas between.")]
JobId = Annotated[str, typer.Argument(help="Id of the job.", metavar="JOB")]


@backfill_app.command(REQUEST)
def request_command(
    symbol: Annotated[str, typer.Argument(help="Whose bars, as in SPY or BRK.B.")],
    start: Annotated[
        str, typer.Option(help="Begin, inclusive: 2026-03-02T14:30:00Z, or a date: midnight at the venue.")
    ],
    end: Annotated[str, typer.Option(help="End, exclusive, written alike.")],
    interval: Annotated[str, typer.Option(help="1m, 5m, 1h or 1d; one that is collected.")] = "1m",
    tier: Annotated[
        Literal["T0", "T1", "T2"], typer.Option(help="How urgent it is: T0 is served first.")
    ] = "T2",
    source: Annotated[
        str | None, typer.Option(help="Who is asked; by default the preferred provider.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it ended; exit 1 unless done or empty.")
    ] = False,
    json: Json = False,
) -> None:
    """Ask for bars that start in [START, END); what is under way already is not fetched twice."""
    system = System.from_env()
    body = {"symbol": symbol, "interval": interval, "start": start, "end": end, "priority": tier}
    body |= {} if source is None else {"source": source}
    job = called(system, "POST", "ops", "backfill", body=body)["data"]
    _show(job, json=json)
    if wait:
        _wait(system, job, json=json)


@backfill_app.command("status")
def status_command(job_id: JobId, json: Json = False) -> None:
    """Show how a job stands."""
    _show(called(System.from_env(), "GET", "ops", "backfill", job_id)["data"], json=json)


@dlq_app.command("backfills")
def backfills_command(
    status: Status = "dead",
    symbol: Annotated[str | None, typer.Option(help="Of this symbol.")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, help="At most N, the newest.", metavar="N")] = 50,
    json: Json = False,
) -> None:
    """List backfill jobs that ended, newest first; exit 1 where there are none."""
    system, jobs, token = System.from_env(), list[dict[str, Any]](), None
    while len(jobs) < limit:
        query = {"status": status, "symbol": symbol, "limit": min(PAGE, limit), "page_token": token}
        answer = called(system, "GET", "ops", "dlq", "backfills", query=query)
        jobs, token = [*jobs, *answer["data"]][:limit], answer["next_page_token"]
        if token is None:
            break
    if json:
        say(as_json(jobs))
    elif jobs:
        say(table(COLUMNS, [[_cell(job[name]) for name in COLUMNS] for job in jobs]))
        if token is not None:
            say(f"these are the newest {len(jobs)}; -n shows more")
    else:
        say(f"no job is {status.replace(',', ' or ')}")
    if not jobs:
        raise typer.Exit(ExitCode.NO)


@dlq_app.command("requeue")
def requeue_command(job_id: JobId, json: Json = False) -> None:
    """Queue a dead or unrecoverable job again; exit 1 where it is in another state."""
    answer = called(System.from_env(), "POST", "ops", "dlq", "backfills", "requeue", job_id)
    _show(answer["data"], json=json)


@dlq_app.command("purge")
def purge_command(
    older_than: Annotated[str, typer.Option(help="Jobs that ended longer ago: 30d, 12h or 90m.")],
    status: Status = "dead",
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete them; without it they are only counted.")
    ] = False,
    json: Json = False,
) -> None:
    """Count old jobs that ended, and with --yes delete them; what they fetched stays."""
    system = System.from_env()
    found = _purged(system, older_than, status, dry_run=True)
    more = "more than " if found["more"] else ""
    if not json:
        say(f"{more}{found['jobs']} jobs ended before {found['before']}: {_counts(found['by_status'])}")
    deleted = dict.fromkeys(found["by_status"], 0)
    while yes and found["jobs"]:
        step = _purged(system, older_than, status, dry_run=False)
        deleted = {name: count + step["by_status"][name] for name, count in deleted.items()}
        if not step["more"] or not step["jobs"]:
            break
    if json:
        say(as_json({**found, "deleted": deleted if yes else None}))
    else:
        say(f"deleted: {_counts(deleted)}" if yes else "nothing was deleted; --yes deletes them")


def _purged(system: System, older_than: str, status: str, *, dry_run: bool) -> dict[str, Any]:
    query = {"older_than": older_than, "status": status, "dry_run": str(dry_run).lower()}
    answer = called(system, "DELETE", "ops", "dlq", "backfills", "purge", query=query)
    meta = answer["meta"]
    return {"by_status": answer["data"], "jobs": meta["jobs"], "more": meta["more"], "before": meta["before"]}


def _wait(system: System, job: Mapping[str, Any], *, json: bool) -> None:
    """Tell each change of the job's state until it ended; exit 1 unless it ended well."""
    try:
        while job["state"] not in ENDED:
            time.sleep(POLL_S)
            before, job = job, called(system, "GET", "ops", "backfill", str(job["job_id"]))["data"]
            if job["state"] != before["state"] or job["attempts"] != before["attempts"]:
                say(as_json_line(job) if json else _line(job))
    except KeyboardInterrupt:
        fail(f"no longer waited for; the job goes on: mds backfill status {job['job_id']}")
        raise typer.Exit(ExitCode.NO) from None
    if job["state"] not in GOOD:
        raise typer.Exit(ExitCode.NO)


def _show(job: Mapping[str, Any], *, json: bool) -> None:
    if json:
        say(as_json(job))
        return
    rows = [[name, _cell(job[name])] for name in SHOWN if job.get(name) is not None]
    say(table(["what", "value"], rows))


def _line(job: Mapping[str, Any]) -> str:
    reason = f": {job['reason']}" if job["reason"] else ""
    return f"{job['job_id']} {job['state']}: {job['meaning']} (attempt {job['attempts']}, {job['rows']} rows){reason}"


def _cell(value: Any) -> str:
    if isinstance(value, dict):  # a budget
        used = "an unknown number of" if value["used"] is None else str(value["used"])
        cap = "without a limit for a day" if value["cap"] is None else f"of at most {value['cap']}"
        return f"{value['provider']}: {used} requests today, {cap}"
    return "-" if value is None else str(value)


def _counts(counts: Mapping[str, int]) -> str:
    found: Sequence[str] = [f"{count} {name}" for name, count in counts.items()]
    return ", ".join(found)
