"""The operators, one file each, with their numpy references."""

from __future__ import annotations

from workloads.ops.add import Add
from workloads.ops.avgpool import AvgPool
from workloads.ops.combine import Combine
from workloads.ops.conv2d import Conv2d, conv2d
from workloads.ops.dispatch import Dispatch
from workloads.ops.gelu import Gelu
from workloads.ops.layernorm import LayerNorm
from workloads.ops.lookup import Lookup
from workloads.ops.matmul import Matmul, matmul
from workloads.ops.maxpool import MaxPool
from workloads.ops.mul import Mul
from workloads.ops.operator import OP_CLASSES, OpClass, Operator
from workloads.ops.relu import Relu
from workloads.ops.rmsnorm import RmsNorm
from workloads.ops.rope import Rope
from workloads.ops.rowwise import RowwiseOperator
from workloads.ops.silu import Silu
from workloads.ops.softmax import Softmax
from workloads.ops.top_k import TopK
from workloads.ops.xielu import Xielu

__all__ = [
    "OP_CLASSES",
    "Add",
    "AvgPool",
    "Combine",
    "Conv2d",
    "Dispatch",
    "Gelu",
    "LayerNorm",
    "Lookup",
    "Matmul",
    "MaxPool",
    "Mul",
    "OpClass",
    "Operator",
    "Relu",
    "RmsNorm",
    "Rope",
    "RowwiseOperator",
    "Silu",
    "Softmax",
    "TopK",
    "Xielu",
    "conv2d",
    "matmul",
]
