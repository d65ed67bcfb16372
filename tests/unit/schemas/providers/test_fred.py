"""FRED's facts: the limit it publishes, its key's place, and whose its series are."""

from __future__ import annotations

import pytest

from schemas.errors import UnknownSymbol
from schemas.providers.fred import FACTS, PUBLIC_SERIES, RESTRICTED_PREFIXES, RESTRICTED_SERIES


def test_two_requests_a_second_and_no_securities() -> None:
    """120 a minute are published; the key travels in the query."""
    assert (FACTS.limits.per_minute, FACTS.limits.per_second, FACTS.limits.concurrency) == (120, 2, 2)
    assert FACTS.key_parameter == "api_key"
    assert FACTS.without_key
    assert not FACTS.capabilities.securities
    with pytest.raises(UnknownSymbol):
        FACTS.vendor_symbol("SPY")


def test_no_series_is_public_and_restricted() -> None:
    """Third parties' are not the government's."""
    assert not PUBLIC_SERIES & RESTRICTED_SERIES
    assert not any(series.startswith(RESTRICTED_PREFIXES) for series in PUBLIC_SERIES)
