"""`make run LIVE=1` with the vendors' addresses pointed at a simulator of our own: the only thing that differs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.cli.http import get_json
from tests.conftest import free_port
from tests.support.embedded_cli import Cli, command_line
from tests.support.eventually import eventually

FIRST_BAR_WITHIN_S = 90.0
STOPPED_WITHIN_S = 12.0  # 10 s by design, and the interpreter's own end
SYMBOL = "SIM001"


@contextmanager
def vendor(folder: Path) -> Iterator[int]:
    """Give the port of a simulator whose synthetic market runs by the wall clock."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
    env |= {"MDS_SIMULATOR_PORT": str(port), "MDS_HOME": str(folder)}
    process = subprocess.Popen([sys.executable, "-m", "infra.simulator"], env=env, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def run_live(mds: Cli, config: Path, said: Path) -> subprocess.Popen[bytes]:
    """Start `mds run --live`, saying what it says to `said`."""
    env = mds.env | {"MDS_CONFIG": str(config), "PRODUCERS_ALLOW_INSECURE_VENDORS": "true"}
    command = [sys.executable, "-m", "infra.cli", "run", "--live"]
    with said.open("w") as out:
        return subprocess.Popen(command, env=env, stdout=out, stderr=out)


async def test_live_polls_the_configured_vendors_and_says_what_is_off_and_why(
    tmp_path: Path, open_path: Path
) -> None:
    """Bars come from the vendor's address by the wall clock, without our simulator; Ctrl-C stops all of it in 10 s."""
    with command_line(open_path) as mds, vendor(tmp_path) as port:
        url = f"http://127.0.0.1:{port}"
        await eventually(lambda: get_json(f"{url}/simulator/health")[0] == 200, within_s=30)
        config, said = tmp_path / "live.yaml", tmp_path / "said"
        config.write_text(
            f"symbols: [{SYMBOL}]\n"
            "streams: {bars: {providers: [yahoo]}, quotes: {providers: [yahoo, finnhub]}, trades: {provider: finnhub}}\n"
            f"providers: {{yahoo: {{base_url: '{url}/yahoo'}}}}\n"
        )
        run = run_live(mds, config, said)
        try:
            await eventually(
                lambda: "Ctrl-C stops everything" in said.read_text(), within_s=FIRST_BAR_WITHIN_S
            )
        finally:
            run.send_signal(signal.SIGINT)
            code = run.wait(STOPPED_WITHIN_S)

    told = said.read_text()
    assert code == 0, told
    assert f"the vendors themselves, as {config} says" in told
    assert "finnhub off: " in told
    assert "PRODUCERS_FINNHUB_TOKEN" in told
    assert "first bar in" in told
    assert told.rstrip().endswith("stopped")
    assert "starting simulator" not in told


def test_a_run_that_ends_before_its_first_bar_says_so(open_path: Path) -> None:
    """With where to look, and exit code 1: a pipeline that reads only its end knows why."""
    with command_line(open_path) as mds:
        printed = mds("run", "--for", "1", expect=1)

    assert printed.splitlines()[-2].endswith("stopped")
    assert "no bar came within 1 s" in printed.splitlines()[-1]
    assert str(mds.home / "logs") in printed.splitlines()[-1]
