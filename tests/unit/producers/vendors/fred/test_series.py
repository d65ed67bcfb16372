"""FRED's description of a series, its vintage dates, and its refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from producers.vendors.fred.series import (
    KeyInDoubt,
    SeriesDescription,
    all_days,
    last_update,
    next_offset,
    parse_dates,
    parse_series,
    refusal,
    rights_of,
)
from schemas.errors import MalformedPayload, ProviderRefused, UnknownSymbol
from tests.support.vendors.fred import DATES, SERIES
from tests.support.vintage_file import days


def described(**changed: Any) -> SeriesDescription:
    document = json.loads(SERIES)
    document["seriess"][0].update(changed)
    return parse_series(json.dumps(document).encode(), key="FRED:GDPC1", series="GDPC1", simulated=False)


def test_a_series_says_what_its_values_are() -> None:
    """Units as FRED says them, the short words for the rest."""
    facts = described().facts

    assert (facts.frequency, facts.seasonal, facts.units) == ("Q", "SAAR", "Billions of Chained 2009 Dollars")
    assert described(seasonal_adjustment_short="NA").facts.seasonal == ""
    assert described(frequency_short="SA").facts.frequency == "S"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2016-09-29 07:51:05-05", datetime(2016, 9, 29, 12, 51, 5, tzinfo=UTC)),
        ("2016-12-02 07:51:05-06", datetime(2016, 12, 2, 13, 51, 5, tzinfo=UTC)),
        ("2016-12-02 22:51:05-06:00", datetime(2016, 12, 3, 4, 51, 5, tzinfo=UTC)),
    ],
)
def test_the_last_update_has_an_offset_of_hours(text: str, utc: datetime) -> None:
    """Its day is that of FRED's clock, which is the vintage's."""
    found = last_update(text)

    assert found is not None
    assert found.moment == int(utc.timestamp()) * 1_000_000
    assert found.day == days(text[:10])


@pytest.mark.parametrize(
    "text", ["", "2016-09-29", "2016-09-29 25:00:00-05", "2016-02-30 07:51:05-05", "2016-09-29 07:51:05-99"]
)
def test_an_update_that_cannot_be_read_is_none(text: str) -> None:
    """The vintage then counts as known at the end of its day."""
    assert last_update(text) is None
    assert described(last_updated=text).updated is None


@pytest.mark.parametrize(
    "changed", [{"id": "GDP"}, {"frequency_short": "5Y"}, {"units": 4}, {"frequency_short": None}]
)
def test_another_series_or_frequency_is_no_answer(changed: dict[str, Any]) -> None:
    """Named by its field."""
    with pytest.raises(MalformedPayload, match="fred series"):
        described(**changed)


def test_vintage_dates_are_days_in_order() -> None:
    """The last page leads nowhere."""
    page = parse_dates(DATES, offset=0)

    assert page.days == tuple(map(days, ("2016-07-29", "2016-08-26", "2016-09-29")))
    assert (page.count, page.following) == (3, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"offset":0', b'"offset":1'),
        (b'"count":3', b'"count":4'),
        (b'"limit":10000', b'"limit":0'),
        (b"2016-08-26", b"2016-07-29"),
        (b"2016-08-26", b"2016-13-26"),
        (b'"vintage_dates"', b'"dates"'),
    ],
)
def test_a_page_of_dates_is_another_or_not_whole(old: bytes, new: bytes) -> None:
    """Then the answer as a whole cannot be used: a day that lacks would put two vintages together."""
    with pytest.raises(MalformedPayload, match="fred vintagedates"):
        parse_dates(DATES.replace(old, new), offset=0)


def test_pages_lead_to_the_next_offset_until_all_is_there() -> None:
    """A page that goes round in a circle says an offset that was not asked for."""
    assert next_offset("x", 5, 0, 2, 2, 0) == "2"
    assert next_offset("x", 5, 4, 2, 1, 4) == ""
    assert next_offset("x", 0, 0, 2, 0, 0) == ""
    for count, offset, limit, given, asked in (
        (5, 0, 2, 2, 2),
        (5, 2, 2, 1, 2),
        (5, 2, 2, 0, 2),
        (5, 9, 2, 1, 9),
    ):
        with pytest.raises(MalformedPayload):
            next_offset("x", count, offset, limit, given, asked)


def test_a_list_that_changed_while_it_was_read_is_refused() -> None:
    """By its count, or by a day that comes twice."""
    page = parse_dates(DATES, offset=0)

    assert all_days([page]) == list(page.days)
    with pytest.raises(MalformedPayload, match="changed"):
        all_days([page, page])


@pytest.mark.parametrize(
    ("series", "rights"),
    [("VIXCLS", "restricted"), ("BAMLH0A0HYM2", "restricted"), ("GDPC1", "public"), ("SP500", "unknown")],
)
def test_rights_are_told_where_they_are_known(series: str, rights: str) -> None:
    """Of third parties' indices nobody but they may give them away."""
    assert rights_of(series) == rights


def test_a_key_that_is_refused_with_400_is_in_doubt() -> None:
    """401 and 403 are not; a series that is unknown is that."""
    said = json.dumps(
        {"error_message": "Bad Request.  The value for variable api_key is not registered."}
    ).encode()
    unknown = json.dumps({"error_message": "Bad Request.  The series does not exist."}).encode()

    assert isinstance(refusal(400, said, "FRED:GDPC1"), KeyInDoubt)
    assert "PRODUCERS_FRED_API_KEY" in str(refusal(400, said, "FRED:GDPC1"))
    assert type(refusal(403, b"", "FRED:GDPC1")) is ProviderRefused
    assert isinstance(refusal(400, unknown, "FRED:XYZ"), UnknownSymbol)
