"""What the programs of this version can do on a machine; machines they would not run on are refused at once."""

from __future__ import annotations

from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.mapping.matmul_problem import INT32_BYTES
from workloads import Operator
from workloads.ops import TopK
from workloads.ops.rowwise import RowwiseOperator

OPERAND_BITS = 8
"""Width of the operands of every program [bits]."""

RESULT_BITS = 8 * INT32_BYTES
"""Width of unrounded results and partial sums [bits]."""

DATAFLOW = "weight_stationary"
"""What the hardware loop runs."""


def require(spec: HardwareSpec) -> None:
    """Raise a `MappingError` for a machine whose programs would mean something else than they say."""
    array = spec.array
    if (array.input_bits, array.accumulator_bits) != (OPERAND_BITS, RESULT_BITS):
        raise MappingError(
            f"{spec.name}: array.input_bits={array.input_bits}, array.accumulator_bits={array.accumulator_bits}: "
            f"this version lowers int{OPERAND_BITS} operands and int{RESULT_BITS} results"
        )
    if DATAFLOW not in array.dataflows:
        raise MappingError(
            f"{spec.name}: array.dataflows is {', '.join(array.dataflows) or 'empty'}: "
            f"the hardware loops of this version run {DATAFLOW}"
        )


def rows_per_tile(cols: int, spec: HardwareSpec) -> int:
    """Rows whose blocks fit half of the accumulator, at most the array's height; 0 when not even one fits."""
    blocks = -(-cols // spec.array.cols)
    return min(spec.array.rows, spec.accumulator.rows // 2 // blocks)


def columns_together(op: Operator) -> int:
    """Return how many neighbouring columns of an operand a result needs: a row, a head, or the element alone."""
    if isinstance(op, TopK):
        return op.dims["cols"]
    return op.columns_together if isinstance(op, RowwiseOperator) else 1
