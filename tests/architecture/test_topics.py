"""Topics of a package form no circle, and a module is worth its file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import pytest

from tests.support.source_code import PACKAGES, dotted, imports, modules

WORTH_A_FILE_LINES = 70
# Read by one module or none, and small: what starts a process or is a process's settings, what a command line names.
POINTS_OF_ENTRY = frozenset(
    {
        "gateway.http.shell.documents",
        "gateway.operations.shell.statistics",
        "infra.cli.trace",
        "producers.catalogue.shell.installed",
        "producers.catalogue.shell.symbol_lists",
        "scripts.pre_deploy",
    }
)
# Small, read by one module, and apart because that one is at its limit or another idea; the list only shrinks.
APART = frozenset(
    {
        "producers.vendors.promised_events",
        "sinks.store.shell.journals",
    }
)
# Parsers, client and face of a vendor: found by its name, and apart because the one is pure and the others are not.
OF_A_VENDOR = re.compile(r"producers\.vendors\.\w+\.(?:shell\.)?\w+|infra\.simulator\.vendors\.\w+")


def circles(edges: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node, by Tarjan's algorithm."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in order:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], order[other])
        if lowest[node] == order[node]:
            at = stack.index(node)
            component = sorted(stack[at:])
            del stack[at:]
            if len(component) > 1:
                found.append(component)

    for node in sorted(edges):
        if node not in order:
            visit(node)
    return sorted(found)


def packages() -> list[str]:
    """Return every package of ours, however deep."""
    return sorted({dotted(path).rpartition(".")[0] for path in modules(*PACKAGES)} | set(PACKAGES))


def topics_of(package: str, graph: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Return for each part of a package (a folder below it or a module in it) the other parts it imports."""

    def topic(module: str) -> str:
        return module.removeprefix(f"{package}.").partition(".")[0]

    edges: dict[str, set[str]] = defaultdict(set)
    for importer, imported in graph.items():
        if importer.startswith(f"{package}."):
            names = {topic(name) for name in imported if name.startswith(f"{package}.")}
            edges[topic(importer)] |= names - {topic(importer)}
    return edges


@pytest.mark.parametrize("package", packages())
def test_topics_form_no_circle(package: str) -> None:
    """A topic can be read, tested or given away without those above it."""
    edges = topics_of(package, imports())

    assert edges
    assert circles(edges) == []


def test_modules_form_no_circle() -> None:
    """Nor do modules, however deep they lie."""
    assert circles(imports()) == []


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        pytest.param({"a": "b", "b": "c", "c": ""}, [], id="layers"),
        pytest.param({"a": "b", "b": "c", "c": "a"}, [["a", "b", "c"]], id="one-circle"),
        pytest.param({"a": "b", "b": "ac", "c": "d", "d": "c"}, [["a", "b"], ["c", "d"]], id="two"),
    ],
)
def test_a_circle_would_be_seen(edges: Mapping[str, str], expected: list[list[str]]) -> None:
    """The search itself."""
    assert circles(edges) == expected


def is_offered(module: str, readers: Mapping[str, Collection[str]]) -> bool:
    """Whether it is a module of analytics that no other reads yet: it is for services to use, and is judged when one does."""
    return module.startswith("analytics.") and not readers.get(module)


def test_a_small_module_has_more_than_one_reader() -> None:
    """One that only a single module reads is part of it, unless something starts there."""
    readers: dict[str, set[str]] = defaultdict(set)
    for importer, imported in imports().items():
        for name in imported:
            readers[name].add(importer)
    small = {
        dotted(path)
        for path in modules(*PACKAGES)
        if len(path.read_text("utf-8").splitlines()) < WORTH_A_FILE_LINES
        and len(readers[dotted(path)]) <= 1
        and path.name != "__main__.py"
        and OF_A_VENDOR.fullmatch(dotted(path)) is None
        and not is_offered(dotted(path), readers)
    }

    assert small - POINTS_OF_ENTRY - APART == set(), "merge it into its reader"
    assert (POINTS_OF_ENTRY | APART) - small == set(), "take it off the list"
