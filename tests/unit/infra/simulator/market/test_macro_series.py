"""What the simulated sources say of their series, and the hour at which they speak."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from infra.simulator.market.macro_series import FILED, FREQUENCIES, SEASONAL, released_at
from infra.simulator.market.macro_synthetic import SYNTHETIC

EVERY = [*FILED.values(), *SYNTHETIC.values()]


@pytest.mark.parametrize(
    ("key", "day", "utc"),
    [
        ("FRED:UNRATE", date(2026, 7, 2), datetime(2026, 7, 2, 12, 31, tzinfo=UTC)),
        ("FRED:UNRATE", date(2026, 12, 4), datetime(2026, 12, 4, 13, 31, tzinfo=UTC)),
        ("ECB:EXR.D.USD.EUR.SP00.A", date(2026, 7, 2), datetime(2026, 7, 2, 13, 57, tzinfo=UTC)),
        ("UST:10Y", date(2026, 12, 4), datetime(2026, 12, 4, 23, 0, tzinfo=UTC)),
    ],
)
def test_each_source_speaks_at_its_hour(key: str, day: date, utc: datetime) -> None:
    """By its own clock, in summer and in winter."""
    assert released_at(SYNTHETIC[key], day) == int(utc.timestamp()) * 1_000_000


def test_every_series_is_described_in_words_its_source_has() -> None:
    """Name, frequency, adjustment."""
    for series in EVERY:
        assert series.frequency in FREQUENCIES
        assert series.seasonal in SEASONAL
        assert f"{series.source}:{series.name}" == series.key
        assert series.units
        assert series.title
