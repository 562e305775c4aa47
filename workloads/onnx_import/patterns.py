"""Operators that exporters write as several nodes: GELU, SiLU, normalisations, the rotation of queries and keys.

Each is found from one node that it cannot do without (the anchor) and becomes one node, called as
ONNX calls the operator today.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workloads.onnx_import.file import Node
from workloads.onnx_import.shapes import Values

PASSING = ("Cast", "CastLike", "Identity")
"""Nodes that change a number's format only."""


@dataclass(slots=True)
class Found:
    """Nodes that are one operator."""

    source: str
    """The value that it works on."""
    nodes: list[Node]
    """What it consists of; the last one makes its result."""
    op: str
    attributes: dict[str, object] = field(default_factory=dict)


def gathered(nodes: Sequence[Node], values: Values, results: Iterable[str]) -> list[Node]:
    """Return the nodes with patterns replaced, each by one node where its last one stood."""
    search = _Search(values, nodes, set(results))
    gone: set[int] = set()
    replaced: dict[int, Node] = {}
    for node in nodes:
        found = search.from_anchor(node)
        if found is None or any(id(part) in gone or id(part) in replaced for part in found.nodes):
            continue
        last = found.nodes[-1]
        replaced[id(last)] = Node(last.name, found.op, "", (found.source,), last.outputs, found.attributes)
        inside = {out for part in found.nodes for out in part.outputs}
        gone.update(id(part) for part in found.nodes[:-1] if search.stays_inside(part, found.nodes, inside))
    return [replaced.get(id(node), node) for node in nodes if id(node) not in gone]


