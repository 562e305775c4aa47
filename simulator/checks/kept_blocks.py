"""Results that stay in the scratchpad between loops: may they, and do loops that read them wait for them?

    loop ─► rows at the top of the scratchpad, reserved ─► fence ─► loop that takes them for A

Nothing on chip tracks such rows, so that a fence has to stand between the loop that writes them and the one that reads
them, and between that one and the next that overwrites them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hwconfigs import HardwareSpec
from simulator.loop_columns import LoopItems
from simulator.program import Fence, Item, KeptBlocks, MatmulLoop


def parts_of(kept: KeptBlocks | None, rows: int, cols: int, side: int) -> Iterator[tuple[int, int, int]]:
    """Yield the blocks of a matrix that stays in the scratchpad: first row, rows and columns; none of no matrix."""
    if kept is not None:
        for top in range(0, rows, side):
            for left in range(0, cols, side):
                row = kept.part(top // side, left // side, side).row
                yield row, min(side, rows - top), min(side, cols - left)


def kept_problems(loop: MatmulLoop, spec: HardwareSpec) -> Iterator[str]:
    """Yield what is wrong with the blocks that a loop finds or leaves in the scratchpad."""
    first = spec.scratchpad.rows - loop.reserved_rows
    if not 0 < first <= spec.scratchpad.rows:
        yield f"{loop.reserved_rows} rows of {spec.scratchpad.rows} of the scratchpad cannot be reserved"
    for name, matrix, kept, width in (("A", loop.a, loop.a_kept, loop.k), ("C", loop.c, loop.c_kept, loop.n)):
        if kept is None:
            continue
        if matrix is not None:
            yield f"{name} is both in memory and in the scratchpad"
        rows = kept.rows(loop.m, width, spec.array.rows)
        if kept.across < -(-width // spec.array.cols):
            yield f"{name}: {width} columns are more than {kept.across} blocks of the scratchpad"
        elif rows.start < first or rows.stop > spec.scratchpad.rows:
            yield f"{name}: scratchpad rows {rows.start}..{rows.stop - 1} are not among those reserved from {first} on"
    if loop.c_kept is None:
        return
    if spec.vector is None or not spec.vector.writes_scratchpad:
        yield f"{spec.name} has no path from the normaliser into the scratchpad (vector.writes_scratchpad)"
    if loop.c_full:
        yield f"the scratchpad holds {spec.array.input_bits}-bit results, not int32"


def unfenced(items: Sequence[Item], side: int) -> Iterator[tuple[int, str]]:
    """Yield each loop that reads or overwrites rows that a loop since the last fence writes or reads."""
    if isinstance(items, LoopItems) and not any(kind.a_kept or kind.c_kept for kind in items.loops.kinds):
        return
    written: list[range] = []
    read: list[range] = []
    for index, item in enumerate(items):
        if isinstance(item, Fence):
            written, read = [], []
        elif isinstance(item, MatmulLoop):
            if item.a_kept is not None:
                rows = item.a_kept.rows(item.m, item.k, side)
                if any(_meet(rows, other) for other in written):
                    yield index, "reads results in the scratchpad that a loop before it writes; put a fence between"
                read.append(rows)
            if item.c_kept is not None:
                rows = item.c_kept.rows(item.m, item.n, side)
                if any(_meet(rows, other) for other in read):
                    yield index, "overwrites results in the scratchpad that a loop before it reads; put a fence between"
                written.append(rows)


def _meet(rows: range, others: range) -> bool:
    return rows.start < others.stop and others.start < rows.stop
