"""A stack of layers and a shape become an OpGraph: one block of each kind of layer, and how often it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from workloads.errors import GraphError
from workloads.graph import BlockKind, OpGraph
from workloads.models.ends import Ends, build_ends
from workloads.models.layer_block import build_layer
from workloads.models.layers import Group, Layer, Stack
from workloads.models.operator_builder import Shape
from workloads.ops import Operator
from workloads.routing import Routing, grouped

ENCODER, DECODER = "encoder", "decoder"


@dataclass(frozen=True, slots=True)
class Kind:
    """Equal layers that are costed once."""

    name: str
    layer: Layer
    indices: tuple[int, ...]
    group: str


def graph_of(stack: Stack, shape: Shape, source: int, asked: dict[str, object], ends: Ends | None) -> OpGraph:
    """Return the graph of a stack.

    Parameters
    ----------
    source
        States of the encoder per sequence; 0 if there is no encoder.
    asked
        What was asked for, kept as the graph's ``config``.
    ends
        Embedding and LM head, if they are asked for.
    """
    kinds = list(kinds_of(stack, shape, source))
    alone = len(kinds) == 1
    operators: list[Operator] = []
    appends: dict[str, str] = {}
    blocks: list[BlockKind] = []
    for kind in kinds:
        seen = replace(shape, seq=source, context=0) if kind.group == ENCODER else _left(kind.layer, shape)
        built = build_layer(kind.layer, seen, prefix="" if alone else f"{kind.name}.", source=source)
        operators += built.operators
        appends.update(built.appends)
        names = tuple(op.name for op in built.operators)
        blocks.append(BlockKind(kind.name, kind.indices, names, _idle(kind.layer), stack.weight_sets))
    if ends is not None:
        added, kind_of_ends = build_ends(ends, shape)
        operators += added
        blocks.append(kind_of_ends)
        alone = False
    size = f"context {shape.context}" if shape.phase == "decode" else f"seq {shape.seq}"
    marked = not alone or blocks[0].idle_weights != 0 or stack.weight_sets is not None
    return OpGraph(
        f"{stack.name} {shape.phase} {size}", operators, repeat=len(kinds[0].indices) if alone else 1,
        config=asked, appends=appends, kinds=blocks if marked else (),
    )  # fmt: skip


def _left(layer: Layer, shape: Shape) -> Shape:
    """Return the shape that a layer sees if tokens have left before it.

    Raises
    ------
    GraphError
        For more tokens than there are, and for a step or a cached prefix, which have no schedule.
    """
    if layer.tokens is None:
        return shape
    if shape.phase == "decode" or shape.context:
        raise GraphError("per_layer.tokens: a schedule of tokens is for prompts without a cache")
    if layer.tokens > shape.seq:
        raise GraphError(f"per_layer.tokens: {layer.tokens} tokens in a layer, of a prompt of {shape.seq}")
    return replace(shape, seq=layer.tokens)


def _idle(layer: Layer) -> int:
    """Return the weights of experts that no token hits."""
    spec = layer.experts
    if spec is None:
        return 0
    return (spec.count - spec.hit) * (3 if spec.each.gated else 2) * layer.d_model * spec.each.inner


def kinds_of(stack: Stack, shape: Shape, source: int) -> Iterator[Kind]:
    """Yield the kinds of layers that run, with names that set them apart, in order of first use."""
    found: list[tuple[Group, Layer, tuple[int, ...]]] = []
    for group in stack.groups:
        if group.name == ENCODER and shape.phase == "decode":
            continue
        tokens = shape.batch * (source if group.name == ENCODER else shape.seq)
        for layer, indices in group.kinds:
            found += [(group, part, some) for part, some in _hit(layer, indices, tokens, shape.routing)]
    for (group, layer, indices), name in zip(found, _names(found), strict=True):
        yield Kind(name, layer, indices, group.name)


def _hit(layer: Layer, indices: tuple[int, ...], tokens: int, routing: Routing) -> list[tuple[Layer, tuple[int, ...]]]:
    """Return layers that know how many experts ``tokens`` tokens hit, and how many tokens each expert gets.

    The expected number is no whole one; so many of the layers hit one expert more that all of them together hit as
    many as expected, to the nearest whole number.
    """
    spec = layer.experts
    if spec is None:
        return [(layer, indices)]
    if routing.order == "token":
        each_choice = ((tokens * spec.chosen, 1),)
        return [(replace(layer, experts=replace(spec, hit=tokens * spec.chosen, given_loads=each_choice)), indices)]
    if routing.kind != "balanced":
        loads = routing.loads(spec.count, spec.chosen, tokens)
        known = replace(spec, hit=len(loads), given_loads=grouped(loads))
        return [(replace(layer, experts=known), indices)]
    most = min(spec.count, tokens * spec.chosen)
    least, more = divmod(min(round(len(indices) * spec.expected_hit(tokens)), most * len(indices)), len(indices))
    parts = ((indices[:more], least + 1), (indices[more:], least))
    return [(replace(layer, experts=replace(spec, hit=hit)), some) for some, hit in parts if some]


def _names(found: Sequence[tuple[Group, Layer, tuple[int, ...]]]) -> list[str]:
    """Return a name for each kind: as few words as set it apart from the others."""
    words = [_words(group, layer) for group, layer, _ in found]
    differing = [column for column in range(len(words[0])) if len({row[column] for row in words}) > 1]
    names = ["-".join(row[column] for column in differing if row[column]) or "block" for row in words]
    repeated = {name for name in names if names.count(name) > 1}
    return [
        f"{name}-{indices[0]}" if name in repeated else name for name, (_, _, indices) in zip(names, found, strict=True)
    ]


def _words(group: Group, layer: Layer) -> tuple[str, ...]:
    """Return what may set a layer apart."""
    spec = layer.attention
    window = "full" if spec.window is None else f"{spec.window.kind}"
    part = "dense" if layer.experts is None else "experts"
    hit = "" if layer.experts is None else f"{layer.experts.hit}hit"
    return group.name, window, "plain" if not spec.rotary else "", part, hit, "" if layer.normed_input else "first"


def source_states(stack: Stack, shape: Shape, source: int | None) -> int:
    """Return the states of the encoder per sequence: what is asked, what the model fixes, or the new tokens."""
    if len(stack.groups) == 1:
        return 0
    if stack.tokens is not None:
        return stack.tokens
    if source is not None:
        return source
    if shape.phase == "decode":
        raise GraphError(f"{stack.name}: decode needs source, the number of states of the encoder")
    return shape.seq
