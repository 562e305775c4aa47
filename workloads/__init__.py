"""What must be computed: operators, their tensors, and the graphs of whole models.

>>> import workloads
>>> graph = workloads.build("gpt2", phase="decode", context=512)
>>> graph.repeat, graph.parameters
(12, 84934656)
"""

from __future__ import annotations

from workloads.build import build
from workloads.errors import GraphError
from workloads.graph import OpGraph
from workloads.ops import Matmul, Operator, matmul
from workloads.sources import available, load_config
from workloads.tensor import Bits, Tensor, View
from workloads.totals import Total

__all__ = [
    "Bits",
    "GraphError",
    "Matmul",
    "OpGraph",
    "Operator",
    "Tensor",
    "Total",
    "View",
    "available",
    "build",
    "load_config",
    "matmul",
]
