"""Whether the mapping that runs by default is as good as its rivals on the machine, on random machines and matmuls.

    python tests/benchmarks/winner.py [--pairs N] [--seed N] [--first N] [--worst N] [--seconds S] [--reported]
        [--keep FILE]

Rivals are simulated in the same cold caches (or counted, where energy is asked for), and compared by the objective:

    library     the tile of Gemmini's own library
    other       what runs by default under the two other objectives
    best of 32  the best by simulation of the 32 best by the estimate: a stretch of each, and the best of those whole
    half        what runs by default on the machine with one resource halved (or its latency doubled), replayed here

``--keep`` names a file to which every pair is added when it is done; pairs that are in it are not run again, so that a
long run can be stopped and gone on with.

``--reported`` adds the shapes of a report in which the best by the estimate lost. Losses are in per cent of the
objective; a positive one means that the rival is better. Exit code 1 if one exceeds 1 %.

More hardware is no loss, then, unless the machine itself makes it one: the smaller machine's choice, replayed on the
larger one, is worse there than at home. Such pairs are printed at the end with what the replay loses.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

import hwconfigs
from hwconfigs import EnergyModel, HardwareSpec
from hwconfigs.errors import SpecError
from mapper.cost.model import CostModel
from mapper.cost.objective import OBJECTIVES, Objective, objective_value
from mapper.cost.simulation_limits import SECONDS_PER_PROGRAM, simulation_seconds
from mapper.errors import MappingError
from mapper.evaluation.evaluate import Evaluator, TrialReports
from mapper.lowering.gemmini_library import library_loop
from mapper.lowering.matmul import lower_matmul
from mapper.lowering.repeated_program import MatmulInstance
from mapper.mapping.hardware_loop import HardwareLoop, hardware_loop_of
from mapper.mapping.matmul_problem import MatmulProblem, contiguous
from mapper.mapspace.batch import batch_of
from mapper.mapspace.hardware_loops import MapSpace
from mapper.search.exact.hardware_loops import ranked
from mapper.search.options import SearchOptions
from mapper.search.proofs import prove_hardware_loops
from mapper.search.settle import settled
from mapper.validation.random_machines import draw_machine, draw_matmul
from simulator.memory.request_stream import MemoryState
from simulator.report import Report

BOUND = 0.01
"""Loss that is too much [fraction]."""

WHOLE = 3
"""Of the 32, mappings that are simulated whole: a stretch is 0.5 % off at most (95 % of 351 mappings: 0.1 %)."""

HALVED = (
    "scratchpad.capacity_bytes", "accumulator.capacity_bytes", "l2.capacity_bytes", "l2.ways", "l2.mshrs",
    "dma.max_in_flight", "dram.bytes_per_cycle", "dram.latency_cycles",
)  # fmt: skip
"""Resources; of a latency, twice as much is less."""

REPORTED = (
    ((512, 128, 1024), {}),
    ((1024, 128, 1024), {}),
    ((300, 300, 300), {}),
    ((512, 512, 512), {"scratchpad.capacity": "64 KiB"}),
    ((512, 768, 768), {}),
    (
        (128, 256, 256),
        {
            "array.size": 8,
            "scratchpad.capacity": 16384,
            "accumulator.capacity": 1024,
            "l2.capacity": 65536,
            "dram.latency": 200,
        },
    ),
)
"""Shapes and changes of ``gemmini``."""


@dataclass
class Bench:
    """One matmul on one machine; the default simulation of a mapping is made once."""

    name: str
    problem: MatmulProblem
    spec: HardwareSpec
    reports: dict[HardwareLoop, Report] = field(default_factory=dict)
    stretches: dict[HardwareLoop, TrialReports] = field(default_factory=dict)

    @cached_property
    def energy(self) -> EnergyModel:
        """Prices of the machine, read once."""
        return hwconfigs.load_energy(self.spec.energy).bind(self.spec)

    def __call__(self, loop: HardwareLoop) -> TrialReports:
        """Simulate a stretch of a mapping on cold caches, once."""
        if loop not in self.stretches:
            self.stretches[loop] = self._evaluator.trial(self._instance(loop))
        return self.stretches[loop]

    def confirmed(self, loop: HardwareLoop) -> Report:
        """Return the default simulation of a mapping on cold caches."""
        if loop not in self.reports:
            self.reports[loop] = self._evaluator.confirmed(self._instance(loop))
        return self.reports[loop]

    def dynamic_pj(self, loop: HardwareLoop) -> float:
        """Count and price a mapping on cold caches."""
        return self._evaluator.dynamic_pj(self._instance(loop))

    def least_cycles(self) -> float:
        """Return cycles that no mapping stays below on cold caches."""
        return self._evaluator.least_cycles(self.problem)

    @property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self.spec, self.energy, False, False, MemoryState(self.spec))

    def _instance(self, loop: HardwareLoop) -> MatmulInstance:
        return MatmulInstance(lower_matmul(self.problem, loop, self.spec), self.problem, loop)

    def value(self, loop: HardwareLoop, objective: Objective) -> float:
        """Return what the simulation says of a mapping."""
        report = self.confirmed(loop)
        return objective_value(objective, float(report.cycles), report.energy_pj)

    def nearly_best(self, loops: Iterable[HardwareLoop], objective: Objective) -> list[HardwareLoop]:
        """Return those of which a stretch says the least."""

        def value(loop: HardwareLoop) -> float:
            report = self(loop).simulation
            return objective_value(objective, float(report.cycles), report.energy_pj)

        return sorted(loops, key=value)[:WHOLE]

    def choice(self, objective: Objective) -> HardwareLoop:
        """Return the mapping that runs by default."""
        result = prove_hardware_loops(self.problem, self.spec, self.energy, objective, SearchOptions())
        return hardware_loop_of(settled(result, self).mapping)


@dataclass(frozen=True)
class Loss:
    """How much better a rival is."""

    rival: str
    objective: Objective
    fraction: float
    case: str
    replay: float = 0.0
    """How much worse the choice of a smaller machine is here than there [fraction]."""


def losses(bench: Bench, rng: np.random.Generator) -> Iterator[Loss]:
    """Yield what the default loses to each rival, and to the choice of one smaller machine."""
    smaller = half_machine(bench.spec, rng)
    less = None if smaller is None else Bench(bench.name, bench.problem, smaller[1])
    chosen = {objective: bench.choice(objective) for objective in OBJECTIVES}
    library = library_loop(MapSpace(bench.problem, bench.spec))
    for objective in OBJECTIVES:
        ours = bench.value(chosen[objective], objective)

        def loss(rival: str, loops: list[HardwareLoop], objective: Objective = objective, ours: float = ours) -> Loss:
            theirs = {loop: bench.value(loop, objective) for loop in loops}
            best = min(theirs, key=lambda loop: theirs[loop])
            mine = chosen[objective]
            text = f"{bench.name}: {mine.tiles} {mine.order} against {best.tiles} {best.order}"
            return Loss(rival, objective, ours / theirs[best] - 1.0, text)

        if fits(library, bench):
            yield loss("library", [library])
        yield loss("other", [chosen[other] for other in OBJECTIVES if other != objective])
        _, rows = ranked(bench.problem, bench.spec, bench.energy, objective, 32)
        yield loss("best of 32", bench.nearly_best((row.loop for row in rows), objective))
        if smaller is not None and less is not None:
            try:
                theirs = less.choice(objective)
            except MappingError:
                continue
            if fits(theirs, bench):
                replay = bench.value(theirs, objective) / less.value(theirs, objective) - 1.0
                yield replace(loss(f"half of {smaller[0]}", [theirs]), replay=replay)


def fits(loop: HardwareLoop, bench: Bench) -> bool:
    """Whether a mapping is legal on the machine."""
    return not MapSpace(bench.problem, bench.spec).violations(loop)


def half_machine(spec: HardwareSpec, rng: np.random.Generator) -> tuple[str, HardwareSpec] | None:
    """Return a machine with less of one resource, and which; None if what was drawn cannot be halved."""
    key = str(rng.choice(HALVED))
    part: object = spec
    for name in key.split("."):
        part = getattr(part, name, None)
    if not isinstance(part, (int, float)):
        return None
    less = part * 2 if "latency" in key else part // 2
    try:
        return key, hwconfigs.override(spec, {key: less})
    except SpecError:
        return None


def simulation_time(loop: HardwareLoop, bench: Bench) -> float:
    """Return the CPU time that a simulation takes by its size: every computer draws the same pairs [s]."""
    batch = batch_of(loop)
    return float(simulation_seconds(batch, CostModel.of(bench.problem, bench.spec, bench.energy, batch).traffic)[0])


def benches(options: argparse.Namespace) -> Iterator[tuple[Bench, np.random.Generator]]:
    """Yield the reported cases, if asked for, then pairs whose best mapping is simulated soon enough."""
    if options.reported:
        for shape, changes in REPORTED:
            spec = hwconfigs.load("gemmini", changes)
            yield Bench(f"{shape} {changes}", contiguous(*shape), spec), np.random.default_rng(options.seed)
    number, found = options.first, 0
    while found < options.pairs:
        rng = np.random.default_rng([options.seed, number])
        machine, problem = draw_machine(rng), draw_matmul(rng)
        bench = Bench(f"{number}: {problem.name} {machine.text}", problem, machine.spec)
        number += 1
        try:
            _, (best,) = ranked(problem, machine.spec, bench.energy, "latency", 1)
        except MappingError:
            continue
        if simulation_time(best.loop, bench) <= options.seconds:
            found += 1
            yield bench, rng


def all_losses(options: argparse.Namespace) -> Iterator[Loss]:
    """Yield the losses of all pairs; those of a file are read, and what is new is added to it."""
    known: dict[str, list[Loss]] = {}
    if options.keep is not None and options.keep.exists():
        for line in options.keep.read_text().splitlines():
            pair = json.loads(line)
            known[pair["name"]] = [Loss(**row) for row in pair["losses"]]
    for bench, rng in benches(options):
        if bench.name not in known:
            known[bench.name] = list(losses(bench, rng))
            if options.keep is not None:
                with options.keep.open("a") as file:
                    rows = [asdict(row) for row in known[bench.name]]
                    file.write(json.dumps({"name": bench.name, "losses": rows}) + "\n")
        yield from known[bench.name]


def printed(rows: list[Loss], worst: int) -> str:
    """The distribution by rival and objective, and the worst."""
    lines = [
        f"{'rival':34s} {'objective':10s} {'pairs':>5s} {'better':>7s} {'equal':>7s} {'> 0.5 %':>8s} {'worst':>8s}"
    ]
    for rival, objective in dict.fromkeys((row.rival, row.objective) for row in rows):
        values = np.array([row.fraction for row in rows if (row.rival, row.objective) == (rival, objective)])
        counts = ((values < 0).mean(), (values == 0).mean(), (values > 0.005).mean())
        shares = " ".join(f"{share:7.0%}" for share in counts)
        lines.append(f"{rival:34s} {objective:10s} {len(values):5d} {shares}  {values.max():+8.2%}")
    lines += ["", "worst"]
    for row in sorted(rows, key=lambda row: -row.fraction)[:worst]:
        lines.append(f"{row.fraction:+7.2%} {row.objective} {row.rival}: {row.case}")
    slower = sorted((row for row in rows if row.replay > BOUND), key=lambda row: -row.replay)
    lines += ["", f"the smaller machine's choice is worse here by more than {BOUND:.0%} in {len(slower)} rows"]
    lines += [f"{row.replay:+7.2%} {row.objective} {row.rival}: {row.case}" for row in slower[:worst]]
    return "\n".join(lines)


def main() -> int:
    """Print the table; 1 if a rival is better by more than the bound."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--pairs", type=int, default=200)
    options.add_argument("--seed", type=int, default=2026)
    options.add_argument("--first", type=int, default=0, help="number of the first pair")
    options.add_argument("--worst", type=int, default=10)
    options.add_argument("--seconds", type=float, default=0.05, help="longest simulation of the best by the estimate")
    options.add_argument("--reported", action="store_true")
    options.add_argument("--keep", type=Path, help="file of the pairs that are done")
    chosen = options.parse_args()
    if chosen.seconds <= SECONDS_PER_PROGRAM:
        options.error(f"--seconds: a simulation takes more than {SECONDS_PER_PROGRAM:g} s, however short")
    rows = list(all_losses(chosen))
    sys.stdout.write(printed(rows, chosen.worst) + "\n")
    return int(any(row.fraction > BOUND for row in rows))


if __name__ == "__main__":
    sys.exit(main())
