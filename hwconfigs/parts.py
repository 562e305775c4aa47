"""The sections of a machine: one frozen model each, with units in the names.

A default stands for a constant of Gemmini's design, not of one build, and its field text says where it comes from.
"RTL" is ucb-bar/gemmini 8c3f992 (2025) as read; "measured" is Gemmini v0.7.1 in Verilator, DIM = 16 [1]_.

References
----------
.. [1] Cycle counts of the public generated SoC asmara30/Chipyard-Generated-Files f9fb3012 (default 16x16 build) and of
   Lefteris-B/Single_inorder_Core_Neural_Accel_BF16 (chip build), 1,622 rows, and an event model fitted to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from hwconfigs import quantity
from hwconfigs.kernels import UNNAMED_HOST_CYCLES, host_kernel
from hwconfigs.limits import between, shortened

Dataflow = Literal["weight_stationary", "output_stationary"]
HostKernel = Annotated[str, AfterValidator(host_kernel)]
AddressPart = Literal["row", "rank", "bank", "column", "channel"]


def _clock(info: ValidationInfo) -> float | None:
    return info.context.get("clock_mhz") if isinstance(info.context, dict) else None


def _to_cycles(value: object, info: ValidationInfo) -> object:
    return quantity.duration_cycles(value, _clock(info))


def _to_exact_cycles(value: object, info: ValidationInfo) -> object:
    return quantity.exact_duration_cycles(value, _clock(info))


def _to_bandwidth(value: object, info: ValidationInfo) -> object:
    return quantity.bandwidth_bytes_per_cycle(value, _clock(info))


def _to_whole_bandwidth(value: object, info: ValidationInfo) -> object:
    return quantity.whole(quantity.bandwidth_bytes_per_cycle(value, _clock(info)))


def to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _permutation(parts: tuple[str, ...]) -> tuple[str, ...]:
    if sorted(parts) != sorted(get_args(AddressPart)):
        raise ValueError(
            f"must name each of {', '.join(get_args(AddressPart))} once, got {shortened(str(list(parts)))}"
        )
    return parts


Count = Annotated[int, BeforeValidator(quantity.whole), between(1, 65536)]
Bytes = Annotated[int, BeforeValidator(quantity.size_bytes), between(1, 2**40, "bytes (1 TiB)")]
CacheBytes = Annotated[int, BeforeValidator(quantity.size_bytes), between(1, 2**32, "bytes (4 GiB)")]
RowBytes = Annotated[int, BeforeValidator(quantity.size_bytes), between(1, 2**20, "bytes (1 MiB)")]
Bits = Annotated[int, BeforeValidator(quantity.width_bits), between(1, 64, "bits")]
Cycles = Annotated[int, BeforeValidator(_to_cycles), between(0, 10**6, "cycles")]
FractionalCycles = Annotated[float, BeforeValidator(quantity.fractional_cycles), between(0, 10**6, "cycles")]
DeviceCycles = Annotated[float, BeforeValidator(_to_exact_cycles), between(0, 10**6, "cycles")]
Timing = Annotated[float, BeforeValidator(_to_exact_cycles), between(0, 10**4, "cycles")]
Rate = Annotated[float, BeforeValidator(quantity.fractional_cycles), between(1e-3, 10**6, "cycles")]
Bandwidth = Annotated[float, BeforeValidator(_to_bandwidth), between(1e-3, 10**6, "B/cycle")]


class Part(BaseModel):
    """Frozen, strict about types, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ArraySpec(Part):
    """The systolic array and its step times."""

    shorthands: ClassVar[tuple[str, ...]] = ("size",)
    """Keys of files and overrides that stand for several fields; `hwconfigs.layers` expands them."""

    rows: Count
    """Rows of PEs (the reduction dimension in the weight-stationary flow)."""
    cols: Count
    """Columns of PEs; equal to ``rows`` in every Gemmini."""
    input_bits: Bits = 8
    """Width of an activation and of a weight. [bits]"""
    accumulator_bits: Bits = 32
    """Width of an accumulated result. [bits]"""
    dataflows: Annotated[tuple[Dataflow, ...], BeforeValidator(to_tuple), Field(min_length=1)]
    """Dataflows the build supports; the first is the preferred one."""
    min_step_rows: Count = 4
    """Floor of a step whose weights are reused; protects accumulator write-after-write (RTL). [rows = cycles]"""
    output_delay_cycles: Cycles = 5
    """A result row is written ``2 rows + this`` cycles after its input row was fed (measured 37 at DIM 16)."""
    completion_delay_cycles: Cycles = 6
    """A preload/compute pair is complete ``2 rows + this`` cycles after its step ended (measured 38 at DIM 16)."""
    transpose_factor: Count = 2
    """A step with new transposed weights costs this many times ``rows`` (measured 32 at DIM 16)."""
    blocks_in_flight: Count = 6
    """Blocks between feed and output at once (RTL)."""
    feed_to_idle_cycles: Cycles = 2
    """A fence sees the array idle its last block's rows, less this, after its result (fitted to chains of pairs)."""

    @property
    def sum_bytes(self) -> int:
        """Bytes of a partial sum, of a bias and of a result that is stored as it was accumulated."""
        return self.accumulator_bits // 8


