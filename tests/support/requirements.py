"""What tests need of the machine and cannot start themselves: absent, it is a skip for a user and a failure in CI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NoReturn

import pytest

AT_START = dict(os.environ)  # unit tests are given none of our names


def absent(what: str, env: Mapping[str, str] = AT_START) -> NoReturn:
    """End the test: failed where everything is required (MDS_TEST_REQUIRE_DATA, or CI as runners set it), else skipped."""
    if env.get("MDS_TEST_REQUIRE_DATA") or env.get("CI"):
        pytest.fail(f"required here (MDS_TEST_REQUIRE_DATA, CI): {what}")
    pytest.skip(what)
