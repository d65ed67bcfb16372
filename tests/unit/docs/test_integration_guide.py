"""What docs/INTEGRATION_GUIDE.md has analysts ask of published days, asked of days that were published here."""

from __future__ import annotations

import importlib
import re
from datetime import UTC, date, datetime
from pathlib import Path

from schemas.archive.datasets import Dataset
from schemas.clocks import KnowledgeTime, WallTime
from schemas.streams import BAR_STREAM
from sinks.archive.shell.datasets import opened
from sinks.archive.shell.disk import Disk
from sinks.archive.shell.parquet import write_dataset
from tests.support.catalogs import require_iceberg

ROOT = Path(__file__).parent.parent.parent.parent
FENCE = re.compile(r"^```sql duckdb\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARCHIVE = ".mds/archive"  # as a checkout has it
DATASET = Dataset(stream=BAR_STREAM, interval="1m")
NOON_US = 1_764_331_200_000_000  # 2025-11-28 12:00 UTC
VALUES = {
    "text": "SPY", "int8": 7, "int4": 7, "int2": 7, "float8": 1.5, "bool": True, "timestamptz": NOON_US, "date": 16_230,
}  # fmt: skip


def publish(root: Path, day: str, known: int, close: float) -> None:
    """Publish a day of one bar, whose close says which publication it is of."""
    row = tuple(close if column.name == "close" else VALUES[column.type] for column in DATASET.columns)
    with opened(root, DATASET, Disk(keep_free_bytes=0)) as folder:
        folder.publish(
            day,
            KnowledgeTime(NOON_US + known),
            lambda out: write_dataset(out, DATASET.columns, [[row]], {}),
            now_us=WallTime(NOON_US),
        )


def test_of_each_day_the_latest_publication_is_read(tmp_path: Path) -> None:
    """By the statement of the page, in place, however often a day was published; days are dates, moments are moments."""
    require_iceberg()  # duckdb comes with its lock
    duckdb = importlib.import_module("duckdb")
    (statement,) = FENCE.findall((ROOT / "docs" / "INTEGRATION_GUIDE.md").read_text("utf-8"))
    for day, known, close in (("2025-11-27", 1, 1.0), ("2025-11-27", 2, 2.0), ("2025-11-28", 1, 3.0)):
        publish(tmp_path, day, known, close)
    assert ARCHIVE in statement

    rows = duckdb.sql(statement.replace(ARCHIVE, str(tmp_path))).fetchall()

    assert sorted((day, symbol, close) for day, symbol, _, _, _, _, close, _ in rows) == [
        (date(2025, 11, 27), "SPY", 2.0),
        (date(2025, 11, 28), "SPY", 3.0),
    ]
    assert {moment.astimezone(UTC) for _, _, moment, *_ in rows} == {datetime(2025, 11, 28, 12, tzinfo=UTC)}
