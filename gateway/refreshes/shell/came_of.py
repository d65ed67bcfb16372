"""What came of a refresh, as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.database.shell.snapshot import Snapshots
from gateway.refreshes.outcome import StoredVintages, outcome_row
from gateway.refreshes.refresh_request import RefreshWanted
from gateway.refreshes.shell.job_log import JobOutcomes
from schemas.clocks import Day, WallTime
from schemas.providers.facts import ProviderFacts

# $1 keys, $2 since when
CHANGED = """
    SELECT s.symbol, count(*) AS count, min(v.period_start) - DATE '1970-01-01' AS first,
        max(v.period_start) - DATE '1970-01-01' AS last
    FROM streams s JOIN macro v USING (stream_id)
    WHERE s.kind = 'macro' AND s.symbol = ANY ($1) AND v.known_from >= $2 GROUP BY s.symbol
"""
# $1 keys: those whose newest period has no value with a vintage
WITHOUT_VINTAGES = """
    SELECT s.symbol FROM streams s CROSS JOIN LATERAL (
        SELECT period_start FROM macro v WHERE v.stream_id = s.stream_id ORDER BY period_start DESC LIMIT 1
    ) newest
    WHERE s.kind = 'macro' AND s.symbol = ANY ($1) AND NOT EXISTS (
        SELECT FROM macro v
        WHERE v.stream_id = s.stream_id AND v.period_start = newest.period_start AND v.vintage_start IS NOT NULL)
"""
CLOCK_US = 1_000  # a broker's times of appending are whole milliseconds


async def came_of(
    store: Snapshots, outcomes: JobOutcomes, wanted: RefreshWanted, facts: Mapping[str, ProviderFacts]
) -> dict[str, Any]:
    """Return the rows of a refresh that ended; raise the Problem of a store that is away."""
    keys = list(wanted.keys)
    since = WallTime(outcomes.begun // CLOCK_US * CLOCK_US)
    async with store.snapshot() as snapshot:
        changed = await snapshot.fetch(CHANGED, keys, since)
        without = await snapshot.fetch(WITHOUT_VINTAGES, keys)
    stored = {
        row["symbol"]: StoredVintages(count=row["count"], first=Day(row["first"]), last=Day(row["last"]))
        for row in changed
    }
    return outcome_row(wanted, outcomes.by_symbol, stored, {row["symbol"] for row in without}, facts)
