"""DRAM layout of a graph: every tensor that crosses the edge of a group on its own pages, in the order of first use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.errors import MappingError, Violation
from mapper.graph.capabilities import RESULT_BITS
from mapper.graph.fusion_group import FusionGroup, executed
from mapper.mapping.matmul_problem import PAGE_BYTES, MatmulProblem, page_aligned, partial_matrix
from simulator.program import Matrix, Region
from workloads import Tensor, View
from workloads.ops import Matmul

WORKSPACE, WORKSPACE_BYTES = "partial sums", 2**40
"""Name of what lies behind all tensors, and an extent beyond any sums."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """DRAM of one tensor."""

    address: int
    element_bytes: int
    """Width in which an element is stored; of a group's result, as the group computes it."""
    size_bytes: int
    packed_bits: float = 8
    """Width of an element of a packed tensor, several of which share a byte, with its share of a scale; 8: bytes, or
    wider. [bits]"""


@dataclass(frozen=True, slots=True)
class DramLayout:
    """Allocations by tensor, and the workspace for partial sums behind them."""

    allocations: Mapping[str, Allocation]
    """By name of the tensor; a tensor inside a group has none."""
    workspace: int
    """Address behind all tensors."""

    def allocation(self, tensor: Tensor) -> Allocation:
        """Return the DRAM of a tensor."""
        return self.allocations[tensor.name]

    def region(self, tensor: Tensor) -> Region:
        """Return the DRAM range of a tensor."""
        allocation = self.allocation(tensor)
        return Region(tensor.name, allocation.address, allocation.size_bytes)

    def regions(self) -> tuple[Region, ...]:
        """Return the DRAM ranges of all tensors, the workspace last, by address."""
        tensors = (Region(name, one.address, one.size_bytes) for name, one in self.allocations.items())
        return (*tensors, Region(WORKSPACE, self.workspace, WORKSPACE_BYTES))

    def rows(self, tensor: Tensor, cols: int) -> Matrix:
        """Return a tensor as dense rows of ``cols`` elements."""
        allocation = self.allocation(tensor)
        return Matrix(allocation.address, cols * allocation.element_bytes)

    def matrix(self, view: View, instance: int, tensor: Tensor | None = None) -> Matrix:
        """Return matrix number ``instance`` of a view.

        ``tensor`` is read or written in place of the view's own one: the result of a group, whose elements lie as
        those of the leading operator's result would.
        """
        allocation = self.allocation(tensor or view.tensor)
        bits = allocation.element_bytes * allocation.packed_bits
        offset, stride = view.instance_offset(instance) * bits, view.row_stride * bits
        return Matrix(allocation.address + int(offset // 8), int(stride // 8))


def lay_out(groups: Iterable[FusionGroup], spec: HardwareSpec | None = None, written: Iterable[str] = ()) -> DramLayout:
    """Give every tensor that a group reads or writes its DRAM, one behind the other.

    Weights and caches that a machine widens as it loads them lie packed, but for what a group writes, one of these or
    another one that is named by the tensor that it has ``written``: stores write bytes.
    """
    groups = tuple(groups)
    packed = _packed(groups, spec) - frozenset(written)
    allocations: dict[str, Allocation] = {}
    address = PAGE_BYTES
    for group in groups:
        for tensor in (*group.inputs, group.result):
            if tensor.name in allocations:
                continue
            element_bytes = stored_bytes(group.result_bits if tensor == group.result else tensor.bits)
            bits = packed_bits(tensor, spec) if spec is not None and tensor.name in packed else 8
            size = int(-(-tensor.elements * element_bytes * bits // 8))
            allocations[tensor.name] = Allocation(address, element_bytes, size, bits)
            address = page_aligned(address + size)
    return DramLayout(allocations, address)


def _packed(groups: Iterable[FusionGroup], spec: HardwareSpec | None) -> frozenset[str]:
    """Return the tensors that lie packed: weights of the array whose rows begin with a byte."""
    names: set[str] = set()
    written = {group.result.name for group in groups}
    for group in groups:
        op = executed(group.lead)
        if not isinstance(op, Matmul) or spec is None:
            continue
        view = op.views[1]
        steps = (view.row_stride, *(stride for _, stride in view.instance_strides))
        bits = packed_bits(view.tensor, spec)
        if is_packed(view.tensor, spec) and all(step * bits % 8 == 0 for step in steps):
            names.add(view.tensor.name)
    return frozenset(names - written)


def is_packed(tensor: Tensor, spec: HardwareSpec) -> bool:
    """Return whether a machine takes the elements of a weight or a cache packed, as far as its width tells."""
    return spec.unpack is not None and tensor.bits in spec.unpack.bits and tensor.role in ("weight", "kv_cache")


def packed_bits(tensor: Tensor, spec: HardwareSpec) -> float:
    """Return the width in which a machine takes the elements of a weight or a cache; at least 8 if not packed."""
    if spec.unpack is None or not is_packed(tensor, spec):
        return 8 * stored_bytes(tensor.bits)
    return spec.unpack.stored_bits(tensor.bits)


def stored_bytes(bits: int) -> int:
    """Bytes of an element in DRAM: narrow integers fill a byte, others the next power of two. [bytes]"""
    size = 1
    while size * 8 < bits:
        size *= 2
    return size


def matmul_problem(group: FusionGroup, layout: DramLayout, instance: int, input_bits: int) -> MatmulProblem:
    """Return instance number ``instance`` of the matmul that leads a group.

    Raises
    ------
    MappingError
        When an operand is wider than the array's inputs.
    """
    op = executed(group.lead)
    if not isinstance(op, Matmul):
        raise TypeError(f"{op.name} is no matmul")
    a, b, c = op.views
    widths = [(view.tensor.name, layout.allocation(view.tensor).element_bytes * 8) for view in (a, b)]
    too_wide = [
        Violation("element width", name, bits, input_bits, "bits") for name, bits in widths if bits > input_bits
    ]
    if too_wide:
        raise MappingError(f"{op.name}: operands are wider than the array's inputs", too_wide)
    result = layout.matrix(c, instance, group.result)
    full = group.result_bits == RESULT_BITS
    return MatmulProblem(
        name=op.name,
        m=op.m,
        k=op.k,
        n=op.n,
        a=layout.matrix(a, instance),
        b=layout.matrix(b, instance),
        c=result,
        bias_address=None if op.bias is None else layout.allocation(op.bias).address,
        residual=None if group.addend is None else layout.matrix(c, instance, group.addend),
        partial=result if full else partial_matrix(layout.workspace, op.n),
        b_axes=op.matrices.axes[1],
        b_bits=layout.allocation(b.tensor).packed_bits,
        c_full=full,
        activation=group.activation,
    )
