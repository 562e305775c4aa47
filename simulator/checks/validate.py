"""Can this machine run this program, and does the program mean something? Every complaint names the command.

Three questions, all answered before anything runs: does each command fit the machine (here); does it read rows on
chip that were written before (`simulator.checks.on_chip_contents`); do the DRAM ranges that it uses leave each other
alone (`simulator.checks.dram_hazards`)? The second and third are asked of programs whose commands all fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hwconfigs import HardwareSpec, SramSpec
from hwconfigs.kernels import kernel_named
from simulator.checks.dram_hazards import clashes
from simulator.checks.kept_blocks import kept_problems, unfenced
from simulator.checks.on_chip_contents import DefUseCheck
from simulator.frontend.loop_unroller import blocks
from simulator.loop_columns import LoopItems, loop_kinds
from simulator.program import (
    EVERYTHING_ON_CHIP,
    Compute,
    Fence,
    HostTask,
    Item,
    MatmulLoop,
    Matrix,
    Mvin,
    Mvout,
    Preload,
    Program,
    ProgramError,
    Region,
    listed,
)
from simulator.tile_footprint import accumulator_blocks, scratchpad_blocks

SHOWN = 5
"""Complaints listed before the rest is only counted."""

MOST_ADDRESS, MOST_STRIDE = 1 << 56, 1 << 40
"""Bytes; beyond any memory, and small enough that no row of a matrix leaves 64 bits."""


def check(program: Program, spec: HardwareSpec) -> None:
    """Raise ``ProgramError`` with the first complaints about ``program`` on ``spec``."""
    kinds = loop_kinds(program.items)
    problems = list(_misfits(program, spec, kinds)) or list(_nonsense(program, spec, kinds))
    if problems:
        more = f" (+{len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise ProgramError(f"{program.name} on {spec.name}: " + "; ".join(problems[:SHOWN]) + more)


def _misfits(program: Program, spec: HardwareSpec, kinds: Sequence[int]) -> Iterator[str]:
    """Commands that the machine cannot execute."""
    if not program.items:
        yield "the program is empty"
    for name in set(program.preloaded) - set(EVERYTHING_ON_CHIP):
        yield f"preloaded={name!r} is none of {', '.join(EVERYTHING_ON_CHIP)}"
    yield from _region_problems(program.regions)
    preload: Preload | None = None
    fitting: set[int] = set()
    for index, item in _different(program.items):
        kind = kinds[index]
        if kind in fitting and isinstance(item, MatmulLoop) and _addresses_fit(item):
            preload = None
            continue
        complaints = list(_item_problems(item, spec))
        if isinstance(item, Preload):
            preload = item
        elif isinstance(item, Compute):
            if preload is None:
                complaints.append("compute without a preload before it")
            else:
                complaints.extend(_rows_problems(preload.result, preload.result_row, item.m, spec))
        elif isinstance(item, (MatmulLoop, Fence)):
            preload = None
        if kind >= 0 and not complaints:
            fitting.add(kind)
        for complaint in complaints:
            yield _named(index, item, complaint)


def _different(items: Sequence[Item]) -> Iterator[tuple[int, Item]]:
    """Yield items and their indices, without loops in columns whose like stands before them."""
    if isinstance(items, LoopItems) and len(items.loops):
        addresses = items.loops.addresses
        if addresses.min() >= 0 and addresses.max() < MOST_ADDRESS:
            return items.firsts()
    return enumerate(items)


def _addresses_fit(loop: MatmulLoop) -> bool:
    a, b, c, d, residual = loop.a, loop.b, loop.c, loop.d, loop.residual
    return (
        (a is None or 0 <= a.address < MOST_ADDRESS)
        and (b is None or 0 <= b.address < MOST_ADDRESS)
        and (c is None or 0 <= c.address < MOST_ADDRESS)
        and (d is None or 0 <= d.address < MOST_ADDRESS)
        and (residual is None or 0 <= residual.address < MOST_ADDRESS)
    )


def _nonsense(program: Program, spec: HardwareSpec, kinds: Sequence[int]) -> Iterator[str]:
    """Commands that read rows that nothing wrote, or overwrite data that are still read."""
    if not _all_written(program, spec, kinds):
        contents = DefUseCheck(spec, program.preloaded, program.found)
        for index, item in enumerate(program.items):
            for complaint in contents.enter(index, item):
                yield _named(index, item, complaint)
    for index, complaint in (*clashes(program, spec, kinds), *unfenced(program.items, spec.array.rows)):
        yield _named(index, program.items[index], complaint)


def _all_written(program: Program, spec: HardwareSpec, kinds: Sequence[int]) -> bool:
    """Whether there is no complaint about rows on chip; loops of a known kind in a known state are looked up."""
    contents = DefUseCheck(spec, program.preloaded, program.found)
    for index, kind in enumerate(kinds):
        if kind >= 0 and contents.repeats(kind):
            continue
        item = program.items[index]
        before = contents.state
        if next(contents.enter(index, item), None) is not None:
            return False
        if kind >= 0:
            contents.learn(before, kind)
    return True


def _named(index: int, item: Item, complaint: str) -> str:
    return f"item {index} ({type(item).__name__}): {complaint} [{listed(item)}]"


def _item_problems(item: Item, spec: HardwareSpec) -> Iterator[str]:
    rows = spec.array.rows
    match item:
        case MatmulLoop():
            yield from _loop_problems(item, spec)
        case Mvin():
            yield from _rows_problems(item.memory, item.row, _height(item.rows, item.cols, rows, spec), spec)
            yield from _matrix_problems("source", item.source)
            yield from _transfer_problems(item, spec)
        case Mvout():
            pitch = item.block_stride or rows
            if pitch < 0:
                yield f"block stride {pitch} is negative"
            height = (item.blocks(spec.array.cols) - 1) * pitch + item.rows
            yield from _rows_problems(item.memory, item.row, height, spec)
            yield from _matrix_problems("target", item.target)
            yield from _transfer_problems(item, spec)
            if not spec.has_lanes_for(kernel_named(item.activation)):
                yield from _activation_problems(item.activation, spec)
        case Preload():
            if max(item.k, item.n) > rows or min(item.k, item.n) < 1:
                yield f"weights {item.k}x{item.n} outside 1..{rows}"
            yield from _rows_problems(item.result, item.result_row, 1, spec)
            if item.weights_row is not None:
                height = item.n if item.weights_transposed else item.k
                yield from _rows_problems("scratchpad", item.weights_row, height, spec)
        case Compute():
            if not (1 <= item.m <= rows and 1 <= item.k <= rows and 1 <= item.n <= spec.array.cols):
                yield f"block {item.m}x{item.k}x{item.n} outside 1..{rows}"
            height = item.k if item.inputs_transposed else item.m
            yield from _rows_problems("scratchpad", item.inputs_row, height, spec)
            if item.output_stationary and "output_stationary" not in spec.array.dataflows:
                yield f"{spec.name} is not built for the output-stationary dataflow"
        case HostTask():
            if item.cycles < 0:
                yield f"{item.cycles} cycles"
            yield from _region_problems(item.reads + item.writes)


def _transfer_problems(item: Mvin | Mvout, spec: HardwareSpec) -> Iterator[str]:
    """Shape and width of one mvin or mvout."""
    stores_nothing = isinstance(item, Mvout) and kernel_named(item.activation).gathers
    if item.rows < 1 or item.cols < (0 if stores_nothing else 1):
        yield f"{item.rows}x{item.cols} is empty"
    if item.rows > spec.array.rows:
        yield f"{item.rows} rows > {spec.array.rows}, the array height"
    if item.element_bits not in (spec.array.input_bits, spec.array.accumulator_bits):
        known = f"{spec.array.input_bits} or {spec.array.accumulator_bits}"
        yield f"{item.element_bits}-bit elements; {known} on {spec.name}"
    elif item.element_bits == spec.array.accumulator_bits and item.memory == "scratchpad":
        yield f"the scratchpad holds {spec.array.input_bits}-bit elements, not {item.element_bits}-bit ones"
    widest = max(spec.dma.max_request_bytes * 8 // item.element_bits, spec.array.cols)
    if isinstance(item, Mvin) and item.cols > widest:
        yield f"{item.cols} columns > {widest}, the widest mvin of {item.element_bits}-bit elements"


def _height(rows: int, cols: int, pitch: int, spec: HardwareSpec) -> int:
    return (blocks(cols, spec.array.cols) - 1) * pitch + rows


def _loop_problems(loop: MatmulLoop, spec: HardwareSpec) -> Iterator[str]:
    if min(loop.m, loop.k, loop.n) < 1:
        yield f"tile {loop.m}x{loop.k}x{loop.n} has an empty dimension"
        return
    side = spec.array.rows
    i, j, k = blocks(loop.m, side), blocks(loop.n, side), blocks(loop.k, side)
    share = 1 if loop.whole_memory else 2
    for rows, name, demand in (
        (spec.scratchpad.rows - loop.reserved_rows, "scratchpad", scratchpad_blocks(i, k, j) * side),
        (spec.accumulator.rows, "accumulator", accumulator_blocks(i, j) * side),
    ):
        bound = rows // share
        if demand > bound:
            halved = "" if loop.whole_memory else ", half of it for double buffering"
            yield f"{name}: tile {loop.m}x{loop.k}x{loop.n} needs {demand} rows > {bound}{halved}"
    for name, matrix in (("A", loop.a), ("B", loop.b), ("C", loop.c), ("D", loop.d), ("residual", loop.residual)):
        if matrix is not None:
            yield from _matrix_problems(name, matrix)
    if loop.residual is not None and loop.accumulate:
        yield "adds a residual to the sums of the loop before it: give it to the first loop of a tile"
    yield from _activation_problems(loop.activation, spec)
    if loop.a_kept is not None or loop.c_kept is not None or loop.reserved_rows:
        yield from kept_problems(loop, spec)
    kernel = kernel_named(loop.activation)
    if kernel.whole_rows and not loop.stores:
        yield f"{loop.activation} needs a stored result"
    if loop.c_full and kernel.needs_unit:
        yield f"{loop.activation} results are {spec.array.input_bits}-bit, not int32"
    if loop.c is not None and loop.m > 1:
        width = loop.n * (spec.array.accumulator_bits if loop.c_full else spec.array.input_bits) // 8
        if loop.c.row_stride_bytes < width:
            yield f"C: rows of {width} bytes overlap at a stride of {loop.c.row_stride_bytes}"
    halves = (0,) if loop.whole_memory else (0, 1)
    for name, half in (("a_half", loop.a_half), ("b_half", loop.b_half)):
        if half is not None and half not in halves:
            yield f"{name}={half} is not one of {', '.join(map(str, halves))}"


def _matrix_problems(name: str, matrix: Matrix) -> Iterator[str]:
    if matrix.address < 0 or matrix.row_stride_bytes < 0:
        yield f"{name}: negative address or row stride"
    elif matrix.address >= MOST_ADDRESS or matrix.row_stride_bytes >= MOST_STRIDE:
        yield f"{name}: address or row stride beyond 0x{MOST_ADDRESS:x} or 0x{MOST_STRIDE:x}"


def _region_problems(regions: tuple[Region, ...]) -> Iterator[str]:
    for region in regions:
        end = region.address + region.size_bytes
        if region.address < 0 or region.size_bytes < 0 or end > MOST_ADDRESS:
            yield (
                f"region {region.name}: {region.size_bytes} bytes from 0x{region.address:x} on are not within "
                f"0..0x{MOST_ADDRESS:x}"
            )


def _activation_problems(activation: str, spec: HardwareSpec) -> Iterator[str]:
    kernel = kernel_named(activation)
    if not (kernel.is_activation and spec.evaluates(kernel)):
        yield f"{spec.name} has no unit for {activation}"


def _rows_problems(name: str, row: int, height: int, spec: HardwareSpec) -> Iterator[str]:
    memory: SramSpec = spec.scratchpad if name == "scratchpad" else spec.accumulator
    if row < 0 or row + height > memory.rows:
        yield f"{name} rows {row}..{row + height - 1} outside 0..{memory.rows - 1}"
