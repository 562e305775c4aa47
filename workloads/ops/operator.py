"""What every operator has: a problem size, tensors, and the mathematics it stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from workloads.errors import GraphError
from workloads.tensor import Tensor, View

OpClass = Literal["mha_projection", "act_to_act", "ffn_projection", "conv", "other"]
"""Rows of the paper's workload tables, plus ``conv`` [1]_.

References
----------
.. [1] S. Kim et al., "Full Stack Optimization of Transformer Inference: a Survey", arXiv:2302.14017, Table 3.
"""

OP_CLASSES: tuple[OpClass, ...] = ("mha_projection", "act_to_act", "ffn_projection", "conv", "other")

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator(ABC):
    """One node of a workload graph. Each subclass is one file of this package.

    The counts follow the natural convention: a multiply-accumulate is two FLOPs, and every operand
    crosses the memory boundary once.
    """

    kind: ClassVar[str]
    row_dims: ClassVar[tuple[str, ...]] = ()
    """Dimensions that must be complete before any result exists, such as the softmax axis."""

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    op_class: OpClass = "other"
    repeat: int = 1
    """Identical problems in this operator (batch x heads); ``dims`` are those of one."""
    views: tuple[View, ...] = ()
    """Where A, B and C of a matmul lie; empty for the other kinds."""
    b_transposed: bool = False
    """B is stored n x k (the keys of attention)."""
    bias: Tensor | None = None
    """Row bias of a matmul or convolution; also the last of ``inputs``."""

    @property
    @abstractmethod
    def dims(self) -> Mapping[str, int]:
        """Problem size of one instance by dimension name."""

    @property
    @abstractmethod
    def flops(self) -> int:
        """Arithmetic operations of all instances."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all instances; zero unless matmul or convolution."""
        return 0

    @property
    def bytes_read(self) -> int:
        """Bytes of all distinct inputs. [bytes]"""
        return sum(tensor.bytes for tensor in dict.fromkeys(self.inputs))

    @property
    def bytes_written(self) -> int:
        """Bytes of the output. [bytes]"""
        return self.output.bytes

    @abstractmethod
    def reference(self, *arrays: Array) -> Array:
        """Compute the output (``output.shape``) from arrays for ``inputs``, in order.

        Quantisation is not part of it: integers stay exact, everything else is float64.
        """

    @property
    def details(self) -> tuple[Hashable, ...]:
        """Further properties that change the cost, such as a convolution's stride."""
        return ()

    @property
    def signature(self) -> Hashable:
        """Key that is equal for operators of identical cost; names and mathematical constants are left out."""
        tensors = tuple((tensor.shape, tensor.bits, tensor.role) for tensor in (*self.inputs, self.output))
        layouts = tuple(view.layout for view in self.views)
        dims = tuple(self.dims.items())
        return self.kind, dims, self.repeat, tensors, layouts, self.b_transposed, self.bias is not None, self.details

    def require(self, condition: bool, problem: str) -> None:
        """Raise a `GraphError` naming this operator unless ``condition`` holds."""
        if not condition:
            raise GraphError(f"{self.kind} {self.name}: {problem}")


def exact(array: Array) -> Array:
    """Widen to int64 or float64, in which the references compute."""
    return array.astype(np.int64 if np.issubdtype(array.dtype, np.integer) else np.float64)
