"""MatmulProblem: one matmul as the machine meets it, with its matrices at their places in DRAM.

What a mapping may choose is in `HardwareLoop`; everything it must take as given is here: sizes, row strides and
addresses (they decide how row segments split into DMA requests), the order of axes, the width of the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwconfigs.kernels import kernel_named
from mapper.mapping.loop_nest import OPERAND_AXES
from simulator.program import Activation, KeptBlocks, Matrix, Region
from workloads.ops.matrices import MatrixAxes

INT32_BYTES = 4
"""Bytes of a bias, of a partial sum and of a result that is not requantised; the mapper places no other sums."""

PAGE_BYTES = 4096
"""Tensors start on page boundaries, as the library's static arrays and malloc'd buffers do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatmulProblem:
    """C[m, n] = activation(sum over k of A[m, k] B[k, n] + bias[n] + residual[m, n])."""

    name: str = "matmul"
    m: int
    k: int
    n: int
    a: Matrix
    b: Matrix
    c: Matrix
    bias_address: int | None = None
    """int32 row bias, added to every row."""
    residual: Matrix | None = None
    """int8 matrix that is scaled and added."""
    partial: Matrix
    """Workspace for int32 partial sums, used when k is not the innermost loop; C itself if ``c_full``."""
    b_axes: MatrixAxes = OPERAND_AXES["weight"]
    """Dimensions of B as stored: that of its rows, then the contiguous one. A and C have one order only."""
    b_bits: float = 8
    """Width of an element of B in DRAM; fewer than 8 are widened as they are loaded. [bits]"""
    c_full: bool = False
    """The result is stored as int32."""
    activation: Activation = "none"
    a_kept: KeptBlocks | None = None
    """A lies in the scratchpad, not at its place in DRAM."""
    c_kept: KeptBlocks | None = None
    """The result goes to the scratchpad, not to its place in DRAM."""
    reserved_rows: int = 0
    """Rows at the top of the scratchpad that tiles leave to such matrices."""

    @property
    def dims(self) -> dict[str, int]:
        """Sizes by dimension name [elements]."""
        return {"m": self.m, "k": self.k, "n": self.n}

    @property
    def macs(self) -> int:
        return self.m * self.k * self.n

    @property
    def has_addend(self) -> bool:
        """Whether sums start from a bias or a residual in the accumulator."""
        return self.bias_address is not None or self.residual is not None

    @property
    def whole_rows(self) -> bool:
        """Whether its stores need complete rows of C in the accumulator, as those of softmax and LayerNorm do."""
        return kernel_named(self.activation).whole_rows

    @property
    def b_rows(self) -> int:
        """Rows of B as stored."""
        return self.dims[self.b_axes[0]]

    @property
    def b_cols(self) -> int:
        """Columns of B as stored."""
        return self.dims[self.b_axes[1]]

    @property
    def b_row_bytes(self) -> int:
        """Bytes of a row of B as stored."""
        return int(-(-self.b_cols * self.b_bits // 8))

    @property
    def axes(self) -> dict[str, MatrixAxes]:
        """Dimensions of each operand as stored: that of its rows, then the contiguous one."""
        return {**OPERAND_AXES, "weight": self.b_axes}

    @property
    def transposes_b(self) -> bool:
        """Whether the machine transposes the weights that it loads."""
        return is_transposed(self.b_axes)

    @property
    def c_bytes(self) -> int:
        """Bytes of an element of C."""
        return INT32_BYTES if self.c_full else 1

    def row_block(self, first: int, rows: int) -> MatmulProblem:
        """Return the problem of some rows of C."""
        return replace(
            self,
            m=rows,
            a=self.a.part(first, 0),
            c=self.c.part(first, 0),
            residual=None if self.residual is None else self.residual.part(first, 0),
        )

    def leaving(self, kept: KeptBlocks, reserved_rows: int) -> MatmulProblem:
        """Return the problem whose result goes to the scratchpad, in some of its reserved rows."""
        return replace(self, c_kept=kept, reserved_rows=reserved_rows)

    def finding(self, kept: KeptBlocks, reserved_rows: int) -> MatmulProblem:
        """Return the problem that finds A there."""
        return replace(self, a_kept=kept, reserved_rows=reserved_rows)

    def signature(self, line_bytes: int) -> MatmulProblem:
        """Return the problem without name, addresses reduced to their place in a line: equal if the cost is equal."""
        return replace(
            self,
            name="",
            a=_reduced(self.a, line_bytes),
            b=_reduced(self.b, line_bytes),
            c=_reduced(self.c, line_bytes),
            bias_address=None if self.bias_address is None else self.bias_address % line_bytes,
            residual=None if self.residual is None else _reduced(self.residual, line_bytes),
            partial=_reduced(self.partial, line_bytes),
        )

    @property
    def regions(self) -> tuple[Region, ...]:
        """The DRAM ranges of the operands."""
        spans = [("B", self.b, self.b_rows, self.b_row_bytes)]
        if self.a_kept is None:
            spans.insert(0, ("A", self.a, self.m, self.k))
        if self.c_kept is None:
            spans.append(("C", self.c, self.m, self.n * self.c_bytes))
        return tuple(
            Region(f"{self.name}.{label}", matrix.address, (rows - 1) * matrix.row_stride_bytes + row_bytes)
            for label, matrix, rows, row_bytes in spans
        )


def _reduced(matrix: Matrix, line_bytes: int) -> Matrix:
    return Matrix(matrix.address % line_bytes, matrix.row_stride_bytes)


def is_transposed(b_axes: MatrixAxes) -> bool:
    """Return the flag of LOOP_WS: the array takes rows of k x n, and B is stored the other way round."""
    return b_axes != OPERAND_AXES["weight"]


def page_aligned(address: int) -> int:
    """Round up to a page."""
    return -(-address // PAGE_BYTES) * PAGE_BYTES


def partial_matrix(address: int, n: int) -> Matrix:
    """Workspace of int32 partial sums whose rows start on 64-byte lines."""
    return Matrix(address, -(-n * INT32_BYTES // 64) * 64)


def contiguous(
    m: int,
    k: int,
    n: int,
    *,
    name: str = "matmul",
    bias: bool = False,
    b_axes: MatrixAxes = OPERAND_AXES["weight"],
    c_full: bool = False,
    activation: Activation = "none",
    address: int = PAGE_BYTES,
) -> MatmulProblem:
    """Return a problem on dense matrices, one page-aligned after the other: A, B, C, bias, workspace."""
    b_stride = {"k": k, "n": n, "m": m}[b_axes[1]]
    c_stride = n * (INT32_BYTES if c_full else 1)
    a = Matrix(address, k)
    b = Matrix(page_aligned(a.address + m * k), b_stride)
    c = Matrix(page_aligned(b.address + k * n), c_stride)
    after_c = page_aligned(c.address + m * c_stride)
    work = page_aligned(after_c + INT32_BYTES * n)
    return MatmulProblem(
        name=name,
        m=m,
        k=k,
        n=n,
        a=a,
        b=b,
        c=c,
        bias_address=after_c if bias else None,
        partial=c if c_full else partial_matrix(work, n),
        b_axes=b_axes,
        c_full=c_full,
        activation=activation,
    )
