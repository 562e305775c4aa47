"""What a fused group computes: operators over named dimensions that share tensors.

    scores[m, p] = q[m, e] * k[p, e]          a product: moving and stationary operand, reduced over e
    weights[m, p] = softmax(scores[m, p])     row by row: p must be whole
    context[m, f] = weights[m, p] * v[p, f]

The array holds a tile of the stationary operand: the last reduced dimension along its rows, the last dimension that the
stationary operand shares with the result along its columns. Rows of the moving operand pass one per cycle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from mapper.errors import MappingError


@dataclass(frozen=True)
class Access:
    """A tensor with the dimensions that index it, in one operator."""

    tensor: str
    dims: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.tensor}[{','.join(self.dims)}]"


@dataclass(frozen=True)
class Einsum:
    """One operator: a product of two operands, or a function of equally shaped operands element by element."""

    name: str
    inputs: tuple[Access, ...]
    """Of a product the moving operand, then the stationary one."""
    output: Access
    is_product: bool = True
    complete: frozenset[str] = frozenset()
    """Dimensions that must be whole before the first result: the row of a softmax."""

    def __post_init__(self) -> None:
        operands = {access.tensor for access in self.inputs}
        if self.output.tensor in operands:
            raise MappingError(f"{self.name}: reads its own result {self.output.tensor}")
        if not self.is_product:
            if any(set(access.dims) != set(self.output.dims) for access in self.inputs):
                raise MappingError(
                    f"{self.name}: operands of an elementwise operator have the dimensions of its result"
                )
        elif len(self.inputs) != 2:
            raise MappingError(f"{self.name}: a product has two operands, not {len(self.inputs)}")
        elif not (self.reduced and self.columns):
            raise MappingError(f"{self.name}: a product needs a reduced dimension and one of its stationary operand")
        elif len(operands) < 2:
            raise MappingError(
                f"{self.name}: the operands of a product are two tensors, not {', '.join(operands)} twice"
            )

    @property
    def accesses(self) -> tuple[Access, ...]:
        """Operands, then the result."""
        return (*self.inputs, self.output)

    @cached_property
    def dims(self) -> tuple[str, ...]:
        """All dimensions, each once."""
        return tuple(dict.fromkeys(dim for access in self.accesses for dim in access.dims))

    @cached_property
    def reduced(self) -> tuple[str, ...]:
        """Dimensions that do not index the result, in the order of the stationary operand."""
        return tuple(dim for dim in self.inputs[-1].dims if dim not in self.output.dims)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Dimensions of the result along which only the stationary operand moves."""
        moving = self.inputs[0].dims
        return tuple(dim for dim in self.output.dims if dim in self.inputs[-1].dims and dim not in moving)

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """Dimensions of the result over which the stationary operand is reused; of elementwise operators all."""
        if not self.is_product:
            return self.output.dims
        return tuple(dim for dim in self.output.dims if dim not in self.inputs[1].dims)

    @cached_property
    def batch(self) -> tuple[str, ...]:
        """Dimensions that index everything."""
        return tuple(dim for dim in self.output.dims if dim not in (*self.rows, *self.columns))

    def access(self, tensor: str) -> Access:
        """Return how a tensor is indexed here."""
        return next(access for access in self.accesses if access.tensor == tensor)


@dataclass(frozen=True)
class FusedGraph:
    """Operators in an order in which they can run, and the sizes of their dimensions."""

    name: str
    sizes: dict[str, int] = field(hash=False)
    """Extent by dimension. [elements]"""
    operators: tuple[Einsum, ...]
    results: frozenset[str] = frozenset()
    """Tensors that somebody outside reads; those that no operator reads are so anyway."""
    order: frozenset[tuple[str, str]] = frozenset()
    """(operator, later operator) of a cache that the one writes and the other reads."""

    def __post_init__(self) -> None:
        names = [operator.name for operator in self.operators]
        made = [operator.output.tensor for operator in self.operators]
        for what, listed in (("operator", names), ("tensor", made)):
            if twice := sorted({item for item in listed if listed.count(item) > 1}):
                raise MappingError(f"{self.name}: {what} {twice[0]!r} is there twice")
        for position, operator in enumerate(self.operators):
            unknown = [dim for dim in operator.dims if self.sizes.get(dim, 0) < 1]
            if unknown:
                raise MappingError(f"{self.name}: {operator.name}: dimension {unknown[0]!r} has no size of at least 1")
            late = [access.tensor for access in operator.inputs if access.tensor in made[position:]]
            if late:
                raise MappingError(f"{self.name}: {operator.name} reads {late[0]} before it is made")

    def operator(self, name: str) -> Einsum:
        """Return an operator; a `MappingError` names an unknown one."""
        for operator in self.operators:
            if operator.name == name:
                return operator
        known = ", ".join(operator.name for operator in self.operators)
        raise MappingError(f"{self.name}: unknown operator {name!r}; it has {known}")

    @cached_property
    def makers(self) -> dict[str, Einsum]:
        """The operator that makes each tensor."""
        return {operator.output.tensor: operator for operator in self.operators}

    @cached_property
    def readers(self) -> dict[str, tuple[Einsum, ...]]:
        """The operators that read each tensor, in their order."""
        readers: dict[str, list[Einsum]] = {}
        for operator in self.operators:
            for tensor in dict.fromkeys(access.tensor for access in operator.inputs):
                readers.setdefault(tensor, []).append(operator)
        return {tensor: tuple(found) for tensor, found in readers.items()}

    def leaves(self, tensor: str) -> bool:
        """Whether a tensor must reach the outermost memory: nobody here reads it, or somebody outside does."""
        return tensor in self.results or tensor not in self.readers

    def words(self, dims: Iterable[str]) -> int:
        """Elements of a tensor with these dimensions."""
        return math.prod(self.sizes[dim] for dim in dims)

    def needs(self, operator: Einsum) -> set[str]:
        """Return the operators that come before one."""
        makers = (self.makers.get(access.tensor) for access in operator.inputs)
        return {maker.name for maker in makers if maker is not None} | {
            before for before, after in self.order if after == operator.name
        }

    def group(self, names: Iterable[str]) -> FusedGraph:
        """Return some of the operators as a graph of their own; what others read are results of it."""
        chosen = tuple(self.operator(name) for name in names)
        inside = set(chosen)
        read_outside = {
            access.tensor for operator in self.operators if operator not in inside for access in operator.inputs
        }
        made = {operator.output.tensor for operator in chosen}
        results = frozenset(made & (read_outside | self.results))
        return FusedGraph(self.name, self.sizes, chosen, results)
