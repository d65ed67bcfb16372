"""A database filled by the server itself, large enough that reading a table whole shows in a plan."""

from __future__ import annotations

import asyncpg

SYMBOLS = 6_000
OPTIONED = 60  # of them
RATES = tuple(f"UST:{tenor}" for tenor in ("1M", "3M", "1Y", "2Y", "10Y"))
FACTORS = tuple(f"FRED:F{number}" for number in range(1, 201))
# ruff: noqa: S608 - constants alone are put into it
FILL = f"""
    SELECT make_partitions(name, ARRAY(SELECT generate_series('2026-01-01 UTC'::timestamptz, '2026-04-30 UTC', '1 month')))
        FROM unnest(ARRAY['bars', 'bars_superseded', 'options']) name;
    SELECT make_partitions(name, ARRAY(SELECT generate_series('2026-04-01 UTC'::timestamptz, '2026-04-08 UTC', '1 day')))
        FROM unnest(ARRAY['quotes', 'trades']) name;

    INSERT INTO streams
    SELECT stream_id_of(kind, "interval", 'yahoo', 'S' || n), kind, "interval", 'yahoo', 'S' || n, 0, first, '2026-04-08 23:00 UTC'
    FROM generate_series(0, {SYMBOLS - 1}) n, (VALUES
        ('bars', '1m', '2026-01-01 UTC'::timestamptz), ('bars', '1h', '2026-01-01 UTC'), ('quotes', '', '2026-04-01 UTC'),
        ('trades', '', '2026-04-01 UTC')) kinds (kind, "interval", first);

    INSERT INTO streams
    SELECT stream_id_of(kind, '', provider, symbol), kind, '', provider, symbol, 0, first, '2026-04-30 23:00 UTC' FROM (
        SELECT 'options', 'yahoo', 'S' || 100 * n + 70, '2026-01-01 UTC'::timestamptz FROM generate_series(0, {OPTIONED - 1}) n UNION ALL
        SELECT 'macro', 'treasury', unnest(ARRAY{list(RATES)}), '2006-01-01 UTC' UNION ALL
        SELECT 'macro', 'fred', unnest(ARRAY{list(FACTORS)}), '2006-01-01 UTC'
    ) told (kind, provider, symbol, first);

    INSERT INTO bars
    SELECT s.stream_id, moment, row_number() OVER (ORDER BY moment) << 16, 1, 2, 0.5, 1.5, 100, NULL, NULL, moment, moment, 0, 3, 'USD'
    FROM streams s, generate_series('2026-01-01 UTC'::timestamptz, '2026-04-30 23:00 UTC', '8 hours') moment
    WHERE s.kind = 'bars' AND s."interval" = '1m' AND s.symbol LIKE '%0';
    INSERT INTO bars_superseded SELECT * FROM bars WHERE (position >> 16) % 4 = 0;
    UPDATE bars SET revision = 1, position = position + (10000000::bigint << 16), known_from = known_from + interval '1 day'
    WHERE (position >> 16) % 4 = 0;
    INSERT INTO bars_forming
    SELECT stream_id, last_seen, 1, 1, 2, 0.5, 1.5, 100, NULL, NULL, last_seen, last_seen, 0, 2, 'USD'
    FROM streams WHERE kind = 'bars';

    INSERT INTO quotes
    SELECT s.stream_id, moment, row_number() OVER (ORDER BY moment) << 16, 1, 2, 3, 4, 1.5, 6, 7, 8, moment, moment, 0, 0, 'USD', ''
    FROM streams s, generate_series('2026-04-01 UTC'::timestamptz, '2026-04-08 23:00 UTC', '1 hour') moment
    WHERE s.kind = 'quotes' AND s.symbol LIKE '%0';
    INSERT INTO quotes_latest SELECT DISTINCT ON (stream_id) * FROM quotes ORDER BY stream_id, event_time DESC;
    INSERT INTO quotes_latest SELECT s.stream_id, s.last_seen, 1, 1, 2, 3, 4, 1.5, 6, 7, 8, s.last_seen, s.last_seen, 0, 0, 'USD', ''
        FROM streams s ON CONFLICT DO NOTHING;
    INSERT INTO trades
    SELECT s.stream_id, moment, row_number() OVER (ORDER BY moment) << 16, 1, 100, moment, moment, 0, NULL, '', ''
    FROM streams s, generate_series('2026-04-01 UTC'::timestamptz, '2026-04-08 23:00 UTC', '1 hour') moment
    WHERE s.kind = 'trades' AND s.symbol LIKE '%0';

    -- Of each underlying twelve expiries at every poll, nine of them still to come; two legs each.
    INSERT INTO options
    SELECT s.stream_id, moment, (row_number() OVER (ORDER BY moment, expiry)) << 16, 100, NULL, NULL, moment, moment, moment, expiry::date, 0, 0,
        s.symbol, 'USD', ARRAY[95.0, 105.0], ARRAY['C', 'P']::"char"[], ARRAY[1.0, 1.0], ARRAY[1.1, 1.1], '{{NULL,NULL}}', '{{NULL,NULL}}', ARRAY[moment, moment],
        '{{NULL,NULL}}', '{{NULL,NULL}}', '{{NULL,NULL}}', ARRAY[1.0, 1.0], ARRAY[5.0, 5.0], '{{NULL,NULL}}', ARRAY[100.0, 100.0],
        '{{NULL,NULL}}', '{{NULL,NULL}}', '{{NULL,NULL}}', '{{NULL,NULL}}', '{{NULL,NULL}}', '{{NULL,NULL}}'
    FROM streams s, generate_series('2026-01-01 UTC'::timestamptz, '2026-04-30 12:00 UTC', '16 hours') moment,
        generate_series('2026-02-20 UTC'::timestamptz, '2027-01-25 UTC', '1 month') expiry
    WHERE s.kind = 'options' AND expiry >= moment;
    INSERT INTO macro
    SELECT s.stream_id, day, row_number() OVER (ORDER BY day) << 16, 4.2, day, day, day, day::date, day::date, day::date + 1, NULL, 0, '', ''
    FROM streams s, generate_series('2006-01-01 UTC'::timestamptz, '2026-04-30 UTC', CASE s.provider WHEN 'fred' THEN interval '1 month' ELSE '1 day' END) day
    WHERE s.kind = 'macro';

    INSERT INTO gaps
    SELECT n::text, 'bars.1m:yahoo:S' || n % {SYMBOLS}, 'S' || n % {SYMBOLS}, 'yahoo', '1m', from_time, from_time + interval '1 minute',
        'missing_bars', 'inferred', (ARRAY['open', 'filled', 'empty', 'unrecoverable'])[1 + n % 4], 0, 1, 'sink', from_time, n, 0, 0
    FROM generate_series(1, 30000) n, LATERAL (SELECT '2026-01-01 UTC'::timestamptz + n * interval '4 minutes') t (from_time);

    INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, gap_id, source, state,
        enqueued_time, leased_until, finished_time)
    SELECT 'j' || n, 0, stream, provider, symbol, from_time, to_time, 'T1', 'gap', 4, gap_id, 'sink', j.state, now(),
        CASE j.state WHEN 'running' THEN now() + interval '1 hour' END, CASE j.state WHEN 'done' THEN now() END
    FROM gaps, LATERAL (SELECT gap_id::integer AS n) number,
        LATERAL (SELECT CASE WHEN n % 600 = 0 THEN 'running' WHEN n % 2 = 0 THEN 'queued' ELSE 'done' END AS state) j;

    INSERT INTO gap_evidence
    SELECT 'bars.1m:yahoo:S' || n % {SYMBOLS}, from_time, from_time + interval '1 minute', from_time, n, 0, 1, 0, 'blind',
        'S' || n % {SYMBOLS}, 'yahoo', '1m', 'producer_down', 'processor', ''
    FROM generate_series(1, 60000) n, LATERAL (SELECT '2026-01-01 UTC'::timestamptz + n * interval '2 minutes') t (from_time);
    INSERT INTO gap_evidence
    SELECT 'bars.1m:yahoo:' || symbol, start_time, NULL, start_time, 0, 0, 0, 0, 'collected', symbol, 'yahoo', '1m', '', 'processor', ''
    FROM streams WHERE kind = 'bars' AND "interval" = '1m';
    INSERT INTO coverage
    SELECT stream_id, day, 390, '\\x0f', '' FROM streams, generate_series('2026-01-05 14:30 UTC'::timestamptz, '2026-01-09 14:30 UTC', '1 day') day
    WHERE kind = 'bars' AND "interval" = '1m';

    INSERT INTO universe_changes SELECT n, 'S' || n, 'T1', ARRAY['bars'], '', '2026-01-01 UTC', '' FROM generate_series(1, 12000) n;

    INSERT INTO provider_health
    SELECT capability, provider, moment, 1, 1, 1, 1, 1, 'closed', true, true, '', CASE WHEN n % 500 = 0 THEN 'failover' ELSE 'no' END,
        '', moment, '', '{{}}'
    FROM generate_series(1, 10000) n, LATERAL (SELECT '2026-04-08 UTC'::timestamptz - n * interval '2 minutes') t (moment),
        unnest(ARRAY['quotes', 'bars:1m']) capability, unnest(ARRAY['yahoo', 'finnhub']) provider;
    INSERT INTO cadence (replica, generation, capability, provider, tier, begun_time, ended_time, market_s, every_s, symbols, due,
        begun, succeeded, failed, skipped, missed, symbol_polls, stale_s, stale_symbols, error_max_ms, buckets, counts)
    SELECT 'a', 1, capability, provider, tier, moment - interval '10 seconds', moment, 10, 60, 60, 10, 10, 10, 0, 0, 0, 10, 0, 0, 1,
        ARRAY[1, 2], ARRAY[5, 5]
    FROM generate_series(1, 5000) n, LATERAL (SELECT '2026-04-08 UTC'::timestamptz - n * interval '1 minute') t (moment),
        unnest(ARRAY['quotes', 'bars:1m']) capability, unnest(ARRAY['yahoo', 'finnhub']) provider, unnest(ARRAY['T0', 'T1']) tier;
"""


async def fill(dsn: str) -> None:
    """Fill an empty, migrated database: some 600,000 rows, most of them in partitions of more than 10,000."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(FILL)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
