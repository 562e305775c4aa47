"""Cases of the 4x4 machine counted on paper.

The rules, with the constants of ``tiny_4x4.yaml``; [s, e) is a stretch from cycle s up to e:

- The core issues single command number c in cycle c; it is at its controller 1 cycle later. A loop is configured in
  cycle 0 (the next one 10 cycles later); its first mvin is at the load controller in cycle 1.
- A mvin sends its first request 1 cycle after its start, one request per row and cycle; 4 requests in flight, a
  slot is free in the cycle after the last beat of its request. The first beat comes 10 cycles after the request;
  one beat of 4 bytes a cycle on the DRAM bus; the mvin is complete 1 cycle after its last beat. A mvin starts when
  the one before it has handed over its rows (4 cycles for 4 rows) and when at most one other is incomplete.
- A pair starts 3 cycles after the completion of its mvins (clear, issue, controller). If it was not ready when the
  pair before it started to compute, its preload of 4 cycles is not hidden. Compute: 4 cycles. Results are complete
  2 x 4 + 2 = 10 cycles later.
- Every row that DMA writes into the bank of the inputs (or next weights) during a step makes it a cycle longer.
- A mvout starts when its results are complete and reads a row of 1, 2, 3, 4 int8 blocks in 1, 2, 3, 4 cycles, a
  block of int32 in 4; it is complete 4 cycles after the start of its last row.
- Banks: scratchpad rows 0..63 and 64..127 are the first half, 128..255 the second.
"""

from __future__ import annotations

from dataclasses import replace

from hwconfigs import HardwareSpec
from simulator.machine import simulate
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
    OnChip,
    Preload,
    Program,
)
from simulator.report import Report


def run(spec: HardwareSpec, *items: Item, preloaded: tuple[OnChip, ...] = ()) -> Report:
    return simulate(Program("case", items, preloaded=preloaded), spec)


def stepping(report: Report) -> int:
    """Cycles of all steps of the array: computes, and preloads that nothing hides, however they are booked."""
    execute = report.units["execute"]
    return execute.busy_cycles + execute.stall_cycles.get("exposed preload", 0)


def block(number: int = 0, m: int = 4, k: int = 4, n: int = 4) -> MatmulLoop:
    """A loop on matrices that lie apart from those of other numbers."""
    base = 0x1000 * number
    return MatmulLoop(m, k, n, Matrix(base, k), Matrix(base + 0x400, n), Matrix(base + 0x800, n))


def test_one_mvin(tiny: HardwareSpec) -> None:
    """Start 1; requests 2, 3, 4, 5; beats 12, 13, 14, 15; complete 16.

    Four requests of 4 bytes are four beats. Busy 4 beats, waiting for memory in the other 11 cycles of [1, 16).
    """
    report = run(tiny, Mvin(Matrix(0, 4), 4, 4, "scratchpad", 0))
    assert report.cycles == 16
    assert report.counts["dma", "read_request"] == report.counts["dma", "read_beat"] == 4
    assert report.counts["dram", "read_byte"] == 16
    assert report.units["load"].busy_cycles == 4
    assert dict(report.units["load"].stall_cycles) == {"load latency": 11}


def test_one_wide_mvin(tiny: HardwareSpec) -> None:
    """Rows of 16 bytes, four beats each: requests 2..5; beats [12, 28) without a gap; complete 28."""
    report = run(tiny, Mvin(Matrix(0, 16), 4, 16, "scratchpad", 0))
    assert report.cycles == 28
    assert report.counts["dma", "read_request"] == 4
    assert report.counts["dma", "read_beat"] == 16


def test_an_unaligned_row_is_more_requests(tiny: HardwareSpec) -> None:
    """One row of 16 bytes at address 4, sizes 4, 8, 16: 16 covers 12 bytes up to 16, then 4 at 16: requests 2 and 3.

    Beats: 4 for the first request, [12, 16), one for the second, [16, 17); complete 17.
    """
    report = run(tiny, Mvin(Matrix(4, 16), 1, 16, "scratchpad", 0))
    assert report.cycles == 17
    assert report.counts["dma", "read_request"] == 2
    assert report.counts["dma", "read_beat"] == 5
    assert report.counts["dram", "read_byte"] == 20


def test_mvins_share_the_request_slots(tiny: HardwareSpec) -> None:
    """First: as alone, beats 12..15, complete 16. The second starts at 5; slots free at 13..16: requests there,
    beats 23..26, complete 27. The third may start when the first is complete; slots free at 24..27, beats 34..37,
    complete 38.
    """
    mvins = [Mvin(Matrix(64 * i, 4), 4, 4, "scratchpad", 4 * i) for i in range(3)]
    assert run(tiny, *mvins[:2]).cycles == 27
    assert run(tiny, *mvins).cycles == 38


def test_one_block(tiny: HardwareSpec) -> None:
    """4x4x4. B is complete at 16, A at 27 (as two mvins above). Pair ready 30; preload [30, 34); compute [34, 38);
    results 48.

    mvout: rows at 48..51, complete 51 + 4 = 55. The array waited 29 cycles, [1, 30), stepped 8; load moved 8 beats.
    """
    report = run(tiny, block())
    assert report.cycles == 55
    assert stepping(report) == 8
    assert report.units["execute"].stall_cycles["load"] == 29
    assert report.units["load"].busy_cycles == 8
    assert report.units["store"].busy_cycles == 4


