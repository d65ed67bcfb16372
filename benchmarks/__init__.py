"""Benchmarks with their yardsticks; the reference client is a distribution of its own, read here from its folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "clients" / "python"))
