"""How long each topic and table keeps what it holds, what changes that, and what has it afterwards: docs/reference/retention.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.objectives.shell.slo_monitor import KEEP_US
from infra.runtime.postgres.backfill_acts import KEPT_DAYS as REQUEST_DAYS
from infra.runtime.postgres.feed_backfills import KEPT_S
from producers.budget.shell.store import KEPT_DAYS as BUDGET_DAYS
from schemas.intervals import DAY_US, SECOND_US
from schemas.journals import JOURNALS
from schemas.streams import STREAMS, Stream
from schemas.tables import tables
from schemas.topics import CONFIGURATION, DAY_MS, EVIDENCE, GAPS, Topic, catalogue
from scripts.reference_pages import GENERATED
from sinks.settings import SinkSettings

PAGE = """\
# Retention

{generated}

How long each topic and each table keeps what it holds, what changes that, and where it is afterwards. How many bytes that is: [sizing](../{operations}#sizing).

## Topics

A topic is made with these times by `mds topics apply`. From then on `retention.ms` of the topic counts, which tools of your cluster
change; no command of ours sets it back. Raw topics must be kept longer than the [archive]({archive}) may be behind, and every
topic longer than a backup of the database is old when it is [restored](../{operations}#backup-and-restore).

| Topic | Kept | Changed by | Afterwards |
|---|---|---|---|
{topics}

## Tables

Rows go by whole partitions (days of quotes and trades, months of bars) or, in journals, one by one. A floor in `retention_floors` says
of each stream from when on it is kept, and a question about what lies before it is answered with 410
[`not_kept`](errors.md).

| Table | Kept | Changed by | Afterwards |
|---|---|---|---|
{tables}
"""
FOR_EVER = "for ever"
ALIVE = "as long as what it is of"
PUBLISHED = ("bars", "trades", "quotes")  # datasets of `mds archive publish`
OPERATIONS = "OPERATIONS.md"
CONCEPTS = "../concepts"
ARCHIVE = f"{CONCEPTS}/archive.md"

Row = tuple[str, str, str, str]


def retention_page() -> str:
    """Return docs/reference/retention.md."""
    return PAGE.format(
        generated=GENERATED,
        archive=ARCHIVE,
        operations=OPERATIONS,
        topics=_lines(_topics()),
        tables=_lines(table_rows()),
    )


def _topics() -> Iterator[Row]:
    for topic in catalogue().topics.values():
        if topic.kind != "dead":
            yield f"`{topic.name}`", _kept(topic), _broker_setting(topic), _after(topic)
    twin = next(topic for topic in catalogue().topics.values() if topic.kind == "dead")
    yield (
        "each with `.dead`",
        _kept(twin),
        _broker_setting(twin),
        "nothing; what the letter was of is in its raw topic or the archive",
    )


def _kept(topic: Topic) -> str:
    days = "" if topic.retention_ms is None else _days(topic.retention_ms / DAY_MS)
    if topic.compacted:
        return "newest of each key, " + (days or FOR_EVER)
    return days or FOR_EVER


def _broker_setting(topic: Topic) -> str:
    return "" if topic.retention_ms is None else "`retention.ms`"


def _after(topic: Topic) -> str:
    if topic.kind == "raw":
        return f"[archive]({ARCHIVE}), where `mds archive run` runs"
    if topic.name in JOURNALS:
        return f"table `{JOURNALS[topic.name].table}`"
    by_name = {EVIDENCE: "table `gap_evidence`", GAPS: "table `gaps`", CONFIGURATION: ""}
    if topic.name in by_name:
        return by_name[topic.name]
    if topic.kind == "canonical":
        stream = next(each for each in STREAMS if each.topic == topic.name)
        return f"{_names(tables(stream).all)}; made again from `{stream.raw_topic}`"
    return "nothing" if topic.kind == "jobs" else ""


def table_rows() -> list[Row]:
    """Return a row for every table of a migrated database, by name, in the words of the page."""
    by_stream = "with its stream: `SINKS_KEEP_DAYS`"
    gone = "made again from raw topics or archive"
    return [
        *(row for stream in STREAMS for row in _of_stream(stream)),
        ("`streams`", FOR_EVER, "", ""),
        ("`gaps`", FOR_EVER, by_stream, f"`gaps.v1`; {gone}"),
        ("`gap_evidence`", FOR_EVER, by_stream, gone),
        ("`coverage`", FOR_EVER, by_stream, gone),
        ("`retention_floors`", FOR_EVER, "", ""),
        *_of_journals(),
        ("`universe_changes`", FOR_EVER, "nothing: only ever added to", ""),
        ("`audit_acts`", FOR_EVER, "nothing: only ever added to", ""),
        ("`backfill_jobs`", FOR_EVER, "by hand: `mds dlq purge`", "`audit_acts` has who asked"),
        ("`backfill_requests`", _days(REQUEST_DAYS), "", "nothing"),
        (
            "`feed_backfills`",
            f"{_days(KEPT_S * SECOND_US / DAY_US)} after it was told",
            "",
            "`job-results.v1`",
        ),
        (
            "`dead_events`",
            "as long as the topic has the letter",
            "`retention.ms` of the topic of dead letters",
            "nothing",
        ),
        ("`slo_samples`", _days(KEEP_US / DAY_US), "", "Prometheus, where it scrapes the gateway"),
        ("`provider_budgets`", _days(BUDGET_DAYS), "", "nothing"),
        ("`sink_offsets`", ALIVE, "", ""),
        ("`dead_letter_positions`", ALIVE, "", ""),
        ("`watermarks`", ALIVE, "", ""),
        ("`outbox`", "until Kafka has it", "", "`gaps.v1` and topics of dead letters"),
        ("`schema_migrations`", FOR_EVER, "", ""),
        ("`partition_widths`", FOR_EVER, "", ""),
        ("`partition_reaches`", FOR_EVER, "", ""),
    ]


def _of_stream(stream: Stream) -> Iterator[Row]:
    made = tables(stream)
    if made.timed:
        published = f", [published days]({ARCHIVE}#published-days)" * (stream.name in PUBLISHED)
        setting = f'`SINKS_KEEP_DAYS`, such as `{{"{stream.name}": 400}}`'
        yield _names(made.timed), FOR_EVER, setting, f"`{stream.raw_topic}`, archive{published}"
    else:
        yield _names(made.all), FOR_EVER, "", ""
    if made.newest:
        yield _names((made.newest,)), "newest of each series", "", ""


def _of_journals() -> Iterator[Row]:
    for journal in JOURNALS.values():
        field = f"{journal.table}_days"
        setting = f"`SINKS_{field.upper()}`" if field in SinkSettings.model_fields else ""
        yield f"`{journal.table}`", _days(journal.retention_days), setting, "nothing"


def _names(found: Sequence[str]) -> str:
    return " ".join(f"`{each}`" for each in found)


def _days(days: float) -> str:
    return f"{days:,.0f} day{'' if days == 1 else 's'}"


def _lines(rows: Iterator[Row] | Sequence[Row]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