def test_two_blocks_of_rows_keep_their_weights(tiny: HardwareSpec) -> None:
    """8x4x4: loads B, A0, A1 complete at 16, 27, 38. Pair 0 ready 30: preload [30, 34), compute from 34. Pair 1 is
    not ready then (38 + 3 = 41).

    A1's beats 34..37 are written in 35..38, in the bank of A0: compute lasts 4 + 4, [34, 42). Pair 1: preload that
    keeps the weights, 4 cycles, [42, 46); compute [46, 50). Results at 52 and 60. mvouts: rows 52..55, complete 59;
    rows 60..63, complete 67.
    """
    report = run(tiny, block(m=8))
    assert report.cycles == 67
    assert stepping(report) == 16
    assert report.units["execute"].stall_cycles["load"] == 29
    assert report.units["execute"].stall_cycles["bank conflict"] == 4
    assert report.counts["array", "weight_load"] == 16
    assert report.counts["scratchpad", "read_row"] == 8 + 4


def test_two_blocks_of_columns_bring_new_weights(tiny: HardwareSpec) -> None:
    """4x4x8: one mvin of B with rows of 8 bytes: requests 2..5, beats [12, 20), complete 20. Its slots are free at
    14, 16, 18, 20: A's requests there, beats 24, 26, 28, 30, complete 31.

    Ready 34: preload [34, 38), compute 0 with the next preload underneath [38, 42), compute 1 [42, 46), results 56.
    One mvout of two-block rows: 56, 58, 60, 62, complete 66.
    """
    report = run(tiny, block(n=8))
    assert report.cycles == 66
    assert stepping(report) == 12
    assert report.counts["array", "weight_load"] == 32


def test_two_blocks_of_depth_accumulate(tiny: HardwareSpec) -> None:
    """4x8x4: B0, then A with rows of 8 bytes (its k = 0 is not ahead of B's k = 1), then B1.

    B0: requests 2..5, beats 12..15, complete 16. A: requests 13..16, beats [23, 31), complete 31. B1: slots free at
    25, 27, 29, 31, requests there, beats 35, 37, 39, 41, complete 42.
    Pair 0 ready 34: preload [34, 41), as B1's rows of 36, 38 and 40 are written in its bank; compute [41, 45).
    Pair 1 ready 45: preload [45, 49), compute [49, 53), results 63; mvout rows 63..66, complete 70.
    The second pair reads the sums of the first: 4 accumulator rows, and 4 for the mvout.
    """
    report = run(tiny, block(k=8))
    assert report.cycles == 70
    assert report.units["execute"].stall_cycles["bank conflict"] == 3
    assert report.counts["accumulator", "write_row"] == 8
    assert report.counts["accumulator", "read_row"] == 8


def test_chain_of_new_weights(tiny: HardwareSpec) -> None:
    """Four pairs from the core, operands in place: preload 0 is issued in cycle 0 and at the controller at 1, compute 0
    at 2, pair 1 at 4.

    Preload [1, 5), computes of 4 with the next preload underneath [5, 21), results 31. With the weights in the bank of
    the inputs, the three steps with a preload underneath take 8: [5, 29), the last [29, 33), results 43.
    """

    def chain(weights: int) -> list[Item]:
        return [
            item
            for i in range(4)
            for item in (Preload(weights + 4 * i, 4, 4, "accumulator", 4 * i), Compute(4 * i, 4, 4, 4))
        ]

    assert run(tiny, *chain(64), preloaded=EVERYTHING_ON_CHIP).cycles == 31
    assert run(tiny, *chain(32), preloaded=EVERYTHING_ON_CHIP).cycles == 43


def test_one_mvout(tiny: HardwareSpec) -> None:
    """At the controller at 1; rows 1..4, complete 4 + 4 = 8. int32 rows take 4 cycles: 1, 5, 9, 13, complete 17."""
    narrow = Mvout(Matrix(0, 4), 4, 4, "accumulator", 0)
    full = Mvout(Matrix(0, 16), 4, 4, "accumulator", 0, element_bits=32)
    assert run(tiny, narrow, preloaded=("accumulator",)).cycles == 8
    assert run(tiny, full, preloaded=("accumulator",)).cycles == 17


def test_fence_waits_for_the_acknowledgement(tiny: HardwareSpec) -> None:
    """Rows are read in 1..4 and out at 2..5; 2 cycles later, at 4..7, they are on the bus, one DRAM cycle each; the
    last is written at 8 and acknowledged at 9. The fence costs 1 more: 10.
    """
    mvout = Mvout(Matrix(0, 4), 4, 4, "accumulator", 0)
    assert run(tiny, mvout, Fence(), preloaded=("accumulator",)).cycles == 10


