"""What the machine executes: macro loops, single commands and host work, in program order.

One ``MatmulLoop`` is one hardware loop of Gemmini (LOOP_WS): a scratchpad tile of a matmul, unrolled by the machine
into mvin / preload / compute / mvout. Single commands are accepted too; that is how micro-benchmarks and row-wise
operators run. Addresses are bytes in DRAM; rows of on-chip memories are counted from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hwconfigs.kernels import kernel_named

Activation: TypeAlias = str
"""Name of a kernel that a store evaluates (`hwconfigs.kernels.Kernel.is_activation`), or ``"none"``."""

Memory: TypeAlias = Literal["scratchpad", "accumulator"]
OnChip: TypeAlias = Literal["scratchpad", "accumulator", "weights"]
"""What a program may find filled: the memories, and the weights inside the array."""

EVERYTHING_ON_CHIP: tuple[OnChip, ...] = ("scratchpad", "accumulator", "weights")
"""``preloaded`` of a program that may read whatever is on chip, as measured micro-benchmarks do."""


class ProgramError(ValueError):
    """A program that the machine cannot run; the message names the command."""


@dataclass(frozen=True, slots=True)
class Region:
    """A named range of DRAM bytes that a program may touch."""

    name: str
    address: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix in DRAM: address of its first element and distance of its rows [bytes]; stride 0 repeats one row."""

    address: int
    row_stride_bytes: int

    def part(self, row: int, col: int, element_bytes: int = 1) -> Matrix:
        """Return the matrix whose first element is element (``row``, ``col``) of this one."""
        offset = row * self.row_stride_bytes + col * element_bytes
        return Matrix(self.address + offset, self.row_stride_bytes)


