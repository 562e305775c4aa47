"""The operators, one file each, with their numpy references."""

from __future__ import annotations

from workloads.ops.add import Add
from workloads.ops.gelu import Gelu
from workloads.ops.layernorm import LayerNorm
from workloads.ops.matmul import Matmul, matmul
from workloads.ops.mul import Mul
from workloads.ops.operator import OP_CLASSES, OpClass, Operator
from workloads.ops.relu import Relu
from workloads.ops.rmsnorm import RmsNorm
from workloads.ops.rope import Rope
from workloads.ops.rowwise import RowwiseOperator
from workloads.ops.silu import Silu
from workloads.ops.softmax import Softmax

__all__ = [
    "OP_CLASSES",
    "Add",
    "Gelu",
    "LayerNorm",
    "Matmul",
    "Mul",
    "OpClass",
    "Operator",
    "Relu",
    "RmsNorm",
    "Rope",
    "RowwiseOperator",
    "Silu",
    "Softmax",
    "matmul",
]
