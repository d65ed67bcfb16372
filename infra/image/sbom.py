"""Writes the bill of materials (CycloneDX 1.6) of an installation and the list of licences that follows from it.

`python -m infra.image.sbom ENVIRONMENT FOLDER [--jars]`, run by the Python that has cyclonedx-bom (`infra/deploy.lock`);
`--jars` adds those of the embedded broker. The same installation gives the same bytes. Exit 1 names what nobody has
judged: a licence that is not allowed, a file in a wheel that is no Python.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from infra.image.licences import SETTLED, Carried, canonical, carried_by, of_jar, refused, stated

PROJECT = "market-data-service"
JAR_LOCK = Path(__file__).parents[1] / "embedded" / "kafka.lock.json"
CRATE_FIELDS = ("type", "name", "version", "purl", "scope", "hashes", "licenses")
FOREIGN_SUFFIXES = (".jar", ".js", ".wasm")  # and whatever lies in a wheel's folder of shared libraries
TEXT_NAMES = ("licen", "copying", "notice")

Component = dict[str, Any]


def environment_bill(environment: Path) -> dict[str, Any]:
    """Return what cyclonedx-py says of a virtual environment; without a serial number, its time SOURCE_DATE_EPOCH or none."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    options = ("--output-reproducible", "--no-validate", "--spec-version", "1.6")
    command = [str(tool), "environment", *options, str(environment)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def installed(site: Path) -> dict[str, Distribution]:
    """Return the packages below a site-packages folder by canonical name."""
    return {canonical(found.metadata["Name"]): found for found in distributions(path=[str(site)])}


def needed(packages: Mapping[str, Distribution]) -> set[str]:
    """Return the names of what the project runs with: dependencies of dependencies, of extras only those that are asked for."""
    waiting = [(PROJECT, "")]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        for text in packages[name].requires or ():
            wanted = Requirement(text)
            other = canonical(wanted.name)
            if other in packages and (wanted.marker is None or wanted.marker.evaluate({"extra": extra})):
                new = {(other, asked) for asked in ("", *wanted.extras)} - seen
                seen |= new
                waiting.extend(new)
    return {name for name, _ in seen}


def restricted(bill: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Keep of a bill the components of these names, the project as its subject."""
    kept = {each["bom-ref"]: each for each in bill["components"] if canonical(each["name"]) in names}
    root = next(ref for ref, each in kept.items() if canonical(each["name"]) == PROJECT)
    subject = kept.pop(root) | {"type": "application"}
    edges = {
        entry["ref"]: [ref for ref in entry.get("dependsOn", ()) if ref in kept]
        for entry in bill["dependencies"]
        if entry["ref"] in kept or entry["ref"] == root
    }
    return bill | {
        "metadata": bill["metadata"] | {"component": subject},
        "components": sorted(kept.values(), key=lambda each: canonical(each["name"])),
        "dependencies": [{"ref": ref, "dependsOn": refs} for ref, refs in sorted(edges.items())],
    }


def settle(component: Component) -> None:
    """Put the licence that was found out in place of what the metadata say loosely, with how it was found."""
    known = SETTLED.get(canonical(component["name"]))
    if known is not None:
        component["licenses"] = [{"expression": known.expression, "acknowledgement": "concluded"}]
        component.setdefault("properties", []).append({"name": "mds:licence", "value": known.reason})


def foreign_files(package: Distribution) -> list[str]:
    """Return what a wheel carries beside Python and its extensions, as paths below site-packages."""
    paths = [Path(file) for file in package.files or ()]
    return sorted(
        path.as_posix()
        for path in paths
        if path.parts[0].endswith(".libs") or path.suffix in FOREIGN_SUFFIXES
    )


def libraries(owner: Component, package: Distribution) -> Iterator[Component]:
    """Yield what the foreign files of a wheel are, each with its files and the version that they say."""
    named: dict[str, tuple[Carried, list[str]]] = {}
    for file in foreign_files(package):
        for carried in carried_by(file):
            named.setdefault(carried.name, (carried, []))[1].append(file)
    for name, (carried, files) in sorted(named.items()):
        said = carried.version and re.search(
            carried.version, Path(str(package.locate_file(files[0]))).read_bytes()
        )
        yield {
            "type": "library",
            "bom-ref": f"{owner['bom-ref']}#{name}",
            "name": name,
            "licenses": [{"expression": carried.expression, "acknowledgement": "concluded"}],
            "properties": [{"name": "mds:file", "value": file} for file in files],
        } | ({"version": said[1].decode()} if said else {})


def crates(owner: Component, package: Distribution) -> Iterator[Component]:
    """Yield what was compiled into a wheel's extensions, by the bills it carries itself."""
    for path in package.files or ():
        if path.parent.name == "sboms" and path.suffix == ".json":
            for found in json.loads(path.read_text("utf-8"))["components"]:
                kept = {field: found[field] for field in CRATE_FIELDS if field in found}
                yield kept | {"bom-ref": f"{owner['bom-ref']}#{found['name']}@{found['version']}"}


def jars() -> Iterator[Component]:
    """Yield the jars of the embedded broker, which `mds up` and `mds run` fetch; a broker elsewhere needs none."""
    for jar in json.loads(JAR_LOCK.read_text("utf-8"))["jars"]:
        group, artifact, version = jar["coordinate"].split(":")[:3]
        purl = f"pkg:maven/{group}/{artifact}@{version}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "group": group,
            "name": artifact,
            "version": version,
            "purl": purl,
            "scope": "optional",
            "hashes": [{"alg": "SHA-256", "content": jar["sha256"]}],
            "licenses": [{"expression": of_jar(jar["coordinate"]), "acknowledgement": "concluded"}],
        }


def bill_of(environment: Path, site: Path, *, with_jars: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the bill of an environment, and the files in it that nobody has named."""
    packages = installed(site)
    bill = restricted(environment_bill(environment), needed(packages))
    unknown: list[str] = []
    for component in bill["components"]:
        package = packages[canonical(component["name"])]
        settle(component)
        unknown += [file for file in foreign_files(package) if not carried_by(file)]
        if inside := [*libraries(component, package), *crates(component, package)]:
            component["components"] = inside
    if with_jars:
        bill["components"].extend(jars())
    return bill, unknown


def all_components(components: Iterable[Component]) -> Iterator[Component]:
    """Yield components, and after each those inside it."""
    for component in components:
        yield component
        yield from all_components(component.get("components", ()))


def third_party(bill: Mapping[str, Any], site: Path) -> str:
    """Return the list of licences as Markdown: each component, its licence, and where the text is."""
    texts: dict[str, list[str]] = {}
    for file in sorted(site.glob("*.dist-info/**/*")):
        if file.is_file() and any(part in file.name.lower() for part in TEXT_NAMES):
            path = file.relative_to(site)
            texts.setdefault(canonical(path.parts[0].partition("-")[0]), []).append(path.as_posix())
    lines = [
        "# Software of others", "",
        f"What {PROJECT} {bill['metadata']['component']['version']} is handed out with. Paths are below `site-packages`; the bill of materials is `sbom.cdx.json`.",
        "", "| Component | Version | Licence | Text |", "|---|---|---|---|",
    ]  # fmt: skip
    for component in bill["components"]:
        places = texts.get(canonical(component["name"]), [])
        text = ", ".join(f"`{place}`" for place in places) or "none in its package"
        lines.append(f"| {component['name']} | {component['version']} | {stated(component)} | {text} |")
        lines.extend(
            f"| in it: {inner['name']} | {inner.get('version', '')} | {stated(inner)} | |"
            for inner in component.get("components", ())
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write both files; return 1 after naming what nobody has judged."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.image.sbom", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("environment", type=Path, help="a virtual environment that has the project")
    parser.add_argument("folder", type=Path, help="where sbom.cdx.json and THIRD_PARTY.txt are written")
    parser.add_argument("--jars", action="store_true", help="with the jars of the embedded broker")
    arguments = parser.parse_args()
    (site,) = arguments.environment.glob("lib/python3*/site-packages")
    bill, unknown = bill_of(arguments.environment, site, with_jars=arguments.jars)
    troubles = [f"{file}: say in CARRIED what it is" for file in unknown] + [
        f"{component['name']}: licence {stated(component) or component.get('licenses')} is not allowed"
        for component in all_components(bill["components"])
        if refused(stated(component))
    ]
    for trouble in troubles:
        print(f"error: {trouble} (infra/image/licences.py)", file=sys.stderr)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(bill, indent=1, sort_keys=True, ensure_ascii=False)
    (arguments.folder / "sbom.cdx.json").write_text(document + "\n", "utf-8")
    (arguments.folder / "THIRD_PARTY.txt").write_text(third_party(bill, site), "utf-8")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
