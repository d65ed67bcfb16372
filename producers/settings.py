"""Settings of the producers (`PRODUCERS_*`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, SecretStr

from infra.runtime.environment import Port, Settings, read_secret
from schemas.errors import ConfigurationError
from schemas.providers.built_in import BUILT_IN

FILE_SUFFIX = "_FILE"


class ProducersSettings(Settings):
    """Settings of the producers; what to collect is in the YAML that MDS_CONFIG names.

    A key may also stand in a file, named by the same variable with `_FILE`; the variable itself goes first.
    """

    prefix: ClassVar[str] = "PRODUCERS_"

    ops_port: Port = Field(
        default=8101, ge=1, le=65535, description="Port of `/livez`, `/readyz` and `/metrics`."
    )
    # by variable; an empty one turns its provider off (on the simulator any key does)
    credentials: Mapping[str, SecretStr] = Field(default={}, description="Keys of the vendors we ship.")
    concurrency: int = Field(default=8, ge=1, le=64, description="Requests in flight at one provider.")
    request_deadline_s: float = Field(
        default=10.0, gt=0.0, le=120.0, description="Longest that one request to a vendor may take."
    )
    cursor_wait_s: float = Field(
        default=15.0,
        ge=0.0,
        le=600.0,
        description="How long a start waits for the database, which knows how far streams have come, before it goes on without.",
    )
    allow_insecure_vendors: bool = Field(
        default=False,
        description="For development: vendors on plain HTTP and at private addresses may be asked.",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Return the settings in force, credentials by the variables that facts name; raises as `Settings`."""
        env = os.environ if env is None else env
        variables = {name for facts in BUILT_IN.values() for name in facts.credentials}
        variables |= {name + FILE_SUFFIX for name in variables}
        settings = super().from_env({name: value for name, value in env.items() if name not in variables})
        given = {name: SecretStr(env[name]) for name in variables & env.keys() if env[name]}
        return settings.model_copy(update={"credentials": given})

    def secret(self, variable: str, env: Mapping[str, str] | None = None) -> SecretStr:
        """Return the credential a variable names, from it or from its file; empty where neither is set.

        A third party's variable is looked up in `env`. Raises ConfigurationError naming the variable of a file that
        cannot be used.
        """
        env = os.environ if env is None else env
        if (
            variable.startswith(self.prefix)
            and variable.removeprefix(self.prefix).lower() in type(self).model_fields
        ):
            raise ConfigurationError(f"{variable} is no secret", remedy="name another variable")
        given, path = (
            self.credentials.get(name) or SecretStr(env.get(name, ""))
            for name in (variable, variable + FILE_SUFFIX)
        )
        if given.get_secret_value() or not path.get_secret_value():
            return given
        return read_secret(variable + FILE_SUFFIX, Path(path.get_secret_value()))
