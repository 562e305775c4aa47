"""What every operator has: a problem size, tensors, and the mathematics it stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from workloads.errors import GraphError
from workloads.iteration_space import IterationSpace, OperatorTile, Tile
from workloads.tensor import Tensor

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

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    op_class: OpClass = "other"
    bias: Tensor | None = None
    """Row bias of a matmul or convolution; also the last of ``inputs``."""

    @property
    @abstractmethod
    def iteration_space(self) -> IterationSpace:
        """The dimensions of all instances, and which of them index each operand."""

    def tile_for(self, result: Tile) -> OperatorTile:
        """Return the tiles of iterations and operands that a tile of the result needs.

        `IterationSpace.tile_for` has the parameters and the errors.
        """
        return self.iteration_space.tile_for(result)

    @property
    @abstractmethod
    def dims(self) -> Mapping[str, int]:
        """Problem size of one instance by the short names of reports and loop nests, such as m, k and n."""

    @property
    def repeat(self) -> int:
        """Identical problems in this operator (batch x heads); ``dims`` are those of one."""
        return 1

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
        dims = tuple(self.dims.items())
        return self.kind, dims, self.repeat, tensors, self.bias is not None, self.details

    def require(self, condition: bool, problem: str) -> None:
        """Raise a `GraphError` naming this operator unless ``condition`` holds."""
        if not condition:
            raise GraphError(f"{self.kind} {self.name}: {problem}")


def exact(array: Array) -> Array:
    """Widen to int64 or float64, in which the references compute."""
    return array.astype(np.int64 if np.issubdtype(array.dtype, np.integer) else np.float64)
