"""Jobs as lines of text: completed, split, and refused all at once."""

from __future__ import annotations

import orjson
import pytest

from infra.cli.job_lines import parsed_lines
from schemas.errors import ConfigurationError
from schemas.jobs import poll_job_id
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS

NOW = 1_381_152_600_000_000
POLL = {"type": "poll", "capability": "quotes", "symbols": ["SPY", "AAPL", "MSFT", "IBM", "QQQ"], "slot": NOW}


def lines(*given: object) -> list[bytes]:
    """Return JSON lines."""
    return [each if isinstance(each, bytes) else orjson.dumps(each) for each in given]


def test_a_line_becomes_one_job_for_each_partition_of_its_symbols() -> None:
    """Under the ids every maker gives; what was left out is filled in."""
    jobs = parsed_lines(lines(POLL, b""), DEFAULT_PARTITIONS, now=NOW, deadline_s=60.0)

    assert sorted(symbol for job in jobs for symbol in job.symbols) == sorted(POLL["symbols"])  # type: ignore[call-overload]
    for job in jobs:
        assert len({partition_of(symbol, DEFAULT_PARTITIONS) for symbol in job.symbols}) == 1
        assert job.job_id == poll_job_id("quotes", job.symbols, NOW)
        assert (job.source, job.created_time, job.deadline) == ("cli", NOW, NOW + 60_000_000)


def test_a_name_and_a_deadline_of_the_line_are_kept() -> None:
    """Its maker knows better."""
    (job,) = parsed_lines(
        lines(POLL | {"symbols": ["SPY"], "job_id": "mine", "deadline": NOW + 1}),
        DEFAULT_PARTITIONS,
        now=NOW,
        deadline_s=60.0,
    )

    assert (job.job_id, job.deadline) == ("mine", NOW + 1)


def test_all_wrong_lines_are_told_at_once_and_nothing_is_left_to_submit() -> None:
    """By line and field."""
    given = lines(POLL, b"{", b"[]", POLL | {"slot": -1, "priority": 12}, {"type": "lease", "lease_s": 1.0})

    with pytest.raises(ConfigurationError) as caught:
        parsed_lines(given, DEFAULT_PARTITIONS, now=NOW, deadline_s=60.0)

    told = str(caught.value)
    assert "line 1:" not in told
    assert all(
        part in told for part in ("line 2:", "line 3:", "line 4:", "slot", "priority", "mds jobs lease")
    )


def test_nothing_at_all_is_a_mistake() -> None:
    """An empty file was not meant."""
    with pytest.raises(ConfigurationError, match="no job"):
        parsed_lines([b"", b"  "], DEFAULT_PARTITIONS, now=NOW, deadline_s=60.0)
