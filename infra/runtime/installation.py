"""The installation this code runs from, a checkout or a wheel: its default places, and how its modules are started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

NAME = "market-data-service"
IN_CHECKOUT = (Path(__file__).resolve().parents[2] / "pyproject.toml").is_file()


def default_home(env: Mapping[str, str], *, in_checkout: bool = IN_CHECKOUT) -> Path:
    """Return the folder of a system whose MDS_HOME is not set.

    In a checkout it is `.mds` in the working directory. A command that was installed is called from anywhere and means one
    system, so it is this user's data folder by the custom of XDG (`XDG_DATA_HOME`, an absolute path, else `~/.local/share`).
    Where nobody says which user that is, it is `.mds` in the working directory.
    """
    if in_checkout:
        return Path(".mds")
    shared = Path(env.get("XDG_DATA_HOME", ""))
    if shared.is_absolute():
        return shared / NAME
    user = Path(env.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - Path's raises where nobody knows
    return user / ".local" / "share" / NAME if user.is_absolute() else Path(".mds")


def default_configuration(home: Path, *, in_checkout: bool = IN_CHECKOUT) -> Path:
    """Return the configuration file of a system whose MDS_CONFIG is not set: the checkout's, else `mds.yaml` in its home."""
    return Path("config/mds.yaml") if in_checkout else home / "mds.yaml"


def example_configuration() -> str:
    """Return the text of config/mds.yaml, which a wheel brings along."""
    folder = Path(__file__).parent
    root = folder.parents[1]
    return (root / "config" / "mds.yaml" if IN_CHECKOUT else folder / "mds.yaml").read_text("utf-8")


def module_command(module: str, *arguments: str, in_checkout: bool = IN_CHECKOUT) -> list[str]:
    """Return the command line of a module of ours, in this environment.

    Python would look for modules in the working directory first. There a checkout has the code; whoever called an installed
    command may have a `gateway` or a `schemas` of his own.
    """
    return [sys.executable, *([] if in_checkout else ["-P"]), "-m", module, *arguments]
