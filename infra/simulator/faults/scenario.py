"""The fault scenario: which requests and frames go wrong, and how. Parsed whole or refused with a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import ConfigurationError
from schemas.intervals import SECOND_US

MAX_RULES = 200
MAX_HANG_S = 600.0
MAX_REPEATS = 10
MAX_REORDER_FRAMES = 1_000

Vendor = Literal["yahoo", "finnhub", "alpaca", "polygon"]
Endpoint = Literal[
    "chart",
    "quote",
    "crumb",
    "cookie",
    "candle",
    "symbol",
    "socket",
    "bars",
    "snapshots",
    "assets",
    "aggs",
    "snapshot",
    "tickers",
]
Seconds = Annotated[float, Field(ge=0.0, le=MAX_HANG_S)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _moment(value: Any) -> Any:
    """Return µs since the epoch as int for a date-time, or an offset in seconds as float for `+90s`, `90`."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no zone; write it with Z or an offset")
        return int(value.timestamp() * SECOND_US)
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("+"):
            return float(text[1:].removesuffix("s"))
        return _moment(datetime.fromisoformat(text))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


Moment = Annotated[int | float, BeforeValidator(_moment)]
"""An int is market time in µs, a float an offset in market seconds from the scenario's start."""


class Match(_Part):
    """Requests a rule looks at; what is left out matches all."""

    vendor: Vendor | None = None
    endpoint: Endpoint | None = None
    symbol: str | None = None


class When(_Part):
    """Those of the matching requests (or frames, or connections) that go wrong; all conditions hold together."""

    after_requests: int = Field(default=0, ge=0)  # the first so many pass
    every: int = Field(default=1, ge=1)  # then each so many-th
    limit: int | None = Field(default=None, ge=1)  # at most so many in all
    probability: float = Field(default=1.0, ge=0.0, le=1.0)  # decided by the seed, not by chance
    from_: Moment | None = Field(default=None, alias="from")
    to: Moment | None = None  # exclusive


class Status(_Part):
    """Answer with an HTTP status; without `body`, the vendor's own words for it."""

    type: Literal["status"]
    status: int = Field(ge=300, le=599)
    retry_after: int | None = Field(default=None, ge=0)  # seconds
    body: str | None = None


class Hang(_Part):
    """Answer only after `s` seconds."""

    type: Literal["hang"]
    s: Seconds


class Truncate(_Part):
    """Send only the first `bytes` of the body, as a complete response of that length."""

    type: Literal["truncate"]
    bytes: int = Field(ge=0)


class NullBars(_Part):
    """Make rows null in all five columns: the `minutes` named, or each `every`-th minute of the hour.

    A named minute that has no row gets a null one, as Yahoo does for minutes without a trade.
    """

    type: Literal["null_bars"]
    minutes: tuple[str, ...] = ()  # HH:MM in the exchange's zone
    every: int | None = Field(default=None, ge=1, le=60)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if not self.minutes and self.every is None:
            raise ValueError("name `minutes` (HH:MM) or `every`")
        for minute in self.minutes:
            datetime.strptime(minute, "%H:%M")  # noqa: DTZ007 - a time of day only
        return self


class LateBars(_Part):
    """Show a minute only `by_s` seconds of market time after it is over."""

    type: Literal["late_bars"]
    by_s: float = Field(gt=0.0)


class CorrectBars(_Part):
    """Change the close of one `minute` by `close_delta` from `after_s` seconds after it is over."""

    type: Literal["correct_bars"]
    minute: str  # HH:MM in the exchange's zone
    close_delta: float
    after_s: float = Field(default=0.0, ge=0.0)

    @model_validator(mode="after")
    def _is_a_minute(self) -> Self:
        datetime.strptime(self.minute, "%H:%M")  # noqa: DTZ007 - a time of day only
        return self


class DuplicateFrames(_Part):
    """Send a socket frame `times` times in all."""

    type: Literal["duplicate_frames"]
    times: int = Field(default=2, ge=2, le=MAX_REPEATS)


class ReorderFrames(_Part):
    """Hold `window` socket frames and send them shuffled by the seed."""

    type: Literal["reorder_frames"]
    window: int = Field(ge=2, le=MAX_REORDER_FRAMES)


class DropSocket(_Part):
    """Cut the TCP connection, without a close frame, after `after_frames` trade frames."""

    type: Literal["drop_socket"]
    after_frames: int = Field(ge=0)


