"""Acts by hand on macro series: which refresh a request begins or joins, each begun one with its row in `audit_acts`.

`audit_acts` is what says that one is under way, so every gateway joins the same. Each function works in the caller's
transaction; who asks for the same series at the same time waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infra.runtime.postgres.backfill_acts import (
    FORGET,
    FORGOTTEN_AT_ONCE,
    KEPT_DAYS,
    LOCK,
    LOCKED,
    REMEMBER,
    REQUESTED,
    note,
)
from infra.runtime.postgres.errors import Connection
from schemas.clocks import WallTime

BEGUN, LOST = "macro.refresh", "macro.refresh_lost"
LAST = """
    SELECT act, acted_time, detail->>'job_id' AS job_id FROM audit_acts WHERE subject = $1 AND act IN ($2, $3)
    ORDER BY act_id DESC LIMIT 1
"""
RELEASE = "DELETE FROM backfill_requests WHERE actor = $1 AND request_key = $2 AND job_id = $3"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshWish:
    """A request for a refresh: by whom, under which key of theirs ("": none), of what, and what a new one is called."""

    subject: str
    content: str
    job_id: str
    actor: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshBegun:
    """The refresh that serves a wish. `is_kept`: its key stands for it, whether it has ended or not."""

    job_id: str = ""
    is_new: bool = False
    is_kept: bool = False
    refusal: Literal["", "other_content"] = ""


async def begin(
    connection: Connection, wish: RefreshWish, *, since: WallTime, ended: str = ""
) -> RefreshBegun:
    """Note a refresh, unless its key was used, or one of the same was begun after `since` and is not the `ended` one."""
    if wish.key:
        await connection.execute(LOCK, LOCKED, f"{wish.actor} {wish.key}")
        row = await connection.fetchrow(REQUESTED, wish.actor, wish.key)
        if row is not None and row["content"] != wish.content:
            return RefreshBegun(refusal="other_content")
        if row is not None and row["job_id"] != ended:
            return RefreshBegun(job_id=row["job_id"], is_kept=True)
    await connection.execute(LOCK, LOCKED, wish.subject)
    last = await connection.fetchrow(LAST, wish.subject, BEGUN, LOST)
    is_new = last is None or last["act"] != BEGUN or last["acted_time"] < since or last["job_id"] == ended
    job_id = wish.job_id if last is None or is_new else str(last["job_id"])
    if is_new:
        await note(connection, wish.actor, BEGUN, wish.subject, {"job_id": job_id, "content": wish.content})
    if wish.key:
        await connection.execute(REMEMBER, wish.actor, wish.key, wish.content, job_id)
        await connection.execute(FORGET, KEPT_DAYS, FORGOTTEN_AT_ONCE)
    return RefreshBegun(job_id=job_id, is_new=is_new)


async def lose(connection: Connection, wish: RefreshWish) -> None:
    """Note that a refresh was begun and never came onto the log; its key is free again."""
    await connection.execute(LOCK, LOCKED, wish.subject)
    await note(connection, wish.actor, LOST, wish.subject, {"job_id": wish.job_id})
    await connection.execute(RELEASE, wish.actor, wish.key, wish.job_id)
