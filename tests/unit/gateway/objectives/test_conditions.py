"""Conditions of streams and days: available, degraded, pending and missing, and why."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from gateway.objectives.collection import BlindGap, SeriesStanding
from gateway.objectives.conditions import DayCondition, UnderWay, conditions, day_of
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, micros
from schemas.ledger.coverage import Coverage
from schemas.streams import StreamId


def at(*moment: int) -> EventTime:
    """Return a UTC time in µs."""
    return EventTime(micros(datetime(*moment, tzinfo=UTC)))  # type: ignore[misc,arg-type]


WEEK_LATER = at(2024, 6, 14)
OPEN = (2024, 6, 5, 13, 30)


def judged(
    *holes: BlindGap,
    now: int = WEEK_LATER,
    symbol: str = "SPY",
    stream: str = "bars",
    interval: str = "1m",
    start: int = 0,
    last_seen: int = WEEK_LATER,
    coverage: tuple[Coverage, ...] = (),
    day: tuple[int, int, int] = (2024, 6, 5),
    working: tuple[int, int] | None = None,
    is_live: bool = True,
) -> DayCondition | None:
    """Return the condition of one stream on one day."""
    name = StreamId(stream, interval, "yahoo", symbol)  # type: ignore[arg-type]
    series = SeriesStanding(
        id=name, start=EventTime(start), last_seen=EventTime(last_seen), holes=holes, coverage=coverage
    )
    session = calendar_of(symbol).session_on(at(*day))
    jobs = [] if working is None else [UnderWay(name, EventTime(working[0]), EventTime(working[1]))]
    found = list(
        conditions(series, [] if session is None else [session], {name} if is_live else set(), jobs, now)
    )
    assert len(found) <= 1
    return found[0] if found else None


def hole(low: tuple[int, ...], high: tuple[int, ...], state: str = "open") -> BlindGap:
    """Return a stretch nobody watched."""
    return BlindGap(at(*low), at(*high), state, "producer_down")


def bits(absent: int = 0, empty: int = 0, day: tuple[int, ...] = (2024, 6, 5, 15)) -> Coverage:
    """Return bits of a session."""
    slots = session_slots(calendar_of("SPY"), "1m", at(*day))
    assert slots is not None
    return Coverage(start=slots.start, expected=slots.count, absent=absent, empty=empty)


TEN_MINUTES = hole((2024, 6, 5, 14, 0), (2024, 6, 5, 14, 10))
WHOLE_DAY = hole((2024, 6, 4, 20), (2024, 6, 6, 13, 30))


@pytest.mark.parametrize(
    ("given", "condition", "missing"),
    [
        pytest.param({}, "available", 0, id="all there"),
        pytest.param({"holes": [TEN_MINUTES]}, "degraded", 10, id="a hole"),
        pytest.param({"holes": [TEN_MINUTES._replace(state="unrecoverable")]}, "degraded", 10, id="given up"),
        pytest.param({"holes": [TEN_MINUTES._replace(state="filled")]}, "degraded", 0, id="came late"),
        pytest.param({"holes": [TEN_MINUTES._replace(state="empty")]}, "available", 0, id="proved empty"),
        pytest.param({"holes": [WHOLE_DAY]}, "missing", 390, id="nobody watched"),
        pytest.param({"holes": [TEN_MINUTES], "working": (OPEN, (2024, 6, 5, 20))}, "pending", 10, id="being healed"),
        pytest.param({"holes": [TEN_MINUTES], "working": ((2024, 6, 6, 14), (2024, 6, 6, 15))}, "degraded", 10,
                     id="being healed elsewhere"),
        pytest.param({"coverage": (bits(absent=0b110),)}, "degraded", 2, id="absent and never confirmed"),
        pytest.param({"coverage": (bits(empty=0b110),)}, "available", 0, id="confirmed empty"),
        pytest.param({"last_seen": at(2024, 6, 4, 19, 59)}, "missing", 390, id="nothing came"),
        pytest.param({"last_seen": at(2024, 6, 5, 19, 49)}, "degraded", 10, id="its end never came"),
        pytest.param({"last_seen": at(2024, 6, 4, 19, 59), "now": at(2024, 6, 6, 9)}, "missing", 390, id="nothing came yesterday"),
        pytest.param({"now": at(2024, 6, 5, 18), "holes": [TEN_MINUTES]}, "pending", 10, id="under way"),
        pytest.param({"now": at(2024, 6, 6, 0, 59, 59)}, "pending", 0, id="not over for an hour"),
        pytest.param({"now": at(2024, 6, 6, 1)}, "available", 0, id="over for an hour"),
        pytest.param({"now": at(2024, 6, 6, 9), "last_seen": at(2024, 6, 5, 19, 49)}, "pending", 0,
                     id="a quiet end, which the next session explains"),
    ],
)  # fmt: skip
def test_bars_of_a_day(given: dict[str, object], condition: str, missing: int) -> None:
    """Each with its count, and a reason where it is not available."""
    holes = given.pop("holes", [])
    if "working" in given:
        given["working"] = tuple(at(*each) for each in given["working"])  # type: ignore[attr-defined]
    found = judged(*holes, **given)  # type: ignore[misc,arg-type]

    assert found is not None
    assert found.tally is not None
    assert (found.condition, found.tally.missing) == (condition, missing)
    assert bool(found.reason) == (condition != "available")
    assert found.day == date(2024, 6, 5)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"day": (2024, 7, 4)}, id="a holiday"),
        pytest.param({"day": (2024, 6, 8)}, id="a Saturday"),
        pytest.param({"start": at(2024, 6, 6)}, id="before it was collected"),
        pytest.param({"last_seen": at(2024, 6, 4), "is_live": False}, id="after another took over"),
        pytest.param({"interval": "1mo"}, id="months are not judged"),
        pytest.param({"symbol": "NOWHERE:ODD"}, id="hours nobody knows"),
    ],
)
def test_where_nothing_is_expected_there_is_no_condition(given: dict[str, object]) -> None:
    """Neither good nor bad."""
    assert judged(**given) is None  # type: ignore[arg-type]


def test_half_days_and_lunch_breaks_expect_what_they_have() -> None:
    """By hand; and the same day of a market of currencies begins the evening before."""
    half = judged(day=(2024, 7, 3), last_seen=at(2024, 7, 9), now=at(2024, 7, 9))
    tokyo = judged(symbol="7203.T")
    currencies = judged(symbol="EURUSD=X")

    assert half is not None
    assert half.tally is not None
    assert (half.condition, half.tally.expected) == ("available", 210)
    assert tokyo is not None
    assert tokyo.tally is not None
    assert tokyo.tally.expected == 300
    assert currencies is not None
    assert currencies.session.open == at(2024, 6, 4, 21)


def test_a_day_s_own_bar() -> None:
    """It is expected once its session is over, and missing where it never came."""
    there = judged(interval="1d")
    gone = judged(interval="1d", last_seen=at(2024, 6, 4))
    blind = judged(hole((2024, 6, 5), (2024, 6, 6)), interval="1d")

    assert there is not None
    assert gone is not None
    assert blind is not None
    assert [there.condition, gone.condition, blind.condition] == ["available", "missing", "missing"]


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        pytest.param({}, "available", id="no hole"),
        pytest.param({"holes": [TEN_MINUTES]}, "degraded", id="a hole"),
        pytest.param({"holes": [WHOLE_DAY]}, "missing", id="nobody watched"),
        pytest.param(
            {
                "holes": [
                    hole((2024, 6, 5, 9), (2024, 6, 5, 17)),
                    hole((2024, 6, 5, 17), (2024, 6, 6, 9), "filling"),
                ]
            },
            "missing",
            id="nobody watched, for one reason after the other",
        ),
        pytest.param(
            {"holes": [hole((2024, 6, 5, 9), (2024, 6, 5, 17)), hole((2024, 6, 5, 17, 1), (2024, 6, 6, 9))]},
            "degraded",
            id="watched for a minute",
        ),
        pytest.param({"last_seen": at(2024, 6, 4)}, "missing", id="nothing came"),
        pytest.param({"now": at(2024, 6, 5, 15)}, "pending", id="under way"),
    ],
)
def test_values_that_are_not_counted(given: dict[str, object], condition: str) -> None:
    """Quotes and trades are judged by blind stretches and their newest value."""
    holes = given.pop("holes", [])
    found = judged(*holes, stream="quotes", interval="", **given)  # type: ignore[misc,arg-type]

    assert found is not None
    assert (found.condition, found.tally) == (condition, None)


def test_a_date_of_a_midnight() -> None:
    """Of any time since long before the epoch."""
    assert day_of(at(2024, 2, 29)) == date(2024, 2, 29)
    assert day_of(-DAY_US) == date(1969, 12, 31)
