"""Jobs at the border: what is taken, and what each fault is told."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidRecord, PermanentError
from schemas.jobs import ALL_VINTAGES, BAR_CAPABILITIES, CAPABILITIES, job_of, read_job
from schemas.partitions import partition_of
from schemas.records import Job
from schemas.topics import JOBS
from schemas.wire.codec import encode_value

NOW = 1_381_152_600_000_000
COMMON: dict[str, Any] = {"version": 1, "job_id": "j1", "source": "feed", "created_time": NOW}
WORK: dict[str, Any] = COMMON | {"deadline": NOW + 60_000_000, "symbols": ["SPY"]}
POLL: dict[str, Any] = WORK | {"type": "poll", "capability": "bars:1m", "slot": NOW}
BACKFILL: dict[str, Any] = WORK | {"type": "backfill", "capability": "bars:5m", "start": NOW - 1, "end": NOW}
LEASE: dict[str, Any] = COMMON | {"type": "lease", "lease_s": 5.0}
SPY = partition_of("SPY", 4)


@pytest.mark.parametrize("message", [POLL, BACKFILL, LEASE, LEASE | {"lease_s": 0.0}])
def test_a_good_message_is_the_job_it_states(message: dict[str, Any]) -> None:
    """As sparse as a person writes it, or with every field as a record on the wire has."""
    job = job_of(message)
    on_the_wire = encode_value(JOBS, asdict(job))

    assert {name: asdict(job)[name] for name in message} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in message.items()
    }
    assert job.priority == 5
    assert read_job(on_the_wire, partition=SPY, partitions=4) == job


@pytest.mark.parametrize(("capability", "symbol"), [("actions", "SPY"), ("macro", "FRED:GDPC1")])
def test_entries_are_polled_like_values(capability: str, symbol: str) -> None:
    """Actions by symbols, macro data by the keys of series."""
    job = job_of(POLL | {"capability": capability, "symbols": [symbol]})

    assert (job.capability, job.symbols, job.start) == (capability, (symbol,), 0)


def test_all_that_was_said_of_a_series_may_be_asked_for_again() -> None:
    """Or what was said since a moment."""
    job = job_of(POLL | {"capability": "macro", "symbols": ["FRED:GDPC1"], "start": ALL_VINTAGES})

    assert job.start == ALL_VINTAGES


@pytest.mark.parametrize(
    ("message", "told"),
    [
        pytest.param(POLL | {"version": 2}, "version", id="version"),
        pytest.param(POLL | {"type": "cook"}, "cook", id="type"),
        pytest.param({k: v for k, v in POLL.items() if k != "type"}, "type", id="no-type"),
        pytest.param(POLL | {"job_id": ""}, "job_id", id="no-id"),
        pytest.param(POLL | {"job_id": "x" * 201}, "job_id", id="long-id"),
        pytest.param(POLL | {"source": ""}, "source", id="no-source"),
        pytest.param(POLL | {"priority": 10}, "priority", id="priority"),
        pytest.param(POLL | {"priority": "1"}, "priority", id="text-for-a-number"),
        pytest.param(POLL | {"capability": "bars:7m"}, "capability", id="capability"),
        pytest.param(BACKFILL | {"capability": "quotes"}, "capability", id="backfill-of-quotes"),
        pytest.param(POLL | {"symbols": []}, "symbols", id="no-symbols"),
        pytest.param(POLL | {"symbols": ["SPY"] * 1001}, "symbols", id="too-many-symbols"),
        pytest.param(POLL | {"symbols": ["SPY", "SPY"]}, "list each once", id="twice"),
        pytest.param(POLL | {"symbols": ["no symbol"]}, "'no symbol'", id="no-symbol"),
        pytest.param(POLL | {"symbols": ["FRED:GDPC1"]}, "no symbols are 'FRED:GDPC1'", id="series-of-bars"),
        pytest.param(POLL | {"capability": "macro"}, "no series are 'SPY'", id="symbol-of-macro"),
        pytest.param(POLL | {"capability": "macro", "symbols": ["cpi"]}, "no series are", id="alias"),
        pytest.param(BACKFILL | {"symbols": ["FRED:GDPC1"]}, "no symbols are", id="backfill-of-a-series"),
        pytest.param(BACKFILL | {"symbols": ["SPY", "IBM"]}, "symbols", id="backfill-of-two"),
        pytest.param(POLL | {"slot": 0}, "slot", id="no-slot"),
        pytest.param(POLL | {"start": 1}, "macro series alone", id="poll-with-a-start"),
        pytest.param(POLL | {"slot": 10**18}, "slot", id="nanoseconds"),
        pytest.param(POLL | {"deadline": NOW}, "deadline", id="deadline-before-start"),
        pytest.param(POLL | {"deadline": NOW + 90_000_000_000}, "more than a day", id="lives-too-long"),
        pytest.param(POLL | {"not_before": NOW + 60_000_000}, "not_before", id="never-in-time"),
        pytest.param(BACKFILL | {"end": NOW - 1}, "end is not after start", id="empty-range"),
        pytest.param(POLL | {"start": NOW}, "start", id="field-of-another-type"),
        pytest.param(LEASE | {"symbols": ["SPY"]}, "take it out", id="lease-with-symbols"),
        pytest.param(LEASE | {"lease_s": 601.0}, "lease_s", id="lease-too-long"),
        pytest.param(LEASE | {"lease_s": float("nan")}, "lease_s", id="lease-nan"),
        pytest.param(POLL | {"colour": "red"}, "colour: ", id="unknown-field"),
    ],
)
def test_a_fault_is_told_with_its_field(message: dict[str, Any], told: str) -> None:
    """Every message names the field, and what to do about it."""
    with pytest.raises(InvalidRecord, match=told):
        job_of(message)


def test_all_faults_of_a_message_are_told_at_once() -> None:
    """One round of corrections is enough."""
    with pytest.raises(InvalidRecord) as caught:
        job_of(POLL | {"version": 2, "priority": 11, "slot": -1})

    assert all(field in str(caught.value) for field in ("version", "priority", "slot"))


def test_symbols_of_another_partition_are_listed() -> None:
    """A job is done by the owner of its partition, who does not poll others'."""
    symbols = ["SPY", "AAPL", "MSFT", "IBM", "QQQ"]
    foreign = [symbol for symbol in symbols if partition_of(symbol, 4) != SPY]
    value = encode_value(JOBS, asdict(job_of(POLL | {"symbols": symbols})))

    with pytest.raises(InvalidRecord) as caught:
        read_job(value, partition=SPY, partitions=4)

    assert all(repr(symbol) in str(caught.value) for symbol in foreign)
    assert "'SPY'" not in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from([*POLL, *BACKFILL, "lease_s", "x"]),
        st.none() | st.text("SPY 1", max_size=4) | st.integers(),
    )
)
def test_any_mapping_is_a_job_or_is_refused(changes: dict[str, Any]) -> None:
    """Nothing but our error comes out, whatever the fields are."""
    try:
        job = job_of(POLL | changes)
    except InvalidRecord:
        return

    assert isinstance(job, Job)
    assert job.capability in CAPABILITIES


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_ours(data: bytes) -> None:
    """What follows the framing may be anything."""
    with pytest.raises(PermanentError):
        read_job(b"\x00\x00\x00\x00\x0c" + data, partition=0, partitions=4)


def test_every_bar_capability_can_be_polled() -> None:
    """A backfill asks for what a poll can."""
    assert set(BAR_CAPABILITIES) < set(CAPABILITIES)
