"""Macro series as their sources describe them, and the hour of the day at which they come out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

from schemas.intervals import SECOND_US

CENTRAL = ZoneInfo("America/Chicago")
EASTERN = ZoneInfo("America/New_York")
FRANKFURT = ZoneInfo("Europe/Berlin")
# FRED shows an agency's release of 08:30 in New York a minute later.
RELEASES = {"FRED": (time(7, 31), CENTRAL), "ECB": (time(15, 57), FRANKFURT), "UST": (time(18, 0), EASTERN)}
FREQUENCIES = {"D": "Daily", "W": "Weekly, Ending Saturday", "M": "Monthly", "Q": "Quarterly"}
SEASONAL = {
    "SA": "Seasonally Adjusted",
    "NSA": "Not Seasonally Adjusted",
    "SAAR": "Seasonally Adjusted Annual Rate",
}
CACHED_MOMENTS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroSeries:
    """One series: its key, and what its source says of it."""

    key: str
    title: str
    frequency: str  # as FRED shortens it: D, W, M, Q
    units: str
    seasonal: str  # as FRED shortens it: SA, NSA, SAAR
    synthetic: bool

    @property
    def source(self) -> str:
        """The part its key begins with."""
        return self.key.partition(":")[0]

    @property
    def name(self) -> str:
        """The name its source has for it."""
        return self.key.partition(":")[2]


def released_at(series: MacroSeries, day: date) -> int:
    """Return the moment at which what is said of a series on a day comes out, µs."""
    return _moment(series.source, day)


@lru_cache(maxsize=CACHED_MOMENTS)
def _moment(source: str, day: date) -> int:
    at, zone = RELEASES[source]
    return int(datetime.combine(day, at, zone).timestamp()) * SECOND_US


def _filed(name: str, title: str, frequency: str, units: str, seasonal: str) -> MacroSeries:
    return MacroSeries(
        key=f"FRED:{name}",
        title=title,
        frequency=frequency,
        units=units,
        seasonal=seasonal,
        synthetic=False,
    )


_CHAINED = "Billions of Chained 2009 Dollars"
_ALL = (
    _filed("A261RX1Q020SBEA", "Real Gross Domestic Income", "Q", _CHAINED, "SAAR"),
    _filed(
        "BOPTIMP",
        "Imports of Goods and Services, Balance of Payments Basis",
        "M",
        "Millions of Dollars",
        "SA",
    ),
    _filed(
        "CPIAUCSL",
        "Consumer Price Index for All Urban Consumers: All Items",
        "M",
        "Index 1982-1984=100",
        "SA",
    ),
    _filed("DGORDER", "Manufacturers' New Orders: Durable Goods", "M", "Millions of Dollars", "SA"),
    _filed("GACDFSA066MSFRBPHI", "Current General Activity; Diffusion Index", "M", "Index", "SA"),
    _filed("GDPC1", "Real Gross Domestic Product", "Q", _CHAINED, "SAAR"),
    _filed("HSN1F", "New One Family Houses Sold: United States", "M", "Thousands", "SAAR"),
    _filed("IQ", "Export Price Index (End Use): All Commodities", "M", "Index 2000=100", "NSA"),
    _filed("JTSJOL", "Job Openings: Total Nonfarm", "M", "Level in Thousands", "SA"),
    _filed("PAYEMS", "All Employees, Total Nonfarm", "M", "Thousands of Persons", "SA"),
    _filed("PCEC96", "Real Personal Consumption Expenditures", "M", _CHAINED, "SAAR"),
    _filed(
        "PCEPILFE", "Personal Consumption Expenditures Excluding Food and Energy", "M", "Index 2009=100", "SA"
    ),
    _filed("PPIFIS", "Producer Price Index by Commodity: Final Demand", "M", "Index Nov 2009=100", "SA"),
    _filed("TCU", "Capacity Utilization: Total Index", "M", "Percent of Capacity", "SA"),
    _filed("ULCNFB", "Nonfarm Business Sector: Unit Labor Cost", "Q", "Index 2009=100", "SA"),
    _filed("UNRATE", "Unemployment Rate", "M", "Percent", "SA"),
    _filed("WHLSLRIMSA", "Merchant Wholesalers Inventories", "M", "Millions of Dollars", "SA"),
)
FILED = MappingProxyType({series.key: series for series in _ALL})
"""Series that the file of vintages may hold, by key."""
