"""A third party's package as an installation leaves it: its module and its dist-info, in a folder of its own."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ACME = ROOT / "examples" / "acme_provider"


def install(package: Path, folder: Path) -> Path:
    """Put the modules of `package` and the metadata its pyproject.toml declares into `folder`; return the folder."""
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    folder.mkdir(parents=True, exist_ok=True)
    for module in package.glob("*.py"):
        shutil.copy(module, folder)
    dist = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (dist / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return folder
