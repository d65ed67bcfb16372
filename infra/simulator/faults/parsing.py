"""A fault scenario from YAML or JSON text: parsed whole, or refused with a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from infra.simulator.faults.scenario import FAULTS, Match, Scenario, When
from infra.simulator.faults.values import ScenarioPart
from schemas.errors import ConfigurationError
from schemas.remedies import problem_of, remedy_of


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in a YAML file; raise ConfigurationError naming the file and what is wrong in it."""
    try:
        return parse_scenario(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error})",
            remedy="set MDS_SIMULATOR_SCENARIO to a file this process may read",
        ) from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.problem}", remedy=error.remedy) from error


def parse_scenario(text: str) -> Scenario:
    """Return the scenario a YAML or JSON text describes; raise ConfigurationError, with a suggestion for a typo."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"not YAML ({error})", remedy="mend the syntax where it says") from error
    if content is None:
        return Scenario()
    rules = content.get("rules") if isinstance(content, dict) else content
    if isinstance(content, dict):
        _refuse_unknown(content, ("rules",), "scenario")
    if not isinstance(rules, list):
        raise ConfigurationError("a scenario is a list of rules", remedy="write `- fault: {type: ...}` items")
    for number, rule in enumerate(rules):
        _check_keys(rule, f"rule {number + 1}")
    try:
        return Scenario.model_validate({"rules": rules})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{place}: {problem_of(first)}", remedy=remedy_of(first)) from error


def _check_keys(rule: object, place: str) -> None:
    """Refuse unknown keys with a suggestion before pydantic refuses them without one."""
    if not isinstance(rule, dict):
        raise ConfigurationError(f"{place} is not a mapping", remedy="give it match, when and fault")
    _refuse_unknown(rule, ("match", "when", "fault"), place)
    parts: tuple[tuple[str, type[ScenarioPart]], ...] = (("match", Match), ("when", When))
    for name, model in parts:
        if isinstance(rule.get(name), dict):
            _refuse_unknown(rule[name], _keys(model), f"{place} {name}")
    fault = rule.get("fault")
    if not isinstance(fault, dict) or "type" not in fault:
        raise ConfigurationError(f"{place} has no fault type", remedy=f"use one of {', '.join(FAULTS)}")
    if fault["type"] not in FAULTS:
        _refuse_unknown({str(fault["type"]): None}, tuple(FAULTS), f"{place} fault type")
    _refuse_unknown(fault, _keys(FAULTS[fault["type"]]), f"{place} fault {fault['type']}")


def _keys(model: type[ScenarioPart]) -> tuple[str, ...]:
    return tuple(info.alias or name for name, info in model.model_fields.items())


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
            raise ConfigurationError(f"{place}: {key!r} is unknown", remedy=hint)
