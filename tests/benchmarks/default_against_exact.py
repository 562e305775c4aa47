"""The default simulation against the exact one, on random machines: every operator within 1 %.

    python tests/benchmarks/default_against_exact.py                     400 cases of seed 0
    python tests/benchmarks/default_against_exact.py --seed 7 --first 100 --number 50
    python tests/benchmarks/default_against_exact.py --fused --number 100

A case is a random machine and a random product, or one block of a small random model (BERT, GPT-2, LLaMA, ViT; prefill
or decode, one or more sequences), mapped by the search, by Gemmini's library or at random. With ``--fused`` it is a
block on a machine with a normaliser, cut in random groups of those that the machine can run, of which some take turns,
in blocks of random height, instances or rows outside. It is run twice with equal mappings. Printed are the cases with
the largest difference of any operator's cycles, how many loops the default mode passed over, and CPU seconds. The exit
code is 1 if a case differs by more than 1 %.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pairs

import hwconfigs
import workloads
from hwconfigs import EnergyModel, HardwareSpec, SpecError
from mapper.compiler import Compiler
from mapper.cost import counts
from mapper.cost.model import CostModel
from mapper.errors import MappingError
from mapper.graph.dram_layout import lay_out
from mapper.graph.fusion_candidates import candidates
from mapper.graph.fusion_cuts import fusion_groups
from mapper.graph.fusion_group import executed
from mapper.graph.fusion_plan import FusionPlan
from mapper.graph.interleaving import Interleaving, paired
from mapper.mapping.hardware_loop import hardware_loop_of
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import batch_of
from mapper.pipeline import matmul_graph, run_graph
from mapper.search.budget import Budget
from mapper.search.mapping_result import MappingResult
from mapper.search.options import SearchOptions
from mapper.search.strategies import SearchStrategy
from simulator import machine
from simulator.fast_forward.steady_state import FastForward
from simulator.frontend.command_queues import CommandQueues
from simulator.report import Report
from workloads import OpGraph
from workloads.ops import Matmul

TOLERANCE = 0.01
"""Largest relative difference of an operator's cycles."""

WORST = 10
"""Cases that are printed."""

LEAST_LOOPS = 24
"""Fewer loops cannot show a steady state."""

MOST_SECONDS = 2.0
"""Expected CPU time of the exact run of a case."""

SECONDS_PER_LOOP, SECONDS_PER_REQUEST, SECONDS_PER_STEP = 5e-4, 1e-6, 8e-6
"""Rough costs of an exact simulation: hardware loops, DMA requests, steps of the array."""

MACHINES = ("gemmini", "gemmini_ibert", "gemmini_lean", "gemmini_chip", "tiny_4x4", "firesim_dosa", "paper_codesign")
FUSING = ("gemmini_ibert", "gemmini_ibert_v071", "paper_codesign")
"""Those that normalise."""

KIB = 1024


class TooMuchError(Exception):
    """A case that takes too long."""


