"""Fusion groups -> programs: the mapping of each matmul is searched and settled once for equal problems, then lowered.

A search ends in a proof by the estimate, before anything is simulated. Which of the mappings that may win does so is
settled when the first of equal matmuls is about to run, in the caches that it will find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import simulation_limits
from mapper.cost.estimate_commands import estimate_commands
from mapper.cost.model import CostModel
from mapper.evaluation.evaluate import Evaluator, TrialReports
from mapper.graph.dram_layout import DramLayout, lay_out, matmul_problem
from mapper.graph.fusion_group import FusionGroup, writers_of_wide_inputs
from mapper.graph.interleaving import Interleaving, block_between
from mapper.lowering.matmul import lower_matmul
from mapper.lowering.operators import lower_operator
from mapper.lowering.repeated_program import EstimatedInstance, MatmulInstance, RepeatedProgram
from mapper.mapping.hardware_loop import HardwareLoop, hardware_loop_of
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import batch_of
from mapper.mapspace.hardware_loops import MapSpace, check
from mapper.search.mapping_result import FrontPoint, MappingResult
from mapper.search.recalled_mappings import RecalledMappings
from mapper.search.settle import Trial, settled
from mapper.search.shares import LITTLE, little_ones
from mapper.search.strategies import SearchStrategy, Strategy
from simulator.memory.request_stream import MemoryState
from simulator.report import Report


@dataclass(slots=True)
class Compiler:
    """Searches and lowers the groups of one graph."""

    spec: HardwareSpec
    prices: EnergyModel
    layout: DramLayout
    strategy: Strategy
    searches: dict[str, MappingResult] = field(default_factory=dict)
    """How the mapping of each matmul was found, by name of its group."""
    _known: dict[MatmulProblem, MappingResult] = field(default_factory=dict)
    """Results by the problem's signature."""
    recalled: RecalledMappings | None = None
    """Mappings that other runs settled; None: there are none. What is recalled is searched by nobody."""
    given: Mapping[str, HardwareLoop] = field(default_factory=dict)
    """Mappings that are taken as they are, by name of their group."""
    _little: frozenset[MatmulProblem] = frozenset()
    """Signatures of matmuls whose mapping is the estimate's, for they are next to nothing of the model."""
    _blocks: dict[MatmulProblem, MappingResult] = field(default_factory=dict)
    """Mappings of blocks of rows by signature: the estimate's, whatever was settled for a matmul of that size."""

    def laid_out(
        self,
        groups: Iterable[FusionGroup],
        given: Mapping[str, HardwareLoop] | None = None,
        writers: Iterable[FusionGroup] = (),
    ) -> Compiler:
        """Return a compiler for other groups of the graph, which knows all that was searched and settled.

        Parameters
        ----------
        groups
            What has a place in DRAM.
        given
            Mappings that are not searched.
        writers
            Groups without a place whose results those read: stores write bytes, however narrow the tensor is.
        """
        written = (group.result.name for group in writers)
        return replace(self, layout=lay_out(groups, self.spec, written), searches={}, given=given or {})

    def price(self, group: FusionGroup, others: Iterable[FusionGroup] = ()) -> tuple[float, float]:
        """Return cycles and energy of a group by the estimate, alone on cold caches [cycles, pJ].

        ``others`` are the groups of the graph that write its operands, among others.

        Raises
        ------
        MappingError
            When its matmul has no mapping, or is too large to be counted.
        """
        others = tuple(others)
        alone = self.laid_out([*writers_of_wide_inputs(group, others), group], writers=others)
        if group.unit != "array":
            return alone._stream_price(group)
        problem = alone.problem(group)
        batch = batch_of(hardware_loop_of(alone._search_once(problem).mapping))
        costs = CostModel.of(problem, self.spec, self.prices, batch).costs(batch)
        return float(costs.cycles[0]) * group.lead.repeat, float(costs.energy_pj[0]) * group.lead.repeat

    def _stream_price(self, group: FusionGroup) -> tuple[float, float]:
        """`price` of a group that no matmul leads: the last of equal programs stands for all."""
        cycles = energy_pj = 0.0
        for repeated in self.lower(group):
            program = repeated.instance(repeated.count - 1).program
            report = estimate_commands(program, self.spec, self.prices, MemoryState(self.spec))
            cycles += repeated.count * report.cycles
            energy_pj += repeated.count * report.energy_pj
        return cycles, energy_pj

    def search(self, groups: Iterable[FusionGroup], layers: Callable[[str], int] = lambda name: 1) -> None:
        """Find the mapping of every matmul before anything is simulated.

        Parameters
        ----------
        groups
            All that will run.
        layers
            Returns how many layers run a group, by its name.

        Raises
        ------
        MappingError
            When a matmul has no mapping, or is too large to be counted.
        """
        groups = tuple(groups)
        line = self.spec.dma.max_request_bytes
        arrays = [group for group in groups if group.unit == "array"]
        runs = ((self.problem(group).signature(line), group.lead.repeat * layers(group.name)) for group in arrays)
        self._little = frozenset() if self._asks_for_finalists else little_ones(runs, self.spec)
        for group in groups:
            if group.name in self.given:
                self.searches[group.name] = self._given(group)
            elif group.unit == "array" and self.recalled is None:
                self.searches[group.name] = self._search_once(self.problem(group))

    @property
    def _asks_for_finalists(self) -> bool:
        """Whether the user said how many mappings of every matmul are simulated."""
        return isinstance(self.strategy, SearchStrategy) and self.strategy.options.finalists is not None

    def _given(self, group: FusionGroup) -> MappingResult:
        """Return the mapping that a group was given, if it fits."""
        problem, loop = self.problem(group), self.given[group.name]
        check(loop, problem, self.spec)
        return MappingResult(MapSpace(problem, self.spec).nest(loop), "given, not searched")

    def settle(self, group: FusionGroup, evaluator: Evaluator) -> None:
        """Let simulations choose among the mappings of a matmul, unless its equal was settled before.

        Parameters
        ----------
        evaluator
            About to run the group.
        """
        if group.unit != "array" or group.name in self.given:
            return
        problem = self.problem(group)
        key = problem.signature(self.spec.dma.max_request_bytes)
        trial = _InstanceTrial(problem, evaluator)
        if key in self._little:
            self._known[key] = _as_estimated(self._known[key] if key in self._known else self._found(problem, key))
        elif self.recalled is None:
            self._known[key] = self._settled(problem, trial)
        elif key not in self._known or self._known[key].contenders is not None:
            self._known[key] = self.recalled.settled(
                problem, trial, evaluator.memory, lambda: self._settled(problem, trial)
            )
        self.searches[group.name] = _renamed(self._known[key], problem)

    def _settled(self, problem: MatmulProblem, trial: Trial) -> MappingResult:
        """Let simulations choose, unless already the best by the estimate is too long for one."""
        found = self._search_once(problem)
        if found.contenders is None:
            return found
        reason = self._why_too_long(problem, hardware_loop_of(found.mapping))
        if not reason:
            return settled(found, trial)
        return replace(found, statement=f"{found.statement}; not settled by simulation: {reason}", contenders=None)

    def trial_on_cold_caches(self, group: FusionGroup) -> Trial:
        """Return what estimates and simulates the matmul of a group, alone on the machine."""
        evaluator = Evaluator(self.spec, self.prices, spans=False, exact=False, memory=MemoryState(self.spec))
        return _InstanceTrial(self.problem(group), evaluator)

    @property
    def mappings(self) -> dict[str, LoopNest]:
        """Loop nest of each matmul by name of its group."""
        return {name: result.mapping for name, result in self.searches.items()}

    def lower(self, group: FusionGroup) -> tuple[RepeatedProgram, ...]:
        """Return the programs of a group whose mapping was searched."""
        if group.unit != "array":
            return lower_operator(group, self.layout, self.spec)
        loop = hardware_loop_of(self.searches[group.name].mapping)

        def instance(number: int) -> MatmulInstance:
            problem = self.problem(group, number)
            return MatmulInstance(lower_matmul(problem, loop, self.spec), problem, loop)

        whole = self.problem(group)
        reason = self._why_too_long(whole, loop)
        return (
            RepeatedProgram(group.lead.repeat, instance, EstimatedInstance(whole, loop, reason) if reason else None),
        )

    def in_turns(
        self, producer: FusionGroup, consumer: FusionGroup, how: Interleaving
    ) -> Iterator[tuple[FusionGroup, MatmulInstance]]:
        """Yield the programs of two groups in turns, block of rows by block of rows.

        Raises
        ------
        MappingError
            When a block has no mapping.
        """
        whole = self.problem(producer)
        kept = block_between(how, whole.n, self.spec) if how.in_scratchpad else None
        for instance, first in how.turns(producer.lead.repeat, whole.m):
            rows = min(how.rows, whole.m - first)
            for group in (producer, consumer):
                problem = self.problem(group, instance)
                if kept is not None:
                    problem = problem.row_block(first, rows)
                    free = self.spec.scratchpad.rows - kept.row
                    problem = problem.leaving(kept, free) if group == producer else problem.finding(kept, free)
                    yield group, self._block(problem)
                elif rows == problem.m:
                    yield group, self._instance(problem, self.searches[group.name])
                else:
                    yield group, self._block(problem.row_block(first, rows))

    def is_simulated(self, group: FusionGroup) -> bool:
        """Return whether the programs of a group whose mapping was searched are short enough to be made."""
        if group.unit != "array":
            return True
        return not self._why_too_long(self.problem(group), hardware_loop_of(self.searches[group.name].mapping))

    def can_simulate(self, group: FusionGroup, points: Iterable[FrontPoint]) -> bool:
        """Return whether the programs of some mappings of a group's matmul are short enough to be made."""
        problem = self.problem(group)
        return not any(self._why_too_long(problem, hardware_loop_of(point.mapping)) for point in points)

    def _why_too_long(self, problem: MatmulProblem, loop: HardwareLoop) -> str:
        return simulation_limits.why_too_long(problem, loop, self.spec, self.prices)

    def _block(self, problem: MatmulProblem) -> MatmulInstance:
        """Return the program of a block of rows, in the estimate's mapping."""
        return self._instance(problem, self._of_block(problem))

    def _instance(self, problem: MatmulProblem, found: MappingResult) -> MatmulInstance:
        loop = hardware_loop_of(found.mapping)
        return MatmulInstance(lower_matmul(problem, loop, self.spec), problem, loop)

    def _of_block(self, problem: MatmulProblem) -> MappingResult:
        key = problem.signature(self.spec.dma.max_request_bytes)
        if key not in self._blocks:
            self._blocks[key] = self._found(problem, key)
        return self._blocks[key]

    def problem(self, group: FusionGroup, instance: int = 0) -> MatmulProblem:
        """Return the matmul that leads a group, with its operands where the layout puts them."""
        return matmul_problem(group, self.layout, instance, self.spec.array.input_bits)

    def _search_once(self, problem: MatmulProblem) -> MappingResult:
        """Search a problem unless its equal was searched before; the mapping carries the problem's own name."""
        key = problem.signature(self.spec.dma.max_request_bytes)
        if key not in self._known:
            self._known[key] = self._found(problem, key)
        return _renamed(self._known[key], problem)

    def _found(self, problem: MatmulProblem, signature: MatmulProblem) -> MappingResult:
        """Search a problem, unless this process searched its equal in another run."""

        def search() -> MappingResult:
            return self.strategy(problem, self.spec, self.prices)

        return search() if self.recalled is None else self.recalled.searched(signature, search)


