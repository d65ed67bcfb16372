"""Exit codes of every process of ours: one table, so that who restarts them can tell what happened."""

from __future__ import annotations

import asyncio
import sys
from enum import IntEnum

import aiohttp

from schemas.errors import ConfigurationError, MarketDataError


class ExitCode(IntEnum):
    """The code a process ends with; commands use 0 to 3, services 0, 2 and from 70 on."""

    DONE = 0  # or stopped on request
    NO = 1  # a command's answer is no: a check failed, nothing was seen
    CONFIGURATION = 2  # an operator must change something first: trying again changes nothing
    UNREACHABLE = 3  # a part cannot be reached, or failed to start
    SOFTWARE = 70  # anything unexpected
    STALLED = 71  # records wait, and progress stood still
    FROZEN = 72  # the process stood still for longer than others wait for it


def exit_code(error: BaseException) -> ExitCode | int:
    """Return the exit code for an error that reached the top, printing what an operator can act on."""
    if isinstance(error, BaseExceptionGroup):
        return max(exit_code(inner) for inner in error.exceptions)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.SOFTWARE
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
        return ExitCode.DONE
    if isinstance(error, (MarketDataError, aiohttp.ClientError)):
        named = "" if isinstance(error, ConfigurationError) else f"{type(error).__name__}: "
        print(f"error: {named}{error}", file=sys.stderr)
    return ExitCode.CONFIGURATION if isinstance(error, ConfigurationError) else ExitCode.SOFTWARE
