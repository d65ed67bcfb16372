"""All checks of a preflight, in the order they are shown: settings, what is collected, this machine, broker, database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from infra.preflight.broker import kafka_sections
from infra.preflight.collection import collection_sections
from infra.preflight.database import postgres_section
from infra.preflight.findings import Checked, Finding, ok, secrets_of
from infra.preflight.machine import Machine, machine_sections
from infra.preflight.running import Section, look
from infra.preflight.vendors import vendors_section
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
        return await look(self._sections(), secrets=secrets_of(self.env))

    def _sections(self) -> list[Section]:
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
            *collection_sections(settings, self.env, self.now),
            *vendors_section(settings, self.env, is_asked=self.ask_vendors),
            *machine_sections(settings, self.env, self.machine, gateways=self.gateways),
            *kafka_sections(settings, self.now, told_version=self.kafka_version),
            postgres_section(settings.dsn, self.now),
        ]
        # without settings nobody knows where to look
        own = Section(read=read, checks={SETTINGS: judge_settings})
        return [own, *(section if section.after else replace(section, after=SETTINGS) for section in others)]


def judge_settings(settings: MdsSettings) -> Finding:
    """Tell that the shared settings are valid."""
    prefix = f", topics begin with {settings.topic_prefix}" if settings.topic_prefix else ""
    return ok(f"every MDS_ variable is a setting{prefix}")
