"""What a vendor lists is a value."""

from __future__ import annotations

import dataclasses

import pytest

from producers.vendors.listings import ListingPage, VendorListing


def test_a_page_without_another_is_the_last() -> None:
    """What the vendor does not say is empty, and nobody changes it later."""
    page = ListingPage(listings=(VendorListing(symbol="SPY"),))

    assert (page.following, page.listings[0].venue) == ("", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        page.following = "x"  # type: ignore[misc]
