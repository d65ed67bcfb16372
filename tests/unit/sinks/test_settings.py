"""Settings of the sinks, as the environment gives them."""

from __future__ import annotations

import pytest

from schemas.errors import ConfigurationError
from sinks.settings import SinkSettings


def test_how_long_streams_are_kept_is_said_in_the_words_of_the_readme() -> None:
    """The text of the variable is JSON."""
    settings = SinkSettings.from_env({"SINKS_KEEP_DAYS": '{"quotes": 30, "trades": 1.5}'})

    assert settings.keep_days == {"quotes": 30.0, "trades": 1.5}
    assert SinkSettings.from_env({}).keep_days == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("quotes=30", '{"quotes": 30}'),
        ('{"quotes": 0.5}', "greater than or equal to 1"),
        ('{"quote": 30}', "'quotes'"),
        ('{"macro": 30}', "kept for good"),
        ("[30]", "valid dictionary"),
    ],
)
def test_what_cannot_be_kept_so_is_named_with_what_would_be_right(given: str, said: str) -> None:
    """Nothing is dropped by a setting nobody understood."""
    with pytest.raises(ConfigurationError) as refused:
        SinkSettings.from_env({"SINKS_KEEP_DAYS": given})
    assert str(refused.value).startswith("SINKS_KEEP_DAYS")
    assert said in f"{refused.value} {refused.value.remedy}"