@dataclass
class Once:
    """Searches each problem once, so that both runs have one mapping; refuses what takes too long to simulate."""

    strategy: SearchStrategy
    seconds: float
    """CPU time that is left for the exact simulation."""
    loops: int = 0
    known: dict[MatmulProblem, MappingResult] = field(default_factory=dict)

    def __call__(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> MappingResult:
        """Return the mapping of a problem."""
        if problem not in self.known:
            self.known[problem] = self.strategy(problem, spec, prices)
            self._count(problem, spec, prices)
        return self.known[problem]

    def _count(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> None:
        batch = batch_of(hardware_loop_of(self.known[problem].mapping))
        numbers = counts.count(batch, CostModel.of(problem, spec, prices, batch).traffic)
        requests = int(numbers["dma", "read_request"][0] + numbers["dma", "write_request"][0])
        loops = int(counts.count_visits(batch, problem, spec).loops[0])
        m, k, n = (-(-size // spec.array.rows) for size in (problem.m, problem.k, problem.n))
        self.loops += loops
        self.seconds -= loops * SECONDS_PER_LOOP + requests * SECONDS_PER_REQUEST + m * k * n * SECONDS_PER_STEP
        if self.seconds < 0:
            raise TooMuchError


@dataclass
class Case:
    """What is run, and what came out."""

    text: str
    """As on the command line, nearly."""
    graph: OpGraph
    spec: HardwareSpec
    strategy: Once
    plan: FusionPlan | None = None
    """How it is cut; None: as by default."""
    difference: float = 0.0
    """Largest relative difference of an operator's cycles."""
    operator: str = ""
    loops: int = 0
    passed_over: int = 0
    """Loops that the default mode passed over, or whose program it did not run."""
    seconds: tuple[float, float] = (0.0, 0.0)
    """CPU time of the default run and of the exact one."""

    def line(self) -> str:
        """Return what came out, as one line."""
        passed = f"{self.passed_over:,} of {self.loops:,} loops"
        return f"{self.difference:7.2%} {self.operator:<15} {passed:>23} {self.seconds[1]:6.2f} s  {self.text}\n"


def power(rng: random.Random, low: int, high: int) -> int:
    """Draw a power of two, each as likely."""
    return 1 << rng.randint(low.bit_length() - 1, high.bit_length() - 1)


def draw_machine(rng: random.Random, names: tuple[str, ...]) -> tuple[str, HardwareSpec]:
    """Draw a shipped machine with other sizes and rates."""
    while True:
        name = rng.choice(names)
        spec = hwconfigs.load(name)
        changes: dict[str, object] = {
            "array.size": power(rng, 2, 64),
            "scratchpad.capacity": power(rng, KIB, 4096 * KIB),
            "accumulator.capacity": power(rng, 256, 4096 * KIB),
            "dram.latency": round(400 ** rng.random()),
            "dram.bandwidth": f"{power(rng, 1, 64)} B/cycle",
            "dma.max_in_flight": power(rng, 4, 64),
        }
        if spec.l2 is not None and rng.random() < 0.2:
            changes |= {"l2": None, "llc": None}
        elif spec.l2 is not None:
            changes |= {"l2.capacity": power(rng, 16 * KIB, 8192 * KIB), "l2.ways": power(rng, 1, 16)}
            changes["l2.mshrs"] = rng.randint(1, 16)
        try:
            spec = hwconfigs.override(spec, changes)
        except SpecError:
            continue
        options = (f'--set {key}="{"null" if value is None else value}"' for key, value in changes.items())
        return f"--hw {name} {' '.join(options)}", spec


def draw_size(rng: random.Random, most: int) -> int:
    """Draw any size, or one of whole blocks."""
    size = max(1, round(most ** rng.random()))
    return size if rng.random() < 0.4 else -(-size // 16) * 16


def draw_product(rng: random.Random, side: int) -> tuple[str, OpGraph]:
    """Draw a product whose size suits the array."""
    m, k, n = (draw_size(rng, 128 * side) for _ in range(3))
    return f"map {m}x{k}x{n}", matmul_graph(m, k, n)


def draw_model(rng: random.Random, side: int) -> tuple[str, OpGraph]:
    """Draw one block of a small model."""
    family, heads = rng.choice(["bert", "gpt", "llama", "vit"]), rng.choice([1, 2, 3, 4, 6, 8, 12])
    width = heads * rng.choice([8, 16, 24, 32, 48, 64])
    config: dict[str, object] = {"name": family, "family": family, "layers": 2, "d_model": width, "heads": heads}
    config["d_ffn"] = width * rng.choice([1, 2, 4])
    if family == "llama":
        config["kv_heads"] = rng.choice([kv for kv in range(1, heads + 1) if heads % kv == 0])
    tokens, batch = draw_size(rng, 24 * side), rng.choice([1, 1, 1, 2, 4])
    options: dict[str, Any] = {"seq": tokens}
    if family == "vit":
        config["tokens"], options = tokens, {}
    elif family != "bert" and rng.random() < 0.4:
        options = {"phase": "decode", "context": tokens}
    text = " ".join(f"--{name} {value}" for name, value in (*options.items(), ("batch", batch)))
    return f"run {config} {text}", workloads.build(config, batch=batch, **options)


def draw_plan(rng: random.Random, graph: OpGraph, spec: HardwareSpec) -> FusionPlan:
    """Draw a cut, as long groups as there are most of the time, and turns of those that may take them."""
    allowed, cut, taken = candidates(graph, spec), [], set[str]()
    for op in graph.operators:
        if op.name in taken:
            continue
        free = [names for group in allowed[op.name] if taken.isdisjoint(names := [one.name for one in group.operators])]
        cut.append(free[-1] if rng.random() < 0.7 else rng.choice(free))
        taken.update(cut[-1])
    turns = []
    for members in paired(fusion_groups(graph, spec, cut), graph):
        if len(members) == 2 and rng.random() < 0.8:
            lead, side = executed(members[0].lead), spec.array.rows
            assert isinstance(lead, Matmul)
            rows = min(lead.m, side * rng.randint(1, -(-lead.m // side)))
            turns.append(Interleaving(members[0].name, members[1].name, rows, rng.random() < 0.5))
    return FusionPlan(cut, tuple(turns))


def plan_text(plan: FusionPlan | None) -> str:
    """Return what is special about a cut."""
    if plan is None:
        return ""
    joined = ["+".join(names) for names in plan.cut if len(names) > 1]
    turns = [f"{how.producer}~{how.consumer}:{how.rows}{' rows outside' * how.rows_outside}" for how in plan.turns]
    return f" <{', '.join([*joined, *turns])}>"


def draw(seed: int, number: int, seconds: float = MOST_SECONDS, *, fused: bool = False) -> Case:
    """Draw case ``number`` of a seed; those that have no mapping, too few loops or take too long are drawn again."""
    attempt = 0
    while True:
        attempt += 1
        rng = random.Random(f"{seed} {number} {attempt}")
        on, spec = draw_machine(rng, FUSING if fused else MACHINES)
        is_product = not fused and rng.random() < 0.6
        what, graph = (draw_product if is_product else draw_model)(rng, spec.array.rows)
        search, goal = rng.choice(["optimal", "gemmini_auto", "random"]), rng.choice(["latency", "energy", "edp"])
        options = SearchOptions(budget=Budget(evaluations=1), seed=number) if search == "random" else SearchOptions()
        strategy = Once(SearchStrategy(goal, search, options), seconds)
        try:
            plan = draw_plan(rng, graph, spec) if fused else None
            if plan is not None and not plan.turns and max(map(len, plan.cut)) == 1:
                continue
            groups = fusion_groups(graph, spec, plan and plan.cut)
            prices = hwconfigs.load_energy(spec.energy).bind(spec)
            Compiler(spec, prices, lay_out(groups), strategy).search(groups)
        except (MappingError, TooMuchError, SpecError):
            continue
        if strategy.loops >= LEAST_LOOPS:
            # Blocks of rows are searched as they run.
            strategy.seconds = math.inf
            return Case(f"{what} {on} [{search} {goal}]{plan_text(plan)}", graph, spec, strategy, plan)


@contextmanager
def runs_of_the_machine() -> Iterator[list[FastForward]]:
    """Collect what hands out the steps of each program that is simulated."""
    runs: list[FastForward] = []

    class Recorded(FastForward):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            runs.append(self)

    machine.FastForward = Recorded  # type: ignore[misc]
    try:
        yield runs
    finally:
        machine.FastForward = FastForward  # type: ignore[misc]


def loops_simulated(runs: list[FastForward]) -> int:
    """Return the hardware loops that were handed out."""
    loops = sum(isinstance(step, CommandQueues) and step.is_loop for run in runs for step in run.steps)
    return loops - sum(run.loops_passed_over for run in runs)


def simulated(case: Case, exact: bool) -> tuple[Report, int, float]:
    """Run a case: its report, the loops that were simulated, and CPU seconds."""
    start = time.process_time()
    with runs_of_the_machine() as runs:
        report = run_graph(case.graph, case.spec, strategy=case.strategy, exact=exact, cut=case.plan).simulation
    return report, loops_simulated(runs), time.process_time() - start


def run(case: Case) -> None:
    """Run a case in both modes and note what came out."""
    quick, simulated_loops, seconds = simulated(case, exact=False)
    exact, case.loops, exact_seconds = simulated(case, exact=True)
    case.seconds, case.passed_over = (seconds, exact_seconds), case.loops - simulated_loops
    differences = [
        (abs(ours.cycles / theirs.cycles - 1), ours.name)
        for ours, theirs in zip(quick.by_op, exact.by_op, strict=True)
        if theirs.cycles
    ]
    case.difference, case.operator = max(differences, default=(0.0, ""))


def summary(cases: list[Case]) -> str:
    """Return the worst cases, and what fast-forward did in all of them."""
    worst = sorted(cases, key=lambda case: -case.difference)[:WORST]
    failed = sum(case.difference > TOLERANCE for case in cases)
    loops, passed_over = sum(case.loops for case in cases), sum(case.passed_over for case in cases)
    engaged = sum(case.passed_over > 0 for case in cases)
    seconds = [sum(case.seconds[mode] for case in cases) for mode in range(2)]
    return (
        f"the worst of {len(cases)} cases\n{''.join(case.line() for case in worst)}"
        f"more than {TOLERANCE:.0%} off: {failed}; loops passed over in {engaged} cases, {passed_over:,} of {loops:,}\n"
        f"CPU seconds: default {seconds[0]:.1f}, exact {seconds[1]:.1f}, with searches {time.process_time():.1f}\n"
    )


def read_seconds(printed: str) -> pairs.Seconds:
    """CPU seconds of both modes."""
    words = printed.splitlines()[-1].replace(",", "").split()
    return {"default": float(words[3]), "exact": float(words[5])}


def main() -> None:
    """Parse the command line, run and print."""
    if pairs.compared(__file__, read_seconds):
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[pairs.OPTIONS]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case [0]")
    parser.add_argument("--number", type=int, default=400, help="cases [400]")
    parser.add_argument("--fused", action="store_true", help="blocks of models whose operators are fused at random")
    options = parser.parse_args()
    cases = []
    for number in range(options.first, options.first + options.number):
        case = draw(options.seed, number, fused=options.fused)
        run(case)
        cases.append(case)
        sys.stderr.write(f"{number:4d} {case.line()}")
    sys.stdout.write(summary(cases))
    sys.exit(any(case.difference > TOLERANCE for case in cases))


if __name__ == "__main__":
    main()
