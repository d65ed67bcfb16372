"""Values of macro series and the events made of them."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from producers.vendors.macro_rows import (
    UNTOLD,
    PublishedMoment,
    SeriesFacts,
    contradiction,
    end_of_day,
    observation,
    observed_value,
    start_of_day,
)
from producers.vendors.periods import parsed_day
from producers.vendors.vintages import Vintage
from schemas.clocks import KnowledgeTime
from schemas.entries import MacroObservation
from schemas.errors import InvalidRecord
from schemas.known import Known
from schemas.validation import check_observation

GDP = SeriesFacts(key="FRED:GDPC1", units="Billions", seasonal="SAAR", frequency="Q", rights="public")
SECOND_QUARTER = Vintage(
    period_start=parsed_day("2016-04-01"),
    period_end=parsed_day("2016-07-01"),
    value=16575.1,
    start=parsed_day("2016-07-29"),
    end=parsed_day("2016-08-25"),
)


@pytest.mark.parametrize("text", ["", " ", ".", "N/A", "n/a", "NaN", "NA"])
def test_a_source_may_say_that_there_is_none(text: str) -> None:
    """In any of the ways they have: published as missing."""
    assert observed_value(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("4.9", 4.9), ("-11.2", -11.2), ("0", 0.0), ("1.2e+5", 120_000.0), (" 5 ", 5.0)]
)
def test_a_number_is_any_a_statistic_may_have(text: str, value: float) -> None:
    """Below zero too."""
    assert observed_value(text) == value


@pytest.mark.parametrize(
    "text", ["1e300", "inf", "-Infinity", "1,234.5", "4_9", "0x10", "9" * 400, "1e999", "four", "٤"]
)
def test_what_is_no_statistic_is_refused(text: str) -> None:
    """Named, and shortened."""
    with pytest.raises(InvalidRecord, match="value is"):
        observed_value(text)


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        ("2016-07-29", datetime(2016, 7, 30, 3, 59, 59, 999_999, UTC)),
        ("2016-12-02", datetime(2016, 12, 3, 4, 59, 59, 999_999, UTC)),
        ("2016-11-06", datetime(2016, 11, 7, 4, 59, 59, 999_999, UTC)),
    ],
)
def test_a_day_ends_in_new_york(day: str, utc: datetime) -> None:
    """In summer, in winter, and on the day the clocks go back, which has 25 hours."""
    end = end_of_day(parsed_day(day))

    assert end == int(utc.timestamp()) * 1_000_000 + 999_999
    assert start_of_day(parsed_day(day) + 1) == end + 1


def test_an_event_has_the_fields_of_the_record_and_no_others() -> None:
    """But those that the processor adds, which takes it."""
    event = observation(GDP, SECOND_QUARTER, UNTOLD, 5)

    check_observation(event, KnowledgeTime(6))
    assert set(event) == {f.name for f in fields(MacroObservation)} - {f.name for f in fields(Known)}
    assert (event["period_start"], event["period_end"]) == (16_892, 16_983)
    assert (event["vintage_start"], event["vintage_end"]) == (17_011, 17_038)


@pytest.mark.parametrize(
    ("published", "received", "said"), [(100, 200, 100), (300, 200, 200), (None, 200, 200)]
)
def test_a_value_was_said_when_it_was_published_and_at_the_latest_when_we_saw_it(
    published: int | None, received: int, said: int
) -> None:
    """`published_at` stays what the source, or the rule, says."""
    event = observation(GDP, SECOND_QUARTER, PublishedMoment(moment=published, precision="date"), received)

    assert (event["event_time"], event["published_at"]) == (said, published)


def test_without_vintages_no_day_is_told() -> None:
    """The day a value began to stand is not known."""
    event = observation(GDP, SECOND_QUARTER, UNTOLD, 5, with_vintages=False)

    assert (event["vintage_start"], event["vintage_end"], event["published_precision"]) == (
        None,
        None,
        "none",
    )


def test_a_contradiction_is_dead_lettered_with_what_was_said() -> None:
    """Days and value, to be looked up."""
    dead = contradiction("FRED:GDPC1", SECOND_QUARTER, "why")

    assert dead.payload == b"2016-04-01,2016-07-29,2016-08-25,16575.1"
    assert (dead.symbol, dead.message, dead.reason) == ("FRED:GDPC1", "why", InvalidRecord.reason)
