"""Which matmuls of a model are so small a part of it that no choice of their mapping matters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hwconfigs import HardwareSpec
from mapper.mapping.matmul_problem import MatmulProblem

LITTLE = 0.002
"""Share of a model's matmuls below which one is not simulated to choose its mapping: contests win a few percent of an
operator as a rule, so of the model no more than a hundredth of what simulations are trusted with [fraction]."""


def little_ones(runs: Iterable[tuple[MatmulProblem, int]], spec: HardwareSpec) -> frozenset[MatmulProblem]:
    """Return the signatures of the matmuls that are next to nothing of a model.

    Parameters
    ----------
    runs
        Signature of each matmul, and how often it runs. Those of one signature count together.
    spec
        The machine.
    """
    cycles: dict[MatmulProblem, float] = {}
    for signature, times in runs:
        cycles[signature] = cycles.get(signature, 0.0) + times * rough_cycles(signature, spec)
    return _below(cycles, LITTLE * sum(cycles.values()))


def _below(cycles: Mapping[MatmulProblem, float], limit: float) -> frozenset[MatmulProblem]:
    return frozenset(signature for signature, own in cycles.items() if own < limit)


def rough_cycles(problem: MatmulProblem, spec: HardwareSpec) -> float:
    """Return cycles that the array or the DRAM needs for a matmul at least, whatever its mapping."""
    array = spec.array
    steps = -(-problem.k // array.rows) * -(-problem.n // array.cols) * max(problem.m, array.min_step_rows)
    moved = problem.m * problem.k + problem.b_rows * problem.b_row_bytes + problem.m * problem.n * problem.c_bytes
    return max(float(steps), moved / spec.dram.bytes_per_cycle)
