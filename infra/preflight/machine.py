"""Checks of this machine: room on its disks, open files, and files with secrets that only their owner may read."""

from __future__ import annotations

import ipaddress
import resource
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infra.embedded.home import MIN_FREE_BYTES
from infra.preflight.findings import Finding, failed, ok, some, warning
from infra.preflight.running import CheckGroup
from infra.runtime.providers import known_facts
from infra.runtime.settings import MdsSettings
from infra.runtime.threads import in_daemon_thread
from schemas.errors import ConfigurationError

GB = 1_000_000_000
LOW_FREE_BYTES = 5 * GB
LEAST_FILES = 1_024  # of sinks, processors and producers, each with its partitions, pools and sockets
SPARE_FILES = 512  # of the gateway, beside its clients
MIN_PAGE_TOKEN_KEY_CHARS = 32  # the gateway refuses less
PAGE_KEY_FILE = "gateway_page_token.key"
SECRET_FILES = ("GATEWAY_KEYS_FILE", "GATEWAY_TLS_KEY", "MDS_KAFKA_PASSWORD_FILE", "MDS_KAFKA_KEY_FILE")
CERTIFICATE = "GATEWAY_TLS_CERTIFICATE"  # holds the key where no other file does


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFileLimits:
    """Numbers of files a process may have open: what it starts with, and as far as it may raise that itself."""

    soft: float
    hard: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """Settings of the gateway that other machines and files depend on."""

    host: str
    processes: int
    machines: int  # that run one, as the operator says
    keys_file: str
    page_token_key_chars: int
    files: int


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


