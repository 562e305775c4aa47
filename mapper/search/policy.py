"""Named mapping policies: the mapper's own choice, or that of Gemmini's library, to compare with."""

from __future__ import annotations

from typing import Literal, get_args

from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.lowering.gemmini_library import auto_tiling
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace

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
    space = MapSpace(problem, spec)
    tiling = auto_tiling(problem.m, problem.k, problem.n, spec)
    loop = space.holding(HardwareLoop(tiling.i, tiling.k, tiling.j, "mnk"))
    violations = space.violations(loop)
    if violations:
        raise MappingError(f"gemmini_auto on {spec.name}", violations)
    return space.nest(loop)
