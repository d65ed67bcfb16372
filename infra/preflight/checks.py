"""All checks of a preflight, in the order they are shown: settings, what is collected, this machine, broker, database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from infra.preflight.broker import kafka_groups
from infra.preflight.collection import collection_groups
from infra.preflight.database import postgres_group
from infra.preflight.findings import Checked, Finding, ok, secrets_of
from infra.preflight.machine import Machine, machine_groups
from infra.preflight.running import CheckGroup, look
from infra.preflight.vendors import vendors_group
from infra.runtime.clock import wall_us
from infra.runtime.settings import MdsSettings
from schemas.clocks import WallTime
from schemas.errors import ConfigurationError

SETTINGS = "settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Everything a preflight is told; clock and machine are those of this process unless a test gives others."""

    env: Mapping[str, str]
    kafka_version: str = ""  # of the brokers, where they do not tell
    gateways: int = 1  # machines that run one
    ask_vendors: bool = False
    now: Callable[[], WallTime] = wall_us
    machine: Machine = field(default_factory=Machine)

    async def run(self) -> list[Checked]:
        """Return what every check found; nothing is changed by it, and nothing raised for what a check meets."""
        return await look(self._groups(), secrets=secrets_of(self.env))

    def _groups(self) -> list[CheckGroup]:
        settings, refused = MdsSettings(), None
        try:
            settings = MdsSettings.from_env(self.env)
        except ConfigurationError as error:
            refused = error

        async def read() -> MdsSettings:
            if refused is not None:
                raise refused
            return settings

        others = [
            *collection_groups(settings, self.env, self.now),
            *vendors_group(settings, self.env, is_asked=self.ask_vendors),
            *machine_groups(settings, self.env, self.machine, gateways=self.gateways),
            *kafka_groups(settings, self.now, told_version=self.kafka_version),
            postgres_group(settings.dsn, self.now),
        ]
        # without settings nobody knows where to look
        own = CheckGroup(read=read, checks={SETTINGS: judge_settings})
        return [own, *(group if group.after else replace(group, after=SETTINGS) for group in others)]


def judge_settings(settings: MdsSettings) -> Finding:
    """Tell that the shared settings are valid."""
    prefix = f", topics begin with {settings.topic_prefix}" if settings.topic_prefix else ""
    return ok(f"every MDS_ variable is a setting{prefix}")
