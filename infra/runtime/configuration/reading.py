"""The configuration as every process reads it: judged by what the providers installed beside it can give.

One validator for all: the gateway refuses what producers would refuse, where the same packages are installed.
"""

from __future__ import annotations

from pathlib import Path

from infra.runtime.providers import known_facts
from infra.runtime.settings import MdsSettings
from schemas.calendar.sessions import check_overlay
from schemas.configuration.model import Configuration, load_configuration, parse_configuration


def load(path: Path) -> Configuration:
    """Return the configuration in the file; raises as `parse`."""
    return _checked(load_configuration(path, known=known_facts()))


def load_if_any(settings: MdsSettings) -> Configuration | None:
    """Return the configuration in force; None where no file is named and none lies where it would; raises as `parse`."""
    path = settings.configuration_path
    return None if path is None or (settings.config is None and not path.exists()) else load(path)


def parse(text: str, *, source: str) -> Configuration:
    """Return the configuration in a text; raise ConfigurationError with all that is wrong in it."""
    return _checked(parse_configuration(text, source=source, known=known_facts()))


def _checked(configuration: Configuration) -> Configuration:
    check_overlay(configuration.calendar_overlay())
    return configuration
