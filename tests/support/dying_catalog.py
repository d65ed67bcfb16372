"""A place of metadata whose owner dies at one of the moments of a commit, and a process that registers an archive there.

`python -m tests.support.dying_catalog ROOT HOME MOMENT` kills itself at that moment; 0: never. What lies between two
moments is one step of the disk or of the database under the catalog.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from pyiceberg.io import OutputFile
from pyiceberg.io.pyarrow import PyArrowFileIO

from tests.support.archives import kill_minus_nine
from tests.support.catalogs import registered

IMPL = {"py-io-impl": "tests.support.dying_catalog.DyingIO"}


class Moments:
    """The moments so far, and the one at which the process ends."""

    count: ClassVar[int] = 0
    at: ClassVar[int] = 0
    die: ClassVar[Callable[[], None]] = staticmethod(kill_minus_nine)

    @classmethod
    def begin(cls, at: int, die: Callable[[], None]) -> None:
        """Count from the beginning."""
        cls.count, cls.at, cls.die = 0, at, staticmethod(die)

    @classmethod
    def moment(cls) -> None:
        """Die here, or live on."""
        cls.count += 1
        if cls.count == cls.at:
            cls.die()


class DyingIO(PyArrowFileIO):
    """Files as pyiceberg writes them; the process may end before each is made, once it is made, and around its end."""

    def new_output(self, location: str) -> OutputFile:
        """Die before it, or behind it with nothing in it."""
        Moments.moment()
        output: Any = super().new_output(location)
        create = output.create

        def dying(overwrite: bool = False) -> Any:
            stream = create(overwrite)
            Moments.moment()
            return _Dying(stream)

        output.create = dying
        return output

    def delete(self, location: Any) -> None:
        """Die before it, which is after the commit, or behind it."""
        Moments.moment()
        super().delete(location)
        Moments.moment()


class _Dying:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Die behind it: all of it is there, and nobody knows it yet."""
        self._stream.close()
        Moments.moment()


def main(root: str, home: str, moment: str) -> None:
    """Register an archive and say how many moments there were."""
    Moments.begin(int(moment), kill_minus_nine)
    registered(Path(root), Path(home), more=IMPL)
    print(Moments.count)


if __name__ == "__main__":
    # pyiceberg imports this module by its name: the moments are counted there
    import_module("tests.support.dying_catalog").main(*sys.argv[1:])