class SramSpec(Part):
    """A local memory of full-width rows."""

    capacity_bytes: Bytes
    """Bytes in all banks. [bytes]"""
    banks: Count
    """Banks that are accessed independently."""
    row_bytes: RowBytes
    """Bytes of a row; derived from the array's columns if not given. [bytes]"""
    ports: Annotated[int, BeforeValidator(quantity.whole), between(1, 2)]
    """1: a write stops the reads of its bank; 2: one read and one write per cycle and bank."""

    @property
    def rows(self) -> int:
        """Rows in all banks."""
        return self.capacity_bytes // self.row_bytes

    @property
    def rows_per_bank(self) -> int:
        """Rows in one bank."""
        return self.rows // self.banks


class DmaSpec(Part):
    """Load and store engines between the local memories and the memory system."""

    bus_bytes_per_cycle: Annotated[int, BeforeValidator(_to_whole_bandwidth), between(1, 65536, "B/cycle")]
    """Width of the port in each direction: one beat per cycle. [bytes/cycle]"""
    min_request_bytes: RowBytes = 16
    """Smallest request; sizes double up to the largest (RTL). [bytes]"""
    max_request_bytes: RowBytes = 64
    """Largest request (RTL). [bytes]"""
    max_in_flight: Count = 16
    """Outstanding requests, of reads and of writes each (RTL)."""
    max_commands_in_flight: Count
    """Incomplete load commands; derived as ``max_in_flight // array.rows + 1`` if not given (RTL)."""
    issue_cycles: Cycles = 3
    """Start of a load command to its first request (RTL, counted)."""
    completion_cycles: Cycles = 6
    """Last beat to completion of a load command (measured)."""
    accumulator_completion_cycles: Cycles = 9
    """The same for a load into the accumulator (measured: three more)."""
    release_cycles: Cycles | None = None
    """Last beat of a load to the start of the second next one, which takes its place in flight (measured)."""
    accumulator_release_cycles: Cycles | None = None
    """The same for a load into the accumulator; None, both: at completion (measured)."""
    handover_cycles: Cycles = 2
    """A load occupies its controller at least so long: one of one row wastes a cycle (RTL). [cycles]"""
    slot_turn_cycles: Cycles = 0
    """Last beat of a read to the next request in its slot. [cycles]"""
    idle_beat_cycles: Cycles = 0
    """Extra cycles of a read request whose last beats hold nothing of the row (measured)."""
    scale_cycles_per_row: FractionalCycles = 4.0
    """Cycles per loaded row of int8 when the load scale is not 1: 16 lanes on 4 multipliers (measured). [cycles/row]"""
    store_first_cycles: Cycles = 12
    """Row read to first write on the bus (measured)."""
    store_completion_cycles: Cycles = 22
    """Read of the last row to completion of the store command (measured)."""
    scratchpad_store_first_cycles: Cycles | None = None
    """The same two for rows that leave the scratchpad and pass no scaling; None: as from the accumulator."""
    scratchpad_store_completion_cycles: Cycles | None = None
    """Read of the last row to completion of a store from the scratchpad."""
    store_buffer_blocks: Annotated[int, between(0, 65536)] = 0
    """Blocks read ahead of the writer: queues before and behind the scaling pipeline (RTL). [blocks]"""
    scale_entries: Annotated[int, between(0, 65536)] = 0
    """Blocks between the start of scaling and the writer at once; 0: no limit (RTL)."""
    scale_cycles: Cycles = 0
    """Time of a block in the scaling pipeline (RTL)."""
    store_row_cycles: Annotated[tuple[Rate, Rate, Rate, Rate], BeforeValidator(to_tuple)] = (1.0, 3.0, 6.0, 7.0)
    """Cycles of the writer per aligned row of 1, 2, 3, 4 int8 blocks (measured). [cycles/row]"""
    store_full_row_cycles: Rate = 4.0
    """Cycles per row of one block of full-width results (measured). [cycles/row]"""
    write_ack_cycles: Cycles = 4
    """A write slot is freed this long after the memory accepted the write (fitted)."""


