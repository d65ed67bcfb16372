"""`mds actions` into the real broker: what files and people state, as raw blocks of the right partitions."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from schemas.clocks import KnowledgeTime, RawOffset
from schemas.partitions import partition_of
from schemas.streams import ACTION_STREAM
from schemas.topics import DEFAULT_PARTITIONS
from stream_processors.block import process
from stream_processors.memory import PartitionState
from tests.support.producer_processes import ROOT, raw_blocks

TOPIC = ACTION_STREAM.raw_topic


async def test_an_import_and_a_correction_by_hand_are_what_processors_take(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, market_data: Path
) -> None:
    """Twice the same import are no two versions; an action taken back by hand is another provider's word."""
    env = {
        "MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix, "MDS_HOME": str(tmp_path / "home"),
    }  # fmt: skip
    daily = market_data / "equity_daily"

    async def mds(*arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "infra.cli", "actions", *arguments],
            cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    importing = ("import", str(daily / "factor_files" / "aapl.csv"), "--maps", str(daily / "map_files"))
    told = [await mds(*importing), await mds(*importing)]
    told.append(await mds("add", "AAPL", "split", "2014-06-09", "--ratio", "7:1", "--declared", "2014-04-23"))
    assert [each.returncode for each in told] == [0, 0, 0], [each.stderr for each in told]

    partition = partition_of("AAPL", DEFAULT_PARTITIONS)
    state = PartitionState(raw_topic=TOPIC, partition=partition, partitions=DEFAULT_PARTITIONS)
    by_provider: dict[str, list[str]] = {}
    for stored in await raw_blocks(kafka_bootstrap, topic_prefix, TOPIC, "AAPL"):
        outputs = process(
            state, RawOffset(stored.offset), KnowledgeTime(stored.block.received_time), stored.block
        )
        assert outputs.dead == []
        for _, event in outputs.events:
            by_provider.setdefault(stored.block.provider, []).append(event["action_id"])

    imported = by_provider["lean_import"]
    # What a processor does not remember any more the sink compares.
    assert 30 < len(set(imported)) <= len(imported) < 2 * len(set(imported))
    assert "split:2014-06-09" in imported
    assert by_provider["manual"] == ["split:2014-06-09"]
