"""Do the programs of a block compute the right integers? Every group runs on random numbers and is compared.

    DRAM image: random int8 weights and inputs  ── programs, in their order ──►  the image after each group
           └─ the group's operators, whole tensors at once, on what their operands have to hold ───┘ equal?

Matmuls, additions and what activations make of them have to be equal, integer for integer; no byte but the result may
change. Activations are those of the unit, on integers (`hwconfigs.integer_arithmetic`); how far they are from the float
definition is told kernel by kernel, by the largest result of each row and by the sum of the row: long rows of softmax
round to zeros, so that a tolerance of a step would pass a unit that returns nothing else.

Weights are drawn so that sums spread over some hundred steps: a unit's 32 bits hold what its polynomials make of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.errors import MappingError
from mapper.evaluation.number_reports import KernelNumbers, NumbersCheck, Wrong
from mapper.evaluation.placed_numbers import placed_stores
from mapper.graph.dram_layout import Allocation, DramLayout
from mapper.graph.fusion_group import FusionGroup, executed
from mapper.lowering.repeated_program import Instance, MatmulInstance, RepeatedProgram
from simulator.arrays import Bytes, Ints
from simulator.functional import Dram, LocalMemories, Scaling, execute, results, saturate, wrap
from simulator.program import HostTask, ProgramError
from workloads import Operator, Tensor
from workloads.ops import Matmul, Rope, TopK

SUM_SPREAD = 300.0
"""Standard deviation of the sums of a matmul [steps]."""

RESULT_SPREAD = 6.0
"""Standard deviation of requantised sums [int8 steps]: products of two such operands spread like those of weights."""

INPUT_SPREAD = 24.0
"""Standard deviation of inputs of the block [int8 steps]."""

REAL_SPREAD = 1.5
"""Standard deviation of the real values that sums stand for: logits and inputs of GELU of a usual size."""

Step = tuple[tuple[FusionGroup, ...], Iterable[tuple[FusionGroup, Instance]]]
"""Groups that run together, and their programs in order, each with its group."""


class _Expected(NamedTuple):
    """What a group has to write."""

    sums: Ints
    scaling: Scaling
    results: Ints


@dataclass(slots=True)
class NumbersRun:
    """The image of DRAM on which the programs of a block run, group by group."""

    spec: HardwareSpec
    layout: DramLayout
    random: np.random.Generator
    step: float | None = None
    """Real value of a step of the sums that an activation takes; None: as they spread."""
    image: Dram = field(init=False)
    _values: dict[str, Ints] = field(default_factory=dict)
    """What each tensor has to hold, whoever overwrites it in the image."""
    _choices: set[str] = field(default_factory=set)
    """Tensors of column numbers that a router chose."""
    _check: NumbersCheck = field(default_factory=NumbersCheck)

    def run(self, steps: Iterable[Step]) -> NumbersCheck:
        """Run all groups and return what was found.

        Parameters
        ----------
        steps
            Groups with their programs, in order.

        Raises
        ------
        MappingError
            When a step is none that the unit's integers can have; the message names the group.
        """
        steps = tuple(steps)
        size = self.layout.workspace + max((_workspace(group) for groups, _ in steps for group in groups), default=0)
        self.image = Dram(0, np.zeros(size, dtype=np.uint8))
        for groups, programs in steps:
            if groups[0].unit == "host":
                self._run_on_host(groups[0], self._check.on_host)
            elif not _is_executed(groups[0]):
                self._run_on_host(groups[0], self._check.not_executed)
            else:
                self._run_groups(groups, programs)
        return self._check

    def _fill(self, group: FusionGroup) -> None:
        """Draw the operands of a group that no group before it made."""
        # Activations stand before the weights that meet them, whose spread follows.
        for tensor in group.inputs:
            if tensor.name not in self._values:
                self._write(tensor, self._drawn(tensor, executed(group.lead)))

    def _drawn(self, tensor: Tensor, op: Operator) -> Ints:
        spread = RESULT_SPREAD if tensor.role == "kv_cache" else INPUT_SPREAD
        if tensor.role == "bias":
            spread = SUM_SPREAD / 4
        elif tensor.role == "weight" and isinstance(op, Matmul):
            inputs = self._values[op.inputs[0].name]
            size = math.sqrt(float((inputs.astype(np.float64) ** 2).mean()))
            spread = SUM_SPREAD / (max(size, 0.1) * math.sqrt(op.k))
        values = np.rint(self.random.normal(0.0, spread, tensor.elements)).astype(np.int64)
        return saturate(values, 8 * self.layout.allocation(tensor).element_bytes)

    def _run_on_host(self, group: FusionGroup, noted: list[str]) -> None:
        self._fill(group)
        self._write(group.result, self._on_host(group))
        noted.append(group.name)

    def _run_groups(self, groups: tuple[FusionGroup, ...], programs: Iterable[tuple[FusionGroup, Instance]]) -> None:
        """Execute groups and compare what each wrote with what its operators make of their operands."""
        expected: dict[str, _Expected] = {}
        for group in groups:
            self._fill(group)
            expected[group.name] = self._expected(group)
            self._values[group.result.name] = expected[group.name].results.ravel()
        before, on_chip = self.image, LocalMemories(self.spec)
        for group, instance in programs:
            scaling, program = expected[group.name].scaling, instance.program
            placed = placed_stores(group, self.layout)
            with _named(group):
                self.image = execute(
                    program, self.image, self.spec, scaling=scaling, host=_library_code, on_chip=on_chip, placed=placed
                )
            self._check.programs += 1
            if isinstance(instance, MatmulInstance) and instance.problem.c_kept is not None:
                # What stays on chip is compared like everything else: where it would lie in memory.
                problem = instance.problem
                self.image.write(problem.c, on_chip.kept(instance.problem.c_kept, problem.m, problem.n))
        regions = [self.layout.allocation(group.result) for group in groups]
        if _changed_elsewhere(before.data, self.image.data, regions, self.layout.workspace):
            self._check.wrong.append(Wrong(groups[0].name, "changes DRAM outside its result", 0, 0))
        for group in groups:
            self._compare(group, expected[group.name])

    def _expected(self, group: FusionGroup) -> _Expected:
        sums, placed = self._sums(group), placed_stores(group, self.layout)
        if placed is not None:
            if isinstance(placed.op, TopK):
                self._choices.add(group.result.name)
            return _Expected(sums, Scaling(), placed.rows(sums, 0))
        scaling = self._scaling(group, sums)
        with _named(group):
            return _Expected(sums, scaling, results(sums, group.activation, scaling, full=self._is_full(group)))

    def _compare(self, group: FusionGroup, expected: _Expected) -> None:
        sums, scaling, right = expected
        written = self._read(group.result).reshape(right.shape)
        self._check.elements += written.size
        if not np.array_equal(written, right):
            self._check.wrong.append(Wrong.found(group.name, written, right))
        # A wrong group is one finding: those behind it go on with the right numbers.
        self._write(group.result, right)
        kernel = kernel_named(group.activation)
        if kernel.needs_unit and kernel.reference is not None:
            self._check.kernels.append(KernelNumbers.of(group.name, group.activation, written, sums, scaling))

    def _sums(self, group: FusionGroup) -> Ints:
        """Return what the stores of a group's last operator find in the accumulator, rows of its activation."""
        op = executed(group.lead)
        operands = [self._values[tensor.name].reshape(tensor.shape).astype(np.float64) for tensor in op.inputs]
        if isinstance(op, Matmul):
            cols = op.n if not group.epilogue else group.operators[-1].dims["cols"]
            # Products of 8-bit numbers add up exactly in float64, whose matrix product is fast.
            sums = op.reference(*operands).astype(np.int64).reshape(-1, cols)
            if group.addend is not None:
                sums = sums + self._values[group.addend.name].reshape(-1, cols)
            return wrap(sums)
        if kernel_named(group.activation).operands > 1:
            # As they lie in the accumulator: each row of one operand beside that of the next.
            return np.hstack([operand.astype(np.int64).reshape(-1, op.dims["cols"]) for operand in operands])
        total: Ints = np.sum(operands, axis=0).astype(np.int64).reshape(-1, op.dims["cols"])
        return wrap(total)

    def _scaling(self, group: FusionGroup, sums: Ints) -> Scaling:
        spread = max(1.0, float(sums.std()))
        kernel = kernel_named(group.activation)
        if not kernel.needs_unit:
            # Sums of int8 numbers, as of a residual addition, are stored as they are.
            return Scaling(1.0, RESULT_SPREAD / spread if spread > 2 * RESULT_SPREAD else 1.0, integer=True)
        step = REAL_SPREAD / spread if self.step is None else self.step
        stored = RESULT_SPREAD / REAL_SPREAD if kernel.integer is None else kernel.integer.int8_per_unit
        return Scaling(step, stored, integer=True)

    def _is_full(self, group: FusionGroup) -> bool:
        return self.layout.allocation(group.result).element_bytes > 1

    def _on_host(self, group: FusionGroup) -> Ints:
        """Return what the host writes: the float definition, rounded to steps like those of its operands."""
        op = group.lead
        # Numbers of columns that a router chose are no real values of some step.
        steps = [1.0 if tensor.name in self._choices else RESULT_SPREAD for tensor in op.inputs]
        operands = [
            self._values[tensor.name].reshape(tensor.shape) / step
            for tensor, step in zip(op.inputs, steps, strict=True)
        ]
        if isinstance(op, TopK):
            self._choices.add(group.result.name)
        values = np.rint(op.reference(*operands) * (1.0 if isinstance(op, TopK) else RESULT_SPREAD)).astype(np.int64)
        return saturate(values, 8 * self.layout.allocation(group.result).element_bytes)

    def _read(self, tensor: Tensor) -> Ints:
        allocation = self.layout.allocation(tensor)
        bits = 8 * allocation.element_bytes
        values: Ints = self.image.read(self.layout.rows(tensor, tensor.elements), 1, tensor.elements, bits)[0]
        return values

    def _write(self, tensor: Tensor, values: Ints) -> None:
        self._values[tensor.name] = values.ravel()
        bits = 8 * self.layout.allocation(tensor).element_bytes
        self.image.write(self.layout.rows(tensor, tensor.elements), values.reshape(1, -1), bits)


