"""A release: whether it is ready (--check), its section of the changelog (--cut), its files (--build).

Signing and publishing are the operator's. Exit codes: 0 ready or done; 1 ready, with warnings; 2 not ready; 3 something
could not be looked at.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from infra.cli.output import as_json, say
from infra.cli.preflight import document, text
from infra.embedded.jars import sha256_of
from infra.preflight.findings import Checked, unknown, verdict
from infra.runtime.clock import wall_us
from infra.runtime.exit_codes import ExitCode
from infra.runtime.lifecycle import VERSION
from scripts.distributions import digests
from scripts.published import cut
from scripts.release_checks import CHECKS, Release

ROOT = Path(__file__).parent.parent
SUMS, CONSTRAINTS = "SHA256SUMS", "constraints.txt"
HASH = re.compile(r" \\\n    --hash=sha256:[0-9a-f]{64}")


def checked(release: Release) -> list[Checked]:
    """Return what every check saw; one that breaks down has seen nothing, and the others go on."""
    found = []
    for name, check in CHECKS.items():
        try:
            finding = check(release)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file must not hide the rest
            finding = unknown(f"{type(error).__name__}: {error}", "correct what it names, and look again")
        found.append(Checked(name=name, finding=finding))
    return found


def built(release: Release, dist: Path) -> list[str]:
    """Make the files of a release in a folder and return their names; raises BuildFailed, ValueError where builds differ.

    Distributions of the commit, the versions they were tested with as constraints for an installer, the bill of materials
    where there is one, and the SHA-256 of each.
    """
    dist.mkdir(exist_ok=True)
    if release.differing:
        raise ValueError(f"{' '.join(release.differing)} differs from build to build")
    sums = digests(release.scratch / "built")
    for name in sums:
        shutil.copyfile(release.scratch / "built" / name, dist / name)
    (dist / CONSTRAINTS).write_text(
        HASH.sub("", release.git("show", "HEAD:requirements.lock")) + "\n", "utf-8"
    )
    names = [*sums, CONSTRAINTS]
    if release.sbom is not None:
        names.append("sbom.cdx.json")
        if release.sbom.resolve() != (dist / names[-1]).resolve():
            shutil.copyfile(release.sbom, dist / names[-1])
    lines = [f"{sha256_of(dist / name)}  {name}\n" for name in sorted(names)]
    (dist / SUMS).write_text("".join(lines), "utf-8")
    return [*sorted(names), SUMS]


def main(arguments: Sequence[str]) -> int:
    """Do what is asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.release", description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="look whether it is ready; changes nothing")
    what.add_argument("--cut", action="store_true", help="make the version's section of what is unreleased")
    what.add_argument(
        "--build", action="store_true", help="check, then write the files of the release to dist/"
    )
    parser.add_argument(
        "--tested", default="dist/tested-commit", metavar="COMMIT|FILE", help="whose tests passed"
    )
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="the bill of materials")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.cut:
        return _cut(ROOT / "CHANGELOG.md")
    release = Release(root=ROOT, tested=options.tested, sbom=options.sbom)
    found = checked(release)
    code = ExitCode(verdict(found))
    answer = document(found, code)
    if options.build and code in (ExitCode.DONE, ExitCode.NO):
        answer["files"] = built(release, ROOT / "dist")
    say(as_json(answer) if options.json else "\n".join([text(found, code), *answer.get("files", ())]))
    return code


def _cut(path: Path) -> int:
    day = datetime.fromtimestamp(wall_us() / 1_000_000, UTC).date()
    try:
        path.write_text(cut(path.read_text("utf-8"), VERSION, day), "utf-8")
    except ValueError as error:
        say(f"error: {error}")
        return ExitCode.CONFIGURATION
    say(f"{path.name} has a section [{VERSION}] of {day}; read it, and commit it")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
