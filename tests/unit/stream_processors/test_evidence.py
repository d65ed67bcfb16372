"""Evidence is numbered in the order it is told, and says where it comes from."""

from __future__ import annotations

from schemas.streams import StreamId
from stream_processors.evidence import MISSING, Told

SPY = StreamId("bars", "1m", "yahoo", "SPY")


def test_evidence_is_numbered_and_named() -> None:
    """By series, or by partition where no series can be named."""
    told = Told(raw_offset=7, known_from=900, job_id="b1")
    told.of_series("collected", SPY, 100, None)
    told.of_series("blind", SPY, 100, 200, cause="disconnected", expected=3)
    told.of_partition("raw.bars.v1", 3, 500)

    assert [
        (each.index, each.stream, each.symbol, each.from_time, each.to_time) for each in told.evidence
    ] == [
        (0, "bars.1m:yahoo:SPY", "SPY", 100, None),
        (1, "bars.1m:yahoo:SPY", "SPY", 100, 200),
        (2, "raw.bars.v1/3", "", 500, 900),
    ]
    assert {(each.known_from, each.raw_offset, each.detector) for each in told.evidence} == {
        (900, 7, "processor")
    }
    assert [each.kind in MISSING for each in told.evidence] == [False, True, True]


def test_each_cause_has_its_kind() -> None:
    """Nobody watched, unless bars did not come though watched, or another provider was watched instead."""
    told = Told(raw_offset=7, known_from=900, job_id="")
    for cause in ("missing_bars", "long_silence", "served_elsewhere", "disconnected"):
        told.missing(SPY, 100, 200, cause=cause, expected=3)

    assert [(each.kind, each.cause, each.expected) for each in told.evidence] == [
        ("absent", "missing_bars", 3),
        ("blind", "long_silence", 3),
        ("collected", "served_elsewhere", 3),
        ("blind", "disconnected", 3),
    ]


def test_a_stretch_is_never_empty() -> None:
    """Where nothing more was known when the loss was found it lasts a microsecond."""
    told = Told(raw_offset=0, known_from=900, job_id="")
    told.of_partition("raw.bars.v1", 3, 900)

    assert (told.evidence[0].from_time, told.evidence[0].to_time) == (900, 901)
