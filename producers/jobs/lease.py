"""The lease: who decides what a partition's symbols are polled for, a feed while it holds it, else the local sweeper.

The lease runs from the broker's append time: `age_s` is how long ago that was when the record is read, so a feed that
died leaves nothing in force behind a long queue. It is measured on a monotonic clock (`now_s`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from schemas.records import Job

Holder = Literal["feed", "sweeper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The newest lease of one partition: whose, how long each renewal lasts, and until when; nobody's at first."""

    source: str = ""
    lease_s: float = 0.0
    until_s: float = float("-inf")


def holder(lease: Lease, now_s: float) -> Holder:
    """Return who decides at `now_s`."""
    return "feed" if now_s < lease.until_s else "sweeper"


def after(lease: Lease, job: Job, *, age_s: float, now_s: float) -> Lease:
    """Return the lease after a job of the partition was read.

    A lease message replaces whatever was in force; a poll of the same source renews it. Anybody else's jobs are done
    and change nothing. An age below zero is another clock's error and counts as none.
    """
    age_s = max(age_s, 0.0)
    if job.type == "lease":
        return Lease(source=job.source, lease_s=job.lease_s, until_s=now_s + job.lease_s - age_s)
    if job.type == "poll" and job.source == lease.source and lease.lease_s > 0.0:
        return replace(lease, until_s=max(lease.until_s, now_s + lease.lease_s - age_s))
    return lease
