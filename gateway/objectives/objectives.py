"""The five objectives as they are answered: each figure with its target, its windows and the evidence behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from gateway.http.moments import rfc3339
from gateway.objectives.burn_rates import (
    LENGTHS_US,
    STATES,
    State,
    WindowCount,
    WindowCounts,
    burn_rate,
    firing,
)
from gateway.objectives.burn_rates import state_of as state_over
from gateway.objectives.burn_rates import worst as worst_of
from gateway.objectives.measured import SloReading
from gateway.objectives.violations import NOTHING, Tallies, Tally, WorstSeries

GAP_SHARE = 0.005
SLOW_MS, SLOW_SHARE = 250.0, 0.01  # a 99th percentile: one in a hundred may be slower
DRAIN_S, LATE_SHARE = 900, 0.01
MARKET, WALL = "market", "wall"
NAMES = ("gap_violations", "publish_latency", "backfill_drain", "coverage", "hard_bans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One objective; `reason` says why it is not met, or why nobody knows."""

    name: str
    words: str
    target: float
    unit: str
    value: float | None
    state: State
    reason: str = ""
    clock: str = WALL
    allowed: float = 0.0
    outcomes: WindowCounts = field(default_factory=dict)
    alerts: Sequence[Mapping[str, Any]] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def burn_rates(self) -> dict[str, float]:
        """Return the burn rate of each window that has any."""
        rates = {name: burn_rate(outcome, self.allowed) for name, outcome in self.outcomes.items()}
        return {name: rate for name, rate in rates.items() if rate is not None}

    def row(self) -> dict[str, Any]:
        """Return its JSON row."""
        return {
            "objective": self.name,
            "words": self.words,
            "target": self.target,
            "unit": self.unit,
            "value": self.value,
            "state": self.state,
            "reason": self.reason or None,
            "windows": _windows(self.outcomes, self.allowed, self.clock),
            "alerts": list(self.alerts),
            "evidence": dict(self.evidence),
        }


def objectives(reading: SloReading) -> list[Objective]:
    """Return the objectives in the order of NAMES."""
    judges: Sequence[Callable[[SloReading], Objective]] = (_gaps, _latency, _drain, _symbols, _bans)
    return [judge(reading) for judge in judges]


def state_number(state: State) -> int:
    """Return a state as the metric shows it: 0 met, 1 burning, 2 violated, 3 no_data."""
    return STATES.index(state)


def _windows(outcomes: WindowCounts, allowed: float, clock: str) -> list[dict[str, Any]]:
    return [
        {
            "window": name,
            "clock": clock,
            "total": each.total,
            "bad": each.bad,
            "share": each.share,
            "burn_rate": burn_rate(each, allowed),
        }
        for name, each in outcomes.items()
    ]


def _alerts(outcomes: WindowCounts, allowed: float, of: str = "") -> list[dict[str, Any]]:
    return [
        {"long": long, "short": short, "factor": factor, "of": of}
        for long, short, factor in firing(outcomes, allowed)
    ]


def _gaps(reading: SloReading) -> Objective:
    found = reading.violations
    groups = {f"{tier} {interval}": tallies for (tier, interval), tallies in sorted(found.groups.items())}
    outcomes = {name: _sum(tallies[name] for tallies in groups.values()).outcome for name in LENGTHS_US}
    states = {name: state_over(_outcomes(tallies), GAP_SHARE) for name, tallies in groups.items()}
    state = worst_of(states.values())
    whole = _sum(tallies["3d"] for tallies in groups.values())
    bad = [name for name, each in states.items() if each == state and state not in ("met", "no_data")]
    nothing = "no bars are stored" if not found.series else "no bar was expected in three trading days"
    return Objective(
        name="gap_violations",
        words="Share of the expected bars that are neither stored nor proved not to exist.",
        target=GAP_SHARE,
        unit="share of expected bars",
        value=outcomes["3d"].share,
        state=state,
        reason=nothing if state == "no_data" else f"bars of {', '.join(bad)} are missing" if bad else "",
        clock=MARKET,
        allowed=GAP_SHARE,
        outcomes=outcomes,
        alerts=[each for name, tallies in groups.items() for each in _alerts(_outcomes(tallies), GAP_SHARE, name)],
        evidence={
            **_counts(whole),
            "series": found.series,
            "series_of_unknown_hours": found.unknown,
            "groups": [
                {"tier": name.split()[0], "interval": name.split()[1], "state": states[name], **_counts(tallies["3d"]),
                 "windows": _windows(_outcomes(tallies), GAP_SHARE, MARKET)}
                for name, tallies in groups.items()
            ],
            "worst": [_worst_row(each, reading.market_time) for each in found.worst],
        },
    )  # fmt: skip


def _sum(tallies: Any) -> Tally:
    total = NOTHING
    for each in tallies:
        total += each
    return total


def _outcomes(tallies: Tallies) -> dict[str, WindowCount]:
    return {name: tally.outcome for name, tally in tallies.items()}


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "expected": tally.expected,
        "stored": tally.stored,
        "confirmed_empty": tally.empty,
        "unconfirmed": tally.unconfirmed,
        "missing": tally.missing,
    }