@dataclass(frozen=True, slots=True)
class _InstanceTrial:
    """Tries mappings of one instance of a matmul."""

    problem: MatmulProblem
    evaluator: Evaluator

    def __call__(self, loop: HardwareLoop) -> TrialReports:
        return self.evaluator.trial(self._instance(loop))

    def confirmed(self, loop: HardwareLoop) -> Report:
        return self.evaluator.confirmed(self._instance(loop))

    def dynamic_pj(self, loop: HardwareLoop) -> float:
        return self.evaluator.dynamic_pj(self._instance(loop))

    def least_cycles(self) -> float:
        return self.evaluator.least_cycles(self.problem)

    def _instance(self, loop: HardwareLoop) -> MatmulInstance:
        return MatmulInstance(lower_matmul(self.problem, loop, self.evaluator.spec), self.problem, loop)


def _as_estimated(found: MappingResult) -> MappingResult:
    """Return a result whose mapping stays the estimate's."""
    if found.contenders is None:
        return found
    reason = f"not settled by simulation: less than {LITTLE:.1%} of the model's matmuls"
    return replace(found, statement=f"{found.statement}; {reason}", contenders=None)


def _renamed(known: MappingResult, problem: MatmulProblem) -> MappingResult:
    """Return the result of an equal problem for this one."""
    return replace(known, mapping=replace(known.mapping, ops=(problem.name,)))
