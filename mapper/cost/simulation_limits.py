"""How much a mapping would have to simulate, told beforehand; what is too much for that is only estimated.

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
from simulator.arrays import Floats

MOST_REQUESTS = 50_000_000
"""DMA requests of one program: 2048 x 4096 x 14336 on gemmini has 44 million."""

MOST_LOOPS = 200_000
"""Hardware loops of one program: two to three minutes."""

MOST_MACS = 10**18
"""MACs of one matmul: its counts of single actions stay below 2^63."""

SECONDS_PER_REQUEST, SECONDS_PER_LOOP, SECONDS_PER_PROGRAM = 2e-6, 5e-4, 0.02

MOST_SECONDS = MOST_REQUESTS * SECONDS_PER_REQUEST
"""CPU time of the longest simulation."""


def check_problem(problem: MatmulProblem, spec: HardwareSpec) -> None:
    """Raise a `MappingError` if the numbers of a matmul are too large for 64 bits, before anything is searched."""
    if problem.macs > MOST_MACS:
        raise MappingError(
            f"{problem.name}: {problem.m}x{problem.k}x{problem.n} on {spec.name} is too large to count: "
            f"{problem.macs:,} MACs, the bound is {MOST_MACS:,}; cut it into smaller problems"
        )


def why_too_long(problem: MatmulProblem, loop: HardwareLoop, spec: HardwareSpec, energy: EnergyModel) -> str:
    """Return why the program of a mapping is too long to be simulated, before it is made; empty if it is not."""
    # The exact counts of the cost model: no program is made for a mapping that is not simulated.
    batch = batch_of(loop)
    model = CostModel.of(problem, spec, energy, batch)
    numbers = counts.count(batch, model.traffic)
    requests = int(numbers["dma", "read_request"][0] + numbers["dma", "write_request"][0])
    loops = int(counts.count_visits(batch, problem, spec).loops[0])
    for number, bound, unit in ((requests, MOST_REQUESTS, "DMA requests"), (loops, MOST_LOOPS, "hardware loops")):
        if number > bound:
            return f"{number:,} {unit} are too many to simulate, the bound is {bound:,}"
    return ""


def simulation_seconds(batch: Batch, traffic: Traffic) -> Floats:
    """Return the CPU time that the simulation of each mapping takes if no loop is passed over, roughly [s]."""
    visits = counts.count_visits(batch, traffic.problem, traffic.spec)
    loads, stores = counts.dma_totals(batch, visits, traffic)
    # Stores and loads take equally long to replay; what is passed over is not known yet.
    seconds: Floats = (loads + stores)[:, REQUESTS] * SECONDS_PER_REQUEST + visits.loops * SECONDS_PER_LOOP
    return seconds + SECONDS_PER_PROGRAM