def _limits() -> OpenFileLimits:
    soft, hard = (
        float("inf") if limit == resource.RLIM_INFINITY else float(limit)
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    return OpenFileLimits(soft=soft, hard=hard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Ways to look at the machine; a test gives others."""

    free_bytes: Callable[[Path], int] = _free_bytes
    file_limits: Callable[[], OpenFileLimits] = _limits


def machine_groups(
    settings: MdsSettings, env: Mapping[str, str], machine: Machine, *, gateways: int
) -> list[CheckGroup]:
    """Return the checks of this machine; a folder is looked at where it is, and never made.

    Files are looked at in threads: a mount whose server is gone answers nobody.
    """

    def free() -> Mapping[str, int]:
        archive = env.get("SINKS_ARCHIVE")
        folders = {"MDS_HOME": settings.home.expanduser()} | (
            {"SINKS_ARCHIVE": Path(archive)} if archive else {}
        )
        return {name: machine.free_bytes(_existing(folder.resolve())) for name, folder in folders.items()}

    def troubles() -> Mapping[str, str]:
        return {name: _trouble(path) for name, path in _secret_paths(env, settings)}

    async def plan() -> GatewayPlan:
        return gateway_plan(env, gateways=gateways)

    async def limits() -> tuple[OpenFileLimits, int]:
        return machine.file_limits(), gateway_plan(env, gateways=gateways).files

    return [
        CheckGroup(read=partial(in_daemon_thread, free, name="preflight-disk"), checks={"disk": judge_disks}),
        CheckGroup(read=limits, checks={"open-files": lambda found: judge_limits(*found)}),
        CheckGroup(
            read=partial(in_daemon_thread, troubles, name="preflight-files"),
            checks={"secret-files": judge_secret_files},
        ),
        CheckGroup(read=plan, checks={"gateway-keys": judge_keys, "page-token-key": judge_page_token_key}),
    ]


def gateway_plan(env: Mapping[str, str], *, gateways: int) -> GatewayPlan:
    """Return what the gateway's variables say; raises ConfigurationError where one is no number."""
    clients = _number(env, "GATEWAY_MAX_CONNECTIONS", 4_096) + _number(
        env, "GATEWAY_MAX_HTTP_CONNECTIONS", 2_048
    )
    return GatewayPlan(
        host=env.get("GATEWAY_HOST") or "127.0.0.1",
        processes=_number(env, "GATEWAY_PROCESSES", 1),
        machines=gateways,
        keys_file=env.get("GATEWAY_KEYS_FILE", ""),
        page_token_key_chars=len(env.get("GATEWAY_PAGE_TOKEN_KEY", "")),
        files=clients + SPARE_FILES,
    )


def judge_disks(free: Mapping[str, int]) -> Finding:
    """Judge the room where broker, database, logs and archive write."""
    full = {name: count for name, count in free.items() if count < MIN_FREE_BYTES}
    if full:
        return failed(
            f"{_room(full)} free, {MIN_FREE_BYTES // 1_000_000} MB are needed",
            f"free some, or set {some(full)} to another disk",
        )
    low = {name: count for name, count in free.items() if count < LOW_FREE_BYTES}
    if low:
        return warning(f"only {_room(low)} free", f"free some, or set {some(low)} to another disk")
    return ok(f"{_room(free)} free")


def judge_limits(limits: OpenFileLimits, needed: int) -> Finding:
    """Judge the limit of open files, which the gateway raises by itself as far as it may."""
    if limits.soft < LEAST_FILES:
        return failed(
            f"a process may open {limits.soft:.0f} files, {LEAST_FILES} are needed",
            f"raise it: `ulimit -n {needed}`, LimitNOFILE={needed} of systemd, or nofile of the container",
        )
    if limits.hard < needed:
        return warning(
            f"the gateway may open {limits.hard:.0f} files, for all its clients it needs {needed}",
            f"raise the hard limit to {needed}, or lower GATEWAY_MAX_CONNECTIONS and GATEWAY_MAX_HTTP_CONNECTIONS",
        )
    return ok(f"a process may open {min(limits.hard, needed):.0f} files, as many as the gateway needs")


def judge_secret_files(troubles: Mapping[str, str]) -> Finding:
    """Judge files that hold keys: there, readable by us, and by nobody else."""
    wrong = [f"{name} {trouble}" for name, trouble in troubles.items() if trouble]
    if wrong:
        return failed(
            some(wrong), "let the services' user own the file and run `chmod 640` on it (600 without a group)"
        )
    return ok(
        f"{len(troubles)} files with secrets, none of them for others"
        if troubles
        else "no files with secrets"
    )


def judge_keys(plan: GatewayPlan) -> Finding:
    """Judge whether a gateway that others reach has keys."""
    if plan.keys_file:
        return ok("the gateway asks for keys")
    if _is_loopback(plan.host):
        return ok(f"no keys: the gateway listens on {plan.host} alone")
    return failed(
        f"GATEWAY_HOST {plan.host} is reachable from other machines and there are no keys",
        "make one with `python -m gateway new-key` and set GATEWAY_KEYS_FILE",
    )


def judge_page_token_key(plan: GatewayPlan) -> Finding:
    """Judge whether all gateways can have one key: a page begun at one goes on at another."""
    if 0 < plan.page_token_key_chars < MIN_PAGE_TOKEN_KEY_CHARS:
        return failed(
            f"GATEWAY_PAGE_TOKEN_KEY is shorter than {MIN_PAGE_TOKEN_KEY_CHARS} characters",
            "make one with `openssl rand -hex 32`, the same for every gateway",
        )
    if plan.page_token_key_chars:
        return ok("GATEWAY_PAGE_TOKEN_KEY is set; give every gateway the same")
    if plan.machines > 1:
        return failed(
            f"{plan.machines} gateways, and GATEWAY_PAGE_TOKEN_KEY is not set: each would make its own",
            "set it to the same `openssl rand -hex 32` for every gateway",
        )
    several = f"the {plan.processes} processes of this machine" if plan.processes > 1 else "the one gateway"
    return ok(f"made under MDS_HOME for {several}; with gateways elsewhere say so with --gateways")


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _room(free: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count / GB:,.1f} GB" for name, count in free.items())


def _secret_paths(env: Mapping[str, str], settings: MdsSettings) -> Iterator[tuple[str, Path]]:
    names = [*SECRET_FILES, *([] if env.get("GATEWAY_TLS_KEY") else [CERTIFICATE])]
    names += [f"{name}_FILE" for facts in known_facts().values() for name in facts.credentials]
    for name in names:
        if given := env.get(name):
            yield name, Path(given)
    if (made := settings.home.expanduser() / PAGE_KEY_FILE).exists():
        yield str(made), made


def _trouble(path: Path) -> str:
    """Return what is wrong with a file that holds a secret, empty where nothing is."""
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"({path}) cannot be read: {error.strerror}"
    others = mode & stat.S_IRWXO
    return f"({path}) is open to others, mode {stat.S_IMODE(mode):04o}" if others else ""


def _number(env: Mapping[str, str], name: str, otherwise: int) -> int:
    text = env.get(name) or str(otherwise)
    if not text.isdecimal():
        raise ConfigurationError(f"{name} is no whole number", remedy=f"set {name} to one, or leave it out")
    return int(text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
