"""Named mapping policies: the mapper's own choice, or that of Gemmini's library, to compare with."""

from __future__ import annotations

from typing import Literal, get_args

from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.lowering.gemmini_library import auto_tiling
from mapper.mapping.loop_nest import HardwareLoop, LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import HELD_TILES, MapSpace
from simulator.frontend.loop_unroller import blocks

Policy = Literal["best", "gemmini_auto"]
"""``best``: the search; ``gemmini_auto``: the greedy tile of tiled_matmul_auto."""

POLICIES: tuple[str, ...] = get_args(Policy)


def library_mapping(problem: MatmulProblem, spec: HardwareSpec) -> LoopNest:
    """Return the mapping that Gemmini's library would run.

    Raises
    ------
    MappingError
        When its tile does not fit the machine.
    """
    rows = spec.array.rows
    tiling = auto_tiling(problem.m, problem.k, problem.n, spec)
    counts = [
        blocks(blocks(size, rows), tile)
        for size, tile in ((problem.m, tiling.i), (problem.k, tiling.k), (problem.n, tiling.j))
    ]
    held = frozenset(
        name
        for name, tiles in (("input", counts[0] * counts[1]), ("weight", counts[1] * counts[2]))
        if spec.front_end.keeps_operands and tiles <= HELD_TILES
    )
    loop = HardwareLoop(tiling.i, tiling.k, tiling.j, "mnk", True, held)
    violations = MapSpace(problem, spec).violations(loop)
    if violations:
        raise MappingError(f"gemmini_auto on {spec.name}", violations)
    return loop.mapping((problem.name,), problem.dims, spec.name, rows)
