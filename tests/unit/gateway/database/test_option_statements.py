"""The SQL of option chains as text: which columns are read, and that every read is bounded."""

from __future__ import annotations

import re

import pytest

from gateway.database import option_statements
from gateway.database.option_statements import (
    COLUMNS,
    FIRST_SLICE,
    NEWEST_AT_MOMENTS,
    NEWEST_SLICES,
    QUOTES_BESIDE,
    SLICES_AT,
)
from gateway.options.slices import COLUMN_PREFIX, LEG_FIELDS
from schemas.streams import OPTION_STREAM
from schemas.tables import stored_columns

TEXTS = {
    name: text for name, text in vars(option_statements).items() if name.isupper() and "SELECT" in str(text)
}


def test_every_field_of_a_leg_that_is_used_is_read_and_no_other() -> None:
    """Greeks of the vendor are stored and never used: five arrays a slice that need not be sent."""
    read = {column.name for column in COLUMNS if column.name.startswith(COLUMN_PREFIX)}
    assert read == {COLUMN_PREFIX + name for name in LEG_FIELDS}
    stored = {column.name for column in stored_columns(OPTION_STREAM)}
    greeks = {f"leg_vendor_{name}" for name in ("delta", "gamma", "theta", "vega", "rho")}
    assert greeks < stored
    assert not any(name in SLICES_AT for name in greeks)


def test_of_the_past_what_a_volatility_follows_from_is_read_alone() -> None:
    """Six arrays a slice of fifteen; all that is said of the slice itself."""
    text = option_statements.QUOTES_OF_SLICES_AT
    read = {name for name in LEG_FIELDS if f"leg_{name}" in re.findall(r"\w+", text)}
    assert read == set(option_statements.PRICED_FIELDS)
    plain = [column.name for column in COLUMNS if not column.name.startswith(COLUMN_PREFIX)]
    assert all(name in text for name in plain)


def test_days_are_integers_and_letters_one_text() -> None:
    """As they are everywhere in the gateway."""
    assert "(o.expiry - DATE '1970-01-01') AS expiry" in SLICES_AT
    assert "array_to_string(o.leg_right, '') AS leg_right" in SLICES_AT


@pytest.mark.parametrize("name", TEXTS)
def test_parameters_are_numbered_without_a_hole(name: str) -> None:
    """A statement that is given one it does not name is refused by the server."""
    numbers = {int(each) for each in re.findall(r"\$(\d+)", TEXTS[name])}
    assert numbers == set(range(1, len(numbers) + 1))


@pytest.mark.parametrize("text", [NEWEST_SLICES, NEWEST_AT_MOMENTS, FIRST_SLICE, QUOTES_BESIDE])
def test_what_is_looked_for_step_by_step_ends_each_step(text: str) -> None:
    """Every lateral read has a limit of its own: history is never read through."""
    steps = re.findall(r"LATERAL \((.*?)\) (?:o|newest|first|q)\b", text, re.DOTALL)
    assert steps
    assert all(re.search(r"LIMIT \w+$", step) for step in steps)


def test_a_shadow_counts_only_for_whoever_names_its_provider() -> None:
    """It was polled to compare, not to be believed."""
    for text in (NEWEST_SLICES, NEWEST_AT_MOMENTS):
        assert re.search(r"\$2::text IS NOT NULL OR \(o\.flags & \d+\) <> \d+", text)
    assert re.search(r"\(v\.flags & \d+\) <> \d+", QUOTES_BESIDE)
