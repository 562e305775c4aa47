"""The loop-nest model against runs of ``timeloop-model``: every count of every level and tensor.

Runs with perfect factors are compared: words of a tile, instances, reads, fills and updates (over all instances and per
instance), multiplications and multipliers in use as integers; cycles within one; energies and utilisation within 1e-6
relative. On imperfect factors two versions of Timeloop disagree with each other: for those the multiplications and
cycles of the true problem are reported beside Timeloop's, and not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mapper.errors import MappingError
from mapper.nest.model.access_counts import AccessCounts, Accesses, count_accesses
from mapper.nest.model.accounting import TIMELOOP
from mapper.nest.model.batch import NestBatch
from mapper.nest.model.cost import evaluate
from mapper.nest.model.from_mapping import batch_of
from mapper.nest.model.transfers import Kind
from mapper.validation.timeloop_runs import LevelResult, Run, read_runs

ENERGY_TOLERANCE = 1e-6
"""Relative; Timeloop adds up rounded energies per access."""
CYCLE_TOLERANCE = 1
"""Timeloop divides by printed bandwidths."""

TRUE_SIZES = replace(TIMELOOP, name="timeloop, true sizes", ragged="exact")
"""Timeloop's rules with last tiles as small as they are."""

KINDS: tuple[tuple[str, Kind], ...] = (("reads", "read"), ("fills", "fill"), ("updates", "update"))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One value that differs."""

    run: str
    where: str
    """Level and tensor, empty for the whole run."""
    field: str
    timeloop: float
    ours: float


@dataclass(frozen=True, slots=True)
class Approximate:
    """An imperfect run: ours beside Timeloop's."""

    run: str
    macs: int
    cycles: int
    timeloop_macs: float | None
    timeloop_cycles: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """RowResult of a file."""

    compared: tuple[Run, ...]
    mismatches: tuple[Mismatch, ...]
    values: int
    """Numbers that were compared."""
    approximate: tuple[Approximate, ...]
    problems: tuple[str, ...]
    """Runs and architectures that could not be used."""


def compare(path: Path) -> Comparison:
    """Evaluate every run of a file.

    Raises
    ------
    MappingError
        When there is nothing to run.
    """
    file = read_runs(path)
    problems = list(file.problems)
    compared: list[Run] = []
    mismatches: list[Mismatch] = []
    approximate: list[Approximate] = []
    values = 0
    for run in file.runs:
        try:
            batch = batch_of(run.mapping, run.problem, run.hierarchy)
        except MappingError as error:
            problems.append(f"{run.name}: {' '.join(str(error).split())}")
            continue
        if not run.exact:
            approximate.append(_approximate(run, batch))
            continue
        pairs = list(_values(run, batch))
        values += len(pairs)
        compared.append(run)
        mismatches += [value for value, tolerance in pairs if not _agrees(value, tolerance)]
    return Comparison(tuple(compared), tuple(mismatches), values, tuple(approximate), tuple(problems))


def text(comparison: Comparison) -> str:
    """Tables of the result."""
    lines = []
    differing = {item.run for item in comparison.mismatches}
    categories = dict.fromkeys(run.category for run in comparison.compared)
    if categories:
        lines.append(f"{'category':<18}{'runs':>6}{'agree':>7}")
    for category in categories:
        runs = [run for run in comparison.compared if run.category == category]
        good = sum(run.name not in differing for run in runs)
        lines.append(f"{category or '-':<18}{len(runs):>6}{good:>7}")
    if comparison.mismatches:
        lines += ["", f"{'run':<10}{'level':<14}{'tensor':<8}{'field':<22}{'timeloop':>20}{'tilewright':>20}"]
    for item in comparison.mismatches:
        level, _, tensor = item.where.partition(".")
        values = "".join(f"{_number(value):>20}" for value in (item.timeloop, item.ours))
        lines.append(f"{item.run:<10}{level or '-':<14}{tensor or '-':<8}{item.field:<22}{values}")
    if comparison.approximate:
        lines += ["", "imperfect factors: ours are those of the true problem, not compared"]
        lines.append(f"{'run':<10}{'MACs':>16}{'timeloop':>16}{'cycles':>14}{'timeloop':>14}")
    for row in comparison.approximate:
        macs = "-" if row.timeloop_macs is None else f"{row.timeloop_macs:,}"
        lines.append(f"{row.run:<10}{row.macs:>16,}{macs:>16}{row.cycles:>14,}{row.timeloop_cycles:>14,}")
    if comparison.problems:
        lines += ["", "not usable:", *(f"  {problem}" for problem in comparison.problems)]
    good = len(comparison.compared) - len(differing)
    lines += ["", f"timeloop: {good} of {len(comparison.compared)} runs agree in {comparison.values:,} values"]
    if differing:
        lines[-1] += f"; {len(comparison.mismatches)} values differ in {len(differing)} runs"
    return "\n".join(lines).lstrip("\n")


