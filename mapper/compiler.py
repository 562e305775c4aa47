"""Operators of a graph -> programs: the mapping of each matmul is searched once for equal problems, then lowered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import simulation_limits
from mapper.graph.dram_layout import Layout, matmul_problem
from mapper.graph.placement import Placement
from mapper.lowering.matmul import lower_matmul
from mapper.lowering.operators import lower_operator
from mapper.lowering.series import Piece, Series
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace
from mapper.search.strategies import Choice, Chooser


@dataclass(slots=True)
class Compiler:
    """Lowers the operators of one graph; equal matmuls are searched once."""

    spec: HardwareSpec
    prices: EnergyModel
    layout: Layout
    choose: Chooser
    mappings: dict[str, LoopNest] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    _known: dict[MatmulProblem, Choice] = field(default_factory=dict)

    def search(self, placements: Iterable[Placement]) -> None:
        """Find the mappings of all matmuls, so that one that has none is told before anything is simulated."""
        for placement in placements:
            if placement.place == "array":
                self._choice(self._problem(placement, 0))

    def lower(self, placement: Placement) -> tuple[Series, ...]:
        """Return the programs of an operator; none if another one absorbs it."""
        if placement.place != "array":
            return lower_operator(placement, self.layout, self.spec)
        name = placement.operator.name
        first = self._problem(placement, 0)
        choice = self.choices[name] = self._choice(first)
        self.mappings[name] = choice.mapping
        loop = MapSpace(first, self.spec).loop(choice.mapping)

        def make(instance: int) -> Piece:
            problem = self._problem(placement, instance)
            return Piece(lower_matmul(problem, loop, self.spec), problem, loop)

        return (Series(placement.operator.repeat, make),)

    def _problem(self, placement: Placement, instance: int) -> MatmulProblem:
        return matmul_problem(placement, self.layout, instance, self.spec.array.input_bits)

    def _choice(self, problem: MatmulProblem) -> Choice:
        key = problem.signature(self.spec.dma.max_request_bytes)
        if key not in self._known:
            chosen = self._known[key] = self.choose(problem, self.spec, self.prices)
            loop = MapSpace(problem, self.spec).loop(chosen.mapping)
            simulation_limits.check(problem, loop, self.spec, self.prices)
        known = self._known[key]
        return replace(known, mapping=replace(known.mapping, ops=(problem.name,)))
