"""The simulated vendor of `mds demo`: a minute that it keeps back for a while, and what it shows of it afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from infra.cli.http import ask_json, get_json
from infra.cli.output import warn
from infra.cli.system import System
from infra.runtime.clock import rfc3339
from schemas.intervals import MINUTE_US, SECOND_US

VALUES = ("open", "high", "low", "close", "volume")
PROVIDER = "yahoo"  # whose bars the simulator keeps back
CUT_LASTS_US = 10 * MINUTE_US  # market time: should the command be killed, the cut ends by itself
STARTING = 'start `mds run` in another terminal and wait for its "first bar", then run this again'


class Stopped(Exception):
    """The demonstration cannot go on; the sentence says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutMinute:
    """One minute (market time, µs) of one symbol that the simulator keeps back; `zone` is where its HH:MM is read."""

    symbol: str
    minute: int
    zone: str

    def rule(self) -> dict[str, Any]:
        """Return the rule of a scenario."""
        named = datetime.fromtimestamp(self.minute / SECOND_US, ZoneInfo(self.zone)).strftime("%H:%M")
        return {
            "match": {"vendor": PROVIDER, "endpoint": "chart", "symbol": self.symbol},
            "when": {"to": rfc3339(self.minute + CUT_LASTS_US)},
            "fault": {"type": "null_bars", "minutes": [named]},
        }


def usable_clock(system: System) -> Mapping[str, Any]:
    """Return the simulator's clock; raise Stopped where its market cannot be used."""
    url = system.settings.simulator_base_url
    status, clock = get_json(f"{url}/simulator/clock")
    if status != 200 or not isinstance(clock, dict):
        raise Stopped(f"no simulator answers at {url}; {STARTING} (without --live)")
    if not clock["synthetic"]:
        raise Stopped("the simulator plays recorded data, which ends; run without MDS_SIMULATOR_DATA")
    if not isinstance(clock["speed"], int | float) or clock["speed"] <= 0:
        raise Stopped("the simulated market stands still or has no pace; set MDS_SIMULATOR_SPEED to 1")
    _, scenario = get_json(f"{url}/simulator/scenario")
    if any(not _is_over(rule, clock["market_time"]) for rule in (scenario or {}).get("rules", [])):
        raise Stopped(
            "the simulator plays a scenario, or another demonstration runs; wait for its end, or run without MDS_SIMULATOR_SCENARIO"
        )
    return clock


def _is_over(rule: Mapping[str, Any], now: int) -> bool:
    """Whether a rule ended at a moment that is named: what a demonstration leaves that was killed."""
    end = rule.get("when", {}).get("to")
    return isinstance(end, int) and end <= now


def swap(system: System, rules: Sequence[Mapping[str, Any]]) -> bool:
    """Put the rules in force in place of all others, and return whether the simulator took them."""
    url = f"{system.settings.simulator_base_url}/simulator/scenario"
    status, _ = ask_json("PUT", url, body={"rules": list(rules)})
    if status != 200 and not rules:
        warn(f"the simulator at {url} does not answer; the cut ends with it, or by itself in 10 minutes")
    return status == 200


def running_minute(now: int, speed: float) -> int:
    """Return the minute that runs at a market time (µs), or the next one where it is over before it could be cut."""
    minute = now // MINUTE_US * MINUTE_US
    return minute if minute + MINUTE_US - now > speed * SECOND_US else minute + MINUTE_US


def market_us(system: System) -> int:
    """Return the market's time (µs); raise Stopped where the simulator is gone."""
    _, clock = get_json(f"{system.settings.simulator_base_url}/simulator/clock")
    if clock is None:
        raise Stopped(f"the simulator does not answer any more; {STARTING}")
    return int(clock["market_time"])


def _chart(system: System, symbol: str, low: int, high: int) -> dict[str, Any]:
    query = f"interval=1m&includePrePost=true&period1={low // SECOND_US}&period2={high // SECOND_US}"
    url = f"{system.settings.simulator_base_url}/{PROVIDER}/v8/finance/chart/{quote(symbol)}?{query}"
    status, document = get_json(url)
    if status != 200 or document is None:
        raise Stopped(f"the simulated vendor answers {status}; look at `curl -s '{url}'`")
    found: dict[str, Any] = document["chart"]["result"][0]
    return found


def zone_of(system: System, symbol: str, minute: int) -> str:
    """Return the zone in which a scenario names minutes of a symbol."""
    return str(_chart(system, symbol, minute - MINUTE_US, minute)["meta"]["exchangeTimezoneName"])


def vendor_bars(system: System, symbol: str, low: int, high: int) -> dict[int, tuple[float, ...] | None]:
    """Return the vendor's minutes of [low, high) by their start: open, high, low, close and volume, None for what it keeps back."""
    chart = _chart(system, symbol, low, high)
    columns = chart["indicators"]["quote"][0]
    rows = zip(*(columns[name] for name in VALUES), strict=True)
    return {
        time * SECOND_US: None if row[0] is None else row
        for time, row in zip(chart.get("timestamp", []), rows, strict=True)
    }
