"""The pipe format of a replay."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import MalformedPayload
from schemas.wire.framing import StreamedRecord, read_records, write_record

RECORDS = st.lists(
    st.builds(
        StreamedRecord,
        topic=st.sampled_from(["bars.v1", "gaps.v1"]),
        partition=st.integers(0, 100),
        offset=st.integers(-1, 2**62),
        append_time=st.integers(0, 2**62),
        key=st.none() | st.binary(max_size=20),
        value=st.binary(max_size=200),
        moved_from=st.none() | st.binary(max_size=60),
    ),
    max_size=8,
)


@given(RECORDS)
def test_records_come_out_as_they_went_in(records: list[StreamedRecord]) -> None:
    """Order, keys and absent keys are kept."""
    pipe = BytesIO()
    for record in records:
        write_record(pipe, record)
    pipe.seek(0)

    assert list(read_records(pipe)) == records


@given(RECORDS.filter(bool), st.integers(1, 10_000))
def test_a_stream_cut_inside_a_record_is_refused(records: list[StreamedRecord], cut: int) -> None:
    """A replay never ends early without saying so."""
    pipe = BytesIO()
    ends = {0}
    for record in records:
        write_record(pipe, record)
        ends.add(pipe.tell())
    length = cut % pipe.tell()
    if length in ends:
        return

    with pytest.raises(MalformedPayload):
        list(read_records(BytesIO(pipe.getvalue()[:length])))
