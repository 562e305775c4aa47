"""How much a mapping would have to simulate, told beforehand; too much is refused.

A simulation took about 20 ms, and 2 us per DMA request and half a millisecond per hardware loop of the program, if no
loop is passed over. A request takes a tenth of that since they are replayed in chunks; but these times decide how many
simulations a contest can afford, so they stay as long as its results shall.
"""

from __future__ import annotations

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import counts
from mapper.cost.dma_traffic import Traffic
from mapper.cost.model import CostModel
from mapper.cost.sweep import REQUESTS
from mapper.errors import MappingError
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch, batch_of
from mapper.mapspace.hardware_loops import MapSpace
from simulator.arrays import Floats
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.tile_footprint import accumulator_blocks, deepest_k

MOST_REQUESTS = 50_000_000
"""DMA requests of one program: 2048 x 4096 x 14336 on gemmini has 44 million."""

MOST_LOOPS = 200_000
"""Hardware loops of one program: two to three minutes."""

SECONDS_PER_REQUEST, SECONDS_PER_LOOP, SECONDS_PER_PROGRAM = 2e-6, 5e-4, 0.02

MOST_SECONDS = MOST_REQUESTS * SECONDS_PER_REQUEST
"""CPU time of the longest simulation."""


def check_problem(problem: MatmulProblem, spec: HardwareSpec) -> None:
    """Raise a `MappingError` if every mapping has too much to simulate, before any is searched.

    Each operand moves at least once, in row segments of one request, and no tile is larger than the memories.
    """
    segment = blocks_per_segment(spec) * spec.array.cols
    # int32 results are stored block by block, int8 ones in segments like the operands.
    c_segment = spec.array.cols if problem.c_full else segment
    requests = problem.m * -(-problem.k // segment) + problem.b_rows * -(-problem.b_cols // segment)
    space = MapSpace(problem, spec)
    m, k, n = space.blocks
    scratchpad, accumulator = space.capacity_blocks(double_buffered=False)
    # No tile has more results than the accumulator has blocks, and none is deeper than half of the scratchpad.
    loops = -(-accumulator_blocks(m, n) // max(1, accumulator)) * -(-k // max(1, deepest_k(1, 1, scratchpad)))
    _refuse(problem, spec, requests + problem.m * -(-problem.n // c_segment), loops, "at least ")


def check_mapping(problem: MatmulProblem, loop: HardwareLoop, spec: HardwareSpec, energy: EnergyModel) -> None:
    """Raise a `MappingError` if the program of a mapping has too much to simulate, before it is made."""
    # The exact counts of the cost model: no program is made for a mapping that is refused.
    batch = batch_of(loop)
    model = CostModel.of(problem, spec, energy, batch)
    numbers = counts.count(batch, model.traffic)
    requests = int(numbers["dma", "read_request"][0] + numbers["dma", "write_request"][0])
    _refuse(problem, spec, requests, int(counts.count_visits(batch, problem, spec).loops[0]), "")


def simulation_seconds(batch: Batch, traffic: Traffic) -> Floats:
    """Return the CPU time that the simulation of each mapping takes if no loop is passed over, roughly [s]."""
    visits = counts.count_visits(batch, traffic.problem, traffic.spec)
    loads, stores = counts.dma_totals(batch, visits, traffic)
    seconds: Floats = (loads + stores)[:, REQUESTS] * SECONDS_PER_REQUEST + visits.loops * SECONDS_PER_LOOP
    return seconds + SECONDS_PER_PROGRAM


def _refuse(problem: MatmulProblem, spec: HardwareSpec, requests: int, loops: int, least: str) -> None:
    for number, bound, unit in ((requests, MOST_REQUESTS, "DMA requests"), (loops, MOST_LOOPS, "hardware loops")):
        if number > bound:
            raise MappingError(
                f"{problem.name}: {problem.m}x{problem.k}x{problem.n} on {spec.name} is too large to simulate: "
                f"{least}{number:,} {unit}, the bound is {bound:,}; cut it into smaller problems"
            )
