"""`python -m scripts.pre_deploy`: the same as `mds preflight`, for pipelines that look for a script of that name."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from infra.cli import __main__ as commands


def main(arguments: Sequence[str]) -> None:
    """Run `mds preflight` with these options; ends with its exit code."""
    sys.argv = ["mds", "preflight", *arguments]
    commands.main()


if __name__ == "__main__":
    main(sys.argv[1:])
