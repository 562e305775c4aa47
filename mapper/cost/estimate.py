"""Estimate of one mapping as a Report: the batch kernel on a batch of one.

Counts are those of the simulation, integer for integer. The lines behind the L2 depend on the order of all
requests, so here, for one mapping, they come from the replay of its memory stream through the cache tags; a search uses
the reuse-distance estimate instead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwconfigs import CacheSpec, EnergyModel, HardwareSpec
from mapper.cost import cache_reuse, counts
from mapper.cost.as_report import Times, report_of
from mapper.cost.latency import loop_pipeline
from mapper.cost.model import CostModel, occupied_bytes
from mapper.cost.replay import MEMORY_UNITS, memory_counts
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import batch_of
from simulator.memory.request_stream import MemoryState
from simulator.program import Program
from simulator.report import Counts, Report
from simulator.units.execute import ExecuteController
from simulator.units.host import Host
from simulator.units.load import LoadController
from simulator.units.store import StoreController


def estimate(
    loop: HardwareLoop,
    problem: MatmulProblem,
    spec: HardwareSpec,
    energy: EnergyModel,
    memory: MemoryState | None = None,
    program: Program | None = None,
    moved: Counts | None = None,
) -> Report:
    """Return what the analytical model says about one mapping.

    Parameters
    ----------
    loop, problem, spec, energy
        What runs where.
    memory
        Contents of the caches before; advanced. None: cold.
    program
        The lowered mapping, if it is at hand.
    moved
        What the replay of the program counted, if it was done already; the caches are then left alone.

    Raises
    ------
    MappingError
        When the mapping does not fit.
    """
    program = program or lower_matmul(problem, loop, spec)
    batch = batch_of(loop)
    model = CostModel.of(problem, spec, energy, batch)
    seen = counts.visits(batch, problem, spec)
    numbers = {action: int(column[0]) for action, column in counts.count(batch, model.traffic).items()}
    lines = None
    if spec.l2 is not None:
        dirty = 0.0 if memory is None or memory.l2 is None else memory.l2.dirty_share()
        if moved is None:
            moved = memory_counts(program, spec, MemoryState(spec) if memory is None else memory)
        numbers.update({action: number for action, number in moved.items() if action[0] in MEMORY_UNITS})
        lines = scaled(cache_reuse.lines(batch, seen, model.traffic), moved, spec.l2, dirty)
    found = loop_pipeline.cycles(batch, seen, model.traffic, lines)
    cycles = round(float(found.cycles[0]))
    times = Times(
        cycles=cycles,
        work={
            Host: min(round(spec.host.call_cycles + float(seen.loops[0]) * spec.host.loop_cycles), cycles),
            LoadController: round(float(found.load[0])),
            ExecuteController: round(float(found.compute[0])),
            StoreController: round(float(found.store[0])),
        },
        moving={LoadController: numbers["dma", "read_beat"]},
    )
    scratchpad, accumulator = occupied_bytes(batch, spec)
    peak = {"scratchpad": int(scratchpad[0]), "accumulator": int(accumulator[0])}
    return report_of(problem.name, times, Counts(numbers), spec, energy, peak)


def scaled(lines: cache_reuse.Lines, moved: Counts, cache: CacheSpec, dirty: float) -> cache_reuse.Lines:
    """Fit estimated fetches to known totals: what is fetched beyond every line once gives way first.

    ``dirty``: share of the cache's lines that were dirty before.
    """
    fills = moved["l2", "fill"]
    fetched = np.full_like(lines.fetched, fills)
    written = np.full_like(lines.written, moved["dram", "write_byte"] / cache.line_bytes)
    once = lines.unique_a + lines.unique_b + lines.bias + lines.c
    more = np.clip((fills - once) / np.maximum(lines.fetched - once, 1.0), 0.0, None)
    cold = np.minimum(1.0, fills / np.maximum(once, 1.0))
    return replace(
        lines,
        cold=np.full_like(lines.cold, cold),
        first_a=lines.unique_a * cold + (lines.first_a - lines.unique_a) * more,
        again_a=lines.again_a * more,
        first_b=lines.unique_b * cold + (lines.first_b - lines.unique_b) * more,
        again_b=lines.again_b * more,
        bias=lines.bias * cold,
        again_d=lines.again_d * more,
        c=lines.c * cold,
        fetched=fetched,
        written=written,
        fresh=np.minimum(1.0, written / np.maximum(lines.written, 1.0)),
        dirty=cache_reuse.dirty_share(fetched, written, cache, dirty),
        from_dram=np.full_like(lines.from_dram, moved["dram", "read_byte"] / cache.line_bytes / max(1, fills)),
    )
