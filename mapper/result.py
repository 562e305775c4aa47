"""The result of a run: what was mapped, how, and what it costs by estimate and by simulation."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwconfigs import HardwareSpec
from mapper.graph.placement import Placement
from mapper.mapping.loop_nest import LoopNest
from mapper.search.strategies import Choice
from simulator.report import Report
from workloads import OpGraph


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came out, and how it was mapped."""

    graph: OpGraph
    spec: HardwareSpec
    mappings: dict[str, LoopNest]
    """Loop nest of each matmul by operator name."""
    placements: dict[str, Placement]
    """Where each operator ran, and why not elsewhere."""
    estimate: Report
    simulation: Report
    choices: dict[str, Choice] = field(default_factory=dict)
    """How the mapping of each matmul was found, by operator name."""
