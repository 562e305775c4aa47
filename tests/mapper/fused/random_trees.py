"""Random graphs of up to five operators, and random loop trees over them, legal or not by their capacity."""

from __future__ import annotations

import random

from mapper.fused.einsum import Access, Einsum, FusedGraph
from mapper.fused.flat_machine import FlatMachine, Prices
from mapper.fused.loop_tree import Block, Hold, Loop, LoopTree, Step


def product(name: str, moving: str, stationary: str, result: str) -> Einsum:
    """``product("scores", "q[m,e]", "k[p,e]", "s[m,p]")``."""
    return Einsum(name, (access(moving), access(stationary)), access(result))


def rowwise(name: str, operands: list[str], result: str, complete: str = "") -> Einsum:
    return Einsum(name, tuple(map(access, operands)), access(result), False, frozenset(complete))


def access(text: str) -> Access:
    tensor, dims = text.rstrip("]").split("[")
    return Access(tensor, tuple(dims.split(",")))


GRAPHS = {
    "attention": [
        product("scores", "q[m,e]", "k[p,e]", "s[m,p]"),
        rowwise("softmax", ["s[m,p]"], "w[m,p]", "p"),
        product("context", "w[m,p]", "v[p,f]", "c[m,f]"),
    ],
    "pair": [product("one", "x[m,e]", "a[e,p]", "h[m,p]"), product("two", "h[m,p]", "b[p,f]", "y[m,f]")],
    "residual": [
        product("one", "x[m,e]", "a[e,p]", "h[m,p]"),
        rowwise("add", ["h[m,p]", "x2[m,p]"], "z[m,p]"),
        rowwise("norm", ["z[m,p]"], "n[m,p]", "p"),
        product("two", "n[m,p]", "b[p,f]", "y[m,f]"),
        rowwise("last", ["y[m,f]", "r[m,f]"], "o[m,f]"),
    ],
    "keys": [
        product("make", "x[p,d]", "wk[d,e]", "k[p,e]"),
        product("scores", "q[m,e]", "k[p,e]", "s[m,p]"),
    ],
    "branches": [
        product("left", "x[m,e]", "a[e,p]", "l[m,p]"),
        product("right", "x[m,e]", "b[e,p]", "r[m,p]"),
        rowwise("gate", ["l[m,p]", "r[m,p]"], "g[m,p]"),
    ],
    "heads": [
        product("scores", "q[m,h,e]", "k[p,h,e]", "s[h,m,p]"),
        product("context", "s[h,m,p]", "v[p,h,f]", "c[m,h,f]"),
        product("out", "c[m,h,f]", "w[h,f,g]", "y[m,g]"),
    ],
}  # fmt: skip


FIVE = {
    "encoder": [
        product("scores", "q[m,e]", "k[e,p]", "s[m,p]"),
        rowwise("softmax", ["s[m,p]"], "w[m,p]", "p"),
        product("context", "w[m,p]", "v[p,f]", "c[m,f]"),
        rowwise("add", ["c[m,f]", "q2[m,f]"], "z[m,f]"),
        rowwise("norm", ["z[m,f]"], "n[m,f]", "f"),
    ],
    "row": [
        product("one", "x[m,e]", "a[e,p]", "h[m,p]"),
        rowwise("softmax", ["h[m,p]"], "s[m,p]", "p"),
        rowwise("scale", ["s[m,p]"], "g[m,p]"),
        product("two", "g[m,p]", "b[p,f]", "y[m,f]"),
        rowwise("norm", ["y[m,f]"], "o[m,f]", "f"),
    ],
}
"""Graphs of five operators whose trees can all be tried."""


def random_graph(draw: random.Random, largest: int = 6) -> FusedGraph:
    name = draw.choice(sorted(GRAPHS))
    operators = tuple(GRAPHS[name])
    dims = sorted({dim for operator in operators for dim in operator.dims})
    sizes = {dim: draw.randint(1, 3 if dim == "h" else largest) for dim in dims}
    made = [operator.output.tensor for operator in operators]
    return FusedGraph(name, sizes, operators, frozenset(tensor for tensor in made if draw.random() < 0.1))


def random_machine(draw: random.Random) -> FlatMachine:
    prices = [Prices(draw.randint(1, 9), draw.randint(1, 9)) for _ in range(3)]
    dram, scratchpad, accumulator = prices
    return FlatMachine(
        "tiny",
        draw.randint(8, 120),
        draw.randint(4, 40),
        draw.randint(1, 3),
        draw.randint(1, 3),
        Prices(dram.read_pj, dram.write_pj, shared_per_cycle=draw.choice([0.5, 1.0, 4.0])),
        Prices(scratchpad.read_pj, scratchpad.write_pj, reads_per_cycle=draw.choice([1.0, 2.0, 8.0])),
        Prices(accumulator.read_pj, accumulator.write_pj, shared_per_cycle=draw.choice([1.0, 2.0, 8.0])),
        0.25,
        0.5,
        draw.randint(1, 3),
    )


def random_tree(draw: random.Random, graph: FusedGraph, machine: FlatMachine) -> LoopTree:
    """Any tree; `mapper.fused.tree_check.require_form` may still refuse it."""
    return _part(draw, graph, machine, list(graph.operators), frozenset())


def _part(
    draw: random.Random, graph: FusedGraph, machine: FlatMachine, operators: list[Einsum], held: frozenset[str]
) -> Block:
    if len(operators) == 1:
        return _leaf(draw, graph, machine, operators[0], held)
    steps: list[Step] = [_loop(draw, graph, operators) for _ in range(draw.choice([0, 0, 1, 1, 2]))]
    inside = {access.tensor for operator in operators for access in operator.accesses}
    for tensor in sorted(inside - held):
        if draw.random() < 0.4:
            steps.insert(draw.randint(0, len(steps)), Hold(tensor, "scratchpad"))
            held |= {tensor}
    cut = draw.randint(1, len(operators) - 1)
    pieces = [operators[:cut], operators[cut:]]
    if draw.random() < 0.5:
        pieces = [[operator] for operator in operators]
    return Block(tuple(steps), None, tuple(_part(draw, graph, machine, piece, held) for piece in pieces))


def _loop(draw: random.Random, graph: FusedGraph, operators: list[Einsum]) -> Loop:
    dim = draw.choice(sorted({dim for operator in operators for dim in operator.dims}))
    return Loop(dim, draw.randint(1, graph.sizes[dim]))


def _leaf(
    draw: random.Random, graph: FusedGraph, machine: FlatMachine, operator: Einsum, held: frozenset[str]
) -> Block:
    steps: list[Step] = [_loop(draw, graph, [operator]) for _ in range(draw.randint(0, 3))]
    result = operator.output.tensor
    for tensor in sorted({access.tensor for access in operator.inputs} - held):
        steps.insert(draw.randint(0, len(steps)), Hold(tensor, "scratchpad"))
    at = draw.randint(0, len(steps))
    if draw.random() < 0.2 and result not in held:
        steps.insert(at, Hold(result, "scratchpad"))
        at += 1
    steps.insert(draw.randint(at, len(steps)), Hold(result, "accumulator"))
    if operator.is_product:
        limits = {operator.reduced[-1]: machine.rows, operator.columns[-1]: machine.cols}
        steps += [Loop(dim, limits.get(dim, 1)) for dim in (*operator.reduced, *operator.columns, *operator.batch)]
        steps.append(Hold(operator.inputs[1].tensor, "registers"))
    return Block(tuple(steps), operator.name)
