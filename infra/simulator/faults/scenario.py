"""The scenario: which requests and frames go wrong, and how; what a vendor does every day is among its habits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.simulator.faults.habits import HABITS, Habit
from infra.simulator.faults.values import Endpoint, Moment, ScenarioPart, Seconds, TimeOfDay, Vendor

MAX_RULES = 200
MAX_REPEATS = 10
MAX_REORDER_FRAMES = 1_000


class Match(ScenarioPart):
    """Requests a rule looks at; what is left out matches all."""

    vendor: Vendor | None = None
    endpoint: Endpoint | None = None
    symbol: str | None = None


class When(ScenarioPart):
    """Those of the matching requests (or frames, or connections) that go wrong; all conditions hold together."""

    after_requests: int = Field(default=0, ge=0)  # the first so many pass
    every: int = Field(default=1, ge=1)  # then each so many-th
    limit: int | None = Field(default=None, ge=1)  # at most so many in all
    probability: float = Field(default=1.0, ge=0.0, le=1.0)  # decided by the seed, not by chance
    from_: Moment | None = Field(default=None, alias="from")
    to: Moment | None = None  # exclusive


class StatusFault(ScenarioPart):
    """Answer with an HTTP status; without `body`, the vendor's own words for it."""

    type: Literal["status"]
    status: int = Field(ge=300, le=599)
    retry_after: int | None = Field(default=None, ge=0)  # seconds
    body: str | None = None


class Hang(ScenarioPart):
    """Answer only after `s` seconds."""

    type: Literal["hang"]
    s: Seconds


class Truncate(ScenarioPart):
    """Send only the first `bytes` of the body, as a complete response of that length."""

    type: Literal["truncate"]
    bytes: int = Field(ge=0)


class NullBars(ScenarioPart):
    """Make rows null in all five columns: the `minutes` named, or each `every`-th minute of the hour.

    A named minute that has no row gets a null one, as Yahoo does for minutes without a trade.
    """

    type: Literal["null_bars"]
    minutes: tuple[TimeOfDay, ...] = ()
    every: int | None = Field(default=None, ge=1, le=60)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if not self.minutes and self.every is None:
            raise ValueError("it is not said which bars; name `minutes` (HH:MM) or `every`")
        return self


class LateBars(ScenarioPart):
    """Show a minute only `by_s` seconds of market time after it is over."""

    type: Literal["late_bars"]
    by_s: float = Field(gt=0.0)


class CorrectBars(ScenarioPart):
    """Change the close of one `minute` by `close_delta` from `after_s` seconds after it is over."""

    type: Literal["correct_bars"]
    minute: TimeOfDay
    close_delta: float
    after_s: float = Field(default=0.0, ge=0.0)


class DuplicateFrames(ScenarioPart):
    """Send a socket frame `times` times in all: Finnhub sent each one three times (finnhubio/Finnhub-API#143, #158)."""

    type: Literal["duplicate_frames"]
    times: int = Field(default=2, ge=2, le=MAX_REPEATS)


class ReorderFrames(ScenarioPart):
    """Hold `window` socket frames and send them shuffled by the seed."""

    type: Literal["reorder_frames"]
    window: int = Field(ge=2, le=MAX_REORDER_FRAMES)


class DropSocket(ScenarioPart):
    """Cut the TCP connection, without a close frame, after `after_frames` trade frames."""

    type: Literal["drop_socket"]
    after_frames: int = Field(ge=0)


class MuteSocket(ScenarioPart):
    """Keep the socket open and send nothing, not even pings."""

    type: Literal["mute_socket"]


class ZeroQuote(ScenarioPart):
    """A 200 whose quotes are all zeros, as Finnhub's for a symbol it does not know."""

    type: Literal["zero_quote"]


class Crumb429(ScenarioPart):
    """Yahoo's rate-limited crumb: plain text that must not be taken for a crumb."""

    type: Literal["crumb_429"]


class Html(ScenarioPart):
    """A 200 with a web page instead of JSON."""

    type: Literal["html"]


class BanToken(ScenarioPart):
    """Refuse one key, whichever vendor's: 401 or 403 on requests, 401 on the socket's handshake."""

    type: Literal["ban_token"]
    token: str = Field(min_length=1)


BarFault = NullBars | LateBars | CorrectBars
FrameFault = DuplicateFrames | ReorderFrames
ConnectionFault = DropSocket | MuteSocket
Fault = (
    StatusFault
    | Hang
    | Truncate
    | BarFault
    | FrameFault
    | ConnectionFault
    | ZeroQuote
    | Crumb429
    | Html
    | BanToken
    | Habit
)
FAULTS: Mapping[str, type[ScenarioPart]] = {
    "status": StatusFault,
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
    **HABITS,
}


class Rule(ScenarioPart):
    """One fault or habit, and when it strikes."""

    match: Match = Match()
    when: When = When()
    fault: Annotated[Fault, Field(discriminator="type")]


class Scenario(ScenarioPart):
    """An ordered list of rules; an empty one is a vendor without faults."""

    rules: tuple[Rule, ...] = Field(default=(), max_length=MAX_RULES)
