"""Whole models with the best fusion that is found, beside the same models without: never worse, and counted right.

    python tests/benchmarks/fused_end_to_end.py                      every row, every machine, objective EDP
    python tests/benchmarks/fused_end_to_end.py bert-512 gpt2-decode --machines gemmini_ibert --objectives latency
    python tests/benchmarks/fused_end_to_end.py --check              the same blocks at small sizes, on numbers

Machines are Gemmini with the normalisation units, the paper's co-designed one, and the first with a path from the
normaliser into the scratchpad, which no Gemmini has. A row holds if

- the simulation of the fused run is no worse in what it minimises than that of the run without row-wise fusion,
- every group does the same actions in the estimate as in the simulation, and the MACs are those of the graph,
- the energy of the whole is that of its operators, action by action, and each is its counts times their prices.

With ``--check`` the programs of the fused run are executed on random integers instead, and their results compared with
what their operators make of the same operands. The exit code is 1 if a row fails.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mapper import pipeline
from mapper.cost.energy import energy_of
from mapper.cost.objective import OBJECTIVES, Goal, objective_value
from mapper.result import RunResult
from simulator.report import Action, Report

PATH = "path"
"""The name here of `gemmini_ibert` with a path into the scratchpad."""

MACHINES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "gemmini_ibert": ("gemmini_ibert", {}),
    "paper_codesign": ("paper_codesign", {}),
    PATH: ("gemmini_ibert", {"vector.writes_scratchpad": True}),
}
"""Preset and changes."""

SUM = 1e-9
"""Relative difference of two sums of the same energies: rounding alone."""

LLAMA = {"name": "llama", "family": "llama", "layers": 1, "d_model": 128, "heads": 4, "kv_heads": 2, "d_ffn": 352}
"""A block of the kind of LLaMA, for execution on numbers: the weights of a whole one are some GB as integers."""


@dataclass(frozen=True)
class Row:
    """A model at a size, and at one that can be executed on numbers."""

    model: str
    options: Mapping[str, Any]
    small_model: str | Mapping[str, object]
    small_options: Mapping[str, Any]


ROWS = {
    "bert-128": Row("bert-base", {"seq": 128}, "bert-base", {"seq": 24}),
    "bert-512": Row("bert-base", {"seq": 512}, "bert-base", {"seq": 40}),
    "bert-2048": Row("bert-base", {"seq": 2048}, "bert-base", {"seq": 64}),
    "gpt2-prefill": Row("gpt2", {"seq": 1024}, "gpt2", {"seq": 17}),
    "gpt2-decode": Row("gpt2", {"phase": "decode", "context": 512}, "gpt2", {"phase": "decode", "context": 30}),
    "llama-prefill": Row("llama-2-7b", {"seq": 2048}, LLAMA, {"seq": 40}),
    "llama-decode": Row("llama-2-7b", {"phase": "decode", "context": 1024}, LLAMA, {"phase": "decode", "context": 30}),
}

HEADER = """\
| row | machine | objective | cycles: unfused, fused | mJ: unfused, fused | ratio | groups, turns | CPU s | |
|---|---|---|---|---|--:|---|--:|---|"""
CHECK_HEADER = """\
| row | machine | programs | results | groups, turns | CPU s | |
|---|---|--:|--:|---|--:|---|"""


def main() -> int:
    """Print a line for each run; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all")
    parser.add_argument("--machines", nargs="+", choices=MACHINES, default=list(MACHINES))
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=["edp"])
    parser.add_argument("--check", action="store_true", help="execute small versions on numbers")
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    say(CHECK_HEADER if options.check else HEADER)
    failed = 0
    for name in options.rows or ROWS:
        for machine in options.machines:
            for objective in options.objectives:
                text, problems = (checked if options.check else simulated)(ROWS[name], machine, objective)
                say(f"| {name} | {machine} {text} | {'; '.join(problems) or 'holds'} |")
                failed += bool(problems)
    say(f"\nrows that fail: {failed}")
    return int(failed > 0)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(model: str | Mapping[str, object], machine: str, objective: Goal, options: Mapping[str, Any]) -> RunResult:
    """Run a model with the best fusion that is found."""
    preset, changes = MACHINES[machine]
    return pipeline.run(model, preset, overrides=changes, objective=objective, fusion="auto", **options)


