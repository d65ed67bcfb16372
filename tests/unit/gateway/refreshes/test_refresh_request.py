"""What may be asked of a refresh, what stands against it, and how long one waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.http.problems import Problem
from gateway.refreshes.refresh_request import (
    LONGEST_WAIT_S,
    MAX_KEYS,
    RefreshAsked,
    RefreshWanted,
    begun_of,
    check_collected,
    job_id_of,
    refresh_asked,
    wait_of,
)
from schemas.clocks import WallTime
from schemas.configuration.model import parse_configuration
from schemas.jobs import MAX_JOB_ID_CHARS

TEXT = "symbols: [SPY]\nstreams: {macro: {keys: [cpi, ust_10y]}}\n"


def faults(body: Any) -> list[tuple[str, str]]:
    """Return (param, code) of everything that is wrong with a body."""
    with pytest.raises(Problem) as raised:
        refresh_asked(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert all(len(error.detail) < 300 for error in raised.value.errors)
    return [(error.param, error.code) for error in raised.value.errors]


def test_an_empty_body_asks_for_news_of_all_and_keys_are_resolved() -> None:
    """Each once, by the name it was given by; what is null is left out."""
    assert refresh_asked(b"") == refresh_asked(b"{}") == RefreshAsked()
    asked = refresh_asked(b'{"keys": ["cpi", "UST:10Y", "cpi"], "full": true, "vintages": null}')
    assert asked == RefreshAsked(keys={"cpi": "FRED:CPIAUCSL", "UST:10Y": "UST:10Y"}, full=True)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"{", [("body", "not_json")]),
        (b"[]", [("body", "not_an_object")]),
        ({"keys": "cpi"}, [("keys", "not_a_list")]),
        ({"keys": []}, [("keys", "not_a_list")]),
        ({"keys": [7]}, [("keys", "not_a_list")]),
        ({"keys": ["cpi", "cpo", "x" * 9_999]}, [("keys", "not_a_symbol")] * 2),
        ({"keys": ["cpi"] * (MAX_KEYS + 1)}, [("keys", "out_of_range")]),
        ({"keyz": ["cpi"], "full": "yes"}, [("keyz", "unknown_field"), ("full", "not_a_choice")]),
        ({"vintages": False}, [("vintages", "not_a_choice")]),
    ],
)
def test_everything_wrong_is_named_at_once(body: Any, wrong: list[tuple[str, str]]) -> None:
    """With what would be right."""
    assert faults(body) == wrong


def test_an_unknown_key_is_told_with_what_may_have_been_meant() -> None:
    """As everywhere else."""
    with pytest.raises(Problem, match="did you mean cpi"):
        refresh_asked(b'{"keys": ["cpo"]}')


def test_what_is_not_collected_is_refused() -> None:
    """With the setting that collects it."""
    configuration = parse_configuration(TEXT, source="f")
    check_collected({"cpi": "FRED:CPIAUCSL", "ust_10y": "UST:10Y"}, configuration)
    with pytest.raises(Problem, match=r"add it to streams\.macro\.keys") as raised:
        check_collected({"cpi": "FRED:CPIAUCSL", "sofr": "FRED:SOFR"}, configuration)
    assert [(each.param, each.code) for each in raised.value.errors] == [("keys", "not_collected")]


@pytest.mark.parametrize(
    ("preference", "wait_s"),
    [
        (None, None), ("", None), ("wait=30", 30), ("respond-async, wait=5", 5), ("wait=0", None), ("wait=-1", None),
        ("wait=x", None), (f"wait={'9' * 9}", LONGEST_WAIT_S), ("handling=strict", None),
    ],
)  # fmt: skip
def test_a_preference_counts_where_it_can_be_read(preference: str | None, wait_s: int | None) -> None:
    """Anything else of the header is ignored, as RFC 7240 has it."""
    assert wait_of(preference) == wait_s


def test_a_refresh_is_named_by_what_it_asks_for_and_when_it_was_begun() -> None:
    """Everything and news of the same series are two."""
    wanted = RefreshWanted(keys=("FRED:CPIAUCSL", "UST:10Y"), full=False)
    everything = RefreshWanted(keys=wanted.keys, full=True)

    job_id = job_id_of(wanted, WallTime(1_700_000_000_000_000))

    assert begun_of(job_id) == 1_700_000_000_000_000
    assert len(job_id) <= MAX_JOB_ID_CHARS
    assert wanted.subject != everything.subject
