"""Words of what chains are priced with."""

from __future__ import annotations

from gateway.options.priced import LegModel


def test_models_are_called_as_the_documentation_calls_them() -> None:
    """Codes are stored by nobody, words are published."""
    assert [each.label for each in LegModel] == ["black76", "american_integral", "american_black75"]
