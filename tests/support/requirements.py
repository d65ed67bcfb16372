"""What tests need of the machine and cannot start themselves: absent, it is a skip for a user and a failure in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import NoReturn

import pytest

AT_START = dict(os.environ)  # unit tests are given none of our names


def absent(what: str, env: Mapping[str, str] = AT_START) -> NoReturn:
    """End the test: failed where everything is required (MDS_TEST_REQUIRE_DATA, or CI as runners set it), else skipped."""
    if env.get("MDS_TEST_REQUIRE_DATA") or env.get("CI"):
        pytest.fail(f"required here (MDS_TEST_REQUIRE_DATA, CI): {what}")
    pytest.skip(what)


def debian_program(name: str, package: str, setting: str) -> str:
    """Return where a program of a Debian package is: by its setting, else on the PATH; ends the test where there is none."""
    return (
        AT_START.get(setting)
        or shutil.which(name)
        or absent(
            f"no {name} on this machine; nothing need be installed: "
            f"apt-get download {package} && dpkg -x {package}_*.deb there, then {setting}=there/usr/bin/{name}"
        )
    )
