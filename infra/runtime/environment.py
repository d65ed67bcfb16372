"""Environment variables become frozen, validated values at start-up; a typo is an error, never a default."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.errors import ConfigurationError
from schemas.remedies import problem_of, remedy_of

SERVICE_PREFIXES = ("PRODUCERS_", "PROCESSORS_", "SINKS_", "GATEWAY_")
MAX_SECRET_BYTES = 65_536
KUBERNETES_SERVICE_LINK = ("_SERVICE_HOST", "_SERVICE_PORT", "_PORT")


class Settings(BaseSettings):
    """Base of every settings class: frozen, from one mapping, unknown names refused with a suggestion.

    Subclasses set `prefix`. `from_env` is the only way in, so a test passes a plain dict and
    never patches the process environment.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=True)
    prefix: ClassVar[str]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the mapping given to `from_env` and nothing else."""
        return (init_settings,)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Return the settings in force; raise ConfigurationError naming the variable and the remedy."""
        env = os.environ if env is None else env
        given = {
            name.removeprefix(cls.prefix).lower(): value
            for name, value in env.items()
            if name.startswith(cls.prefix) and value != ""
        }
        known: dict[str, Any] = {name: value for name, value in given.items() if name in cls.model_fields}
        unknown = sorted(set(given) - set(known))
        _report_unknown(cls.prefix, unknown, cls.model_fields)
        try:
            return cls(**known)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = cls.prefix + ".".join(str(part) for part in first["loc"]).upper()
            raise ConfigurationError(
                f"{name}: {problem_of(first)}", remedy=f"in {name}, {remedy_of(first)}"
            ) from error


def _report_unknown(prefix: str, unknown: Iterable[str], fields: Iterable[str]) -> None:
    """Refuse an unknown MDS_ name; warn about one that carries a service's prefix.

    Kubernetes injects `GATEWAY_SERVICE_HOST` and friends next to our own prefixes, so those
    cannot be fatal; MDS_ is ours alone.
    """
    for name in unknown:
        full = prefix + name.upper()
        close = difflib.get_close_matches(name, list(fields), n=1)
        hint = f"did you mean {prefix}{close[0].upper()}?" if close else "remove it"
        if prefix == "MDS_":
            raise ConfigurationError(f"{full} is not a setting", remedy=hint)
        if not full.endswith(KUBERNETES_SERVICE_LINK):
            print(f"warning: {full} is not a setting; {hint}", file=sys.stderr)


def read_secret(variable: str, path: Path) -> SecretStr:
    """Return the secret in a file, without the white space around it; raise ConfigurationError naming its variable."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        text = content.decode("ascii").strip() if len(content) <= MAX_SECRET_BYTES else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file of {variable} cannot be read ({type(error).__name__})",
            remedy=f"set {variable} to the path of a file that this process may read and that holds ASCII text",
        ) from None
    if not text or not text.isprintable():
        raise ConfigurationError(f"the file of {variable} holds no key", remedy="put the key into it, alone")
    return SecretStr(text)


Port = int
