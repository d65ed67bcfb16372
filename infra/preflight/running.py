"""Checks side by side: facts are read once for those that judge them, each reading has a deadline, and none hides another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.preflight.findings import Checked, Finding, failed, redacted, unknown
from infra.runtime.kafka.probing import NotAllowed
from schemas.errors import ConfigurationError, MarketDataError

WITHIN_S = 20.0  # beyond the deadlines of what is asked, which tell more
AGAIN = "run this again; where it stays so, report it with this line"
FROZEN = "see whether it is frozen or a firewall drops what is sent to it, then run this again"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckGroup:
    """Facts and the checks that judge them, by name; the first also says why there are none.

    Where `after` names a check, nothing is read unless that one is ok or only warns. `within_s` bounds the reading from
    outside: asyncpg's own deadlines wait for a frozen server.
    """

    read: Callable[[], Awaitable[Any]]
    checks: Mapping[str, Callable[[Any], Finding]]
    after: str = ""
    within_s: float = WITHIN_S
    remedy: str = FROZEN  # where there is no answer


@dataclass(slots=True)
class _Board:
    """Findings as they come in, and who waits for one."""

    found: dict[str, Finding] = field(default_factory=dict)
    told: dict[str, asyncio.Event] = field(default_factory=dict)

    def post(self, findings: Mapping[str, Finding]) -> None:
        self.found |= findings
        for name in findings:
            self.told[name].set()


async def look(groups: Sequence[CheckGroup], *, secrets: Sequence[str]) -> list[Checked]:
    """Return what every check found, in order; never raises for what a check meets."""
    board = _Board(told={name: asyncio.Event() for group in groups for name in group.checks})
    async with asyncio.TaskGroup() as tasks:
        for group in groups:
            tasks.create_task(_look(group, board))
    return [Checked(name=name, finding=redacted(board.found[name], secrets)) for name in board.told]


async def _look(group: CheckGroup, board: _Board) -> None:
    if group.after:
        await board.told[group.after].wait()
        if board.found[group.after].result in ("failed", "unknown"):
            board.post(dict.fromkeys(group.checks, _not_looked_at(group.after)))
            return
    facts, trouble = await _read(group)
    if trouble is not None:
        first, *others = group.checks
        board.post({first: trouble} | dict.fromkeys(others, _not_looked_at(first)))
        return
    board.post({name: _judged(judge, facts) for name, judge in group.checks.items()})


async def _read(group: CheckGroup) -> tuple[Any, Finding | None]:
    """Return the facts of a group, or why there are none."""
    reading = asyncio.ensure_future(group.read())
    done, _ = await asyncio.wait({reading}, timeout=group.within_s)
    if not done:
        # not awaited: what does not answer need not heed a cancellation either
        reading.add_done_callback(lambda late: late.cancelled() or late.exception())
        reading.cancel()
        return None, unknown(f"no answer within {group.within_s:g} s", group.remedy)
    error = reading.exception()
    if error is not None:
        return None, meaning(error, group.remedy)
    return reading.result(), None


def _judged(judge: Callable[[Any], Finding], facts: Any) -> Finding:
    try:
        return judge(facts)
    except Exception as error:  # noqa: BLE001 - one check that fails hides no other
        return meaning(error, AGAIN)


def _not_looked_at(first: str) -> Finding:
    return unknown(f"not looked at: see {first}", f"mend {first} first")


def meaning(error: BaseException, remedy: str) -> Finding:
    """Return the finding that an error is: what an operator must change failed, anything else could not be looked at."""
    if isinstance(error, ConfigurationError):
        return failed(error.problem, error.remedy)
    if isinstance(error, NotAllowed):
        return failed(f"we may not {error.what}: {error}", f"allow the services to {error.what}")
    if isinstance(error, MarketDataError):
        return unknown(str(error).partition("; ")[0], remedy)
    return unknown(f"the check itself failed: {type(error).__name__}: {error}", AGAIN)
