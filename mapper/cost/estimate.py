"""Estimate of one mapping as a report.

Counts are those of the simulation, integer for integer. The lines that the L2 fetches depend on the order of all
requests, and so does the time that the memory takes for a loop: of one mapping they are replayed through the cache tags
and the memory path, while a search estimates them from reuse distances. Without an L2 both are one number.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import counts
from mapper.cost.as_report import Times, report_of
from mapper.cost.cache_contents import COLD, held_in
from mapper.cost.cache_reuse import CacheReuse, estimate_reuse
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import Traffic
from mapper.cost.latency import loop_pipeline
from mapper.cost.latency.loop_pipeline import PipelineCycles
from mapper.cost.latency.loop_recurrence import ARRAY, TOTAL
from mapper.cost.latency.replayed_loops import Replayed, ReplayedLoops
from mapper.cost.model import CostModel, memory_actions, occupied_bytes
from mapper.cost.pace import Elapsed, Pace, Sample, sample
from mapper.cost.trace_replay import MEMORY_UNITS
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch, batch_of
from simulator.machine import prepare
from simulator.memory.request_stream import MemoryState
from simulator.report import Action, Counts, Report
from simulator.units import readout_unit
from simulator.units.execute import ExecuteController
from simulator.units.host import Host
from simulator.units.load import LoadController
from simulator.units.store import StoreController

Known: TypeAlias = tuple[Batch, Visits, Traffic, CacheReuse | None]
"""What every formula of a mapping is told."""


class Formulas(NamedTuple):
    """What closed forms know of a mapping whatever the caches hold, and of those that differ in addresses alone."""

    batch: Batch
    """The mapping as a batch of one: kernels work on columns, so that search and report share every formula."""
    traffic: Traffic
    visits: Visits
    numbers: dict[Action, int]
    """Actions that no cache decides."""

    @classmethod
    def of(cls, loop: HardwareLoop, problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel) -> Formulas:
        """Return those of one mapping."""
        batch = batch_of(loop)
        traffic = CostModel.of(problem, spec, energy, batch).traffic
        visits = counts.count_visits(batch, problem, spec)
        numbers = {action: int(column[0]) for action, column in counts.count(batch, traffic).items()}
        return cls(batch, traffic, visits, numbers)


def are_shared(spec: HardwareSpec) -> bool:
    """Return whether `Formulas` do not depend on addresses but for their place in a line."""
    return spec.dram.pages is None and spec.dma.max_request_bytes % spec.line_bytes == 0


def estimate(
    loop: HardwareLoop,
    problem: MatmulProblem,
    spec: HardwareSpec,
    energy: EnergyModel,
    memory: MemoryState | None = None,
    replayed: Replayed | None = None,
    pace: Pace | None = None,
    formulas: Formulas | None = None,
) -> Report:
    """Return what the analytical model says about one mapping.

    Parameters
    ----------
    loop, problem, spec, energy
        What runs where.
    memory
        Contents of the caches before; advanced. None: cold.
    replayed
        What the lowered mapping did to the caches, if its requests went through them already: those are then left
        alone.
    pace
        At which its loops run; found if it is not known. None: they run as closed forms say.
    formulas
        Of the mapping, or of one that differs in addresses alone where they `are_shared`. None: made here.

    Raises
    ------
    MappingError
        When the mapping does not fit.
    """
    batch, traffic, visits, known = Formulas.of(loop, problem, spec, energy) if formulas is None else formulas
    numbers = dict(known)
    held = replace(COLD, dirty=0.0) if memory is None else held_in(memory, problem)
    before = MemoryState(spec) if memory is None else memory
    begun = sample(loop, problem, spec, before, pace.recalled) if pace is not None and pace.ratio is None else None
    if replayed is None:
        replayed = prepare(lower_matmul(problem, loop, spec), spec, before)
    reuse = loops = None
    if spec.l2 is not None:
        loops = ReplayedLoops(replayed.memory_times, spec.dma.max_commands_in_flight > 1)
        moved = replayed.counts
        numbers.update({action: number for action, number in moved.items() if action[0] in MEMORY_UNITS})
        reuse = scaled(estimate_reuse(batch, visits, traffic, held), moved)
    pipeline = _at_pace(pace, begun, (batch, visits, traffic, reuse), loops)
    times = _times(pipeline, visits, numbers["dma", "read_beat"], problem, spec)
    return report_of(problem.name, times, Counts(numbers), spec, energy, _peak_bytes(batch, spec))


def _at_pace(pace: Pace | None, begun: Sample | None, known: Known, loops: ReplayedLoops | None) -> PipelineCycles:
    """Return what closed forms say, at the pace of the loops that were simulated if there is one."""
    pipeline = loop_pipeline.cycles_one_by_one(*known, loops)
    if pace is None:
        return pipeline
    if begun is not None:
        pace.ratio = _ratio(begun, pipeline, known)
    # Units are as busy at any pace: only what they wait for each other takes longer or shorter.
    return pipeline if pace.ratio is None else replace(pipeline, cycles=pipeline.cycles * pace.ratio)


def _ratio(begun: Sample, pipeline: PipelineCycles, known: Known) -> float:
    """Return how long a mapping takes at the pace of a sample of its loops, relative to what closed forms say."""
    call, totals = known[2].spec.host.call_cycles, pipeline.elapsed
    # What the DRAM bus needs for all loops is no pace of theirs: their own end stands behind the last of them.
    whole = Elapsed(float(pipeline.stepped[0]), float(pipeline.compute[0]))
    busy = max(whole.array, float(loop_pipeline.memory_cycles(*known)[0])) + call

    def until(loop: int) -> Elapsed:
        return Elapsed(float(totals[TOTAL, loop - 1]), float(totals[ARRAY, loop - 1])) if loop else Elapsed(0.0, 0.0)

    return begun.cycles(whole, until, busy) / float(pipeline.cycles[0])


def estimate_unreplayed(loop: HardwareLoop, problem: MatmulProblem, spec: HardwareSpec, energy: EnergyModel) -> Report:
    """Return what the analytical model says about a mapping on cold caches, as a search sees it.

    Its requests are not replayed: how many lines are fetched again is known by reuse distances only.
    """
    batch, traffic, visits, known = Formulas.of(loop, problem, spec, energy)
    numbers = dict(known)
    reuse = None
    # What lies behind the L2 follows from the lines that it fetches; without one the counts know it already.
    if spec.l2 is not None:
        reuse = estimate_reuse(batch, visits, traffic)
        numbers.update({action: round(float(column[0])) for action, column in memory_actions(reuse, spec).items()})
    pipeline = loop_pipeline.cycles(batch, visits, traffic, reuse)
    times = _times(pipeline, visits, numbers["dma", "read_beat"], problem, spec)
    return report_of(problem.name, times, Counts(numbers), spec, energy, _peak_bytes(batch, spec))


def _peak_bytes(batch: Batch, spec: HardwareSpec) -> dict[str, int]:
    scratchpad, accumulator = occupied_bytes(batch, spec)
    return {"scratchpad": int(scratchpad[0]), "accumulator": int(accumulator[0])}


def _times(pipeline: PipelineCycles, visits: Visits, beats: int, problem: MatmulProblem, spec: HardwareSpec) -> Times:
    """Return the cycles of the one mapping of a batch, whole and by unit."""
    reader = readout_unit(problem.activation, spec)
    cycles = round(float(pipeline.cycles[0]))
    # The host issues loops at its own pace if nothing holds it; it cannot be busy for longer than the run takes.
    issue = round(spec.host.call_cycles + float(visits.loops[0]) * spec.host.loop_cycles)
    return Times(
        cycles=cycles,
        work={
            Host: min(issue, cycles),
            LoadController: round(float(pipeline.load[0])),
            ExecuteController: round(float(pipeline.compute[0])),
            # A unit that reads rows out works in the store controller's place.
            reader or StoreController: round(float(pipeline.store[0])),
        },
        # As in the simulation, a load unit is busy while beats move, and waits for the memory otherwise.
        moving={LoadController: beats},
    )


def scaled(reuse: CacheReuse, moved: Counts) -> CacheReuse:
    """Fit estimated fetches to known totals: what is fetched again gives way first.

    Parameters
    ----------
    reuse
        The estimate for the contents of the caches.
    moved
        What the replay of the memory stream counted.
    """
    fills = moved["l2", "fill"]
    # More fills than lines that are not held: every one of them was fetched once, and refetches share the rest. Fewer:
    # nothing is fetched twice, and the caches held more than it seemed.
    once = reuse.unique_a * reuse.cold_a + reuse.unique_b * reuse.cold_b
    once = once + reuse.bias + reuse.merged_c + reuse.merged_sums
    refetch = np.clip((fills - once) / np.maximum(reuse.fetched - once, 1.0), 0.0, None)
    new = np.minimum(1.0, fills / np.maximum(once, 1.0))
    cold_a, cold_b = reuse.cold_a * new, reuse.cold_b * new
    return replace(
        reuse,
        cold_a=cold_a,
        cold_b=cold_b,
        cold_c=reuse.cold_c * new,
        first_a=reuse.unique_a * cold_a + (reuse.first_a - reuse.unique_a * reuse.cold_a) * refetch,
        refetched_a=reuse.refetched_a * refetch,
        first_b=reuse.unique_b * cold_b + (reuse.first_b - reuse.unique_b * reuse.cold_b) * refetch,
        refetched_b=reuse.refetched_b * refetch,
        bias=reuse.bias * new,
        refetched_sums=reuse.refetched_sums * refetch,
        merged_c=reuse.merged_c * new,
        merged_sums=reuse.merged_sums * new,
        fetched=np.full_like(reuse.fetched, fills),
        from_dram=np.full_like(reuse.from_dram, moved["llc", "fill"] / max(1, fills) if moved["llc", "read"] else 1.0),
    )
