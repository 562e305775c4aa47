"""Rows measured on FPGAs with FireSim (``gemmini_firesim.csv``): a decoded tiling becomes the program that was timed.

The measured programs are a software loop over tiles in the order of the row, one hardware loop per tile. Every hardware
loop loads A and B again; the output leaves once, as int8, on the last trip of the reduction. Where the reduction is not
the innermost loop the programs were timed all the same: partial sums are neither written out nor read back.
Source: project notes on the FireSim measurements, section 3.

Caches were never flushed, and the operands of all shapes of a binary are taken to be the same static arrays, so that
an earlier shape leaves the beginning of a later one's operands behind: over 27 first rows of a shape the mean error is
12 to 15 %, depending on the memory's constants, against 15 to 18 % if all are taken as warm and 31 to 41 % as cold. A
row that repeats a shape finds what fits of its operands in the caches, whatever tiling ran before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.lowering.host import call_overhead
from mapper.validation.measured.rows import ValidationError, shown, whole
from mapper.validation.measured.sanity import measured
from simulator.machine import count, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Fence, HostTask, MatmulLoop, Matrix, Program, Region
from simulator.units.systolic_array import compute_cycles, preload_cycles

Row = dict[str, str]

REQUIRED = (
    "row_id", "source", "variant", "network", "kind", "pe_dim", "M", "K", "N", "q_tiles", "exec_tile_P", "exec_tile_C",
    "exec_tile_Kout", "exec_trips_outer_to_inner", "compute_cycles", "cache_state", "measured_cycles",
)  # fmt: skip
"""Columns a file of this kind must have."""

KINDS = ("matmul", "array_microbench", "conv1x1", "conv")
NOT_RUN = ("conv1x1", "conv")
ARRAYS = (4, 8, 16, 32, 64)
CACHE_STATES = ("first_of_shape", "repeat_of_shape", "warm_after_auto")
A_BASE, B_BASE, C_BASE = 0x8000_0000, 0x9000_0000, 0xA000_0000
"""Where the static arrays of a binary start [bytes]."""
RUNS_BEFORE = 5
"""Runs of a shape before a row that repeats it: enough to fill a cache whose replacement is random."""
MOST_LOOPS = 2_000_000
"""Four times as many hardware loops as any measured row: a nonsense tiling, refused before it fills the memory."""
MOST_BYTES = 2**28
"""Operands of a product together; measured: 38 million bytes."""


@lru_cache
def machine(pe_dim: int, patched: bool = True) -> HardwareSpec:
    """The measured machine with an array of ``pe_dim``.

    Its one phenomenological parameter, ``l2.multi_beat_hit``, belongs to the 16x16 build; ``patched`` False switches it
    off there too.
    """
    changes: dict[str, object] = {} if pe_dim == 16 else {"array.size": pe_dim}
    if pe_dim != 16 or not patched:
        changes["l2.multi_beat_hit"] = 0
    return hwconfigs.load("firesim_dosa", changes)


@dataclass(frozen=True, slots=True)
class Shape:
    """A product; each shape starts at the beginning of the arrays of its binary."""

    m: int
    k: int
    n: int

    @property
    def bytes(self) -> int:
        return self.m * self.k + self.k * self.n + self.m * self.n


def shape_of(row: Row) -> Shape:
    """The product of a matmul row."""
    shape = Shape(_positive(row, "M"), _positive(row, "K"), _positive(row, "N"))
    if shape.bytes > MOST_BYTES:
        raise ValidationError(f"{shape.m}x{shape.k}x{shape.n}: operands of more than {MOST_BYTES} bytes")
    return shape


def check_row(row: Row) -> None:
    """Refuse a row that cannot have been measured.

    Raises
    ------
    ValidationError
        Saying which cell is wrong and what is allowed.
    """
    if row["kind"] not in KINDS:
        raise ValidationError(f"kind={shown(row['kind'])} is none of {', '.join(KINDS)}")
    cycles = measured(row, "measured_cycles")
    _array(row)
    if row["kind"] == "array_microbench":
        _positive(row, "M")
        _positive(row, "q_tiles")
        return
    floor = whole(row, "compute_cycles", 0)
    if not 0 <= floor <= cycles:
        raise ValidationError(f"compute_cycles={floor} outside 0..{cycles}, the measured cycles")
    if row["cache_state"] not in CACHE_STATES:
        raise ValidationError(f"cache_state={shown(row['cache_state'])} is none of {', '.join(CACHE_STATES)}")
    _trips(row, _size(row), _tile(row))
    shape_of(row)


def histories(rows: Sequence[Row], left_out: Container[int] = ()) -> list[tuple[Shape, ...]]:
    """For each row, the other shapes that its binary ran before it: rows of one source, network and array, in order.

    Rows that are not sensible matmuls leave nothing behind, nor do those whose position is ``left_out``.
    """
    ran: dict[tuple[str, ...], list[Shape]] = {}
    earlier_shapes: list[tuple[Shape, ...]] = []
    for index, row in enumerate(rows):
        binary = ran.setdefault(tuple(row[column] for column in ("source", "network", "pe_dim")), [])
        try:
            shape = shape_of(row) if row["kind"] == "matmul" and index not in left_out else None
        except ValidationError:
            shape = None
        earlier_shapes.append(tuple(earlier for earlier in binary if earlier != shape))
        if shape is not None and shape not in binary:
            binary.append(shape)
    return earlier_shapes


def cycles(row: Row, history: tuple[Shape, ...] = (), patched: bool = True) -> int:
    """Simulated cycles of one row.

    Parameters
    ----------
    row
        One measurement.
    history
        Shapes that its binary ran before it, from `histories`.
    patched
        Keep the phenomenological parameter of the 16x16 build.

    Raises
    ------
    ValidationError
        When the row makes no sense.
    """
    if row["kind"] == "array_microbench":
        return mesh_cycles(_positive(row, "pe_dim"), _positive(row, "M"), _positive(row, "q_tiles"))
    check_row(row)
    state = row["cache_state"]
    spec = machine(_array(row), patched)
    timed = program(row, spec)
    memory = MemoryState(spec)
    for shape in history if state == "first_of_shape" else (shape_of(row),):
        _run_untimed(shape, spec, memory)
    return simulate(timed, spec, memory=memory).cycles


def _run_untimed(shape: Shape, spec: HardwareSpec, memory: MemoryState) -> None:
    """Leave the operands of a shape in the caches, as several runs of it do."""
    regions = (
        Region("A", A_BASE, shape.m * shape.k),
        Region("B", B_BASE, shape.k * shape.n),
        Region("C", C_BASE, shape.m * shape.n),
    )
    touch = Program("earlier rows", (HostTask("touch", 0, reads=regions[:2], writes=regions[2:]),))
    fits = spec.llc is None or shape.bytes <= spec.llc.capacity_bytes
    for _ in range(RUNS_BEFORE if fits else 1):
        count(touch, spec, memory)


def mesh_cycles(side: int, rows: int, tiles: int) -> int:
    """First request to last result of ``tiles`` preloads and passes of ``rows`` rows each. [cycles]

    Passes longer than the array are cut into passes of its height, each with its own preload. While a pass runs, the
    next one's weights are loaded; before the first pass they are loaded alone, and the last row needs two array heights
    to come out. No write-back is included.
    """
    array = machine(side if side in ARRAYS else _unknown_array(side)).array
    preload = preload_cycles(array)
    last = compute_cycles(rows, array) if rows > side else max(rows, array.min_step_rows)
    return preload + (tiles - 1) * max(last, preload) + last + 2 * array.rows


def program(row: Row, spec: HardwareSpec) -> Program:
    """The software loop over the tiles of one matmul, with its fence."""
    loops = tuple(_loops(row))
    call = call_overhead(spec)
    # Where the reduction is not the innermost loop, sums are added to those of another tile, whatever their size.
    trips = [part[:1] for part in row["exec_trips_outer_to_inner"].strip().split(">")]
    astray = "C" in trips[:-1]
    return Program(row["row_id"], (call, *loops, Fence()), preloaded=("accumulator",) if astray else ())


def _loops(row: Row) -> Iterator[MatmulLoop]:
    size, tile = _size(row), _tile(row)
    trips = _trips(row, size, tile)
    order = [letter for letter, _ in trips]
    kept = False
    for indices in product(*(range(number) for _, number in trips)):
        at = dict.fromkeys("PCK", 0) | {
            letter: index * tile[letter] for letter, index in zip(order, indices, strict=True)
        }
        m, k, n = (min(tile[letter], size[letter] - at[letter]) for letter in "PCK")
        last = at["C"] + k == size["C"]
        yield MatmulLoop(
            m=m,
            k=k,
            n=n,
            a=Matrix(A_BASE + at["P"] * size["C"] + at["C"], size["C"]),
            b=Matrix(B_BASE + at["C"] * size["K"] + at["K"], size["K"]),
            c=Matrix(C_BASE + at["P"] * size["K"] + at["K"], size["K"]) if last else None,
            accumulate=kept,
        )
        kept = not last


def _size(row: Row) -> dict[str, int]:
    return {letter: _positive(row, column) for letter, column in (("P", "M"), ("C", "K"), ("K", "N"))}


def _tile(row: Row) -> dict[str, int]:
    columns = {"P": "exec_tile_P", "C": "exec_tile_C", "K": "exec_tile_Kout"}
    return {letter: _positive(row, column) for letter, column in columns.items()}


def _trips(row: Row, size: dict[str, int], tile: dict[str, int]) -> list[tuple[str, int]]:
    """Software loops, outermost first, checked against the problem and its tile."""
    text = row["exec_trips_outer_to_inner"].strip()
    name = f"exec_trips_outer_to_inner={shown(text)}"
    trips: dict[str, int] = {}
    for part in text.split(">") if text else ():
        letter, number = part[:1], part[1:]
        if letter not in size or not re.fullmatch("[0-9]{1,12}", number) or letter in trips:
            raise ValidationError(f"{name} is not like 'P2>C8>K4'")
        trips[letter] = int(number)
    for dim, extent in size.items():
        needed = -(-extent // tile[dim])
        if trips.get(dim, 1) != needed:
            raise ValidationError(f"{name}: {extent} in tiles of {tile[dim]} takes {needed} trips of {dim}")
    loops = math.prod(trips.values())
    if loops > MOST_LOOPS:
        raise ValidationError(f"{name}: {loops} hardware loops, more than {MOST_LOOPS}")
    return list(trips.items())


def _array(row: Row) -> int:
    side = _positive(row, "pe_dim")
    return side if side in ARRAYS else _unknown_array(side)


def _unknown_array(side: int) -> int:
    raise ValidationError(f"pe_dim={side}: arrays of {', '.join(map(str, ARRAYS))} are known")


def _positive(row: Row, column: str) -> int:
    number = whole(row, column)
    if number < 1:
        raise ValidationError(f"{column}={number} must be at least 1")
    return number
