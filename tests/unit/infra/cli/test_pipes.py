"""Processes in a row: what each says is read by the next, whoever fails is heard, and none outlives us."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from infra.cli.pipes import piped

ENV = dict(os.environ)
CODED = ("base64",)  # `python -m base64` codes what it reads
AGAIN = ("base64", "-d")


def test_each_reads_the_one_before() -> None:
    """From what we write to what we read."""
    with piped(ENV, [CODED, AGAIN], fed=True, read=True) as pipe:
        with pipe.feeding() as out:
            out.write(b"a line\n" * 5_000)
        assert pipe.end.read() == b"a line\n" * 5_000
        assert pipe.code() == 0


def test_who_fails_is_heard_though_others_end_well(capfd: pytest.CaptureFixture[str]) -> None:
    """Also where we write to somebody who is gone."""
    with piped(ENV, [("base64", "--nonsense"), AGAIN], fed=True, read=True) as pipe:
        with pipe.feeding() as out:
            for _ in range(1_000):
                out.write(b"x" * 10_000)
        assert pipe.code() == 2
    assert "nonsense" in capfd.readouterr().err


def test_none_outlives_the_block(tmp_path: Path) -> None:
    """Interrupted, it ends them before anything else is done with what they write to."""
    script = tmp_path / "slow.py"
    script.write_text("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    env = ENV | {"PYTHONPATH": str(tmp_path)}

    with pytest.raises(KeyboardInterrupt), piped(env, [("slow",)], read=True) as pipe:
        pid = int(pipe.end.readline())
        began_s = time.monotonic()
        raise KeyboardInterrupt

    assert time.monotonic() - began_s < 30
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nobody_reads_our_terminal() -> None:
    """The first has no input where it is not fed."""
    with piped(ENV, [CODED], read=True) as pipe:
        assert pipe.end.read() == b""
        assert pipe.code() == 0
