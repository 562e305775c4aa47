"""Command queues: what the three controllers execute for one work, a hardware loop or a run of single commands.

The queues of a work are static: command order, rows, banks, and for every command the earlier commands that it must
wait for. In an in-order queue "wait for all conflicting entries" is "wait for the last conflicting one", so the
reservation station's rules become one index per queue.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwconfigs import HardwareSpec
from simulator.arrays import Ints

SCRATCHPAD_RESULT = -1
"""Bank number of results that go to, or come from, the scratchpad."""


@dataclass(frozen=True, slots=True, eq=False)
class Loads:
    """Mvins in queue order."""

    base: Ints
    rows: Ints
    size_bytes: Ints
    stride: Ints
    local_row: list[int]
    local_rows: list[int]
    """On-chip rows touched (all blocks)."""
    to_accumulator: list[bool]
    accumulate: list[bool]
    scaled: list[bool]
    after_pair: list[int]
    """Pairs of this work that must be written back first (count)."""
    after_store: list[int]
    """Mvouts of this work that must be complete first (count)."""
    issue: list[int] | None = None
    """Earliest time after the start of the work, for commands issued by the core [cycles]."""
    packed: list[bool] | None = None
    """Which ones widen what they load; None: none does."""
    packed_bits: float = 8
    """Width of an element of those in DRAM [bits]."""

    def __len__(self) -> int:
        return len(self.local_row)

    def row_cycles(self, index: int, spec: HardwareSpec) -> int:
        """Return the cycles in which a load writes a row of the on-chip memory."""
        if self.scaled[index]:
            return round(spec.dma.scale_cycles_per_row)
        if self.packed is None or not self.packed[index] or spec.unpack is None:
            return 1
        return spec.unpack.row_cycles(spec.array.cols)

    def at(self, base: Ints) -> Loads:
        """Return the same mvins from other addresses; a third of the time of ``dataclasses.replace``."""
        return Loads(
            base, self.rows, self.size_bytes, self.stride, self.local_row, self.local_rows, self.to_accumulator,
            self.accumulate, self.scaled, self.after_pair, self.after_store, self.issue, self.packed, self.packed_bits,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Preload + compute pairs in queue order."""

    rows: list[int]
    """Rows of A fed per pair."""
    new_weights: list[bool]
    weights_transposed: bool
    inputs_bank: list[int]
    weights_bank: list[int]
    inputs_row: list[int]
    weights_row: list[int]
    result_bank: list[int]
    """Accumulator bank written; -1: the scratchpad."""
    accumulates: list[bool]
    after_load: list[int]
    """Mvins of this work that must be complete first (count)."""
    after_store: list[int]
    after_pair: list[int] | None = None
    """Pairs of this work whose results in the scratchpad it reads (count); None: none does."""
    output_stationary: bool = False
    leaves: list[bool] | None = None
    """Output-stationary: the result leaves the array after this pair."""
    issue: list[int] | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Stores:
    """Mvouts in queue order."""

    base: Ints
    rows: Ints
    size_bytes: Ints
    stride: Ints
    blocks: list[int]
    full: list[bool]
    """Rows are int32."""
    bank: list[int]
    """Accumulator bank read; -1: the scratchpad."""
    activation: list[str]
    after_load: list[int]
    after_pair: list[int]
    """Pairs of this work whose results must be written first (count)."""
    issue: list[int] | None = None
    columns: list[int] | None = None
    """Columns read of each row, if they are not those that leave for memory."""
    kept_row: list[int] | None = None
    """First row of the scratchpad to which each goes; None: to memory."""

    def __len__(self) -> int:
        return len(self.blocks)

    def at(self, base: Ints) -> Stores:
        """Return the same mvouts to other addresses."""
        return Stores(
            base, self.rows, self.size_bytes, self.stride, self.blocks, self.full, self.bank, self.activation,
            self.after_load, self.after_pair, self.issue, self.columns, self.kept_row,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class CommandQueues:
    """The commands of one work, by queue, and what they do to array and memories."""

    name: str
    is_loop: bool
    loads: Loads
    pairs: Pairs
    stores: Stores
    macs: int
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """Actions of the array and the on-chip memories."""
    host_cycles: int = 0
    """Time of the core to issue it."""
    whole_memory: bool = False
    halves: tuple[int, int, int] = (0, 0, 0)
    """Scratchpad halves of A and B and accumulator half (loops)."""
    batchable: bool = False
    """DMA writes of other loops cannot meet this loop's operand reads before its last pairs are issued."""

    def at(self, loads: Ints, stores: Ints) -> CommandQueues:
        """Return the same commands at other addresses."""
        return CommandQueues(
            self.name, self.is_loop, self.loads.at(loads), self.pairs, self.stores.at(stores), self.macs, self.counts,
            self.host_cycles, self.whole_memory, self.halves, self.batchable,
        )  # fmt: skip