def test_host_task_after_a_fence(tiny: HardwareSpec) -> None:
    """The mvout and fence above, 10, and 16 elements of GELU at 10 cycles: 170. Nothing else moves meanwhile."""
    mvout = Mvout(Matrix(0, 4), 4, 4, "accumulator", 0)
    report = run(tiny, mvout, Fence(), HostTask("gelu", 160, 16), preloaded=("accumulator",))
    assert report.cycles == 170
    assert report.units["host"].busy_cycles == 1 + 160
    assert report.units["store"].total_cycles == 170


def test_host_task_after_a_block(tiny: HardwareSpec) -> None:
    """The block is complete at 55. Its rows were read in 48..51: on the bus at 51..54, written 55, acknowledged 56.

    The array, whose results were complete at 48, is idle long before. Fence 57, host task 57 + 160 = 217.
    """
    report = run(tiny, block(), Fence(), HostTask("gelu", 160, 16))
    assert report.cycles == 217
    assert report.units["execute"].total_cycles == 217


def test_two_loops_overlap(tiny: HardwareSpec) -> None:
    """Loop 0 is as alone: mvins complete at 16 and 27, compute up to 38, mvout up to 55.

    Loop 1 is configured at 10, at the controller at 11, but two mvins are incomplete: B1 starts at 16. Its requests
    wait for A0's slots, 24..27: beats 34..37, complete 38. A1: slots 35..38, beats 45..48, complete 49: all that
    under loop 0's compute and mvout. Other half, other banks: no conflict. Ready 52, preload [52, 56), compute [56,
    60), results 70, mvout rows 70..73, complete 77, where two loops one after another would take 2 x 55.
    """
    report = run(tiny, block(0), block(1))
    assert report.cycles == 77
    assert "bank conflict" not in report.units["execute"].stall_cycles
    alone = [replace(block(number), whole_memory=True) for number in range(2)]
    assert run(tiny, *alone).cycles == 110


def test_the_third_loop_waits_for_the_rows_of_the_first(tiny: HardwareSpec) -> None:
    """Loops 0 and 1 as above. Loop 2 uses the half of loop 0; it is configured at 20, since loop 0 has long been
    emitted.

    B2 could start when B1 is complete, at 38, but its rows hold weights whose results are written at 48: 10 cycles
    lost. Requests 49..52 (A1's slots are free from 46 on), beats 59..62, complete 63. A2: handed over at 52, slots
    free at 60..63, beats 70..73, complete 74. Ready 77, preload [77, 81), compute [81, 85), results 95, mvout rows
    95..98, complete 102.
    """
    assert run(tiny, *map(block, range(3))).cycles == 102


def test_repeated_bias_is_fetched_once(tiny: HardwareSpec) -> None:
    """D first, one row of 16 bytes: request 2, beats 12..15, and three more cycles to write the copies: complete 19.

    B starts at 5, requests 6, 7, 8 (D holds a slot up to 15): beats 16, 17, 18; fourth request 16, beat 26,
    complete 27. A starts at 19 (D complete): requests 20, 21, 22, fourth when B's last slot is free, 27: beat 37,
    complete 38. Ready 41, preload [41, 45), compute [45, 49), results 59, mvout rows 59..62, complete 66.
    """
    report = run(tiny, replace(block(), d=Matrix(0xC00, 0)))
    assert report.cycles == 66
    assert report.counts["dma", "read_request"] == 1 + 8
    assert report.counts["accumulator", "write_row"] == 4 + 4


def test_transposed_weights_load_twice_as_long(tiny: HardwareSpec) -> None:
    """4x4x8, B stored 8x4: loads B0, A, B1 complete at 16, 27, 38. Pair 0 ready 30: preload through the transposer
    [30, 42), as B1's rows of 35 to 38 are written in its bank. Pair 1 is ready then (41): its preload with the compute
    of pair 0 [42, 50), compute [50, 54), results 64; rows 64, 66, 68, 70, complete 74.
    """
    loop = replace(block(n=8), b=Matrix(0x400, 4), b_transposed=True)
    report = run(tiny, loop)
    assert report.cycles == 74
    assert report.units["execute"].stall_cycles["bank conflict"] == 4


def test_fused_softmax(tiny: HardwareSpec) -> None:
    """4x4x8 has its results at 56. A row of two blocks, issued from 1 on: maximum at 2 and 4, exponentials at 6 and 7,
    drained at 8, divided at 12, results [12, 14). One statistics slot: each further row takes 12 behind the one before,
    50 in all: [56, 106); complete 110.

    LayerNorm: sum at 2 and 3, drained at 5, divided at 9; variance at 9 and 10, drained at 12, divided at 16, root and
    reciprocal until 24; results [24, 26): 24 for a further row, 98 in all; complete 158. GELU is free: 66.
    """
    softmax = run(tiny, replace(block(n=8), activation="softmax"))
    assert softmax.cycles == 110
    assert softmax.units["normaliser"].busy_cycles == 50
    assert softmax.counts["accumulator", "read_row"] == 3 * 8
    assert run(tiny, replace(block(n=8), activation="layernorm")).cycles == 158
    assert run(tiny, replace(block(n=8), activation="gelu")).cycles == 66
