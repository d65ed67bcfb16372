"""The summary of all there is and the tree of packages, from the declarations and ARCHITECTURE.md: docs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import typer
import yaml

from gateway.features import ENDPOINTS
from gateway.http.reference import table
from infra.cli.__main__ import app
from infra.monitoring.grafana.boards import Board
from schemas.providers.built_in import BUILT_IN
from schemas.streams import STREAMS
from schemas.topics import catalogue
from scripts.cli_page import anchor
from scripts.named_artefacts import CODE, DOCUMENTS, ROUTES, TESTS, Artefact

ROOT = Path(__file__).parent.parent
GENERATED = "*Generated from the declarations and [ARCHITECTURE.md](../ARCHITECTURE.md) by `make docs`.*"
HEADED = re.compile(r"^\*\*`(\w+)/`, (.+?)\*\*", re.MULTILINE)
ROW = re.compile(r"^\| (`.+?) \| (.+) \|$", re.MULTILINE)
FOLDER = re.compile(r"`([\w./-]+)/`")
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
ASIDE = re.compile(r" \([^()]*\)")
END = re.compile(r"; |\. |: `")
TARGET = re.compile(r"^([a-z]+):.*?## (.+)$", re.MULTILINE)
COLUMN = 28  # where words begin in the tree
REFERENCE, RUNBOOKS = "reference", "runbooks"  # folders beside these pages
COMMAND_LINE = "CLI.md"
RULES = ("alerts-slo", "alerts-extra", "alerts-archive")
# What ARCHITECTURE.md says nothing of, or in one row with others.
WORDS: Mapping[str, str] = {
    "benchmarks": "what BENCHMARKS.md is written from, a module a measurement",
    "benchmarks/yardsticks": "what others do, to compare with",
    "clients": "what reads the service from elsewhere",
    "clients/python": "the reference WebSocket client, a distribution of its own",
    "config": "the configuration of this checkout, and its JSON Schema",
    "docs": "what is written for readers",
    "docs/concepts": "how it works, an idea a page",
    "docs/reference": "what there is, generated",
    "docs/runbooks": "what to do, an alert a page",
    "examples": "what others build on the service",
    "examples/acme_provider": "a provider in a package of its own",
    "schemas/configuration": "the file that says what is collected",
    "schemas/symbology": "what a symbol named on a day, and what LEAN's files say was done to it",
    "scripts": "what writes generated files, looks before a rollout and makes a release",
    "scripts/ci": "pipelines to copy",
    "tests": "what proves it",
    "tests/architecture": "rules of the house: sizes, imports, locks, documents",
    "tests/containers": "the store on servers in containers, where a Docker engine answers",
    "tests/contract": "published schemas, and what every provider must do",
    "tests/deploy": "chart, Compose file and objects of Strimzi",
    "tests/e2e": "the whole system as real processes: killed, frozen, cut off, watched by Prometheus",
    "tests/integration": "a part on a real broker and database; mirrors the tree",
    "tests/model": "the randomised model of the pipeline, which unit tests run",
    "tests/support": "what tests share",
    "tests/timescale": "the store on TimescaleDB",
    "tests/unit": "a module by itself, without a network; mirrors the tree",
}
TREE_PAGE = """\
# File tree

For whoever looks for a part by its name. Two minutes; at the end you have the file. Which part does what: [ARCHITECTURE.md](../ARCHITECTURE.md).

{generated}

```sh
git ls-files | grep gaps
```

## Looked for under another name

The left column has the names under which parts of such a service are looked for, documents without their suffix.

{named}

## Packages

