"""What must be computed: operators, their tensors, and the graphs of whole models.

>>> import workloads
>>> graph = workloads.build("gpt2", phase="decode", context=512)
>>> graph.repeat, graph.parameters
(12, 84934656)
"""

from __future__ import annotations

from workloads.building import build
from workloads.errors import GraphError
from workloads.generation import generation_totals
from workloads.graph import OpGraph
from workloads.ops import Conv2d, Matmul, Operator, conv2d, matmul
from workloads.sources import available, load_config
from workloads.tensor import Bits, Tensor, View
from workloads.totals import Total

__all__ = [
    "Bits",
    "Conv2d",
    "GraphError",
    "Matmul",
    "OpGraph",
    "Operator",
    "Tensor",
    "Total",
    "View",
    "available",
    "build",
    "conv2d",
    "generation_totals",
    "load_config",
    "matmul",
]