def _worst_row(worst: WorstSeries, now: int) -> dict[str, Any]:
    series = worst.series
    asked = {
        "symbol": series.symbol,
        "interval": series.interval,
        "provider": series.provider,
        "start": rfc3339(worst.start),
        "end": rfc3339(now),
    }
    named = {name: asked[name] for name in ("symbol", "interval", "provider")}
    return {
        **named,
        **_counts(worst.tally),
        "causes": list(worst.causes),
        "gaps": f"/gaps?{urlencode(asked)}",
    }


def _latency(reading: SloReading) -> Objective:
    outcomes = reading.latency.outcomes()
    state = state_over(outcomes, SLOW_SHARE)
    return Objective(
        name="publish_latency",
        words="99th percentile of the time from a record's append to its hand-over to a WebSocket client, last hour.",
        target=SLOW_MS,
        unit="ms",
        value=reading.latency.p99_ms(),
        state=state,
        reason=_shares(state, outcomes, "no message was published to a WebSocket client in three days",
                       f"messages took longer than {SLOW_MS:g} ms"),
        allowed=SLOW_SHARE,
        outcomes=outcomes,
        alerts=_alerts(outcomes, SLOW_SHARE),
        evidence={
            "slower_than_ms": SLOW_MS,
            "gateways": {
                source: {"messages": each.get("3d", WindowCount()).total, "slow": each.get("3d", WindowCount()).bad}
                for source, each in sorted(reading.latency.by_source.items())
            },
            "buckets_last_hour": [
                {"up_to_ms": edge, "messages": count}
                for edge, count in zip([*reading.latency.edges_ms, None], reading.latency.buckets, strict=False)
            ],
        },
    )  # fmt: skip


def _drain(reading: SloReading) -> Objective:
    drain, outcomes = reading.drain, reading.drain.outcomes()
    state = state_over(outcomes, LATE_SHARE)
    return Objective(
        name="backfill_drain",
        words=f"Share of the T0 backfill jobs that were not over {DRAIN_S // 60} minutes after they were added.",
        target=LATE_SHARE,
        unit="share of T0 jobs",
        value=outcomes["3d"].share,
        state=state,
        reason=_shares(
            state, outcomes, "no T0 job ended in three days, and none is overdue", "T0 jobs are late"
        ),
        allowed=LATE_SHARE,
        outcomes=outcomes,
        alerts=_alerts(outcomes, LATE_SHARE),
        evidence={
            "within_s": DRAIN_S,
            "ended": drain.ended.get("3d", WindowCount()).total,
            "ended_held": drain.held,
            "waiting": drain.waiting,
            "waiting_late": drain.waiting_late,
            "waiting_held": drain.waiting_held,
            "oldest_wait_s": drain.oldest_s,
            "late_jobs": [f"/ops/backfill/{job}" for job in drain.late_jobs],
        },
    )


def _shares(state: State, outcomes: WindowCounts, nothing: str, words: str) -> str:
    if state == "no_data":
        return nothing
    whole = outcomes["3d"]
    return "" if state == "met" else f"{whole.bad} of {whole.total} {words}"


def _symbols(reading: SloReading) -> Objective:
    found, target = reading.symbols, reading.target_symbols
    needed = found.needed(target)
    is_known = found.wanted > 0 and reading.violations.series > 0
    state: State = "no_data" if not is_known else "met" if found.covered >= needed else "violated"
    reason = f"{found.wanted - found.covered} of {found.wanted} symbols had no value in three trading days"
    if not is_known:
        reason = "no symbol is collected" if not found.wanted else "nothing is stored yet"
    return Objective(
        name="coverage",
        words="Symbols of which a value of their last three trading days is stored.",
        target=needed,
        unit="symbols",
        value=found.covered if is_known else None,
        state=state,
        reason="" if state == "met" else reason,
        evidence={
            "target_symbols": target,
            "collected": found.wanted,
            "collected_says": "the configuration"
            if reading.listed
            else "what was ever stored: no file is in force",
            "covered": found.covered,
            "covered_share": found.covered / found.wanted if found.wanted else None,
            "is_whole_target": found.wanted >= target,
            "uncovered": list(found.uncovered),
        },
    )


def _bans(reading: SloReading) -> Objective:
    told = reading.bans
    bans = [row for row in told or () if row["ban_count"]]
    count = sum(row["ban_count"] for row in bans)
    state: State = "no_data" if not told else "violated" if bans else "met"
    banned = ", ".join(sorted({row["provider"] for row in bans}))
    return Objective(
        name="hard_bans",
        words="Times a vendor banned us, today and yesterday, UTC.",
        target=0,
        unit="bans",
        value=count if told else None,
        state=state,
        reason="no producer asked a vendor yesterday or today" if not told else f"banned by {banned}" if bans else "",
        evidence={
            "bans": [dict(row) for row in bans],
            "providers_asked": sorted({row["provider"] for row in told or ()}),
        },
    )  # fmt: skip
