"""Minute bars in a database of its own, put there by the server itself: what reads are measured on."""

from __future__ import annotations

from schemas.clocks import EventTime
from schemas.intervals import DAY_US, SECOND_US

FIRST_DAY = EventTime(1_767_364_200_000_000)  # 2026-01-02 09:30 in New York, µs
MINUTES = 390


def stored_minutes(*, symbols: int, with_bars: int, days: int, where: str) -> str:
    """Return the statements that make the series S0, S1, … of `symbols`, and sessions of bars of the first `with_bars`.

    `where` chooses among them by `n`, `day`, `minute` and `opened`. A bar's position is its number among all minutes.
    """
    return f"""
    SELECT make_partitions(name, ARRAY[to_timestamp({FIRST_DAY // SECOND_US})]) FROM unnest(ARRAY['bars', 'bars_superseded']) name;
    INSERT INTO streams
    SELECT stream_id_of('bars', '1m', 'yahoo', 'S' || n), 'bars', '1m', 'yahoo', 'S' || n, 0,
        to_timestamp({FIRST_DAY // SECOND_US}), to_timestamp({(FIRST_DAY + days * DAY_US) // SECOND_US})
    FROM generate_series(0, {symbols - 1}) n;
    INSERT INTO bars
    SELECT stream_id_of('bars', '1m', 'yahoo', 'S' || n), opened, (day * {MINUTES} + minute)::bigint << 16, 100, 101, 99,
        100.5, 1000, NULL, NULL, opened + interval '61 s', opened + interval '61 s', 0, 3, 'USD'
    FROM generate_series(0, {days - 1}) day, generate_series(0, {MINUTES - 1}) minute, generate_series(0, {with_bars - 1}) n,
        LATERAL (SELECT to_timestamp({FIRST_DAY // SECOND_US}) + day * interval '1 day' + minute * interval '1 minute') m (opened)
    WHERE {where};
"""
