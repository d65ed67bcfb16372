"""Scenario files are taken whole or refused with a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

import infra.simulator
from infra.simulator.faults.parsing import load_scenario, parse_scenario
from infra.simulator.faults.scenario import StatusFault
from schemas.errors import ConfigurationError

EXAMPLES = sorted((Path(infra.simulator.__file__).parent / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid(path: Path) -> None:
    """The files beside the simulator can be used as they are."""
    assert load_scenario(path).rules


def test_a_rule_says_what_strikes_when() -> None:
    """All parts of a rule arrive."""
    text = """
    - match: {vendor: finnhub, endpoint: quote, symbol: AAPL}
      when: {after_requests: 2, every: 3, from: 2013-10-07T13:30:00Z, to: +90s}
      fault: {type: status, status: 429, retry_after: 5}
    """
    (rule,) = parse_scenario(text).rules
    assert rule.fault == StatusFault(type="status", status=429, retry_after=5)
    assert (rule.match.vendor, rule.match.endpoint, rule.match.symbol) == ("finnhub", "quote", "AAPL")
    assert (rule.when.after_requests, rule.when.every) == (2, 3)
    assert (rule.when.from_, rule.when.to) == (1_381_152_600_000_000, 90.0)


def test_nothing_is_a_scenario_without_faults() -> None:
    """An empty file is valid."""
    assert parse_scenario("").rules == ()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param("- {falt: {type: html}}", "did you mean fault", id="rule key"),
        pytest.param(
            "- {match: {vender: yahoo}, fault: {type: html}}", "did you mean vendor", id="match key"
        ),
        pytest.param("- {when: {evry: 2}, fault: {type: html}}", "did you mean every", id="when key"),
        pytest.param("- {fault: {type: hangs, s: 1}}", "did you mean hang", id="fault type"),
        pytest.param("- {fault: {type: hang, sec: 1}}", "use one of type, s", id="fault key"),
        pytest.param("- {fault: {}}", "use one of status", id="no type"),
        pytest.param("rules: 3", "list of rules", id="not a list"),
        pytest.param("- 3", "rule 1", id="not a mapping"),
        pytest.param("{rule: []}", "did you mean rules", id="top key"),
        pytest.param("- {fault: {type: status, status: 99}}", "status", id="no such status"),
        pytest.param("- {match: {vendor: bloomberg}, fault: {type: html}}", "yahoo", id="no such vendor"),
        pytest.param("- {fault: {type: null_bars}}", "minutes", id="null bars of what"),
        pytest.param("- {fault: {type: null_bars, minutes: ['25:00']}}", "25:00", id="no such minute"),
        pytest.param("- {when: {from: 2013-10-07T09:30:00}, fault: {type: html}}", "zone", id="no zone"),
        *(
            pytest.param(f"- {{when: {{to: {moment}}}, fault: {{type: html}}}}", hint, id=f"at {moment}")
            for moment, hint in [
                *((each, "at most 1000000000") for each in (".inf", "-.inf", ".nan", "+1e305s", "+nan")),
                *(
                    (each, r"or \+90s after the start")
                    for each in ("noon", "+s", "2026-11-20", "true", "[3]")
                ),
            ]
        ),
        pytest.param(
            "- {fault: {type: unknown_symbols, symbols: SPY}}", r"such as \[a, b\]", id="no list of symbols"
        ),
        pytest.param("a: [", "YAML", id="not yaml"),
    ],
)
def test_a_wrong_scenario_is_refused_with_a_hint(text: str, hint: str) -> None:
    """The message says where the mistake is and what would be right."""
    with pytest.raises(ConfigurationError, match=hint):
        parse_scenario(text)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    """The message holds the path."""
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        load_scenario(tmp_path / "none.yaml")
