"""Estimate against exact simulation on random mappings, matmuls and machines, with what bounds the worst of them.

    python tests/benchmarks/estimate_error.py [--cases N] [--mappings N] [--seed N] [--worst N]

Every second mapping starts with the caches as a run of it left them. ``closed form`` is what a search takes the mapping
to cost if it is told which shares of the matrices the caches hold; what is printed knows the lines that are fetched.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mapper.cost.cache_contents import held_in
from mapper.cost.estimate import estimate
from mapper.cost.model import CostModel
from mapper.cost.pace import Pace, sample_size
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapspace.batch import batch_of
from mapper.mapspace.hardware_loops import MapSpace
from mapper.validation.random_cases import RandomCase, random_cases
from mapper.validation.ranks import spearman
from simulator.machine import count, prepare
from simulator.memory.request_stream import MemoryState
from simulator.report import Report


@dataclass(frozen=True, slots=True)
class Row:
    """One mapping."""

    case: RandomCase
    loop: HardwareLoop
    warm: bool
    estimated: Report
    simulated: Report
    searched: float

    @property
    def extrapolated(self) -> bool:
        """The estimate simulated some of the loops only, or none."""
        loops = math.prod(MapSpace(self.case.problem, self.case.spec).tile_counts(self.loop))
        return sample_size(self.loop, loops) < loops

    @property
    def error(self) -> float:
        """Signed [fraction]."""
        return self.estimated.cycles / self.simulated.cycles - 1.0


def rows_of(case: RandomCase) -> Iterator[Row]:
    """Estimate and simulate the mappings of a case."""
    problem, spec = case.problem, case.spec
    for number, loop in enumerate(case.loops):
        program, memory, warm = lower_matmul(problem, loop, spec), MemoryState(spec), number % 2 == 1
        if warm:
            count(program, spec, memory)
        prepared, held = prepare(program, spec, memory.copy()), memory.copy()
        simulated = prepared.simulate(exact=True)
        expected = estimate(loop, problem, spec, case.energy, memory, prepared, Pace())
        batch = batch_of(loop)
        model = CostModel.of(problem, spec, case.energy, batch, held_in(held, problem))
        searched = float(model.costs(batch).cycles[0])
        yield Row(case, loop, warm, expected, simulated, searched)


def summary(label: str, errors: Sequence[float]) -> str:
    """Figures of some errors as a line."""
    if not errors:
        return f"{label}: none"
    values = 100 * np.array(errors)
    sizes = np.abs(values)
    median, high = np.quantile(sizes, (0.5, 0.95))
    return (
        f"{label}: {len(errors)} rows, median {median:.1f} %, mean {sizes.mean():.1f} %, 95 % below {high:.1f} %, "
        f"worst {values[sizes.argmax()]:+.1f} %, median signed {np.median(values):+.1f} %"
    )


def told(row: Row) -> Iterator[str]:
    """Yield a row in some lines: what it is, and where each unit's cycles went."""
    case, loop, simulated = row.case, row.loop, row.simulated
    problem = case.problem
    extras = [name for name, there in (("bias", problem.bias_address), ("int32", problem.c_full)) if there]
    extras += [f"stride of A {problem.a.row_stride_bytes}"] * (problem.a.row_stride_bytes != problem.k)
    yield (
        f"{100 * row.error:+.1f} % (closed form {100 * (row.searched / simulated.cycles - 1):+.1f} %)  estimate "
        f"{row.estimated.cycles:,} simulated {simulated.cycles:,}  case {case.number} "
        f"{'warm' if row.warm else 'cold'}  bound by {simulated.bound}, estimate: {row.estimated.bound}"
    )
    buffering = "halves" if loop.double_buffered else "whole"
    yield f"    {problem.name} {' '.join(extras)}  tile {loop.tiles} {loop.order} {buffering}  {case.machine}"
    for name in ("load", "execute", "store"):
        time = simulated.units[name]
        stalls = sorted(time.stall_cycles.items(), key=lambda stall: -stall[1])
        waits = ", ".join(f"{cause} {cycles:,}" for cause, cycles in stalls if cycles > 0.02 * simulated.cycles)
        yield f"        {name:<8} busy {time.busy_cycles:>9,}  idle {time.idle_cycles:>9,}  {waits}"


def main() -> int:
    """Print figures and the worst rows."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, value in (("cases", 40), ("mappings", 5), ("seed", 1), ("worst", 20)):
        options.add_argument(f"--{name}", type=int, default=value)
    asked = options.parse_args()
    cases = list(random_cases(asked.cases, asked.mappings, asked.seed, most_seconds=0.1))
    groups = [list(rows_of(case)) for case in cases]
    rows = [row for group in groups for row in group]
    write = sys.stdout.write
    write(summary("printed", [row.error for row in rows]) + "\n")
    closed = [row.searched / row.simulated.cycles - 1.0 for row in rows]
    write(summary("closed form", closed) + "\n")
    beyond = [row.error for row in rows if row.extrapolated]
    write(summary("printed, more loops than are simulated", beyond) + "\n")
    write(summary("printed against closed form", [row.estimated.cycles / row.searched - 1.0 for row in rows]) + "\n")
    for label, warm in (("warm", True), ("cold", False)):
        write(summary(label, [row.error for row in rows if row.warm == warm]) + "\n")
    for label, cached in (("with L2", True), ("without", False)):
        write(summary(label, [row.error for row in rows if (row.case.spec.l2 is not None) == cached]) + "\n")
    ranks = [
        spearman([row.simulated.cycles for row in group], [row.estimated.cycles for row in group])
        for group in groups
        if len(group) > 1
    ]
    write(f"rank within a case, mean: {np.mean(ranks):.3f}\n")
    for row in sorted(rows, key=lambda row: -abs(row.error))[: asked.worst]:
        write("\n".join(told(row)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
