"""The result of a run: what was mapped, how, and what it costs by estimate and by simulation."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwconfigs import EnergyModel, HardwareSpec
from mapper.evaluation.turns import TurnsChoice
from mapper.graph.fusion_group import FusionGroup
from mapper.graph.fusion_plan import FusionPlan
from mapper.mapping.hardware_loop import hardware_loop_of
from mapper.mapping.loop_nest import LoopNest
from mapper.search.fusion_search import CutSearch
from mapper.search.mapping_result import MappingResult
from mapper.search.settled_cut import GroupGain
from mapper.settings import RunSettings
from simulator.report import Report
from workloads import OpGraph


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the cut of a run was found, and what it bought on the machine."""

    search: CutSearch
    gains: tuple[GroupGain, ...]
    """Every group beyond an element-wise activation, beside the operators that it replaces."""
    unfused: Report
    """The simulation of the cut without such groups, none of them in turns."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What ran, how it was mapped, and what it costs: all operators of a graph on one machine."""

    graph: OpGraph
    spec: HardwareSpec
    prices: EnergyModel
    """What its actions cost, and its die."""
    groups: tuple[FusionGroup, ...]
    """What ran as one program and on which unit, in the order of execution."""
    mappings: dict[str, LoopNest]
    """Loop nest of each matmul by name; it is the mapping of the group that the matmul leads."""
    estimate: Report
    simulation: Report
    searches: dict[str, MappingResult] = field(default_factory=dict)
    """How each of the mappings was found."""
    settings: RunSettings = field(default_factory=RunSettings)
    """What was computed and how it was mapped; a strategy of one's own replaces the search that they name."""
    turns: tuple[TurnsChoice, ...] = ()
    """Groups that ran in turns."""
    fusion: Fusion | None = None
    """What fusing operators bought, if it was left to the mapper."""

    @property
    def plan(self) -> FusionPlan:
        """What another run needs to do the same: groups, turns and mappings."""
        cut = tuple(tuple(op.name for op in group.operators) for group in self.groups)
        mappings = {name: hardware_loop_of(nest) for name, nest in self.mappings.items()}
        return FusionPlan(cut, tuple(choice.how for choice in self.turns), mappings)

    def group(self, operator: str) -> FusionGroup:
        """Return the group in which an operator ran.

        Raises
        ------
        KeyError
            When the graph has no such operator.
        """
        for group in self.groups:
            if any(op.name == operator for op in group.operators):
                return group
        raise KeyError(f"graph {self.graph.name}: no operator {operator!r}")
