"""Which table a log has, and which of its files is next."""

from __future__ import annotations

import pytest

from schemas.archive import datasets, manifest
from schemas.archive.datasets import Dataset, Publication, every_dataset
from schemas.clocks import KnowledgeTime, WallTime
from schemas.errors import ConfigurationError
from schemas.streams import BAR_STREAM
from sinks.archive.registration import (
    RAW_COLUMNS,
    FileLine,
    LogPlace,
    carried,
    dataset_entries,
    following,
    raw_entries,
    snapshot_of,
    table_of_dataset,
    table_of_topic,
)
from sinks.archive.shell.parquet import COLUMNS
from tests.support.archives import a_file, begun, lost, pruned

PLACE = LogPlace(partition=3)
MINUTES = Dataset(stream=BAR_STREAM, interval="1m")


def written(*lines: manifest.Line) -> bytes:
    """Return a manifest."""
    data, tail = b"", None
    for line in (begun(), *lines):
        text, tail = manifest.append(tail, line)
        data += text
    return data


def entries(*ends: int) -> list[FileLine]:
    """Return files that end there."""
    return [FileLine(path=f"{end}.parquet", end=end, line=f"hash{end}", rows=2, file_bytes=9) for end in ends]


def test_each_incarnation_has_a_table_whose_name_any_engine_takes() -> None:
    """Letters, digits and underscores, in lower case; the same for ever."""
    one, two = (table_of_topic(begun(topic_id=each)) for each in ("Ab+/", "ab+/"))

    assert one.name == "raw_trades_v1_0df9aab3"
    assert one.name != two.name
    assert one.name.replace("_", "").isalnum()
    assert one.name.islower()
    assert one.of == "raw.trades.v1/Ab-_"


def test_each_dataset_has_a_table() -> None:
    """Named after stream and interval."""
    names = [table_of_dataset(each).name for each in every_dataset()]

    assert len(set(names)) == len(names)
    assert {"bars_1m", "bars_1d", "trades", "quotes"} <= set(names)


def test_the_columns_of_a_raw_table_are_those_of_its_files() -> None:
    """Name by name, and which may be null."""
    assert [(each.name, each.nullable) for each in RAW_COLUMNS] == [
        (name, COLUMNS.field(name).nullable) for name in COLUMNS.names
    ]


def test_entries_are_the_files_of_a_manifest() -> None:
    """With the hashes of their lines; what was pruned is known, and is no file any more."""
    data = written(a_file(0, 5), lost(5, 7), a_file(7, 9), pruned(0, 7))

    first, second = raw_entries(data, name="manifest")

    assert [(each.end, each.is_kept, each.rows) for each in (first, second)] == [(5, False, 5), (9, True, 2)]
    assert first.line.encode() in data.split(b"\n")[1]
    assert second.line.encode() in data.split(b"\n")[3]


def test_a_publication_replaces_the_earlier_ones_of_its_day() -> None:
    """By their order in the manifest."""
    data, tail = b"", datasets.BEGINNING
    for day, as_of in (("2025-11-27", 1), ("2025-11-28", 2), ("2025-11-27", 3)):
        line = Publication(
            dataset=MINUTES.folder, day=day, as_of_us=KnowledgeTime(as_of), rows=1, file_bytes=1, sha256="", at_us=WallTime(1),
        )  # fmt: skip
        text, tail = datasets.append(tail, line)
        data += text

    first, second, third = dataset_entries(data, name="manifest")

    assert [each.end for each in (first, second, third)] == [1, 2, 3]
    assert (first.replaces, second.replaces, third.replaces) == ((), (), (first.path,))
    assert third.told == {"mds.day": "2025-11-27", "mds.as-of-us": "3"}


@pytest.mark.parametrize(("done", "following_end"), [(None, 5), (5, 9), (9, 12), (12, None)])
def test_the_next_file_is_the_one_behind_the_snapshot(done: int | None, following_end: int | None) -> None:
    """The first where no snapshot names the partition, none where all are registered."""
    said = {} if done is None else {"mds.next-offset.3": str(done), "mds.manifest-line.3": f"hash{done}"}

    found = following(entries(5, 9, 12), said, PLACE, table="t")

    assert (None if found is None else found.end) == following_end


@pytest.mark.parametrize(
    ("end", "line"),
    [
        pytest.param(9, "hash8", id="another line"),
        pytest.param(8, "hash8", id="within a file"),
        pytest.param(99, "hash99", id="behind the end"),
    ],
)
def test_a_snapshot_of_another_manifest_is_not_continued(end: int, line: str) -> None:
    """With what to do."""
    said = {"mds.next-offset.3": str(end), "mds.manifest-line.3": line}

    with pytest.raises(
        ConfigurationError, match=r"mds\.raw goes on at \d+ in partition 3 by another manifest.*drop"
    ):
        following(entries(5, 9), said, PLACE, table="mds.raw")


def test_a_snapshot_carries_what_it_knew_of_other_logs() -> None:
    """And of its own only the newest."""
    said = {"mds.next-offset.1": "4", "mds.manifest-line.1": "x", "mds.next-offset.3": "5"}

    assert snapshot_of(entries(9)[0], said, PLACE) == {
        "mds.next-offset.1": "4",
        "mds.manifest-line.1": "x",
        "mds.next-offset.3": "9",
        "mds.manifest-line.3": "hash9",
    }


def test_the_newest_snapshot_of_ours_is_the_one_that_counts() -> None:
    """One of somebody else in between says nothing; what is of one file alone is not carried on."""
    summaries = [
        {"added-files": "1"},
        {"mds.next-publication": "2", "mds.day": "2025-11-27", "mds.as-of-us": "5", "total-records": "1"},
        {"mds.next-publication": "1"},
    ]

    assert carried(summaries, "t") == {"mds.next-publication": "2"}
    assert carried([], "t") == {}


def test_snapshots_of_others_alone_do_not_say_how_far_it_is() -> None:
    """All of ours were expired: beginning anew could register twice."""
    with pytest.raises(ConfigurationError, match=r"no snapshot of the table mds\.raw.*drop the table"):
        carried([{"added-files": "1"}], "mds.raw")
