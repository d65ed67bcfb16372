"""A macro series of days in the database, each told in some vintages, one in twenty of them corrected long after."""

from __future__ import annotations

KEY = "FRED:DFF"
CORRECTED_EVERY = 20
KNOWN_BY = "2026-01-01T00:00:00Z"
"""The moment by which all vintages were known, and no correction."""


def stored_vintages(*, periods: int, vintages: int, key: str = KEY, provider: str = "fred") -> str:
    """Return the statements that fill the tables; the last period begins on 2025-09-01."""
    series = f"stream_id_of('macro', '', '{provider}', '{key}')"
    day = f"DATE '2025-09-01' - ({periods} - 1 - n / {vintages})"
    vintage = f"({day} + 1 + n % {vintages})"
    said = f"({vintage} + time '13:30') AT TIME ZONE 'UTC'"
    corrected = "now() - interval '1 day'"
    return f"""
        INSERT INTO streams SELECT {series}, 'macro', '', '{provider}', '{key}', 0, '2000-01-01 UTC', '2025-09-02 UTC';
        INSERT INTO macro SELECT {series}, {said}, n::bigint << 16, n % 997, {said}, {said}, {said}, {day}, {vintage}, {day} + 1, NULL,
            32, 'Percent', ''
        FROM generate_series(0, {periods * vintages} - 1) n;
        INSERT INTO macro SELECT {series}, {said}, (n + 10000000)::bigint << 16, n % 991, {said}, {corrected}, {corrected}, {day}, {vintage}, {day} + 1, NULL,
            32, 'Percent', ''
        FROM generate_series(0, {periods * vintages} - 1, {CORRECTED_EVERY}) n;
        ANALYZE macro;
    """  # noqa: S608 - names and numbers of the caller alone
