"""The difference of two clocks, from a stamp of the other one between two of ours."""

from __future__ import annotations

from infra.preflight.findings import Finding, failed, ok
from schemas.clocks import WallTime

MOST_MS = 2_000  # beyond it answers as of a moment are of another one
STAMP_STEP_US = 1_000  # a broker's stamps are whole milliseconds, cut off


def judge_skew(stamp: WallTime, whose: str, *, sent: WallTime, answered: WallTime) -> Finding:
    """Judge by how much the other clock is surely ahead or behind: a slow answer is no skew."""
    ahead_us = max(0, stamp - answered)
    behind_us = max(0, sent - stamp - STAMP_STEP_US)
    skew_ms = max(ahead_us, behind_us) / 1_000
    if skew_ms >= MOST_MS:
        word = "ahead of" if ahead_us else "behind"
        return failed(
            f"{whose} is {skew_ms / 1_000:.1f} s {word} this machine's",
            "synchronise both clocks (NTP); times of knowledge are the broker's",
        )
    return ok(f"{whose} is within {max(skew_ms, 1):.0f} ms of this machine's")
