"""Command queues of hardware loops: what the unroller emits, and what that does to array and memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from simulator.frontend import loop_unroller
from simulator.frontend.command_queues import CommandQueues, Loads, Pairs, Stores
from simulator.frontend.loop_works import LoopLayout, LoopWorks
from simulator.frontend.transfer_counts import count_transfers
from simulator.loop_columns import LoopColumns, numbered, strides
from simulator.program import MatmulLoop, Matrix


@dataclass(slots=True)
class LoopExpander:
    """Unrolls macro loops; remembers which halves the next loop uses, and the parts that equal loops share."""

    spec: HardwareSpec
    passes: Mapping[str, int]
    """How often a row is read, for activations that a readout unit handles; once for all others."""
    loops: int = 0
    stored: int = 0
    _layouts: dict[tuple[object, ...], LoopLayout] = field(default_factory=dict)

    def expand(self, loop: MatmulLoop) -> CommandQueues:
        """Return the command queues of the next loop."""
        layout = self._layout_of(loop, loop_unroller.halves(loop, self.loops, self.stored))
        self.loops += 1
        self.stored += loop.stores
        matrices = (loop.a, loop.b, loop.d, loop.residual, loop.c)
        addresses = [0 if matrix is None else matrix.address for matrix in matrices]
        return layout.at(np.array(addresses, dtype=np.int64))

    def expand_columns(self, loops: LoopColumns) -> LoopWorks:
        """Return the command queues of the next loops, which are made when somebody asks for them."""
        stores = np.array([kind.stores for kind in loops.kinds], dtype=np.int64)[loops.kind]
        before = self.loops + np.arange(len(loops), dtype=np.int64)
        stored = self.stored + np.cumsum(stores) - stores
        # Halves alternate: loops of one kind are laid out alike behind as many loops and stores modulo 2.
        first, alike = numbered((loops.kind * 2 + before % 2) * 2 + stored % 2)
        found: list[LoopLayout] = []
        for at in first.tolist():
            kind = loops.kinds[int(loops.kind[at])]
            found.append(self._layout_of(kind, loop_unroller.halves(kind, int(before[at]), int(stored[at]))))
        self.loops += len(loops)
        self.stored += int(stores.sum())
        layouts = list(dict.fromkeys(found))
        return LoopWorks(layouts, np.array([layouts.index(one) for one in found])[alike], loops.addresses)

    def _layout_of(self, loop: MatmulLoop, halves: tuple[int, int, int]) -> LoopLayout:
        """Return what a loop has in common with others, wherever its matrices lie."""
        flags = (loop.accumulate, loop.b_transposed, loop.b_bits, loop.c_full, loop.activation, loop.whole_memory)
        kept = loop.a_kept, loop.c_kept, loop.reserved_rows
        key = (loop.m, loop.k, loop.n, halves, *strides(loop).values(), flags, kept)
        if key not in self._layouts:
            self._layouts[key] = self._lay_out(loop, halves)
        return self._layouts[key]

    def _lay_out(self, loop: MatmulLoop, halves: tuple[int, int, int]) -> LoopLayout:
        spec = self.spec
        matrices = {"a": loop.a, "b": loop.b, "c": loop.c, "d": loop.d, "residual": loop.residual}
        at_zero = {name: Matrix(0, matrix.row_stride_bytes) for name, matrix in matrices.items() if matrix is not None}
        loop = replace(loop, **at_zero)  # type: ignore[arg-type]
        shape = loop_unroller.shape_of(loop, spec)
        where = loop_unroller.placed(loop, shape, spec, halves)
        loads = self._loads(loop, shape, where)
        stores = self._stores(loop, shape, where)
        pairs, counts = _loop_pairs(loop, shape, where, spec)
        count_transfers(counts, loads, stores, spec, self.passes)
        queues = CommandQueues(
            name=f"{loop.m}x{loop.k}x{loop.n}",
            is_loop=True,
            loads=loads,
            pairs=pairs,
            stores=stores,
            macs=loop.macs,
            counts=counts,
            host_cycles=round(spec.host.loop_cycles + _issued_in_front(loop, loads) * spec.host.command_cycles),
            whole_memory=loop.whole_memory,
            halves=halves,
            batchable=not loop.whole_memory and spec.scratchpad.banks % 2 == 0 and halves[0] == halves[1],
        )
        return LoopLayout(queues, loop_unroller.plan(shape).kind)

    def _loads(self, loop: MatmulLoop, shape: loop_unroller.Shape, where: loop_unroller.Placement) -> Loads:
        columns = loop_unroller.load_columns(loop, shape, self.spec, where)
        count = len(columns.base)
        packed = loop_unroller.plan(shape).kind == loop_unroller.WEIGHT if loop.b_bits < 8 else None
        return Loads(
            base=columns.base,
            rows=columns.rows,
            size_bytes=columns.size_bytes,
            stride=columns.stride,
            local_row=columns.local_row.tolist(),
            local_rows=columns.local_rows.tolist(),
            to_accumulator=columns.to_accumulator.tolist(),
            accumulate=(columns.residual & (loop.d is not None)).tolist(),
            scaled=columns.residual.tolist(),
            after_pair=[0] * count,
            after_store=[0] * count,
            packed=None if packed is None else packed.tolist(),
            packed_bits=loop.b_bits,
        )

    def _stores(self, loop: MatmulLoop, shape: loop_unroller.Shape, where: loop_unroller.Placement) -> Stores:
        columns = loop_unroller.store_columns(loop, shape, self.spec, where)
        order = loop_unroller.plan(shape)
        count = len(columns.base)
        need = [pair + 1 for pair in order.store_need] if count else []
        if kernel_named(loop.activation).whole_rows:
            need = [len(order.need)] * count
        return Stores(
            base=columns.base,
            rows=columns.rows,
            size_bytes=columns.size_bytes,
            stride=columns.stride,
            blocks=columns.blocks.tolist(),
            full=[loop.c_full] * count,
            bank=(columns.local_row // self.spec.accumulator.rows_per_bank).tolist(),
            activation=[loop.activation] * count,
            after_load=[0] * count,
            after_pair=need,
            columns=None if columns.kept_row is None else columns.columns.tolist(),
            kept_row=None if columns.kept_row is None else columns.kept_row.tolist(),
        )


def _issued_in_front(loop: MatmulLoop, loads: Loads) -> int:
    """Mvins that the core issues in front of a loop: those of a residual, and then of D as well."""
    return 0 if loop.residual is None else sum(loads.to_accumulator)


def _loop_pairs(
    loop: MatmulLoop, shape: loop_unroller.Shape, where: loop_unroller.Placement, spec: HardwareSpec
) -> tuple[Pairs, dict[tuple[str, str], int]]:
    """Pairs of a loop and what they do to array and memories."""
    side = spec.array.rows
    order = loop_unroller.plan(shape)
    i, j, k = order.pair_i, order.pair_j, order.pair_k
    rows = np.minimum(side, loop.m - i * side)
    new = i == 0
    a_row = where.a_row + (i * where.a_across + k) * side
    b_row = where.b_row + (j * shape.k + k if loop.b_transposed else k * shape.j + j) * side
    c_row = where.c_row + (i * shape.j + j) * side
    accumulates = (k > 0) | loop.accumulate | (loop.d is not None) | (loop.residual is not None)
    depth = np.minimum(side, loop.k - k * side)
    width = np.minimum(side, loop.n - j * side)
    weight_rows = width if loop.b_transposed else depth
    counts = {
        ("array", "mac"): loop.macs,
        ("array", "weight_load"): int((depth * width)[new].sum()),
        ("scratchpad", "read_row"): int(rows.sum() + weight_rows[new].sum()),
        ("accumulator", "write_row"): int(rows.sum()),
        ("accumulator", "read_row"): int(rows[accumulates].sum()),
    }
    pairs = Pairs(
        rows=rows.tolist(),
        new_weights=new.tolist(),
        weights_transposed=loop.b_transposed,
        inputs_bank=(a_row // spec.scratchpad.rows_per_bank).tolist(),
        weights_bank=(b_row // spec.scratchpad.rows_per_bank).tolist(),
        inputs_row=a_row.tolist(),
        weights_row=b_row.tolist(),
        result_bank=(c_row // spec.accumulator.rows_per_bank).tolist(),
        accumulates=accumulates.tolist(),
        after_load=order.need,
        after_store=[0] * len(rows),
    )
    return pairs, counts