def as_dict(comparison: Comparison) -> dict[str, object]:
    """The result for a JSON file."""
    return {
        "runs": [run.name for run in comparison.compared],
        "values": comparison.values,
        "mismatches": [asdict(item) for item in comparison.mismatches],
        "approximate": [asdict(item) for item in comparison.approximate],
        "problems": list(comparison.problems),
    }


def _values(run: Run, batch: NestBatch) -> Iterator[tuple[Mismatch, str]]:
    """(both values, how close they must be) of everything Timeloop gave."""
    count, result = count_accesses(batch, TIMELOOP), run.result
    costs = evaluate(batch, TIMELOOP)

    pairs: list[tuple[Mismatch, str]] = []

    def pair(where: str, field: str, theirs: float | None, ours: float, tolerance: str = "integer") -> None:
        if theirs is not None:
            pairs.append((Mismatch(run.name, where, field, theirs, ours), tolerance))

    pair("", "fits", 1, int(costs.valid[0]))
    pair("", "cycles", result.cycles, int(costs.cycles[0]), "cycles")
    pair("", "energy_pj", result.energy_pj, float(costs.energy_pj[0]), "relative")
    pair("", "utilization", result.utilization, float(count.utilisation[0]), "relative")
    pair("", "mac count", result.mac.count, count.macs)
    pair("", "mac instances", result.mac.utilized_instances, int(count.used_macs[0]))
    yield from pairs
    for memory in run.hierarchy.names:
        yield from _level_values(run, count, memory, result.levels.get(memory, LevelResult(tensors={})))


def _level_values(run: Run, count: AccessCounts, memory: str, theirs: LevelResult) -> Iterator[tuple[Mismatch, str]]:
    kept = {tensor for name, tensor in count.accesses if name == memory}
    if theirs.cycles is not None:
        cycles = int(count.level_cycles[memory][0])
        yield Mismatch(run.name, memory, "cycles", theirs.cycles, cycles), "cycles"
    if theirs.energy_pj is not None:
        energy = sum(float(count.accesses[memory, tensor].energy_pj[0]) for tensor in kept)
        yield Mismatch(run.name, memory, "energy_pj", theirs.energy_pj, energy), "relative"
    for tensor in sorted(kept | theirs.tensors.keys()):
        where = f"{memory}.{tensor}"
        if tensor not in kept or tensor not in theirs.tensors:
            present = int(tensor in theirs.tensors), int(tensor in kept)
            yield Mismatch(run.name, where, "kept", *present), "integer"
            continue
        ours, given = count.accesses[memory, tensor], theirs.tensors[tensor]
        for field, value in _fields(ours):
            yield Mismatch(run.name, where, field, getattr(given, field), value), "integer"
        if given.energy_pj is not None:
            yield Mismatch(run.name, where, "energy_pj", given.energy_pj, float(ours.energy_pj[0])), "relative"


def _fields(ours: Accesses) -> Iterator[tuple[str, int]]:
    yield "tile_words", int(ours.tile[0])
    yield "instances", int(ours.instances[0])
    for field, kind in KINDS:
        yield field, int(ours.total[kind][0])
        yield f"{field}_per_instance", int(ours.busiest[kind][0])


def _approximate(run: Run, batch: NestBatch) -> Approximate:
    cycles = int(evaluate(batch, TRUE_SIZES).cycles[0])
    return Approximate(run.name, run.problem.macs, cycles, run.result.mac.count, run.result.cycles)


def _agrees(item: Mismatch, tolerance: str) -> bool:
    if tolerance == "integer":
        return item.timeloop == item.ours
    if tolerance == "cycles":
        return abs(item.timeloop - item.ours) <= CYCLE_TOLERANCE
    return bool(np.isclose(item.ours, item.timeloop, rtol=ENERGY_TOLERANCE, atol=0.0))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