class FrontEndSpec(Part):
    """Reservation station and the unroller of the hardware loop."""

    load_entries: Count = 8
    """Loads outstanding until completion; fewer than the DMA has in flight hold it up (RTL)."""
    store_entries: Count = 4
    """Stores outstanding until completion, likewise (RTL)."""
    execute_entries: Count = 16
    """Preloads and computes outstanding, shared by all loops in flight (RTL).

    A pair takes two until it is fed and one until its result is written; with few entries the next weights come too
    late to be loaded under a step.
    """
    loops_in_flight: Count = 2
    """Hardware loops configured at once; each owns an equal part of both local memories (RTL)."""
    loop_config_cycles: Cycles = 7
    """Release of a loop slot to the next loop's configuration (RTL; 20 changes little)."""
    first_command_cycles: Cycles = 2
    """Configuration of a loop to its first load at the controller (fitted)."""
    command_path_cycles: Cycles = 8
    """A command issued by the core to its controller: six queues and the reservation station (RTL, counted)."""
    load_to_use_cycles: Cycles = 3
    """Completion of a load to a step that reads it: clear, issue, controller (RTL, counted)."""
    config_command_cycles: Cycles = 3
    """Issue of a configuration command, at most that of another (measured: free in front of a one-row store)."""
    fence_cycles: Cycles = 5
    """Accelerator idle to the core going on after a fence (fitted to single commands)."""
    keeps_operands: bool = False
    """Whether the library can tell the loop to keep A or B on chip between loops."""


class CacheSpec(Part):
    """A set-associative cache on the path to DRAM: what it holds, and what a hit takes."""

    capacity_bytes: CacheBytes
    """Bytes of data. [bytes]"""
    ways: Count
    """Associativity; the victim is random."""
    line_bytes: RowBytes
    """Line size. [bytes]"""
    hit_cycles: Cycles
    """Request to first beat on a hit; of the last-level cache: on top of the miss of the cache before it."""

    @property
    def sets(self) -> int:
        """Number of sets."""
        return self.capacity_bytes // (self.ways * self.line_bytes)


class L2Spec(CacheSpec):
    """The cache that serves the DMA, with its misses."""

    mshrs: Count
    """Outstanding misses."""
    mshr_release_cycles: Cycles = 0
    """A miss entry is reusable this long after its line arrived."""
    release_ack_cycles: Cycles = 0
    """How long requests that wait for a line wait on after it arrived, if it evicts another and queued for the bus.

    An entry serves them only when the release of the evicted line is acknowledged, which happens after the data.
    """

    multi_beat_hit_cycles: Cycles = 0
    """Extra cycles of a hit of several beats. A phenomenological patch of one machine; 0 everywhere else."""


