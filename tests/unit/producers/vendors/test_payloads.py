"""What is said about a vendor's payload."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from producers.vendors.payloads import VendorModel, first_fault


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
