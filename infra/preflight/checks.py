"""All checks of a preflight, in the order they are shown: settings, what is collected, this machine, broker, database.

Vendors are asked by the producers' own clients, once each, where that is wanted: it costs of their budgets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from infra.preflight.broker import kafka_groups
from infra.preflight.collection import CONFIGURATION, collection_groups
from infra.preflight.database import postgres_group
from infra.preflight.findings import Checked, Finding, failed, ok, secrets_of, some, unknown, warning
from infra.preflight.machine import Machine, machine_groups
from infra.preflight.running import CheckGroup, look
from infra.runtime.clock import wall_us
from infra.runtime.installation import module_command
from infra.runtime.settings import MdsSettings
from schemas.clocks import WallTime
from schemas.errors import ConfigurationError, ProviderUnavailable

SETTINGS = "settings"
COMMAND = module_command("producers", "ask")
WITHIN_S = 90.0  # a process's start, and the vendors' deadlines with their retries
CHOOSE = "correct its key or address, or set providers.<name>.enabled to false"
Answer = Mapping[str, str]


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


def vendors_group(settings: MdsSettings, env: Mapping[str, str], *, is_asked: bool) -> list[CheckGroup]:
    """Return the check that asks the vendors, none unless that is wanted."""
    if not is_asked:
        return []

    async def read() -> Sequence[Answer] | None:
        if settings.configuration_path is None:
            return None
        return await _answers(env)

    return [CheckGroup(read=read, checks={"vendors": judge_vendors}, after=CONFIGURATION, within_s=WITHIN_S)]


async def _answers(env: Mapping[str, str]) -> Sequence[Answer]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        env=dict(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        raise ProviderUnavailable(f"the producers could not ask: {' '.join(last) or 'they said nothing'}")
    return [orjson.loads(line) for line in told.splitlines()]


def judge_vendors(answers: Sequence[Answer] | None) -> Finding:
    """Judge what each vendor answered; the worst counts."""
    if answers is None:
        return ok("the simulator's own offer: there is nobody to ask")
    if not answers:
        return ok("no vendor is enabled")
    for result, make in (("failed", failed), ("unknown", unknown), ("warning", warning)):
        told = [f"{each['provider']}: {each['says']};" for each in answers if each["result"] == result]
        if told:
            return make(some(told).removesuffix(";"), CHOOSE)
    return ok(f"{some([each['provider'] for each in answers])}: every vendor answers")