class MuteSocket(_Part):
    """Keep the socket open and send nothing, not even pings."""

    type: Literal["mute_socket"]


class ZeroQuote(_Part):
    """A 200 whose quotes are all zeros, as Finnhub's for a symbol it does not know."""

    type: Literal["zero_quote"]


class Crumb429(_Part):
    """Yahoo's rate-limited crumb: plain text that must not be taken for a crumb."""

    type: Literal["crumb_429"]


class Html(_Part):
    """A 200 with a web page instead of JSON."""

    type: Literal["html"]


class BanToken(_Part):
    """Refuse one key, whichever vendor's: 401 or 403 on requests, 401 on the socket's handshake."""

    type: Literal["ban_token"]
    token: str = Field(min_length=1)


BarFault = NullBars | LateBars | CorrectBars
FrameFault = DuplicateFrames | ReorderFrames
ConnectionFault = DropSocket | MuteSocket
Fault = (
    Status
    | Hang
    | Truncate
    | BarFault
    | FrameFault
    | ConnectionFault
    | ZeroQuote
    | Crumb429
    | Html
    | BanToken
)
FAULTS: Mapping[str, type[_Part]] = {
    "status": Status,
    "hang": Hang,
    "truncate": Truncate,
    "null_bars": NullBars,
    "late_bars": LateBars,
    "correct_bars": CorrectBars,
    "duplicate_frames": DuplicateFrames,
    "reorder_frames": ReorderFrames,
    "drop_socket": DropSocket,
    "mute_socket": MuteSocket,
    "zero_quote": ZeroQuote,
    "crumb_429": Crumb429,
    "html": Html,
    "ban_token": BanToken,
}


class Rule(_Part):
    """One fault and when it strikes."""

    match: Match = Match()
    when: When = When()
    fault: Annotated[Fault, Field(discriminator="type")]


class Scenario(_Part):
    """An ordered list of rules; an empty one is a vendor without faults."""

    rules: tuple[Rule, ...] = Field(default=(), max_length=MAX_RULES)


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in a YAML file; raise ConfigurationError naming the file and what is wrong in it."""
    try:
        return parse_scenario(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error})", remedy="fix MDS_SIMULATOR_SCENARIO"
        ) from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.problem}", remedy=error.remedy) from error


def parse_scenario(text: str) -> Scenario:
    """Return the scenario a YAML or JSON text describes; raise ConfigurationError, with a suggestion for a typo."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"not YAML ({error})", remedy="correct the syntax") from error
    if content is None:
        return Scenario()
    rules = content.get("rules") if isinstance(content, dict) else content
    if isinstance(content, dict):
        _refuse_unknown(content, ("rules",), "scenario")
    if not isinstance(rules, list):
        raise ConfigurationError("a scenario is a list of rules", remedy="write `- fault: {type: ...}` items")
    for number, rule in enumerate(rules):
        _check_keys(rule, f"rule {number + 1}")
    try:
        return Scenario.model_validate({"rules": rules})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{place}: {first['msg']}", remedy="correct that value") from error


def _check_keys(rule: object, place: str) -> None:
    """Refuse unknown keys with a suggestion before pydantic refuses them without one."""
    if not isinstance(rule, dict):
        raise ConfigurationError(f"{place} is not a mapping", remedy="give it match, when and fault")
    _refuse_unknown(rule, ("match", "when", "fault"), place)
    parts: tuple[tuple[str, type[_Part]], ...] = (("match", Match), ("when", When))
    for name, model in parts:
        if isinstance(rule.get(name), dict):
            _refuse_unknown(rule[name], _keys(model), f"{place} {name}")
    fault = rule.get("fault")
    if not isinstance(fault, dict) or "type" not in fault:
        raise ConfigurationError(f"{place} has no fault type", remedy=f"use one of {', '.join(FAULTS)}")
    if fault["type"] not in FAULTS:
        _refuse_unknown({str(fault["type"]): None}, tuple(FAULTS), f"{place} fault type")
    _refuse_unknown(fault, _keys(FAULTS[fault["type"]]), f"{place} fault {fault['type']}")


def _keys(model: type[_Part]) -> tuple[str, ...]:
    return tuple(info.alias or name for name, info in model.model_fields.items())


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
            raise ConfigurationError(f"{place}: {key!r} is unknown", remedy=hint)
