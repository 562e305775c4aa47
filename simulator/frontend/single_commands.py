"""Command queues of single commands: each waits for the earlier ones whose rows it touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Ints
from simulator.frontend.command_queues import SCRATCHPAD_RESULT, CommandQueues, Loads, Pairs, Stores
from simulator.frontend.reservation_station import Footprint, last_conflict
from simulator.frontend.transfer_counts import add, count_transfers
from simulator.program import Command, Compute, Config, Mvin, Mvout, Preload


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


def moved_down(queues: CommandQueues, rows: int) -> CommandQueues:
    """Move all commands of ``queues`` by some rows of the matrices that they load from and store to."""
    loads, stores = queues.loads, queues.stores
    sources, targets = loads.base + rows * loads.stride, stores.base + rows * stores.stride
    return replace(queues, loads=replace(loads, base=sources), stores=replace(stores, base=targets))


class _CommandRun:
    """Collects single commands into the three queues."""

    def __init__(self, spec: HardwareSpec) -> None:
        self.spec = spec
        self._pace = spec.host.command_cycles
        self._next_issue = 0.0
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
        self._next_issue += config if isinstance(command, Config) else self._pace

    @property
    def _issued(self) -> int:
        """When the next command is issued."""
        return round(self._next_issue)

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
        blocks = command.blocks(self.spec.array.cols)
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
        add(counts, "array", "mac", compute.macs)
        add(counts, "scratchpad", "read_row", compute.m)
        if preload.weights_row is not None:
            add(counts, "array", "weight_load", preload.k * preload.n)
            add(counts, "scratchpad", "read_row", preload.n if preload.weights_transposed else preload.k)
        add(counts, preload.result, "write_row", compute.m)
        if preload.accumulate:
            add(counts, "accumulator", "read_row", compute.m)

    def finish(self, name: str, passes: Mapping[str, int]) -> CommandQueues:
        loads, stores = self._finish_loads(), self._finish_stores()
        count_transfers(self.counts, loads, stores, self.spec, passes)
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
            blocks=[-(-command.columns // self.spec.array.cols) for command in commands],
            full=[command.element_bits > 8 for command in commands],
            bank=[
                command.row // bank_rows if command.memory == "accumulator" else SCRATCHPAD_RESULT
                for command in commands
            ],
            activation=[command.activation for command in commands],
            after_load=[load for load, _ in self.store_after],
            after_pair=[pair for _, pair in self.store_after],
            issue=[issued for _, issued in self.stores],
            columns=[command.columns for command in commands],
        )


def _column(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)
