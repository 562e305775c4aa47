"""DRAM layout of a graph: every tensor on its own pages, one after another in the order of first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwconfigs.kernels import IDENTITY, kernel_named
from mapper.errors import MappingError, Violation
from mapper.graph.placement import Placement
from mapper.mapping.matmul_problem import INT32_BYTES, PAGE_BYTES, MatmulProblem, page_aligned, partial_matrix
from simulator.program import Matrix, Region
from workloads import Operator, Tensor, View
from workloads.ops import Conv2d, Matmul


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies and how wide its elements are stored."""

    address: int
    element_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of all tensors of a graph by name, and the workspace for partial sums behind them."""

    places: Mapping[str, Place]
    workspace: int

    def place(self, tensor: Tensor) -> Place:
        """Return where a tensor lies."""
        return self.places[tensor.name]

    def region(self, tensor: Tensor) -> Region:
        """Return the DRAM range of a tensor."""
        place = self.places[tensor.name]
        return Region(tensor.name, place.address, place.size_bytes)

    def rows(self, tensor: Tensor, cols: int) -> Matrix:
        """Return a tensor as dense rows of ``cols`` elements."""
        place = self.places[tensor.name]
        return Matrix(place.address, cols * place.element_bytes)

    def matrix(self, view: View, instance: int, tensor: Tensor | None = None) -> Matrix:
        """Return matrix number ``instance`` of a view; ``tensor``: of this tensor instead, laid out alike."""
        place = self.places[(tensor or view.tensor).name]
        offset = view.instance_offset(instance) * place.element_bytes
        return Matrix(place.address + offset, view.row_stride * place.element_bytes)


def lay_out(placements: Mapping[str, Placement]) -> Layout:
    """Give every tensor its place."""
    places: dict[str, Place] = {}
    address = PAGE_BYTES
    for placement in placements.values():
        for tensor in _tensors(placement):
            if tensor.name in places:
                continue
            wide = placement.full_result and tensor.name == placement.operator.output.name
            element_bytes = INT32_BYTES if wide else stored_bytes(tensor.bits)
            size = tensor.elements * element_bytes
            places[tensor.name] = Place(address, element_bytes, size)
            address = page_aligned(address + size)
    return Layout(places, address)


def stored_bytes(bits: int) -> int:
    """Bytes of an element in DRAM: narrow integers fill a byte, others the next power of two. [bytes]"""
    size = 1
    while size * 8 < bits:
        size *= 2
    return size


def _tensors(placement: Placement) -> tuple[Tensor, ...]:
    """Return the tensors an operator touches as it is executed."""
    op = executed(placement)
    if placement.place == "store path":
        return (op.output,)
    if placement.partner is not None:
        return (*op.inputs, placement.partner.output)
    return (*op.inputs, op.output)


def executed(placement: Placement) -> Operator:
    """Return the operator that really runs: the im2col matmul of a convolution."""
    op = placement.operator
    return op.as_matmul() if isinstance(op, Conv2d) else op


def matmul_problem(placement: Placement, layout: Layout, instance: int, input_bits: int) -> MatmulProblem:
    """Return instance number ``instance`` of a matmul at its place.

    Raises
    ------
    MappingError
        When an operand is wider than the array's inputs.
    """
    op = executed(placement)
    if not isinstance(op, Matmul):
        raise TypeError(f"{op.name} is no matmul")
    a, b, c = op.views
    too_wide = [
        Violation("element width", view.tensor.name, layout.place(view.tensor).element_bytes * 8, input_bits, "bits")
        for view in (a, b)
        if layout.place(view.tensor).element_bytes * 8 > input_bits
    ]
    if too_wide:
        raise MappingError(f"{op.name}: operands are wider than the array's inputs", too_wide)
    fused = placement.partner
    result = layout.matrix(c, instance, fused.output if fused else None)
    full = placement.full_result
    return MatmulProblem(
        name=op.name,
        m=op.m,
        k=op.k,
        n=op.n,
        a=layout.matrix(a, instance),
        b=layout.matrix(b, instance),
        c=result,
        bias_address=None if op.bias is None else layout.place(op.bias).address,
        partial=result if full else partial_matrix(layout.workspace, op.n),
        b_transposed=op.b_transposed,
        c_full=full,
        activation=kernel_named(fused.kind).activation if fused else IDENTITY.name,
    )
