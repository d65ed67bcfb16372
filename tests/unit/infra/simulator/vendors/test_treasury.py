"""The Treasury's face: a year's table with the maturities of that year."""

from __future__ import annotations

from infra.simulator.market.macro import MacroBook
from infra.simulator.vendors.treasury import table

NOW = 1_795_363_230_000_000  # 2026-11-22


def lines(year: int, now: int = NOW) -> list[str]:
    return table(MacroBook(seed=3), year, now).body.decode().split("\n")


def test_a_year_has_the_maturities_it_had() -> None:
    """Newest day first; a maturity is blank before its day."""
    head, *rows = lines(2025)

    assert head.startswith('Date,"1 Mo","1.5 Month","2 Mo","3 Mo","4 Mo","6 Mo","1 Yr"')
    assert '"1.5 Month"' not in lines(2024)[0]
    assert '"4 Mo"' not in lines(2021)[0]
    assert rows[0].startswith("12/31/2025,")
    assert rows[-1].split(",")[2] == ""
    assert all(row.count(",") == head.count(",") for row in rows)


def test_days_to_come_and_years_without_a_curve_are_not_there() -> None:
    """The header alone remains."""
    assert lines(2026)[1].startswith("11/20/2026,")
    assert len(lines(2027)) == len(lines(1999)) == 1
