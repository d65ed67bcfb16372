"""Modules of ours as processes, each reading what the one before it writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

from infra.runtime.installation import module_command


class Pipe:
    """Processes that run, from the one that is written to to the one that is read."""

    def __init__(self, children: Sequence[subprocess.Popen[bytes]]) -> None:
        """Hold them; use `piped`."""
        self._children = children

    @contextmanager
    def feeding(self) -> Iterator[BinaryIO]:
        """Lend the input of the first, where it is fed; who has ended reading it has said why, and its code tells."""
        out = cast("BinaryIO", self._children[0].stdin)
        with suppress(BrokenPipeError):
            yield out
        with suppress(BrokenPipeError):
            out.close()

    @property
    def end(self) -> BinaryIO:
        """The output of the last, where it is read."""
        return cast("BinaryIO", self._children[-1].stdout)

    def code(self) -> int:
        """Return, when all have ended, the exit code of the last that failed, 0 where all are done."""
        codes = [child.wait() for child in reversed(self._children)]
        return next((code for code in codes if code), 0)


@contextmanager
def piped(
    env: Mapping[str, str], commands: Sequence[Sequence[str]], *, fed: bool = False, read: bool = False
) -> Iterator[Pipe]:
    """Run `python -m` each of these; the first has its input from us where it is `fed`, the last is `read` by us.

    They are of a group of their own: Ctrl-C is for us alone, who end them where the block does not come to its end, so that
    nothing of theirs is written after it.
    """
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate(commands):
            before = running[-1].stdout if running else None
            is_read = read or number < len(commands) - 1
            child = subprocess.Popen(  # noqa: S603 - our own modules
                module_command(*command),
                stdin=before or (subprocess.PIPE if fed else subprocess.DEVNULL),
                stdout=subprocess.PIPE if is_read else None,
                env=env,
                process_group=0,
            )
            running.append(child)
            if before is not None:
                before.close()  # so that who writes there hears of a reader that is gone
        yield Pipe(running)
    finally:
        for child in running:
            child.kill()
            child.wait()
