"""What the status table says of a part."""

from __future__ import annotations

from typing import Any

from infra.cli.background import is_ready_within, status_rows


def a_part(**more: Any) -> dict[str, Any]:
    return {"name": "producers", "pid": 7, "port": 9_101, "ready": True, "progress_s": 0.5} | more


def test_symbols_nobody_gives_are_named_in_the_status() -> None:
    """The first few with stream and reason; what a part waits for is said before that."""
    bars = {f"S{number}": "nothing" for number in range(6)}
    found = {"quotes": {"^GSPC": "no_name"}, "bars:1m": bars}

    (row,) = status_rows([a_part(unserved=found)])
    (waiting,) = status_rows([a_part(unserved=found, waiting_for=["yahoo"], ready=False)])
    (well,) = status_rows([a_part(unserved={})])

    assert row[-1].startswith("nobody gives ^GSPC (quotes: no_name), S0 (bars:1m: nothing), ")
    assert row[-1].endswith(", S3 (bars:1m: nothing) and 2 more")
    assert (waiting[-1], well[-1]) == ("waiting for yahoo", "")


def test_a_part_that_runs_is_asked_until_it_says_that_it_is_ready() -> None:
    """A probe may take longer on a busy machine; one that goes on saying no is believed."""
    answers = iter([False, False, True])

    assert is_ready_within(lambda: next(answers), within_s=30.0)
    assert list(answers) == []
    assert not is_ready_within(lambda: False, within_s=0.0)
    assert not is_ready_within(lambda: False, within_s=0.25)
