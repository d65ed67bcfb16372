"""Failures of a request and outages of a provider are told apart by whether anybody was answered between two of them."""

from __future__ import annotations

import pytest

from producers.backfill import outages
from producers.backfill.outages import RECENTLY_S, Outages


def test_the_first_failure_is_an_outage_where_nobody_was_answered_lately() -> None:
    """A minute is lately: an outage that just began is taken for a failure, once."""
    assert not Outages().is_outage(["a"], now_s=500.0, silent_s=RECENTLY_S - 1)
    assert Outages().is_outage(["a"], now_s=500.0, silent_s=RECENTLY_S)


def test_the_next_one_is_where_nobody_was_answered_since_the_one_before() -> None:
    """However briefly that is ago, and however often it goes on; an answer to somebody makes it a failure of this one."""
    known = Outages()
    known.is_outage(["a", "b"], now_s=100.0, silent_s=2.0)

    assert known.is_outage(["a"], now_s=107.0, silent_s=9.0)
    assert known.is_outage(["b"], now_s=107.0, silent_s=7.0)
    assert not known.is_outage(["a"], now_s=120.0, silent_s=12.9)
    assert known.is_outage(["a", "new"], now_s=130.0, silent_s=22.9), "by the newest of those that are known"
    assert not known.is_outage(["never"], now_s=130.0, silent_s=22.9)


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who failed longest ago is forgotten first, and its next failure is its first."""
    monkeypatch.setattr(outages, "REMEMBERED", 2)
    known = Outages()
    for number, name in enumerate(("a", "b", "a", "c")):
        known.is_outage([name], now_s=float(number), silent_s=1.0)

    assert not known.is_outage(["b"], now_s=10.0, silent_s=9.5)
    assert known.is_outage(["a"], now_s=10.0, silent_s=9.5) is False, "it went when b came again"
    assert known.is_outage(["b"], now_s=11.0, silent_s=1.0)
