"""Small spaces of both kinds, on which the searches and the spaces themselves are tested."""

from __future__ import annotations

from collections.abc import Callable

from hwconfigs import override
from mapper.mapping.matmul_problem import contiguous
from mapper.nest.mapspace.constraint_file import read_constraints
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.mapspace.variants import Unrolling
from mapper.nest.model.accounting import DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import matmul
from mapper.search.space import Space
from mapper.search.spaces.hardware_loops import LoopSpace
from mapper.search.spaces.loop_nests import LoopNests
from tests.mapper.tiny import machine, prices

FEW_ORDERS = """
levels:
  dram: {order: {any: ["mkn", "nkm", "mnk"]}}
  scratchpad: {order: {any: ["*k", "knm"]}, double_buffer: [input, weight]}
  accumulator: {order: "knm"}
"""


def loops(shape: tuple[int, int, int], name: str) -> LoopSpace:
    spec = machine(name)
    return LoopSpace(contiguous(*shape), spec, prices(spec))


def nests(
    shape: tuple[int, int, int], accounting: Accounting, constraints: str = "", spatial: Unrolling = "full"
) -> LoopNests:
    """Nests on gemmini without its L2, whose memories are shrunk so that they matter to small problems."""
    changes = {"l2": None, "scratchpad.capacity": "4 KiB", "accumulator.capacity": "2 KiB"}
    spec = override(machine("gemmini"), changes)
    hierarchy = Hierarchy.of(spec, prices(spec))
    limits = read_constraints(constraints) if constraints else None
    return LoopNests(NestSpace(matmul(*shape), hierarchy, accounting, limits, spatial=spatial))


SPACES: dict[str, Callable[[], Space]] = {
    "hardware loops": lambda: loops((200, 330, 150), "gemmini"),
    "hardware loops, small array": lambda: loops((9, 17, 14), "tiny_4x4"),
    "nests, perfect": lambda: nests((4, 6, 10), TIMELOOP, spatial="free"),
    "nests, ragged": lambda: nests((13, 80, 100), DEFAULT, FEW_ORDERS),
}
