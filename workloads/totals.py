"""Totals by operator class: what must be computed and moved at least.

Two conventions:

natural
    Multiply-accumulates are two FLOPs; every operand crosses the memory boundary once at its own width,
    biases included; matrices shared by several heads once.
paper
    One byte per element, biases not counted, and the counting habits that reproduce Tables 3, 10 and 11 of
    the survey [1]_: activation-to-activation matmuls of an encoder cost 2k-1 operations per output where
    weight matmuls cost 2k; in a decoder step they cost 2k. The nonlinear operators carry constants fitted
    to the printed row "Other" (58 FLOPs and 17 bytes per token and channel with d_ffn = 4 d; 5 bytes per
    channel): the authors' own split is not recoverable, ours is one that adds up to it.

References
----------
.. [1] S. Kim et al., "Full Stack Optimization of Transformer Inference: a Survey", arXiv:2302.14017,
   section 2 and appendix A.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from workloads.errors import GraphError
from workloads.ops.add import Add
from workloads.ops.gelu import Gelu
from workloads.ops.layernorm import LayerNorm
from workloads.ops.matmul import Matmul
from workloads.ops.operator import OP_CLASSES, OpClass, Operator
from workloads.ops.softmax import Softmax

Convention = Literal["natural", "paper"]

PAPER_FLOPS_PER_ELEMENT: Mapping[type[Operator], int] = MappingProxyType({Softmax: 4, Gelu: 11, LayerNorm: 6, Add: 1})
"""Fitted: 4 per score; 4 * 11 + 2 * 6 + 2 * 1 = 58 per token and channel."""

PAPER_LAYERNORM_BYTES = (3, 5, 2)
"""Fitted: (3 per element + 5 per column) / 2, so that 2 LayerNorms, GELU (8) and 2 adds (6) make 17 + 5 per row set."""


@dataclass(frozen=True, slots=True)
class Total:
    """Work and compulsory traffic of a set of operators."""

    macs: int = 0
    flops: int = 0
    bytes: int = 0
    """Read plus written, every operand once. [bytes]"""

    @property
    def intensity(self) -> float:
        """Arithmetic intensity. [FLOP/byte]"""
        return self.flops / self.bytes if self.bytes else 0.0

    def __add__(self, other: Total) -> Total:
        return Total(self.macs + other.macs, self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, count: int) -> Total:
        return Total(self.macs * count, self.flops * count, self.bytes * count)


def total(op: Operator, convention: Convention, phase: str) -> Total:
    """Return the counts of one operator, all its instances.

    Parameters
    ----------
    op
        The operator.
    convention
        ``"natural"`` or ``"paper"``.
    phase
        ``"prefill"`` or ``"decode"``; only the paper's convention distinguishes them.
    """
    if convention == "natural":
        return Total(op.macs, op.flops, op.bytes_read + op.bytes_written)
    if convention != "paper":
        raise GraphError(f"convention {convention!r} is unknown; choose 'natural' or 'paper'")
    if isinstance(op, Matmul):
        return Total(op.macs, *_paper_matmul(op, phase))
    tensors = (*dict.fromkeys(tensor for tensor in op.inputs if tensor.role != "bias"), op.output)
    moved = sum(tensor.elements for tensor in tensors)
    flops = PAPER_FLOPS_PER_ELEMENT.get(type(op))
    if flops is None:
        return Total(op.macs, op.flops, moved)
    rows, cols = op.dims["rows"], op.dims["cols"]
    if isinstance(op, LayerNorm):
        per_element, per_column, divisor = PAPER_LAYERNORM_BYTES
        moved = (per_element * rows * cols + per_column * cols) // divisor
    return Total(0, flops * rows * cols, moved)


def _paper_matmul(op: Matmul, phase: str) -> tuple[int, int]:
    """Return (FLOPs, bytes) of a matmul in the paper's convention."""
    if op.op_class == "act_to_act" and phase == "decode":
        return 2 * op.macs, _paper_decode_attention_bytes(op)
    products_only = op.op_class == "act_to_act"
    flops = op.repeat * op.m * op.n * (2 * op.k - 1) if products_only else 2 * op.macs
    matrices = zip(op.views, op.matrix_shapes, strict=True)
    return flops, sum(view.distinct_instances * rows * cols for view, (rows, cols) in matrices)


def _paper_decode_attention_bytes(op: Matmul) -> int:
    """Bytes of Q K^T or P V for one new token, fitted to Table 11: 129 t + 256 per head of 64 channels.

    Read as (2 head_dim + 1) t + 4 head_dim: the caches (2 head_dim t) and the scores written (t) are counted,
    the probabilities are not; 4 head_dim is the query, the context and one new key and value. [bytes]
    """
    cache = op.views[1].distinct_instances * op.k * op.n
    if op.matrices.axes[1] == ("n", "k"):
        query = op.repeat * op.m * op.k
        new_key = op.views[1].distinct_instances * op.k
        return cache + query + new_key + op.repeat * op.m * op.n
    context = op.repeat * op.m * op.n
    new_value = op.views[1].distinct_instances * op.n
    return cache + context + new_value


def totals(operators: Iterable[tuple[Operator, int]], convention: Convention, phase: str) -> dict[str, Total]:
    """Return the totals by operator class, and their sum as ``"total"``, of operators and how often each runs."""
    by_class: dict[OpClass, Total] = {}
    for op, runs in operators:
        by_class[op.op_class] = by_class.get(op.op_class, Total()) + total(op, convention, phase) * runs
    ordered: dict[str, Total] = {name: by_class[name] for name in OP_CLASSES if name in by_class}
    return {**ordered, "total": sum(ordered.values(), Total())}
