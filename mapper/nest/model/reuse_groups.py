"""Dimensions sorted by the tensor that they do not index: its tile stays in place while loops over them run."""

from __future__ import annotations

from mapper.errors import MappingError
from mapper.nest.model.problem import TENSORS, NestProblem

COMMON = 3
"""Group of the dimensions that index every tensor, as a batch; groups 0 to 2 are those of the tensors."""


def groups_of(problem: NestProblem) -> tuple[tuple[str, ...], ...]:
    """Return the dimensions irrelevant to input, weight and output, then those relevant to all.

    Raises
    ------
    MappingError
        If a dimension is irrelevant to two tensors (depthwise convolutions): their reuse cannot be told apart.
    """
    irrelevant = [problem.irrelevant(tensor) for tensor in TENSORS]
    common = frozenset(problem.names).difference(*irrelevant)
    groups = [*irrelevant, common]
    if sum(len(group) for group in groups) != len(problem.names):
        shared = [dim for dim in problem.names if sum(dim in group for group in irrelevant) > 1]
        raise MappingError(
            f"{problem.name}: {', '.join(shared)} is irrelevant to two tensors; such nests are evaluated, not searched"
        )
    return tuple(tuple(dim for dim in problem.names if dim in group) for group in groups)
