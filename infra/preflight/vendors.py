"""Vendors asked by the producers' own clients, once each, where that was wanted: it costs of their budgets."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence

import orjson

from infra.preflight.collection import CONFIGURATION
from infra.preflight.findings import Finding, failed, ok, some, unknown, warning
from infra.preflight.running import CheckGroup
from infra.runtime.settings import MdsSettings
from schemas.errors import ProviderUnavailable

COMMAND = ("-m", "producers", "ask")
WITHIN_S = 90.0  # a process's start, and the vendors' deadlines with their retries
CHOOSE = "correct its key or address, or set providers.<name>.enabled to false"
Answer = Mapping[str, str]


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
        sys.executable,
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