class DramPagesSpec(Part):
    """Banks of the memory with the page that each holds open, and the times of a device with open-page policy.

    Counts and sizes are powers of two. Times are those of the standards, in cycles of the machine's clock, parts of
    cycles included. Refresh, limits on activations of several banks and turns between reads and writes are left out.
    """

    channels: Count = 1
    """Channels, each with its own commands and data bus."""
    ranks: Count = 1
    """Ranks of a channel, which share both."""
    banks: Count
    """Banks of a rank."""
    rows: Annotated[int, BeforeValidator(quantity.whole), between(1, 2**24)] = 65536
    """Rows of a bank; addresses beyond the last one start over."""
    page_bytes: RowBytes
    """Bytes of a row over all devices of the rank: what one activation opens. [bytes]"""
    burst_bytes: RowBytes
    """Bytes of one column access. [bytes]"""
    t_burst_cycles: Timing
    """Column access to the next one of the channel: burst length over data rate (tCCD)."""
    t_cl_cycles: Timing
    """Column access to its first data (CL, tCAS)."""
    t_rcd_cycles: Timing
    """Activation of a row to its first column access (tRCD)."""
    t_rp_cycles: Timing
    """Precharge of a bank to its next activation (tRP)."""
    t_ras_cycles: Timing = 0.0
    """Activation of a row to its precharge, at least (tRAS)."""
    t_rc_cycles: Timing = 0.0
    """Activation of a row to that of the next row of the bank, at least (tRC)."""
    window: Annotated[int, BeforeValidator(quantity.whole), between(1, 64)] = 8
    """Requests of a channel that are looked at together: so many after one may open their rows while it waits."""
    mapping: Annotated[tuple[AddressPart, ...], BeforeValidator(to_tuple), AfterValidator(_permutation)] = (
        "row",
        "rank",
        "bank",
        "column",
        "channel",
    )
    """What the bits of a line's number choose, most significant first; by default neighbouring lines lie in different
    channels, then in one page."""

    @property
    def all_banks(self) -> int:
        """Banks of all ranks and channels."""
        return self.channels * self.ranks * self.banks


class DramSpec(Part):
    """Main memory as seen from the accelerator.

    Its bandwidth and times are its own: a machine whose clock is changed keeps them in seconds, so they become other
    numbers of cycles.
    """

    kind: Annotated[str, Field(min_length=1)]
    """Picks the energy per byte in the energy table, e.g. ``lpddr4``. No influence on time."""
    bytes_per_cycle: Bandwidth
    """Peak of reads and writes together. [bytes/cycle]"""
    latency_cycles: Cycles
    """Request at the memory port to its first beat; with ``pages`` without the time that the device takes."""
    request_cycles: Cycles = 2
    """Cache miss to request at the memory port."""
    evict_cycles: DeviceCycles = 0.0
    """Extra bus time when a line fill evicts a valid line; charged by the share of valid ways. [cycles]"""
    write_miss_cycles: DeviceCycles = 6.0
    """Mean time of a full-line write that misses, with every miss entry busy. [cycles]"""
    write_back_cycles: DeviceCycles = 0.0
    """Time in which an evicted dirty line is written back before its successor is written. [cycles]

    It is charged by the share of dirty lines.
    """
    write_back_hold_cycles: DeviceCycles = 0.0
    """Time by which the write-back keeps the miss entry longer. [cycles]"""
    pages: DramPagesSpec | None = None
    """Banks with open pages, as a section or as the name of one of `hwconfigs.dram_presets`; None: every access takes
    the same time."""


class HostSpec(Part):
    """The in-order core: command issue, library software and the operators without a unit."""

    command_cycles: FractionalCycles
    """One accelerator command issued from a C loop. [cycles]"""
    loop_cycles: FractionalCycles
    """One hardware-loop call. [cycles]"""
    call_cycles: FractionalCycles
    """Library call until its first loop. [cycles]"""
    line_cycles: FractionalCycles
    """One L2 access of the blocking data cache, per 64-byte line. [cycles]"""
    kernel_cycles: Mapping[HostKernel, FractionalCycles]
    """Cycles per output element of a kernel, (de)quantisation included; pools: per window element. [cycles/element]

    A kernel that is not named takes `hwconfigs.kernels.UNNAMED_HOST_CYCLES`, an estimate, and reports say so.
    """

    def names(self, kernel: str) -> bool:
        """Whether the machine says what the kernel costs."""
        return kernel in self.kernel_cycles

    def cycles_per_element(self, kernel: str) -> float:
        """Cycles per element of any kernel, by default where the machine does not say. [cycles/element]"""
        return self.kernel_cycles.get(kernel, UNNAMED_HOST_CYCLES)
