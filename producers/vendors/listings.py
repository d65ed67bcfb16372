"""What a vendor's list of symbols says of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorListing:
    """One instrument in the vendor's words; empty where it does not say."""

    symbol: str  # the vendor's own spelling
    name: str = ""
    kind: str = ""
    venue: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPage:
    """One page of a list; `following` leads to the next one, empty on the last."""

    listings: tuple[VendorListing, ...]
    following: str = ""