Two levels deep. Inside a service the same five names come back ([modules](../ARCHITECTURE.md#modules)).

```text
{tree}
```

## If it does not work

A folder is not here: it is no package of ours, or `make docs` was not run since it was made. A test compares this page with the tree.
"""
SUMMARY_PAGE = """\
# Complete summary

For whoever wants to see all there is at a glance. Ten minutes; at the end you know every part by name, and the page that describes it.

{generated}

## Quick commands

While `make run` is going:

```sh
curl -s http://127.0.0.1:8001/health
curl -s http://127.0.0.1:8001/stocks/SIM001/price
curl -s http://127.0.0.1:8001/stats/slo
.venv/bin/mds topics list
```

Make, in a checkout (`make help` says more):

{targets}

The command `mds`, of a checkout `.venv/bin/mds` ([all options](CLI.md)):

{commands}

## What is delivered

{parts}

- {streams}, on {topics} ([topics]({reference}/topics.md), [records]({reference}/records.md)).
- {providers} ([who gives what](PROVIDERS.md)), and a way to add others in packages of their own.
- The [ten enhancements](ENHANCEMENTS.md), and where every named file is ([file tree](FILE_TREE.md)).
- An [image](IMAGE.md), [Compose](OPERATIONS.md#compose), a [chart](OPERATIONS.md#on-kubernetes), and what [a release](../scripts/README.md#a-release) is made by.

## Endpoints

{endpoints} of the gateway. The ops port of every process has `/livez`, `/readyz` and `/metrics` beside them.

{routes}

What a WebSocket says: [WebSocket]({reference}/websocket.md). What goes wrong, by code: [errors]({reference}/errors.md).

## Monitoring

{metrics}

{alerts}

{dashboards}

## Tests

`make check` runs those that need no server, `make test` all of them ([how](../CONTRIBUTING.md)).

{tests}

## If it does not work

Nothing answers: `make status` says what runs. Something answers with an error: its code is in [errors]({reference}/errors.md). Something is late or missing: [runbooks]({runbooks}/README.md).
"""


def file_tree_page() -> str:
    """Return docs/FILE_TREE.md."""
    named = [_named(title, found) for title, found in _artefacts()]
    return TREE_PAGE.format(generated=GENERATED, named="\n\n".join(named), tree="\n".join(_tree()))


def summary_page(boards: Sequence[Board]) -> str:
    """Return docs/COMPLETE_SUMMARY.md; `boards` are the dashboards that are written."""
    words = described()
    parts = [name for name in words if "/" not in name and name not in ("docs", "tests")]
    return SUMMARY_PAGE.format(
        generated=GENERATED,
        reference=REFERENCE,
        runbooks=RUNBOOKS,
        targets=table(("Command", "Does"), _targets()),
        commands=table(("Command", "Does"), _commands()),
        parts=table(("Part", "Is"), ((f"`{name}/`", words[name]) for name in parts)),
        streams=f"{len(STREAMS)} streams: {_listed(stream.name for stream in STREAMS)}",
        topics=f"{sum(topic.kind != 'dead' for topic in catalogue().topics.values())} topics and their dead-letter twins",
        providers=f"{len(BUILT_IN)} providers: {_listed(BUILT_IN)}",
        endpoints=f"{len(ENDPOINTS)} routes",
        routes=table(("Route", "Scope", "Is"), _routes()),
        metrics=f"Every process tells [metrics]({REFERENCE}/metrics.md); [OPERATIONS.md](OPERATIONS.md#alerts) says who scrapes them.",
        alerts=_alerts(),
        dashboards=f"{len(boards)} [dashboards](DASHBOARDS.md): {_listed(f'`{board.uid}`' for board in boards)}.",
        tests=table(
            ("Folder", "Proves"), ((f"`{n}/`", w) for n, w in words.items() if n.startswith("tests/"))
        ),
    )


def described(root: Path = ROOT) -> dict[str, str]:
    """Return what every folder of the first two levels is, by its path; raise ValueError for a package nobody described."""
    text = (root / "ARCHITECTURE.md").read_text("utf-8")
    told = dict(HEADED.findall(text))
    for cell, words in ROW.findall(text):
        told |= _of_row(cell, words)
    told |= WORDS
    found = {name: words for name, words in told.items() if name.count("/") < 2 and (root / name).is_dir()}
    packages = {marker.parent.relative_to(root).as_posix() for marker in _markers(root, found)}
    if lost := sorted(packages - found.keys()):
        raise ValueError(
            f"nobody says what {lost[0]}/ is: give it a row in ARCHITECTURE.md, or a word in WORDS"
        )
    return dict(sorted(found.items(), key=lambda entry: entry[0].split("/")))


def _markers(root: Path, found: Iterable[str]) -> Iterator[Path]:
    for top in found:
        if "/" not in top:
            yield from (root / top).glob("*/__init__.py")


def _of_row(cell: str, words: str) -> Iterator[tuple[str, str]]:
    """Yield the folders of a row, each with its own clause where there are as many, else with the only one."""
    names = re.findall(r"`([^`]+)`", cell)
    clauses = ASIDE.sub("", LINK.sub(r"\1", words)).split("; ")
    if len(names) == 1:
        clauses = clauses[:1]
    if len(clauses) not in (1, len(names)):
        return
    for number, name in enumerate(names):
        if name.endswith("/"):
            yield name.removesuffix("/"), END.split(clauses[min(number, len(clauses) - 1)])[0]


def _tree() -> Iterator[str]:
    words = described()
    for top in (name for name in words if "/" not in name):
        inner = [name for name in words if name.startswith(f"{top}/")]
        yield f"{top + '/':<{COLUMN}}{words[top]}"
        for name in inner:
            branch = "└──" if name == inner[-1] else "├──"
            folder = f"{branch} {name.partition('/')[2]}/"
            yield f"{folder:<{COLUMN}}{words[name]}".replace("`", "")


def _artefacts() -> Iterable[tuple[str, Sequence[Artefact]]]:
    return ("Documents", DOCUMENTS), ("Code and deployment", CODE), ("Interfaces", ROUTES), ("Tests", TESTS)


def _named(title: str, found: Iterable[Artefact]) -> str:
    rows = ((artefact.named, ", ".join(map(_link, artefact.places))) for artefact in found)
    return f"### {title}\n\n{table(('Looked for', 'Is here'), rows)}"


def _link(place: str) -> str:
    path, _, anchor = place.partition("#")
    shown = f"`{path}`, {anchor.replace('-', ' ')}" if anchor else f"`{path}`"
    target = place.removeprefix("docs/") if place.startswith("docs/") else f"../{place}"
    return f"[{shown}]({target})"


def _targets() -> Iterator[tuple[str, str]]:
    for name, words in TARGET.findall((ROOT / "Makefile").read_text("utf-8")):
        yield f"`make {name}`", words


def _commands() -> Iterator[tuple[str, str]]:
    top = typer.main.get_command(app)
    for name, command in sorted(getattr(top, "commands", {}).items()):
        yield _command("mds", name), _first_line(command.help)
        for part, within in sorted(getattr(command, "commands", {}).items()):
            yield _command("mds", name, part), _first_line(within.help)


def _command(*words: str) -> str:
    """Return a command as a link to all that is said of it."""
    return f"[`{' '.join(words)}`]({COMMAND_LINE}#{anchor(words)})"


def _first_line(words: str | None) -> str:
    return (words or "").strip().partition("\n")[0]


def _routes() -> Iterator[tuple[str, str, str]]:
    topics = list(dict.fromkeys(endpoint.topic for endpoint in ENDPOINTS))
    for endpoint in sorted(ENDPOINTS, key=lambda each: topics.index(each.topic)):
        name = f"{endpoint.method} {endpoint.path}"
        anchor = re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")
        yield f"[`{name}`]({REFERENCE}/rest.md#{anchor})", endpoint.scope, endpoint.summary


def _alerts() -> str:
    names = [
        rule["alert"]
        for file in RULES
        for group in yaml.safe_load((ROOT / f"infra/monitoring/{file}.yaml").read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    return f"{len(names)} alerts, each with a [runbook]({RUNBOOKS}/README.md): {_listed(f'`{name}`' for name in names)}."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