class _Search:
    """Walks from node to node."""

    def __init__(self, values: Values, nodes: Sequence[Node], results: set[str]) -> None:
        self.values = values
        self.results = results
        self.users: dict[str, list[Node]] = {}
        for node in nodes:
            for name in dict.fromkeys(node.inputs):
                self.users.setdefault(name, []).append(node)

    def stays_inside(self, part: Node, nodes: Sequence[Node], inside: set[str]) -> bool:
        """Whether nothing but a pattern's own nodes reads the results of one of them."""
        own = {id(node) for node in nodes}
        read = (user for out in part.outputs for user in self.users.get(out, ()))
        return all(id(user) in own for user in read) and not self.results.intersection(part.outputs)

    def from_anchor(self, node: Node) -> Found | None:
        """Return the operator that a node is the anchor of, if it is of one."""
        if node.domain:
            return None
        match node.op:
            case "Erf":
                return self._gelu(node, self._scaled(node.input(0))[0])
            case "Tanh":
                return self._gelu(node, self._cubic(node.input(0)))
            case "Sigmoid":
                return self._silu(node)
            case "ReduceMean":
                return self._norm(node)
            case "Neg":
                return self._rotation(node)
        return None

    def _maker(self, name: str) -> Node | None:
        """Return the node behind a value, formats aside."""
        node = self.values.makers.get(name)
        while node is not None and node.op in PASSING:
            node = self.values.makers.get(node.input(0))
        return node

    def _plain(self, name: str) -> str:
        """Return the value behind changes of format."""
        node = self.values.makers.get(name)
        while node is not None and node.op in PASSING:
            name = node.input(0)
            node = self.values.makers.get(name)
        return name

    def _scaled(self, name: str) -> tuple[str, list[Node]]:
        """Return the value behind products with constants of one element, and those products."""
        passed: list[Node] = []
        while True:
            name = self._plain(name)
            node = self.values.makers.get(name)
            if node is None or node.op not in ("Mul", "Div"):
                return name, passed
            free = [other for other in node.inputs if self.values.scalar(other) is None]
            if len(free) != 1 or (node.op == "Div" and free[0] != node.input(0)):
                return name, passed
            passed.append(node)
            name = free[0]

    def _power(self, name: str, exponent: int) -> str | None:
        """Return x if a value is x to the power of 2 or 3, times a constant."""
        node = self._maker(self._scaled(name)[0])
        if node is None:
            return None
        if node.op == "Pow" and self.values.scalar(node.input(1)) == exponent:
            return self._plain(node.input(0))
        if node.op == "Mul":
            first, second = (self._scaled(one)[0] for one in node.inputs)
            for x, rest in ((first, second), (second, first)):
                if (rest if exponent == 2 else self._power(rest, exponent - 1)) == x:
                    return x
        return None

    def _cubic(self, name: str) -> str:
        """Return x if a value is c (x + d x^3), however it is written; an empty name if it is not."""
        node = self._maker(self._scaled(name)[0])
        if node is None or node.op not in ("Add", "Mul"):
            return ""
        for one, other in (node.inputs, node.inputs[::-1]):
            x = self._scaled(one)[0]
            if node.op == "Add" and self._power(other, 3) == x:
                return x
            sum_ = self._maker(other)
            added = sum_.inputs if sum_ is not None and sum_.op == "Add" else ()
            if node.op == "Mul" and any(self._power(part, 2) == x for part in added):
                return x
        return ""

    def _cone(self, name: str, source: str) -> list[Node]:
        """Return the nodes between a value and what it is made of, ``source`` and constants."""
        found: list[Node] = []
        left = [name]
        while left:
            node = self.values.makers.get(left.pop())
            if node is None or node in found or source in node.outputs or not node.inputs:
                continue
            if all(name in self.values.weights for name in node.outputs):
                continue
            found.append(node)
            left += node.inputs
        return found

    def _onward(self, name: str) -> Node | None:
        """Return the only node that reads a value."""
        users = self.users.get(name, [])
        return users[0] if len(users) == 1 and name not in self.results else None

    def _gelu(self, anchor: Node, source: str) -> Found | None:
        """From erf or tanh on, products with x and constants and sums with constants belong to GELU."""
        if not source:
            return None
        nodes, at, multiplied = [*self._cone(anchor.input(0), source), anchor], anchor, False
        while (node := self._onward(at.outputs[0])) is not None:
            others = [name for name in node.inputs if name != at.outputs[0]]
            if node.op not in ("Add", "Mul", "Div", *PASSING) or len(others) > 1:
                break
            if others and self.values.scalar(others[0]) is None:
                x, scales = self._scaled(others[0])
                if node.op != "Mul" or x != source or multiplied:
                    break
                multiplied = True
                nodes += scales
            nodes.append(node)
            at = node
        return Found(source, nodes, "Gelu") if multiplied else None

    def _silu(self, anchor: Node) -> Found | None:
        source, scales = self._scaled(anchor.input(0))
        user = self._onward(anchor.outputs[0])
        if user is None or user.op != "Mul":
            return None
        other = next((name for name in user.inputs if name != anchor.outputs[0]), "")
        if self._plain(other) != source:
            return None
        return Found(source, [*scales, anchor, user], "Swish")

    def _norm(self, anchor: Node) -> Found | None:
        """From the mean of squares on: epsilon, root, the quotient with x, gain and offset."""
        x = self._power(anchor.input(0), 2)
        shape = self.values.shape(anchor.input(0))
        if x is None or not shape or self._reduced(anchor, len(shape)) != [len(shape) - 1]:
            return None
        nodes, at, divided = [*self._cone(anchor.input(0), x), anchor], anchor, False
        while (node := self._onward(at.outputs[0])) is not None:
            others = [name for name in node.inputs if name != at.outputs[0]]
            if node.op not in ("Add", "Mul", "Div", "Sqrt", "Reciprocal", "Pow", "Max", *PASSING) or len(others) > 1:
                break
            if others and others[0] not in self.values.weights and self.values.scalar(others[0]) is None:
                if self._plain(others[0]) != x or divided or node.op not in ("Mul", "Div"):
                    break
                divided = True
            nodes.append(node)
            at = node
        if not divided:
            return None
        centred = self._centred(x)
        if centred is None:
            return Found(x, nodes, "RMSNormalization")
        source, before = centred
        return Found(source, [*before, *nodes], "LayerNormalization")

    def _centred(self, name: str) -> tuple[str, list[Node]] | None:
        """Return y and the nodes between, if a value is y minus its mean."""
        node = self._maker(name)
        if node is None or node.op != "Sub":
            return None
        mean = self._maker(node.input(1))
        if mean is None or mean.op != "ReduceMean" or self._plain(mean.input(0)) != self._plain(node.input(0)):
            return None
        return self._plain(node.input(0)), [mean, node]

    def _reduced(self, node: Node, rank: int) -> list[int]:
        axes = node.attributes.get("axes") or self.values.whole_numbers(node.input(1)) or []
        return [axis % rank for axis in axes]

    def _rotation(self, anchor: Node) -> Found | None:
        """From the negated half on: joined with the other half, times sines, plus x times cosines."""
        half = self._maker(anchor.input(0))
        joined = self._onward(anchor.outputs[0])
        if half is None or half.op not in ("Slice", "Split") or joined is None or joined.op != "Concat":
            return None
        source = self._plain(half.input(0))
        other = next((self._maker(name) for name in joined.inputs if name != anchor.outputs[0]), None)
        if other is None or other.op != half.op or self._plain(other.input(0)) != source:
            return None
        times = self._onward(joined.outputs[0])
        total = self._onward(times.outputs[0]) if times is not None and times.op == "Mul" else None
        if times is None or total is None or total.op != "Add":
            return None
        rest = next((self._maker(name) for name in total.inputs if name != times.outputs[0]), None)
        if rest is None or rest.op != "Mul" or source not in map(self._plain, rest.inputs):
            return None
        halves = [half] if half is other else [half, other]
        nodes = [*halves, anchor, joined, times, rest, total]
        shape = self.values.shape(source)
        return self._partly(source, nodes, shape[-1] if shape else 0)

    def _partly(self, source: str, nodes: list[Node], turned: int) -> Found:
        """Return the rotation, of all channels of a head or, where the rest is joined to it, of its first ones."""
        part, joined = self._maker(source), self._onward(nodes[-1].outputs[0])
        if part is not None and part.op in ("Slice", "Split") and joined is not None and joined.op == "Concat":
            whole = self._plain(part.input(0))
            rest = [self._maker(name) for name in joined.inputs if name != nodes[-1].outputs[0]]
            if all(one is not None and one.op == part.op and self._plain(one.input(0)) == whole for one in rest):
                pieces = [one for one in rest if one is not None and one is not part]
                return Found(whole, [part, *pieces, *nodes, joined], "Rope", {"turned": turned})
        return Found(source, nodes, "Rope", {"turned": turned})
