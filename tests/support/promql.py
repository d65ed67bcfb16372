"""PromQL as far as dashboards use it: a reader of expressions, and what it finds wrong with them by the declared metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TOKEN = re.compile(
    r"\s*(?:(?P<range>\[[^\]]*\])|(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[a-zA-Z_:][\w:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},]))"
)
RANGE = re.compile(r"\[(?:\d+(?:ms|[smhdw])|\$__rate_interval|\$__range)\]")
AGGREGATIONS = frozenset({"sum", "min", "max", "avg", "count"})
# of a counter's growth: nothing else may be made of a counter
GROWTH = frozenset({"rate", "increase"})
FUNCTIONS = GROWTH | {"histogram_quantile", "time", "vector"}
OPERATORS = frozenset({"+", "-", "*", "/", "%", "^", ">", "<", ">=", "<=", "==", "!=", "and", "or", "unless"})
SCRAPED = frozenset({"job", "instance"})


class NotPromql(ValueError):
    """A text that is no expression, or none this reader knows."""


@dataclass(frozen=True)
class Constant:
    """A number or a string."""

    text: str


@dataclass(frozen=True)
class Selector:
    """Series of a metric by matchers of labels; with a range, their values within it."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    range: str


@dataclass(frozen=True)
class Call:
    """A function or an aggregation, with the labels that one keeps."""

    name: str
    by: tuple[str, ...]
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Binary:
    """Two operands."""

    operator: str
    left: Node
    right: Node


Node = Constant | Selector | Call | Binary

SCALARS = frozenset({Call("time", (), ())})


@dataclass(frozen=True)
class Declared:
    """A series as it is scraped: its type, its labels, and the words of its metric."""

    type: str
    labels: frozenset[str]
    words: str = ""


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

    def _expression(self) -> Node:
        left = self._operand()
        while self._peek()[1] in OPERATORS:
            left = Binary(self._take(), left, self._operand())
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
            by = self._labels() if self._peek()[1] == "by" else ()
            return Call(name, by, self._arguments())
        if self._peek()[1] == "(":
            if name not in FUNCTIONS:
                raise NotPromql(f"{name} is no function")
            return Call(name, (), self._arguments())
        return self._selector(name)

    def _labels(self) -> tuple[str, ...]:
        self._take("by")
        self._take("(")
        found = [self._take()]
        while self._peek()[1] == ",":
            self._take()
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
        matchers = []
        if self._peek()[1] == "{":
            self._take("{")
            while self._peek()[1] != "}":
                matchers.append((self._take(), self._take(), self._take()))
                if matchers[-1][1] not in ("=", "!=", "=~", "!~") or not matchers[-1][2].startswith('"'):
                    raise NotPromql(f"no matcher: {''.join(matchers[-1])}")
                if self._peek()[1] != "}":
                    self._take(",")
            self._take("}")
        kind, text = self._peek()
        if kind == "range" and RANGE.fullmatch(text) is None:
            raise NotPromql(f"no range: {text}")
        return Selector(metric, tuple(matchers), self._take() if kind == "range" else "")


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


def labels_of(node: Node, declared: Mapping[str, Declared]) -> frozenset[str]:
    """Return the labels of what an expression gives."""
    if isinstance(node, Selector):
        return declared[node.metric].labels | SCRAPED if node.metric in declared else frozenset()
    if isinstance(node, Binary):
        left, right = labels_of(node.left, declared), labels_of(node.right, declared)
        # a number has no labels and leaves those of the other side; of two vectors the left one's are kept
        return left | right if node.operator == "or" or node.left in SCALARS else left
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
    matched = {label for label, _, _ in node.matchers}
    if matched - found.labels - SCRAPED:
        yield f"{node.metric} has no label {sorted(matched - found.labels - SCRAPED)}"
    grows = bool(around) and around[-1] in GROWTH
    if grows != (found.type == "counter") or grows != bool(node.range):
        yield f"{node.metric}: rate and increase are of counters over a range, and counters are read by nothing else"
    if node.metric.endswith("_bucket") and "histogram_quantile" not in around:
        yield f"{node.metric}: buckets are summed up to each edge; read them as a quantile"
    if "The same from every" in found.words and not {"max", "min"} & set(around):
        yield f"{node.metric} is the same from every replica: a sum counts it as often as there are"
