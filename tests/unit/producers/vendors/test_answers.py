"""A malformed response carries what its dead letter needs."""

from __future__ import annotations

import dataclasses

import pytest

from producers.http.shell.body import MalformedResponse
from producers.vendors.answers import ListingPage, VendorListing
from schemas.errors import MalformedPayload


def test_a_malformed_response_is_a_malformed_payload_with_its_bytes() -> None:
    """Reason, place, time and bytes are there without asking anybody."""
    error = MalformedResponse("yahoo chart: no", endpoint="chart", received_time=7, payload=b"{")

    assert isinstance(error, MalformedPayload)
    assert (error.reason, error.endpoint, error.received_time, error.payload) == (
        "malformed",
        "chart",
        7,
        b"{",
    )


def test_a_page_without_another_is_the_last() -> None:
    """What the vendor does not say is empty, and nobody changes it later."""
    page = ListingPage(listings=(VendorListing(symbol="SPY"),))

    assert (page.following, page.listings[0].venue) == ("", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        page.following = "x"  # type: ignore[misc]
