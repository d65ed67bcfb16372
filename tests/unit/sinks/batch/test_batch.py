"""What was read becomes a batch: bad records leave it one by one, blocks of bars stay whole."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.intervals import MINUTE_US
from schemas.records import Progress
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE, PROGRESS, RAW_BARS, TRADES
from schemas.wire.codec import encode
from sinks.batch.batch import PartitionRecords, assemble
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade, an_evidence
from tests.support.received import APPENDED_MS, Message, a_part, home

GOOD = encode(TRADES, a_trade())


def a_trade_part(*values: bytes | None, partition: int | None = None) -> PartitionRecords:
    """Return trades read from one partition, bytes as given."""
    part = PartitionRecords(
        topic=TRADES,
        partition=home("SPY") if partition is None else partition,
        partitions=DEFAULT_PARTITIONS,
        end=len(values),
    )
    part.records.extend(Message(value, at) for at, value in enumerate(values))
    return part


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(None, "malformed", id="no value"),
        pytest.param(b"\x17noise", "malformed", id="noise"),
        pytest.param(GOOD[:-3], "malformed", id="truncated"),
        pytest.param(encode(BARS, a_bar()), "unknown_schema", id="another topic's record"),
        pytest.param(GOOD + bytes(1_048_576), "oversized", id="oversized"),
        pytest.param(encode(TRADES, a_trade(price=float("nan"))), "invalid", id="not a number"),
        pytest.param(encode(TRADES, a_trade(size=float("inf"))), "invalid", id="infinite"),
        pytest.param(encode(TRADES, a_trade(known_from=1 << 60)), "invalid", id="time out of range"),
        pytest.param(encode(TRADES, a_trade(symbol="AAPL")), "invalid", id="astray"),
    ],
)
def test_a_bad_record_is_dead_lettered_and_its_neighbours_are_kept(bad: bytes | None, reason: str) -> None:
    """The dead letter says where, when and why, and holds the bytes; the position moves on."""
    assert home("AAPL") != home("SPY")

    batch, _ = assemble([a_trade_part(GOOD, bad, GOOD)])

    (refusal,) = batch.refusals
    letter = refusal.letter
    assert (letter.stage, letter.reason, letter.topic, letter.offset) == ("sink", reason, TRADES, 1)
    assert (letter.payload, letter.known_from) == (bad or b"", APPENDED_MS * 1_000)
    (rows,) = batch.rows
    assert [record.offset() for record in rows.records] == [0, 2]
    assert (rows.columns.size, batch.records) == (2, 3)
    assert batch.ends == {(TRADES, home("SPY")): (3, -1)}


def test_a_batch_of_bad_records_alone_still_moves() -> None:
    """Nothing to store is no reason to stand still."""
    batch, waiting = assemble([a_trade_part(b"x", b"y")])

    assert (len(batch.refusals), batch.rows, waiting) == (2, [], [])
    assert batch.ends == {(TRADES, home("SPY")): (2, -1)}


def test_topics_and_partitions_are_one_batch() -> None:
    """Rows of one table are together, whatever their partition."""
    others = next(f"S{n}" for n in range(99) if home(f"S{n}") != home("SPY"))

    batch, _ = assemble([a_part([a_quote()]), a_part([a_trade()]), a_part([a_trade(symbol=others)])])

    assert [(rows.table.name, rows.columns.size) for rows in batch.rows] == [("quotes", 1), ("trades", 2)]
    assert batch.rows[1].partitions.tolist() == [home("SPY"), home(others)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"to_time": NINE_THIRTY}, id="no length"),
        pytest.param({"to_time": None}, id="blind without an end"),
        pytest.param({"from_time": -(1 << 60)}, id="time out of range"),
        pytest.param({"known_from": 1 << 60}, id="known out of range"),
        pytest.param({"stream": "x" * 5_000}, id="long name"),
        pytest.param({"cause": "a\0b"}, id="NUL"),
        pytest.param({"stream": "bars.1m:yahoo:QQQ"}, id="of another symbol"),
        pytest.param({"stream": "bars.9m:yahoo"}, id="of no series"),
        pytest.param({"raw_offset": 1 << 50}, id="no place"),
        pytest.param({"index": -1}, id="no index"),
    ],
)
def test_evidence_that_cannot_be_kept_is_dead_lettered(changes: dict[str, object]) -> None:
    """The ledger sees only what it can keep."""
    batch, _ = assemble([a_part([an_evidence(), an_evidence(**changes)])])

    assert batch.evidence == [(home("SPY"), an_evidence())]
    assert [(r.letter.topic, r.letter.offset, r.letter.reason) for r in batch.refusals] == [
        (EVIDENCE, 1, "invalid")
    ]


def test_evidence_in_a_partition_its_symbol_does_not_live_in_is_dead_lettered() -> None:
    """Two sinks would keep one series."""
    batch, _ = assemble([a_part([an_evidence()], partition=(home("SPY") + 1) % 4)])
    assert (batch.evidence, len(batch.refusals)) == ([], 1)


def test_evidence_of_a_whole_partition_names_no_series() -> None:
    """What was in the records that are gone nobody knows."""
    lost = an_evidence(stream="raw.bars.v1/2", symbol="", provider="", interval="")
    batch, _ = assemble([a_part([lost], partition=2)])
    assert batch.evidence == [(2, lost)]


def test_progress_becomes_a_claim_at_its_own_offset() -> None:
    """The offset in progress.v1 is kept: a claim that does not hold yet must be read again after a restart."""
    progress = Progress(
        raw_topic=RAW_BARS, partition=2, raw_offset=5, known_from=99, canonical_topic=BARS, canonical_end_offset=42,
        processing_version=1,
    )  # fmt: skip
    part = PartitionRecords(topic=PROGRESS, partition=2, partitions=DEFAULT_PARTITIONS, end=8)
    part.records.extend([Message(b"noise", 6), Message(encode(PROGRESS, progress), 7)])

    batch, _ = assemble([part])

    assert [(claim.partition, claim.end_offset, claim.progress_offset) for claim in batch.claims] == [
        ((BARS, 2), 42, 7)
    ]
    assert [refusal.letter.offset for refusal in batch.refusals] == [6]


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6), cuts=st.sets(st.integers(0, 24), max_size=6)
)
def test_a_block_is_never_cut(sizes: list[int], cuts: set[int]) -> None:
    """However the log is read, each batch holds whole blocks, and together they hold every bar once, in order."""
    bars = [
        a_bar(raw_offset=block, index=index, event_time=NINE_THIRTY + (block * 9 + index) * MINUTE_US)
        for block, size in enumerate(sizes)
        for index in range(size)
    ]
    messages = a_part(bars).records
    edges = [0, *sorted(cut for cut in cuts if cut < len(messages)), len(messages)]
    waiting: list[PartitionRecords] = []
    seen: list[list[tuple[int, int]]] = []
    position = 0
    for low, high in itertools.pairwise(edges):
        part = (
            waiting[0]
            if waiting
            else PartitionRecords(
                topic=BARS, partition=home("SPY"), partitions=DEFAULT_PARTITIONS, end=position
            )
        )
        part.records.extend(messages[low:high])
        part.end, part.at_end = high, high == len(messages)
        batch, waiting = assemble([part])
        for rows in batch.rows:
            offsets, indices = rows.columns.integers("raw_offset"), rows.columns.integers("index")
            seen.append(list(zip(offsets.tolist(), indices.tolist(), strict=True)))
        position = batch.ends[BARS, home("SPY")][0]
        assert position == sum(map(len, seen))

    assert not waiting
    assert [place for batch in seen for place in batch] == [(bar.raw_offset, bar.index) for bar in bars]
    blocks = [{offset for offset, _ in batch} for batch in seen]
    assert sum(map(len, blocks)) == len(set().union(*blocks))


def test_a_bad_record_inside_an_open_block_waits_with_it() -> None:
    """It is dead-lettered once, with the batch that takes its block."""
    part = a_part([a_bar(raw_offset=1), a_bar(raw_offset=2), a_bar(raw_offset=2, index=1)], at_end=False)
    part.records[2] = Message(b"noise", 2)

    first, (waiting,) = assemble([part])
    waiting.at_end = True
    second, nothing = assemble([waiting])

    assert ([r.letter.offset for r in first.refusals], [r.letter.offset for r in second.refusals]) == (
        [],
        [2],
    )
    assert ([row.columns.size for row in first.rows + second.rows], nothing) == ([1, 1], [])
