"""PromQL as far as rules and dashboards use it: a reader of expressions, and what it finds wrong with them by the declared metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from infra.runtime import metrics, objective_metrics

TOKEN = re.compile(
    r"\s*(?:(?P<range>\[[^\]]*\])|(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<duration>\d+(?:ms|[smhdw])\b)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[a-zA-Z_:][\w:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},]))"
)
RANGE = re.compile(r"\[(?:\d+(?:ms|[smhdw])|\$__rate_interval|\$__range)\]")
AGGREGATIONS = frozenset({"sum", "min", "max", "avg", "count"})
# of a counter's growth: nothing else may be made of a counter
GROWTH = frozenset({"rate", "increase"})
# of a gauge's values within a range
OVER_TIME = frozenset({"max_over_time", "min_over_time"})
FUNCTIONS = GROWTH | OVER_TIME | {"absent", "histogram_quantile", "time", "vector"}
# operators by how loosely they bind; all are read from the left but the power, which nobody uses twice
OPERATORS = {
    operator: strength
    for strength, operators in enumerate(
        (("or",), ("and", "unless"), (">", "<", ">=", "<=", "==", "!="), ("+", "-"), ("*", "/", "%"), ("^",))
    )
    for operator in operators
}
MATCHING = frozenset({"on", "ignoring"})
GROUPING = frozenset({"group_left", "group_right"})
SCRAPED = frozenset({"job", "instance"})


class NotPromql(ValueError):
    """A text that is no expression, or none this reader knows."""


@dataclass(frozen=True)
class Constant:
    """A number or a string."""

    text: str


class Matcher(NamedTuple):
    """What a selector asks of one label."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True)
class Selector:
    """Series of a metric by matchers of labels; with a range, their values within it; with an offset, as they were then."""

    metric: str
    matchers: tuple[Matcher, ...] = ()
    range: str = ""
    offset: str = ""


@dataclass(frozen=True)
class Call:
    """A function or an aggregation, with the labels that one keeps."""

    name: str
    by: tuple[str, ...]
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Binary:
    """Two operands; of vectors, those belong together whose labels `on` are equal, or all but those it names `ignoring`.

    `matched` is which of the two, empty where all labels count; `grouped` are labels that come from the one of many to one.
    """

    operator: str
    left: Node
    right: Node
    matched: str = ""
    labels: tuple[str, ...] = ()
    grouped: tuple[str, ...] = ()


Node = Constant | Selector | Call | Binary

SCALARS = frozenset({Call("time", (), ())})


@dataclass(frozen=True)
class Declared:
    """A series as it is scraped: its type, its labels, and the words of its metric."""

    type: str
    labels: frozenset[str]
    words: str = ""


def scraped() -> dict[str, Declared]:
    """Return every series that our processes tell, by its name."""
    found = {}
    for name, kind, labels, words, _ in metrics.declared(objective_metrics):
        if kind == "histogram":
            found[f"{name}_bucket"] = Declared("counter", frozenset({*labels, "le"}), words)
            found |= {
                f"{name}_{part}": Declared("counter", frozenset(labels), words) for part in ("sum", "count")
            }
        else:
            found[name] = Declared(kind, frozenset(labels), words)
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def whole(self) -> Node:
        found = self._expression()
        if self._at < len(self._tokens):
            raise NotPromql(f"unexpected {self._peek()[1]!r}")
        return found

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, wanted: str = "") -> str:
        _, text = self._peek()
        if not text or (wanted and text != wanted):
            raise NotPromql(f"{wanted or 'more'} expected, {text or 'the end'} found")
        self._at += 1
        return text

    def _expression(self, strength: int = 0) -> Node:
        left = self._operand()
        while OPERATORS.get(self._peek()[1], -1) >= strength:
            operator, matched = self._take(), ""
            labels: tuple[str, ...] = ()
            grouped: tuple[str, ...] = ()
            if self._peek()[1] in MATCHING:
                matched, labels = self._take(), self._labels()
            if matched and self._peek()[1] in GROUPING:
                self._take()
                grouped = self._labels()
            left = Binary(operator, left, self._expression(OPERATORS[operator] + 1), matched, labels, grouped)
        return left

    def _operand(self) -> Node:
        kind, text = self._peek()
        if kind in ("number", "string"):
            return Constant(self._take())
        if text == "(":
            self._take("(")
            inner = self._expression()
            self._take(")")
            return inner
        if kind != "name":
            raise NotPromql(f"an operand expected, {text or 'the end'} found")
        name = self._take()
        if name in AGGREGATIONS:
            return Call(name, self._by(), self._arguments())
        if self._peek()[1] == "(":
            if name not in FUNCTIONS:
                raise NotPromql(f"{name} is no function")
            return Call(name, (), self._arguments())
        return self._selector(name)

    def _by(self) -> tuple[str, ...]:
        if self._peek()[1] != "by":
            return ()
        self._take("by")
        return self._labels()

    def _labels(self) -> tuple[str, ...]:
        self._take("(")
        found: list[str] = []
        while self._peek()[1] != ")":
            if found:
                self._take(",")
            if self._peek()[0] != "name":
                raise NotPromql(f"a label expected, {self._peek()[1] or 'the end'} found")
            found.append(self._take())
        self._take(")")
        return tuple(found)

    def _arguments(self) -> tuple[Node, ...]:
        self._take("(")
        found = []
        while self._peek()[1] != ")":
            found.append(self._expression())
            if self._peek()[1] != ")":
                self._take(",")
        self._take(")")
        return tuple(found)

    def _selector(self, metric: str) -> Selector:
        matchers: list[Matcher] = []
        if self._peek()[1] == "{":
            self._take("{")
            while self._peek()[1] != "}":
                label, operator, value = self._take(), self._take(), self._take()
                if operator not in ("=", "!=", "=~", "!~") or not value.startswith('"'):
                    raise NotPromql(f"no matcher: {label}{operator}{value}")
                matchers.append(Matcher(label, operator, value[1:-1]))
                if self._peek()[1] != "}":
                    self._take(",")
            self._take("}")
        kind, text = self._peek()
        if kind == "range" and RANGE.fullmatch(text) is None:
            raise NotPromql(f"no range: {text}")
        within = self._take() if kind == "range" else ""
        return Selector(metric, tuple(matchers), within, self._offset())

    def _offset(self) -> str:
        if self._peek()[1] != "offset":
            return ""
        self._take()
        if self._peek()[0] != "duration":
            raise NotPromql(f"a duration expected, {self._peek()[1] or 'the end'} found")
        return self._take()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if found is None:
            raise NotPromql(f"unreadable from {text[at:]!r} on")
        yield str(found.lastgroup), found[str(found.lastgroup)]
        at = found.end()