def apart(groups: Iterable[FusionGroup], lower: Callable[[FusionGroup], Iterable[RepeatedProgram]]) -> Iterator[Step]:
    """Yield groups one by one, with the programs that they are lowered to."""
    for group in groups:
        yield (group,), () if group.unit == "host" else _programs(group, lower(group))


def _programs(group: FusionGroup, programs: Iterable[RepeatedProgram]) -> Iterator[tuple[FusionGroup, Instance]]:
    for repeated in programs:
        yield from ((group, repeated.instance(number)) for number in range(repeated.count))


@contextmanager
def _named(group: FusionGroup) -> Iterator[None]:
    """Name the group in whatever its numbers or its programs are refused for."""
    try:
        yield
    except ProgramError as problem:
        raise MappingError(f"{group.name}: {problem}") from problem


def _library_code(task: HostTask, memory: Dram) -> None:
    """Library code in front of a program changes no numbers."""
    del task, memory


def _is_executed(group: FusionGroup) -> bool:
    """Whether programs run on numbers: not if rows come from, or go to, where a choice says."""
    if group.unit != "simd" or isinstance(group.lead, (Rope, TopK)):
        return True
    return kernel_named(group.activation).reference is not None


def _workspace(group: FusionGroup) -> int:
    """Bytes of the partial sums of a group's matmul, whose rows start on lines."""
    op = executed(group.lead)
    return op.m * (4 * op.n + 64) if isinstance(op, Matmul) else 0


def _changed_elsewhere(before: Bytes, after: Bytes, results: Sequence[Allocation], workspace: int) -> bool:
    differs = before[:workspace] != after[:workspace]
    for result in results:
        differs[result.address : result.address + result.size_bytes] = False
    return bool(differs.any())