def simulated(row: Row, machine: str, objective: Goal) -> tuple[str, list[str]]:
    """Run a row: its cells, and what does not hold."""
    start = time.process_time()
    result = run(row.model, machine, objective, row.options)
    seconds = time.process_time() - start
    assert result.fusion is not None
    before, after = result.fusion.unfused, result.simulation
    cells = (
        objective,
        f"{before.cycles:,}, {after.cycles:,}",
        f"{before.energy_pj * 1e-9:,.3f}, {after.energy_pj * 1e-9:,.3f}",
        f"{worth(after, objective) / worth(before, objective):.4f}",
        fused_parts(result),
        f"{seconds:.1f}",
    )
    return f"| {' | '.join(cells)}", list(problems(result))


def checked(row: Row, machine: str, objective: Goal) -> tuple[str, list[str]]:
    """Execute the programs of a small version on numbers: its cells, and what is wrong."""
    start = time.process_time()
    result = run(row.small_model, machine, objective, row.small_options)
    check = pipeline.check_numbers(result)
    seconds = time.process_time() - start
    cells = f"{check.programs:,}", f"{check.elements:,}", fused_parts(result), f"{seconds:.1f}"
    far = [f"too far off: {numbers}" for numbers in check.kernels if not numbers.is_near]
    return f"| {' | '.join(cells)}", [*map(str, check.wrong), *far, *problems(result)]


def worth(report: Report, objective: Goal) -> float:
    """What an objective minimises, of a whole model."""
    return objective_value(objective, float(report.cycles), report.energy_pj)


def fused_parts(result: RunResult) -> str:
    """Groups beyond element-wise activations, and those that take turns."""
    assert result.fusion is not None
    groups = ["+".join(gain.operators) for gain in result.fusion.gains]
    turns = [
        f"{choice.how.producer}~{choice.how.consumer}:{choice.how.rows}{' on chip' * choice.how.in_scratchpad}"
        for choice in result.turns
    ]
    return ", ".join([*groups, *turns]) or "none"


def problems(result: RunResult) -> Iterator[str]:
    """Yield what does not hold of a fused run."""
    assert result.fusion is not None
    whole, objective = result.simulation, result.settings.objective
    if worth(whole, objective) > worth(result.fusion.unfused, objective):
        yield "worse than unfused"
    if whole.macs != result.graph.macs:
        yield f"{whole.macs:,} MACs for {result.graph.macs:,}"
    for expected, measured in zip(result.estimate.by_op, whole.by_op, strict=True):
        if expected.counts != measured.counts:
            yield f"{measured.name}: counts of estimate and simulation differ"
    for report in (whole, *whole.by_op):
        if not same(report.energy_pj_by_action, energy_of(report.counts, report.cycles, result.prices)):
            yield f"{report.name}: its energy is not that of its counts"
    summed: Counter[Action] = Counter()
    for report in whole.by_op:
        for action, energy in report.energy_pj_by_action.items():
            summed[action] += whole.repeat * energy  # type: ignore[assignment]
    if not same(whole.energy_pj_by_action, summed):
        yield "the energy of the whole is not that of its operators"


def same(left: Mapping[Action, float], right: Mapping[Action, float]) -> bool:
    """Whether two sums of energies differ by no more than rounding, action by action."""
    actions = left.keys() | right.keys()
    return all(math.isclose(left.get(action, 0.0), right.get(action, 0.0), rel_tol=SUM) for action in actions)


if __name__ == "__main__":
    sys.exit(main())
