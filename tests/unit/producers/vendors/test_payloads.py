"""What is said about a vendor's payload."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from producers.vendors.payloads import VendorModel, checked_us, first_fault, rfc3339_us
from schemas.errors import MalformedPayload


class _Sample(VendorModel):
    regular_market_price: float


def test_a_fault_names_the_vendors_field_and_not_its_value() -> None:
    """The message may be logged: it holds the name as the vendor spells it, and none of the payload."""
    with pytest.raises(ValidationError) as caught:
        _Sample.model_validate_json(b'{"regularMarketPrice": "secret"}')

    assert first_fault(caught.value).startswith("regularMarketPrice:")
    assert "secret" not in first_fault(caught.value)


def test_whole_numbers_are_prices_and_text_is_none() -> None:
    """Vendors write 241 for 241.0; a number in quotes is something else."""
    assert _Sample.model_validate_json(b'{"regularMarketPrice": 241}').regular_market_price == 241.0
    with pytest.raises(ValidationError):
        _Sample.model_validate_json(b'{"regularMarketPrice": "241"}')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2021-10-13T08:00:01Z", 1_634_112_001_000_000, id="no-fraction"),
        pytest.param("2021-10-13T08:00:00.08960768Z", 1_634_112_000_089_607, id="eight-digits"),
        pytest.param("2021-10-13T08:00:01.447670272Z", 1_634_112_001_447_670, id="nanoseconds"),
        pytest.param("2021-05-03T14:48:06.36Z", 1_620_053_286_360_000, id="two-digits"),
        pytest.param("2021-10-13T04:00:01-04:00", 1_634_112_001_000_000, id="offset"),
    ],
)
def test_text_is_cut_to_the_microsecond(text: str, expected: int) -> None:
    """A fraction may have any number of digits; nothing is rounded up into the future."""
    assert rfc3339_us(text, "t") == expected


@given(moment=st.integers(1_000_000, 4_000_000_000_000_000))
def test_every_microsecond_survives(moment: int) -> None:
    """No float is on the way."""
    stamp = datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")

    assert rfc3339_us(f"{stamp}.{moment % 1_000_000:06d}999Z", "t") == moment


@pytest.mark.parametrize(
    "text",
    ["", "2021-10-13", "2021-10-13T08:00:01", "2021-13-13T08:00:01Z", "2021-10-13T08:00:01.1234567890Z",
     "2021-10-13T08:00:01+99:99", "0001-01-01T00:00:00+23:59", "\uff12021-10-13T08:00:01Z"],
)  # fmt: skip
def test_what_is_no_time_is_refused_by_its_place(text: str) -> None:
    """The message says where it stood."""
    with pytest.raises(MalformedPayload, match="bars: t"):
        rfc3339_us(text, "bars: t")


@pytest.mark.parametrize(
    ("stamp", "unit", "expected"),
    [
        (1_651_003_200, "s", 1_651_003_200_000_000),
        (1_651_003_200_123, "ms", 1_651_003_200_123_000),
        (1_651_251_948_294_080_343, "ns", 1_651_251_948_294_080),
    ],
)
def test_numbers_are_scaled_without_floats(stamp: int, unit: str, expected: int) -> None:
    """Nanoseconds beyond 2**53 keep their microsecond."""
    assert checked_us(stamp, unit, "t") == expected


@pytest.mark.parametrize(("stamp", "unit"), [(0, "s"), (-1, "ms"), (1_651_251_948_294_080_343, "ms")])
def test_a_stamp_in_another_unit_is_refused(stamp: int, unit: str) -> None:
    """Nanoseconds taken for milliseconds would be in the far future."""
    with pytest.raises(MalformedPayload, match="no unix time in"):
        checked_us(stamp, unit, "t")
