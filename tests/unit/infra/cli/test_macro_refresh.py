"""`mds macro refresh` by what it says; what it asks is asked of a real gateway in tests/e2e/test_macro_refresh.py."""

from __future__ import annotations

from infra.cli.macro import told

JOB = {"job_id": "macro_refresh|1|2", "keys": ["FRED:GDPC1"], "requests": 3, "eta_s": 1.5, "joined": False}


def test_a_refresh_under_way_is_one_line() -> None:
    """Which says whether it was begun by this command."""
    assert told(JOB) == ["1 series asked for, at least 3 requests, some 1.5 s: macro_refresh|1|2"]
    assert told(JOB | {"joined": True})[0].startswith("1 series joined")


def test_of_one_that_ended_each_series_is_a_line() -> None:
    """New values, none, or why it could not be asked for."""
    came = {
        "changed": [{"key": "A", "vintages": 2, "first": "2016-04-01", "last": "2016-07-01"}],
        "unchanged": ["B"],
        "failed": [{"key": "C", "code": "refused", "detail": "no such series"}],
        "without_vintages": ["B"],
    }
    assert told(JOB | came) == [
        "A: 2 new values, of periods from 2016-04-01 to 2016-07-01",
        "B: nothing new",
        "C: refused: no such series",
        "B: values of now alone, without vintages",
    ]
