"""Numbers, bands and dates as questions about options write them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gateway.http.parameters import Complaint, Kind
from gateway.options.kinds import Band, Between, Dates, PlainDate


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Between(0.0, 100.0), "92.86", 92.86),
        (Between(0.0, 100.0), "100", 100.0),
        (Between(0.0, 100.0), "0", 0.0),
        (Band(0.0, 10.0), "0.8,1.2", (0.8, 1.2)),
        (Band(0.0, 10.0), "1,1", (1.0, 1.0)),
        (PlainDate(), "2014-06-21", date(2014, 6, 21)),
        (Dates(2), "2016-01-15,2014-06-21", (date(2014, 6, 21), date(2016, 1, 15))),
        (Dates(1), "2014-06-21,2014-06-21", (date(2014, 6, 21),)),
    ],
)
def test_what_is_right_is_read(kind: Kind, text: str, value: Any) -> None:
    """Ends are within; dates come in order, each once."""
    assert kind.read("it", text, "UTC") == value


@pytest.mark.parametrize(
    ("kind", "text", "code", "remedy"),
    [
        *(
            (Between(0.0, 100.0), text, "out_of_range", "use a number of 0 to 100")
            for text in ("", "nan", "inf", "-1", "100.1", "1e1", "1_0", " 1", "٣", "0x1", "1.", "9" * 400)
        ),
        (Band(0.0, 10.0), "0.8", "not_a_list", "write two numbers like 0.8,1.2"),
        (Band(0.0, 10.0), "0.8,1,1.2", "not_a_list", "write two numbers like 0.8,1.2"),
        (Band(0.0, 10.0), "0.8,x", "out_of_range", "use a number of 0 to 10"),
        (Band(0.0, 10.0), "1.2,0.8", "inverted_range", "write it as 0.8,1.2"),
        (PlainDate(), "2014-06-31", "not_a_date", "write a real date"),
        (PlainDate(), "2014-06-21T00:00:00Z", "not_a_date", "write it like"),
        (Dates(9), "2014-06-21,", "not_a_date", "write it like"),
        (Dates(1), "2014-06-21,2014-06-22", "out_of_range", "ask for 1 at most"),
    ],
)
def test_what_is_wrong_is_told_with_the_name_and_what_would_be_right(
    kind: Kind, text: str, code: str, remedy: str
) -> None:
    """However long it is."""
    with pytest.raises(Complaint) as raised:
        kind.read("it", text, "UTC")

    assert raised.value.code == code
    assert str(raised.value).startswith("it")
    assert remedy in str(raised.value)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("kind", [Between(0.0, 1.0), Band(0.0, 1.0), Dates(1), PlainDate()])
def test_each_kind_says_what_it_takes(kind: Kind) -> None:
    """For the OpenAPI document."""
    assert kind.schema()["type"] in ("string", "number")
