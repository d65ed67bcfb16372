"""The image without an engine: what build.sh lays out, run as the Dockerfile says, in namespaces of its own.

Root is a tmpfs that is read-only once it is laid out: this machine's system folders and Python stand for the base, read-only
like everything but /tmp and the home. Of the checkout nothing is there. A command is the first process, as in a container.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.embedded.service import answers_ok
from tests.conftest import ROOT
from tests.support.requirements import absent

BUILD = ROOT / "infra" / "image" / "build.sh"
DOCKERFILE = ROOT / "infra" / "image" / "Dockerfile"
BASE_PYTHON = Path(sys.base_prefix) / "bin" / "python3"
BUILT_WITHIN_S = 280.0
STOPS_WITHIN_S = 30.0
LAY_OUT = """
set -eu
root=$1 built=$2 python=$3
mount -t tmpfs -o mode=755,size=1m image "$root"
cd "$root"
mkdir -p opt/mds var/lib/mds tmp proc dev usr etc ".$python"
for name in bin sbin lib lib64; do
    [ ! -L "/$name" ] || cp -P "/$name" "$name"
    [ -L "/$name" ] || [ ! -d "/$name" ] || { mkdir "$name"; mount --bind -o ro "/$name" "$name"; }
done
mount --bind -o ro /usr usr
mount --bind -o ro /etc etc
case "$python" in /usr*) ;; *) mount --bind -o ro "$python" ".$python" ;; esac
mount --bind -o ro "$built/opt/mds" opt/mds
mount -t tmpfs -o mode=1777,size=64m scratch tmp
mount -t tmpfs -o mode=700,uid=65532,gid=65532,size=2g home var/lib/mds
mount -t proc proc proc
for device in null zero urandom; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
mount -o remount,ro image "$root"
shift 3
exec chroot "$root" /usr/bin/setpriv "$@"
"""


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions with what follows each, lines that go on joined."""
    kept = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(kept).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def environment(text: str) -> dict[str, str]:
    """Return the variables that a Dockerfile sets."""
    pairs = " ".join(rest for name, rest in instructions(text) if name == "ENV").split()
    return dict(pair.split("=", 1) for pair in pairs)


def build(destination: Path, source: Path = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run build.sh with nothing of this environment but where packages come from."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("MDS_", "PYTHON"))}
    given.pop("VIRTUAL_ENV", None)
    return subprocess.run(
        ["sh", BUILD if source == ROOT else source / "infra/image/build.sh", destination, source],
        env=given | {"PYTHON": str(BASE_PYTHON)} | settings,
        capture_output=True, text=True, timeout=BUILT_WITHIN_S, check=False,
    )  # fmt: skip


def built_once(shared: Path) -> Path:
    """Return the image's tree below a folder that all workers of this session share; whoever comes first builds it."""
    destination, done = shared / "image", shared / "image.done"
    with (shared / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(destination, ignore_errors=True)
            result = build(destination)
            assert result.returncode == 0, result.stderr
            done.touch()
    return destination


@dataclass
class Started:
    """A command that runs in the image, and its output so far."""

    process: subprocess.Popen[bytes]
    log: Path

    def first(self) -> int:
        """Return the pid, seen from here, of the first process in there."""
        (child,) = psutil.Process(self.process.pid).children()
        return child.pid

    def answers(self, port: int, path: str) -> bool:
        """Whether a port answers 200; fails with the end of the output where the command has ended."""
        assert self.process.poll() is None, f"exit {self.process.returncode}: {self.log.read_text()[-4000:]}"
        return answers_ok(f"http://127.0.0.1:{port}{path}")

    def stop(self) -> int:
        """Ask it to end, as an engine does, and return its exit code."""
        os.kill(self.first(), signal.SIGTERM)
        return self.process.wait(STOPS_WITHIN_S)


class ImageRoot:
    """Starts commands in the built tree, as the Dockerfile's user, with its variables, in its folder."""

    def __init__(self, built: Path, folder: Path) -> None:
        """Use `folder` for mount points and output."""
        self._built, self._folder = built, folder
        self._said = dict(instructions(DOCKERFILE.read_text("utf-8")))
        self._environment = environment(DOCKERFILE.read_text("utf-8"))
        probe = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False
        )
        if probe.returncode or os.geteuid():
            absent("namespaces of its own, which take root: sudo, or a container that may")

    def command(self, *arguments: str, **settings: str) -> list[str]:
        """Return the command line that runs a command in there."""
        user, group = self._said["USER"].split(":")
        mount_point = self._folder / "root"
        mount_point.mkdir(exist_ok=True)
        variables = [f"{name}={value}" for name, value in (self._environment | settings).items()]
        return [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
            "sh", "-c", LAY_OUT, "sh", str(mount_point), str(self._built), sys.base_prefix,
            "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs", "--bounding-set=-all",
            "/usr/bin/env", "-i", "-C", self._said["WORKDIR"], *variables, *arguments,
        ]  # fmt: skip

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments, **settings), capture_output=True, text=True, timeout=120, check=False
        )

    @contextmanager
    def started(self, *arguments: str, **settings: str) -> Iterator[Started]:
        """Run a command inside and kill it in the end."""
        log = self._folder / f"{arguments[-1]}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(self.command(*arguments, **settings), stdout=out, stderr=out)
        try:
            yield Started(process, log)
        finally:
            process.kill()
            process.wait(STOPS_WITHIN_S)
