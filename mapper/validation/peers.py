"""The machine on which peer tools were measured, and what our search finds there under the same accounting.

AccelForge lets outputs also sit in the scratchpad, each tensor at its own loop depth (uneven residency). Here that is a
hierarchy with one virtual level per tensor in one room; the orders of the three are an outer choice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import permutations

from mapper.cost.objective import Goal
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import ACCELFORGE
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.problem import NestProblem
from mapper.search.exact.loop_nests import search
from mapper.search.exact.nest_result import NestResult

_ALL = frozenset({"input", "weight", "output"})


def flat_machine(*, outputs_in_scratchpad: bool = False) -> Hierarchy:
    """Gemmini-like: 16 x 16, 256 KiB scratchpad, 64 KiB accumulator, 16 bytes of DRAM per cycle.

    Energies are the flat table given to every tool [pJ]: 64, 2 and 1 per byte of DRAM, scratchpad and accumulator (4
    bytes per word there), 0.05 per register, 0.2 per multiplication. The rates of the scratchpad (32 words read per
    cycle) and of the accumulator (32 words read or written) are those that AccelForge's cycles by component imply.
    """
    kept = _ALL if outputs_in_scratchpad else _ALL - {"output"}
    return Hierarchy(
        "gemmini_flat",
        (
            Memory("dram", _ALL, None, 8, shared_rate=16.0, read_pj=64.0, write_pj=64.0),
            Memory("scratchpad", kept, 262_144, 8, read_rate=32.0, read_pj=2.0, write_pj=2.0),
            Memory("accumulator", frozenset({"output"}), 16_384, 32, shared_rate=32.0, read_pj=4.0, write_pj=4.0),
            Memory("array", frozenset({"weight"}), 1, 8, instances=256, read_pj=0.05, write_pj=0.05),
        ),
        16,
        16,
        0.2,
    )


def timeloop_machine() -> Hierarchy:
    """The same sizes with the energies of the Timeloop runs, and rates of one array row or column per cycle."""
    return Hierarchy(
        "gemmini16_sp256_acc64",
        (
            Memory("dram", _ALL, None, 8, shared_rate=16.0, read_pj=64.0, write_pj=64.0),
            Memory("scratchpad", _ALL - {"output"}, 262_144, 8, 32.0, 16.0, None, 1, 4.75, 4.75),
            Memory("accumulator", frozenset({"output"}), 16_384, 32, 16.0, 16.0, None, 1, 6.5, 6.5),
            Memory("array", frozenset({"weight"}), 1, 8, instances=256, read_pj=0.05, write_pj=0.05),
        ),
        16,
        16,
        0.3,
    )


@dataclass(frozen=True, slots=True)
class PeerResult:
    """The best over Timeloop's keep sets and all uneven ones."""

    result: NestResult
    residency: str
    """"even", or the virtual levels of the scratchpad, outermost first."""
    rows: int
    cpu_s: float


def best_mapping(problem: NestProblem, objective: Goal, *, uneven: bool = True) -> PeerResult:
    """Prove the optimum on `flat_machine` under AccelForge's accounting.

    Parameters
    ----------
    problem, objective
        What is searched.
    uneven
        Whether outputs may also sit in the scratchpad, each tensor at its own depth.
    """
    start, rows = time.process_time(), 0
    best: tuple[NestResult, str] | None = None
    hierarchies = [("even", flat_machine())]
    if uneven:
        roomy = flat_machine(outputs_in_scratchpad=True)
        orders = permutations(("input", "weight", "output"))
        hierarchies += [(" > ".join(order), roomy.uneven("scratchpad", order)) for order in orders]
    for name, hierarchy in hierarchies:
        result = search(NestSpace(problem, hierarchy, ACCELFORGE), objective)
        rows += result.rows
        if best is None or _key(result, objective) < _key(best[0], objective):
            best = result, name
    assert best is not None
    return PeerResult(best[0], best[1], rows, time.process_time() - start)


def _key(result: NestResult, objective: Goal) -> tuple[float, float, float]:
    return result.score, result.best.energy_pj, float(result.best.cycles)
