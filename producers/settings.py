"""Settings of the producers (`PRODUCERS_*`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from infra.runtime.settings import Port, Settings
from schemas.errors import ConfigurationError

MAX_SECRET_BYTES = 65_536
FILE_SUFFIX = "_FILE"


class ProducersSettings(Settings):
    """Settings of the producers; what to collect is in the YAML that MDS_CONFIG names.

    A key may also stand in a file, named by the same variable with `_FILE`; the variable itself goes first.
    """

    prefix: ClassVar[str] = "PRODUCERS_"

    ops_port: Port = Field(default=8101, ge=1, le=65535)
    finnhub_token: SecretStr = SecretStr("")  # empty = the provider is off (on the simulator any key does)
    finnhub_token_file: Path | None = None
    alpaca_key_id: SecretStr = SecretStr("")
    alpaca_key_id_file: Path | None = None
    alpaca_secret_key: SecretStr = SecretStr("")
    alpaca_secret_key_file: Path | None = None
    polygon_key: SecretStr = SecretStr("")
    polygon_key_file: Path | None = None
    concurrency: int = Field(default=8, ge=1, le=64)  # requests in flight per provider
    request_deadline_s: float = Field(default=10.0, gt=0.0, le=120.0)
    cursor_wait_s: float = Field(default=15.0, ge=0.0, le=600.0)  # for the database, before going on without
    allow_insecure_vendors: bool = False  # development: vendors on plain http and private addresses

    def secret(self, variable: str, env: Mapping[str, str] | None = None) -> SecretStr:
        """Return the credential a variable names, from it or from its file; empty where neither is set.

        A third party's variable is not one of these settings and is looked up in `env`. Raises ConfigurationError
        naming the variable of a file that cannot be used.
        """
        env = os.environ if env is None else env
        field = variable.removeprefix(self.prefix).lower()
        if field in type(self).model_fields and variable.startswith(self.prefix):
            given, path = getattr(self, field), getattr(self, f"{field}_file", None)
        else:
            named = env.get(variable + FILE_SUFFIX)
            given, path = SecretStr(env.get(variable, "")), Path(named) if named else None
        if not isinstance(given, SecretStr):
            raise ConfigurationError(f"{variable} is no secret", remedy="name another variable")
        return given if given.get_secret_value() or path is None else _read(variable + FILE_SUFFIX, path)


def _read(variable: str, path: Path) -> SecretStr:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        text = content.decode("ascii").strip() if len(content) <= MAX_SECRET_BYTES else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file of {variable} cannot be read ({type(error).__name__})", remedy=f"correct {variable}"
        ) from None
    if not text or not text.isprintable():
        raise ConfigurationError(f"the file of {variable} holds no key", remedy="put the key into it, alone")
    return SecretStr(text)
