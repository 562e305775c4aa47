"""Blocks that repeat: equal operators, connected alike, are kept once and counted."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from workloads.graph import BlockKind, OpGraph
from workloads.ops import Operator
from workloads.tensor import Tensor


def folded(
    name: str, operators: Sequence[Operator], appends: Mapping[str, str], config: Mapping[str, object]
) -> OpGraph:
    """Return the graph of operators in order, with the longest run of equal blocks folded into one."""
    whole = OpGraph(name, operators, config=config, appends=appends)
    ordered = list(whole.operators)
    start, length, count = _longest_run([_key(whole, ordered, at) for at in range(len(ordered))])
    if count < 2:
        return whole
    kept = [*ordered[: start + length], *ordered[start + count * length :]]
    renamed = _last_to_first(ordered, start, length, count)
    made_by = {op.output.name: op.output for op in ordered}
    renamed_tensors = {old: made_by[new] for old, new in renamed.items()}
    rest = tuple(_reading(op, renamed_tensors) for op in kept[start + length :])
    block = ordered[start : start + length]
    made = {op.output.name for op in (*ordered[: start + length], *rest)}
    read = {tensor.name for op in (*ordered[: start + length], *rest) for tensor in op.inputs}
    moved = {cache: renamed.get(new, new) for cache, new in appends.items() if cache in read}
    kept_appends = {cache: new for cache, new in moved.items() if new in made}
    told = {**config, "layers": count}
    if len(block) == len(kept):
        return OpGraph(name, block, repeat=count, config=told, appends=kept_appends)
    others = tuple(op.name for op in (*ordered[:start], *rest))
    kinds = (
        BlockKind("block", tuple(range(count)), tuple(op.name for op in block)), BlockKind("ends", (0,), others),
    )  # fmt: skip
    return OpGraph(name, (*ordered[: start + length], *rest), config=told, appends=kept_appends, kinds=kinds)


def _reading(op: Operator, instead: Mapping[str, Tensor]) -> Operator:
    """Return an operator that reads other tensors of the same shapes."""
    if not any(tensor.name in instead for tensor in op.inputs):
        return op
    return replace(op, inputs=tuple(instead.get(tensor.name, tensor) for tensor in op.inputs))


def _longest_run(keys: Sequence[tuple[Hashable, tuple[int | None, ...]]]) -> tuple[int, int, int]:
    """Return start, length and number of the equal blocks that cover most operators; the shortest blocks of those."""
    numbers = {signature: number for number, signature in enumerate(dict.fromkeys(signature for signature, _ in keys))}
    kinds = [numbers[signature] for signature, _ in keys]
    best = (0, len(keys), 1)
    covered = 0
    for length in range(1, len(keys) // 2 + 1):
        at = 0
        while at + 2 * length <= len(keys):
            equal = at
            while equal + length < len(keys) and kinds[equal] == kinds[equal + length]:
                equal += 1
            count = 1 + (equal - at) // length
            if count * length > covered and count > 1 and _connected_alike(keys, at, length, count):
                best, covered = (at, length, count), count * length
            at = max(equal + 1, at + 1) if count < 2 else at + 1 if not covered else equal + 1
    return best


def _connected_alike(
    keys: Sequence[tuple[Hashable, tuple[int | None, ...]]], start: int, length: int, count: int
) -> bool:
    """Whether every block reads its own results, and some of the block before it, at the same distance.

    What the first block reads from before it may lie anywhere.
    """
    chained = False
    for place in range(length):
        distances = [keys[start + block * length + place][1] for block in range(count)]
        if len({len(one) for one in distances}) > 1:
            return False
        for of_input in zip(*distances, strict=True):
            inside = of_input[1] is not None and of_input[1] <= place
            if len(set(of_input if inside or of_input[1] is None else of_input[1:])) > 1:
                return False
            if not inside and of_input[1] is not None:
                if of_input[1] > place + length:
                    return False
                chained = True
    return chained


def _key(graph: OpGraph, ordered: Sequence[Operator], at: int) -> tuple[Hashable, tuple[int | None, ...]]:
    """Return what an operator is, and how far back each of its inputs is made; None for what is stored."""
    op = ordered[at]
    made = {one.output.name: number for number, one in enumerate(ordered)}
    back = [made.get(graph.appends.get(tensor.name, tensor.name)) for tensor in op.inputs]
    return op.signature, tuple(None if maker is None else at - maker for maker in back)


def _last_to_first(ordered: Sequence[Operator], start: int, length: int, count: int) -> dict[str, str]:
    """Return for each result of the last block the equal one of the first."""
    last = start + (count - 1) * length
    return {ordered[last + place].output.name: ordered[start + place].output.name for place in range(length)}
