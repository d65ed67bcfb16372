"""Maven artifacts through jgo, the resolver in pure Python. The only module that imports it.

Repositories come from jgo's own configuration (`~/.config/jgo.conf`), so a company mirror is set
there once and no address appears in this repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from schemas.errors import ConfigurationError

DOWNLOAD_TIMEOUT_S = 60  # without a single byte
DOWNLOAD_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MavenCoordinate:
    """Name of one jar."""

    group: str
    artifact: str
    version: str
    classifier: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `group:artifact:version[:classifier]`; raise ValueError for anything else."""
        parts = text.split(":")
        if len(parts) not in (3, 4) or not all(parts):
            raise ValueError(f"{text!r} is not group:artifact:version[:classifier]")
        return cls(group=parts[0], artifact=parts[1], version=parts[2], classifier="".join(parts[3:]))

    def __str__(self) -> str:
        """Return the form that `parse` reads."""
        tail = f":{self.classifier}" if self.classifier else ""
        return f"{self.group}:{self.artifact}:{self.version}{tail}"

    @property
    def file_name(self) -> str:
        """File name by Maven's rule."""
        tail = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{tail}.jar"


def download(coordinate: MavenCoordinate, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """Fetch one jar below `folder` and return its path; raise ConfigurationError when it cannot be had.

    `on_bytes` hears of every chunk as it arrives.
    """
    import requests
    from jgo.maven import MavenContext, PythonResolver

    @contextmanager
    def report(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield on_bytes

    context = MavenContext(
        resolver=PythonResolver(progress_callback=report),
        repo_cache=folder,
        local_repos=[],
        remote_repos=_repositories(),
        timeout=DOWNLOAD_TIMEOUT_S,
    )
    component = context.project(coordinate.group, coordinate.artifact).at_version(coordinate.version)
    artifact = component.artifact(coordinate.classifier)
    problem: Exception | None = None
    for _ in range(DOWNLOAD_ATTEMPTS):
        try:
            return Path(artifact.resolve())
        except (requests.RequestException, RuntimeError, OSError) as error:
            problem = error
            if artifact.cached_path is not None:
                artifact.cached_path.unlink(missing_ok=True)  # jgo leaves a torn file behind
    raise ConfigurationError(
        f"cannot fetch {coordinate.file_name} ({type(problem).__name__})",
        remedy="check the network, or name a reachable Maven repository in ~/.config/jgo.conf, and start again",
    ) from problem


def resolve_tree(endpoint: str, folder: Path) -> list[MavenCoordinate]:
    """Return the endpoint and its runtime dependencies, in class path order; POMs are fetched below `folder`.

    One endpoint at a time: jgo lets the version pins of one endpoint's parent POM decide the
    dependencies of another.
    """
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    context = MavenContext(repo_cache=folder, local_repos=[], remote_repos=_repositories())
    top = context.create_dependency(replace(Coordinate.parse(endpoint), scope="compile"))
    inputs, transitive = context.resolver.resolve([top])
    runtime = [dependency for dependency in transitive if dependency.scope in ("compile", "runtime")]
    return [
        MavenCoordinate(
            group=dependency.artifact.groupId,
            artifact=dependency.artifact.artifactId,
            version=dependency.artifact.version,
            classifier=dependency.artifact.classifier,
        )
        for dependency in [*inputs, *runtime]
    ]


def _repositories() -> dict[str, str]:
    """Return Maven Central and whatever jgo's configuration adds."""
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL

    return {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