def parsed(text: str) -> Node:
    """Return an expression; raise NotPromql where it is none."""
    return _Reader(text).whole()


def selectors(node: Node) -> list[Selector]:
    """Return all selectors of an expression."""
    if isinstance(node, Selector):
        return [node]
    inner = node.arguments if isinstance(node, Call) else ()
    if isinstance(node, Binary):
        inner = (node.left, node.right)
    return [each for part in inner for each in selectors(part)]


def grouped_by(node: Node) -> frozenset[str]:
    """Return the labels an expression sums up by or matches on."""
    if isinstance(node, Call):
        return frozenset(node.by).union(*map(grouped_by, node.arguments))
    if isinstance(node, Binary):
        return frozenset({*node.labels, *node.grouped}) | grouped_by(node.left) | grouped_by(node.right)
    return frozenset()


def labels_of(node: Node, declared: Mapping[str, Declared]) -> frozenset[str]:
    """Return the labels of what an expression gives."""
    if isinstance(node, Selector):
        return declared[node.metric].labels | SCRAPED if node.metric in declared else frozenset()
    if isinstance(node, Binary):
        left, right = labels_of(node.left, declared), labels_of(node.right, declared)
        # a number has no labels and leaves those of the other side; of two vectors the left one's are kept
        given = left | right if node.operator == "or" or node.left in SCALARS else left
        return given | frozenset(node.grouped)
    if isinstance(node, Constant):
        return frozenset()
    if node.name in AGGREGATIONS:
        return frozenset(node.by)
    of_all = frozenset(label for part in node.arguments for label in labels_of(part, declared))
    return of_all - {"le"} if node.name == "histogram_quantile" else of_all


def faults(node: Node, declared: Mapping[str, Declared], around: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield what is wrong with an expression; `around` are the calls it stands in, the innermost last."""
    if isinstance(node, Selector):
        yield from _faults_of(node, declared, around)
    elif isinstance(node, Binary):
        yield from faults(node.left, declared, around)
        yield from faults(node.right, declared, around)
    elif isinstance(node, Call):
        kept = set(node.by)
        given = {label for part in node.arguments for label in labels_of(part, declared)}
        if kept - given:
            yield f"{node.name} by {sorted(kept - given)}, which is no label of it"
        if node.name == "histogram_quantile" and "le" not in given:
            yield "a quantile of what has no le"
        for part in node.arguments:
            yield from faults(part, declared, (*around, node.name))


def _faults_of(node: Selector, declared: Mapping[str, Declared], around: tuple[str, ...]) -> Iterator[str]:
    found = declared.get(node.metric)
    if found is None:
        yield f"{node.metric} is not declared"
        return
    matched = {each.label for each in node.matchers}
    if matched - found.labels - SCRAPED:
        yield f"{node.metric} has no label {sorted(matched - found.labels - SCRAPED)}"
    inside = around[-1] if around else ""
    grows = inside in GROWTH
    if grows != (found.type == "counter") or (grows or inside in OVER_TIME) != bool(node.range):
        yield f"{node.metric}: rate and increase are of counters over a range, and counters are read by nothing else"
    if node.metric.endswith("_bucket") and "histogram_quantile" not in around:
        yield f"{node.metric}: buckets are summed up to each edge; read them as a quantile"
    if "The same from every" in found.words and not {"max", "min"} & set(around):
        yield f"{node.metric} is the same from every replica: a sum counts it as often as there are"