@dataclass(frozen=True, slots=True)
class KeptBlocks:
    """int8 blocks that stay in the scratchpad between loops: a row of blocks one after another, then the next one."""

    row: int
    """Row of the first block."""
    across: int
    """Blocks of a row of blocks."""

    def part(self, down: int, right: int, side: int) -> KeptBlocks:
        """Return what begins so many blocks further down and to the right, of blocks of ``side`` rows."""
        return KeptBlocks(self.row + (down * self.across + right) * side, self.across)

    def rows(self, height: int, width: int, side: int) -> range:
        """Return the rows from the first to the last block of a part of ``height`` x ``width`` elements."""
        down, right = -(-height // side), -(-width // side)
        return range(self.row, self.row + ((down - 1) * self.across + right) * side)


@dataclass(frozen=True, slots=True)
class MatmulLoop:
    """One hardware loop: ``C[m, n] (+)= A[m, k] B[k, n] (+ D[m, n])`` on one scratchpad tile."""

    m: int
    k: int
    n: int
    a: Matrix | None
    """None: the A tile is still in its scratchpad half."""
    b: Matrix | None
    """None: the B tile is still in its scratchpad half."""
    c: Matrix | None
    """None: the result stays in the accumulator for the next loop."""
    d: Matrix | None = None
    """int32 bias or partial sums, loaded into the accumulator first."""
    residual: Matrix | None = None
    """int8 rows, scaled and added to D before the first product. LOOP_WS has one D, whose load overwrites, so the core
    issues the mvins of both in front of the loop, as the library's residual addition does."""
    accumulate: bool = False
    """Add to the result that the previous loop left in the accumulator."""
    b_transposed: bool = False
    """B is stored n x k."""
    b_bits: float = 8
    """Width of an element of B in DRAM; fewer than 8 are widened as they are loaded. [bits]"""
    c_full: bool = False
    """Store int32 rows instead of scaled int8 ones."""
    activation: Activation = "none"
    a_half: int | None = None
    """Scratchpad half that holds A; None: halves alternate from loop to loop."""
    b_half: int | None = None
    whole_memory: bool = False
    """Not double-buffered: the tile may use the whole memories and runs only when the loop before it is complete."""
    a_kept: KeptBlocks | None = None
    """A lies in the scratchpad, where an earlier loop left its results; ``a`` is None then."""
    c_kept: KeptBlocks | None = None
    """int8 results go to the scratchpad, on machines whose normaliser writes there; ``c`` is None then."""
    reserved_rows: int = 0
    """Rows at the top of the scratchpad that hold such blocks, which A and B leave alone."""

    @property
    def stores(self) -> bool:
        """Whether the result leaves the accumulator."""
        return self.c is not None or self.c_kept is not None

    @property
    def macs(self) -> int:
        return self.m * self.k * self.n


@dataclass(frozen=True, slots=True)
class Mvin:
    """Copy ``rows`` x ``cols`` elements from DRAM to an on-chip memory, blocks of array width one under the other."""

    source: Matrix
    rows: int
    cols: int
    memory: Memory
    row: int
    element_bits: int = 8
    accumulate: bool = False
    scaled: bool = False
    """Multiplied by a scale other than 1.0 on the way in."""


@dataclass(frozen=True, slots=True)
class Mvout:
    """Copy ``rows`` x ``cols`` results to DRAM; the normaliser reads each row once per pass of the activation."""

    target: Matrix
    rows: int
    cols: int
    memory: Memory
    row: int
    element_bits: int = 8
    activation: Activation = "none"
    block_stride: int | None = None
    """Rows between neighbouring blocks of one row; None: the array height."""
    read_cols: int | None = None
    """Columns that are read of each row, if that is not as many as are stored."""

    @property
    def columns(self) -> int:
        """Columns that are read of each row."""
        return self.cols if self.read_cols is None else self.read_cols

    @property
    def operands(self) -> int:
        """Operands of the activation, whose blocks lie one below the other."""
        return kernel_named(self.activation).operands

    def blocks(self, width: int) -> int:
        """Return the blocks that are read of each row, those of all operands, on an array of ``width`` columns."""
        return -(-self.columns // width) * self.operands


@dataclass(frozen=True, slots=True)
class Preload:
    """Weights for the next compute (``weights_row`` None keeps the present ones) and where its result goes."""

    weights_row: int | None
    k: int
    n: int
    result: Memory
    result_row: int
    accumulate: bool = False
    weights_transposed: bool = False


@dataclass(frozen=True, slots=True)
class Compute:
    """Stream ``m`` rows of ``k`` inputs, starting at scratchpad row ``inputs_row``, through the array."""

    inputs_row: int
    m: int
    k: int
    n: int
    inputs_transposed: bool = False
    output_stationary: bool = False
    last_of_output: bool = True
    """Output-stationary only: the result leaves the array after this block."""

    @property
    def macs(self) -> int:
        return self.m * self.k * self.n


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration command of one controller: issue cost only."""

    unit: Literal["load", "store", "execute"]


@dataclass(frozen=True, slots=True)
class Fence:
    """The host waits until the accelerator is idle and all writes are acknowledged."""


@dataclass(frozen=True, slots=True)
class HostTask:
    """Work of the host core. A kernel reads and writes DRAM ranges; plain library code touches none."""

    kernel: str
    cycles: int
    elements: int = 0
    reads: tuple[Region, ...] = ()
    writes: tuple[Region, ...] = ()


Command: TypeAlias = Mvin | Mvout | Preload | Compute | Config
Item: TypeAlias = MatmulLoop | Command | Fence | HostTask


@dataclass(frozen=True, slots=True)
class Program:
    """An ordered list of items and the DRAM regions they use."""

    name: str
    items: Sequence[Item]
    """A tuple, or what makes them when somebody asks (`simulator.loop_columns.LoopItems`)."""
    regions: tuple[Region, ...] = ()
    preloaded: tuple[OnChip, ...] = ()
    """Where the caller answers for what is on chip before and during the program: reads of rows that no command wrote,
    kept operands and kept sums are not checked there. For parts of a longer program, and for measurements that compute
    on whatever the memories held."""
    found: tuple[range, ...] = ()
    """Rows of the scratchpad in which an earlier program left results that this one reads."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all loops and computes."""
        return sum(item.macs for item in self.items if isinstance(item, (MatmulLoop, Compute)))

    def listing(self) -> str:
        """One line per item, numbered: the golden form of a program."""
        return "\n".join(f"{index:5d}  {listed(item)}" for index, item in enumerate(self.items))

    def __add__(self, other: Program) -> Program:
        regions = tuple(dict.fromkeys(self.regions + other.regions))
        preloaded = tuple(dict.fromkeys(self.preloaded + other.preloaded))
        found = tuple(dict.fromkeys(self.found + other.found))
        return Program(f"{self.name}+{other.name}", (*self.items, *other.items), regions, preloaded, found)


def _at(matrix: Matrix | None) -> str:
    return "kept" if matrix is None else f"0x{matrix.address:x}/{matrix.row_stride_bytes}"


def _joined(text: str, flags: list[str]) -> str:
    return " ".join([text, *flags])


def listed(item: Item) -> str:
    """One line of a listing, without its number."""
    match item:
        case MatmulLoop():
            return _loop_line(item)
        case Mvin():
            size = f"{item.rows}x{item.cols}x{item.element_bits}b"
            flags = [name for name, on in (("accumulate", item.accumulate), ("scaled", item.scaled)) if on]
            return _joined(f"mvin {size} {_at(item.source)} -> {item.memory}[{item.row}]", flags)
        case Mvout():
            size = f"{item.rows}x{item.cols}x{item.element_bits}b"
            pitch = [] if item.block_stride is None else [f"block stride {item.block_stride}"]
            text = f"mvout {size} {item.memory}[{item.row}] -> {_at(item.target)} {item.activation}"
            return _joined(text, pitch)
        case Preload():
            weights = "kept" if item.weights_row is None else f"scratchpad[{item.weights_row}]"
            flags = [name for name, on in (("accumulate", item.accumulate), ("B^T", item.weights_transposed)) if on]
            return _joined(f"preload {item.k}x{item.n} {weights} -> {item.result}[{item.result_row}]", flags)
        case Compute():
            named = (
                ("A^T", item.inputs_transposed),
                ("output stationary", item.output_stationary),
                ("stays", item.output_stationary and not item.last_of_output),
            )
            text = f"compute {item.m}x{item.k}x{item.n} scratchpad[{item.inputs_row}]"
            return _joined(text, [name for name, on in named if on])
        case Config():
            return f"config_{item.unit}"
        case HostTask():
            return f"host {item.kernel} {item.cycles} cycles, {item.elements} elements"
    return "fence"


def _loop_line(loop: MatmulLoop) -> str:
    named = (
        ("accumulate", loop.accumulate),
        ("B^T", loop.b_transposed),
        ("int32", loop.c_full),
        (loop.activation, loop.activation != "none"),
        (f"A half {loop.a_half}", loop.a_half is not None),
        (f"B half {loop.b_half}", loop.b_half is not None),
        ("whole memory", loop.whole_memory),
        (f"{loop.reserved_rows} rows reserved", loop.reserved_rows > 0),
    )
    bias = "" if loop.d is None else f" D={_at(loop.d)}"
    bias += "" if loop.residual is None else f" residual={_at(loop.residual)}"
    result = "accumulator" if loop.c is None else _at(loop.c)
    result = result if loop.c_kept is None else f"scratchpad[{loop.c_kept.row}]"
    inputs = _at(loop.a) if loop.a_kept is None else f"scratchpad[{loop.a_kept.row}]"
    text = f"loop_ws {loop.m}x{loop.k}x{loop.n} A={inputs} B={_at(loop.b)}{bias} C={result}"
    return _joined(text, [name for name, on in named if on])
