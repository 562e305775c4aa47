"""From program items to command queues: macro loops through the unroller, single commands one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from simulator.arrays import Ints
from simulator.frontend import loop_unroller
from simulator.frontend.command_queues import CommandQueues, Loads, Pairs, Stores
from simulator.frontend.reservation_station import Footprint, last_conflict
from simulator.frontend.transfer_counts import load_counts, store_counts
from simulator.program import Command, Compute, Config, MatmulLoop, Matrix, Mvin, Mvout, Preload

SCRATCHPAD_RESULT = -1
"""Bank number of results that go to, or come from, the scratchpad."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """What loops have in common that differ by the addresses of their matrices alone."""

    queues: CommandQueues
    """Of a loop whose matrices all start at address 0."""
    load_kind: Ints
    """Matrix of each load: INPUT, WEIGHT or BIAS."""


@dataclass(slots=True)
class LoopExpander:
    """Unrolls macro loops; remembers which halves the next loop uses, and the parts that equal loops share."""

    spec: HardwareSpec
    passes: Mapping[str, int]
    """How often a row is read, for activations that a readout unit handles; once for all others."""
    loops: int = 0
    stored: int = 0
    _layouts: dict[tuple[object, ...], _Layout] = field(default_factory=dict)

    def expand(self, loop: MatmulLoop) -> CommandQueues:
        """Return the command queues of the next loop."""
        halves = loop_unroller.halves(loop, self.loops, self.stored)
        self.loops += 1
        self.stored += loop.c is not None
        matrices = (loop.a, loop.b, loop.d, loop.c)
        strides = tuple(None if matrix is None else matrix.row_stride_bytes for matrix in matrices)
        flags = (loop.accumulate, loop.b_transposed, loop.c_full, loop.activation, loop.whole_memory)
        key = (loop.m, loop.k, loop.n, halves, strides, flags)
        if key not in self._layouts:
            self._layouts[key] = self._lay_out(loop, halves)
        layout = self._layouts[key]
        a, b, d, c = (0 if matrix is None else matrix.address for matrix in matrices)
        queues = layout.queues
        loads = replace(queues.loads, base=queues.loads.base + np.array((a, b, d), dtype=np.int64)[layout.load_kind])
        return replace(queues, loads=loads, stores=replace(queues.stores, base=queues.stores.base + c))

    def _lay_out(self, loop: MatmulLoop, halves: tuple[int, int, int]) -> _Layout:
        spec = self.spec
        matrices = {"a": loop.a, "b": loop.b, "c": loop.c, "d": loop.d}
        at_zero = {name: Matrix(0, matrix.row_stride_bytes) for name, matrix in matrices.items() if matrix is not None}
        loop = replace(loop, **at_zero)  # type: ignore[arg-type]
        shape = loop_unroller.shape_of(loop, spec)
        where = loop_unroller.placement(shape, spec, *halves, loop.whole_memory)
        loads = self._loads(loop, shape, where)
        stores = self._stores(loop, shape, where)
        pairs, counts = _loop_pairs(loop, shape, where, spec)
        _count_transfers(counts, loads, stores, spec, self.passes)
        queues = CommandQueues(
            name=f"{loop.m}x{loop.k}x{loop.n}",
            is_loop=True,
            loads=loads,
            pairs=pairs,
            stores=stores,
            macs=loop.macs,
            counts=counts,
            host_cycles=round(spec.host.loop_cycles),
            whole_memory=loop.whole_memory,
            halves=halves,
            batchable=not loop.whole_memory and spec.scratchpad.banks % 2 == 0 and halves[0] == halves[1],
        )
        return _Layout(queues, loop_unroller.plan(shape).kind)

    def _loads(self, loop: MatmulLoop, shape: loop_unroller.Shape, where: loop_unroller.Placement) -> Loads:
        columns = loop_unroller.load_columns(loop, shape, self.spec, where)
        count = len(columns.base)
        return Loads(
            base=columns.base,
            rows=columns.rows,
            size_bytes=columns.size_bytes,
            stride=columns.stride,
            local_row=columns.local_row.tolist(),
            local_rows=columns.local_rows.tolist(),
            to_accumulator=columns.to_accumulator.tolist(),
            accumulate=[False] * count,
            scaled=[False] * count,
            after_pair=[0] * count,
            after_store=[0] * count,
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
        )


def _loop_pairs(
    loop: MatmulLoop, shape: loop_unroller.Shape, where: loop_unroller.Placement, spec: HardwareSpec
) -> tuple[Pairs, dict[tuple[str, str], int]]:
    """Pairs of a loop and what they do to array and memories."""
    dim = spec.array.rows
    order = loop_unroller.plan(shape)
    i, j, k = order.pair_i, order.pair_j, order.pair_k
    rows = np.minimum(dim, loop.m - i * dim)
    new = i == 0
    a_row = where.a_row + (i * shape.k + k) * dim
    b_row = where.b_row + (j * shape.k + k if loop.b_transposed else k * shape.j + j) * dim
    c_row = where.c_row + (i * shape.j + j) * dim
    accumulates = (k > 0) | loop.accumulate | (loop.d is not None)
    depth = np.minimum(dim, loop.k - k * dim)
    width = np.minimum(dim, loop.n - j * dim)
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


def _count_transfers(
    counts: dict[tuple[str, str], int], loads: Loads, stores: Stores, spec: HardwareSpec, passes: Mapping[str, int]
) -> None:
    """Add the rows that DMA writes and reads on chip, and the elements through the store pipeline."""
    full = np.array(stores.full, dtype=bool)
    loaded = load_counts(
        loads.rows,
        np.array(loads.local_rows, dtype=np.int64) // spec.array.rows,
        np.array(loads.to_accumulator, dtype=bool),
        np.array(loads.accumulate, dtype=bool),
    )
    stored = store_counts(
        stores.rows,
        np.array(stores.blocks, dtype=np.int64),
        stores.rows * np.where(full, stores.size_bytes // spec.array.sum_bytes, stores.size_bytes),
        full,
        np.array(stores.bank, dtype=np.int64) != SCRATCHPAD_RESULT,
        stores.activation,
        passes,
    )
    for (unit, action), number in (*loaded.items(), *stored.items()):
        _add(counts, unit, action, number)


def _add(counts: dict[tuple[str, str], int], unit: str, action: str, number: int) -> None:
    counts[unit, action] = counts.get((unit, action), 0) + number


def expand_commands(
    commands: Sequence[Command], spec: HardwareSpec, name: str, passes: Mapping[str, int]
) -> CommandQueues:
    """Return the queues of a run of single commands, with the reservation station's dependencies.

    ``passes`` tells how often a row is read, for activations that a readout unit handles.
    """
    builder = _CommandRun(spec)
    for command in commands:
        builder.add(command)
    return builder.finish(name, passes)


def relocated(queues: CommandQueues, commands: Sequence[Command]) -> CommandQueues:
    """Move ``queues``, made from commands that differ from ``commands`` only in their DRAM addresses, to theirs."""
    sources = _column([command.source.address for command in commands if isinstance(command, Mvin)])
    targets = _column([command.target.address for command in commands if isinstance(command, Mvout)])
    return replace(queues, loads=replace(queues.loads, base=sources), stores=replace(queues.stores, base=targets))


class _CommandRun:
    """Collects single commands into the three queues."""

    def __init__(self, spec: HardwareSpec) -> None:
        self.spec = spec
        self._pace = round(spec.host.command_cycles)
        self._issued = 0
        self.preload: Preload | None = None
        self.loads: list[tuple[Mvin, int]] = []
        self.load_writes: list[Footprint] = []
        self.pairs: list[tuple[Preload, Compute, int]] = []
        self.pair_reads: list[Footprint] = []
        self.pair_weights: list[Footprint] = []
        self.pair_writes: list[Footprint] = []
        self.stores: list[tuple[Mvout, int]] = []
        self.store_reads: list[Footprint] = []
        self.load_after: list[tuple[int, int]] = []
        self.pair_after: list[tuple[int, int]] = []
        self.pair_results: list[int] = []
        self.store_after: list[tuple[int, int]] = []
        self.macs = 0
        self.counts: dict[tuple[str, str], int] = {}

    def add(self, command: Command) -> None:
        match command:
            case Mvin():
                self._add_load(command)
            case Mvout():
                self._add_store(command)
            case Preload():
                self.preload = command
            case Compute():
                self._add_pair(command)
            case _:
                pass
        config = min(self.spec.front_end.config_command_cycles, self._pace)
        self._issued += config if isinstance(command, Config) else self._pace

    def _loads_touching(self, area: Footprint) -> int:
        return last_conflict(self.load_writes, area)

    def _stores_touching(self, area: Footprint) -> int:
        return last_conflict(self.store_reads, area)

    def _add_load(self, command: Mvin) -> None:
        cols = self.spec.array.cols
        blocks = -(-command.cols // cols)
        area = Footprint(command.memory, command.row, command.row + (blocks - 1) * self.spec.array.rows + command.rows)
        before = (self.pair_reads, self.pair_weights, self.pair_writes)
        after_pair = max(last_conflict(rows, area) for rows in before)
        self.load_after.append((after_pair, self._stores_touching(area)))
        self.loads.append((command, self._issued))
        self.load_writes.append(area)

    def _add_store(self, command: Mvout) -> None:
        blocks = -(-command.cols // self.spec.array.cols)
        pitch = command.block_stride or self.spec.array.rows
        area = Footprint(command.memory, command.row, command.row + (blocks - 1) * pitch + command.rows)
        self.store_after.append((self._loads_touching(area), last_conflict(self.pair_writes, area)))
        self.stores.append((command, self._issued))
        self.store_reads.append(area)

    def _add_pair(self, compute: Compute) -> None:
        preload = self.preload
        if preload is None:
            raise AssertionError("validated programs preload before they compute")
        inputs = Footprint("scratchpad", compute.inputs_row, compute.inputs_row + compute.m)
        result = Footprint(preload.result, preload.result_row, preload.result_row + compute.m)
        first = 0 if preload.weights_row is None else preload.weights_row
        depth = preload.n if preload.weights_transposed else preload.k
        weights = Footprint("scratchpad", first, first + (0 if preload.weights_row is None else depth))
        self.pair_after.append(
            (max(map(self._loads_touching, (inputs, result, weights))), self._stores_touching(result))
        )
        self.pair_results.append(max(last_conflict(self.pair_writes, rows) for rows in (inputs, weights)))
        self.pair_reads.append(inputs)
        self.pair_weights.append(weights)
        self.pair_writes.append(result)
        self.pairs.append((preload, compute, self._issued))
        self.macs += compute.macs
        self._count_pair(preload, compute)

    def _count_pair(self, preload: Preload, compute: Compute) -> None:
        counts = self.counts
        _add(counts, "array", "mac", compute.macs)
        _add(counts, "scratchpad", "read_row", compute.m)
        if preload.weights_row is not None:
            _add(counts, "array", "weight_load", preload.k * preload.n)
            _add(counts, "scratchpad", "read_row", preload.n if preload.weights_transposed else preload.k)
        _add(counts, preload.result, "write_row", compute.m)
        if preload.accumulate:
            _add(counts, "accumulator", "read_row", compute.m)

    def finish(self, name: str, passes: Mapping[str, int]) -> CommandQueues:
        loads, stores = self._finish_loads(), self._finish_stores()
        _count_transfers(self.counts, loads, stores, self.spec, passes)
        return CommandQueues(
            name=name,
            is_loop=False,
            loads=loads,
            pairs=self._finish_pairs(),
            stores=stores,
            macs=self.macs,
            counts=self.counts,
            host_cycles=self._issued,
        )

    def _finish_loads(self) -> Loads:
        commands = [command for command, _ in self.loads]
        bytes_of = [command.element_bits // 8 for command in commands]
        cols, rows = self.spec.array.cols, self.spec.array.rows
        return Loads(
            base=_column([command.source.address for command in commands]),
            rows=_column([command.rows for command in commands]),
            size_bytes=_column([command.cols * size for command, size in zip(commands, bytes_of, strict=True)]),
            stride=_column([command.source.row_stride_bytes for command in commands]),
            local_row=[command.row for command in commands],
            local_rows=[-(-command.cols // cols) * rows for command in commands],
            to_accumulator=[command.memory == "accumulator" for command in commands],
            accumulate=[command.accumulate for command in commands],
            scaled=[command.scaled for command in commands],
            after_pair=[pair for pair, _ in self.load_after],
            after_store=[store for _, store in self.load_after],
            issue=[issued for _, issued in self.loads],
        )

    def _finish_pairs(self) -> Pairs:
        scratchpad, accumulator = self.spec.scratchpad.rows_per_bank, self.spec.accumulator.rows_per_bank
        preloads = [preload for preload, _, _ in self.pairs]
        computes = [compute for _, compute, _ in self.pairs]
        weights = [preload.weights_row for preload in preloads]
        return Pairs(
            rows=[compute.m for compute in computes],
            new_weights=[row is not None for row in weights],
            weights_transposed=any(preload.weights_transposed for preload in preloads),
            inputs_bank=[compute.inputs_row // scratchpad for compute in computes],
            weights_bank=[(row or 0) // scratchpad for row in weights],
            inputs_row=[compute.inputs_row for compute in computes],
            weights_row=[-1 if row is None else row for row in weights],
            result_bank=[
                preload.result_row // accumulator if preload.result == "accumulator" else SCRATCHPAD_RESULT
                for preload in preloads
            ],
            accumulates=[preload.accumulate for preload in preloads],
            after_load=[load for load, _ in self.pair_after],
            after_store=[store for _, store in self.pair_after],
            after_pair=self.pair_results if any(self.pair_results) else None,
            output_stationary=any(compute.output_stationary for compute in computes),
            leaves=[compute.last_of_output for compute in computes],
            issue=[issued for _, _, issued in self.pairs],
        )

    def _finish_stores(self) -> Stores:
        commands = [command for command, _ in self.stores]
        bank_rows = self.spec.accumulator.rows_per_bank
        return Stores(
            base=_column([command.target.address for command in commands]),
            rows=_column([command.rows for command in commands]),
            size_bytes=_column([command.cols * command.element_bits // 8 for command in commands]),
            stride=_column([command.target.row_stride_bytes for command in commands]),
            blocks=[-(-command.cols // self.spec.array.cols) for command in commands],
            full=[command.element_bits > 8 for command in commands],
            bank=[
                command.row // bank_rows if command.memory == "accumulator" else SCRATCHPAD_RESULT
                for command in commands
            ],
            activation=[command.activation for command in commands],
            after_load=[load for load, _ in self.store_after],
            after_pair=[pair for _, pair in self.store_after],
            issue=[issued for _, issued in self.stores],
        )


def _column(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)
