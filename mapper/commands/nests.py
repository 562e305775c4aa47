"""``tilewright map --mapspace loop-nest``: any loop nest for one matmul, by formulas; nothing is simulated."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.commands import fronts, searching, units
from mapper.commands.machine import overrides
from mapper.commands.outputs import Output, open_outputs
from mapper.commands.problems import CommandError
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import dump_mapping, require_for
from mapper.nest.mapspace.constraint_file import read_constraints
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import ACCELFORGE, DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem, matmul
from mapper.pipeline import load
from mapper.reports.nest_report import NestReport, nest_dict, nest_report, nest_text, obstacles
from mapper.reports.run_json import mapping_dict
from mapper.reports.text import WIDTH, wrapped
from mapper.search.driver import Progress, find
from mapper.search.exact import loop_nests
from mapper.search.spaces.loop_nests import LoopNests
from mapper.version import __version__

SCHEMA = "tilewright.nest/1"
ACCOUNTINGS = {found.name: found for found in (DEFAULT, TIMELOOP, ACCELFORGE)}
NEEDS_SIMULATION = ("trace", "plot", "exact", "explain")
INTERRUPTED = 130
HANGING = 36 * " "
"""In front of what is left of a line of the mapspace: under its explanation."""

LARGEST_WALK = 100_000_000
"""Nests that an exhaustive search walks without a budget: minutes."""


@dataclass(frozen=True, slots=True)
class Case:
    """What runs where, and what counts how."""

    spec: HardwareSpec
    hierarchy: Hierarchy
    problem: NestProblem
    accounting: Accounting


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search of nests came back with."""

    best: LoopNest
    front: fronts.Front
    """Of one objective, the best alone."""


def execute(options: argparse.Namespace, shape: tuple[int, int, int], fixed: LoopNest | None) -> int:
    """Search or evaluate a nest, print it and write what was asked for."""
    _refuse(options, fixed)
    spec = load(options.hw, overrides(options.overrides))
    prices = hwconfigs.load_energy(options.energy or spec.energy).bind(spec)
    accounting = _accounting(options)
    case = Case(spec, Hierarchy.of(spec, prices), matmul(*shape), accounting)
    with ExitStack() as stack:
        read = (options.hw, options.energy, options.constraints, options.mapping if fixed else None)
        wanted = {"json": options.json, "yaml": options.yaml, "plot": options.plot}
        outputs = open_outputs(stack, wanted, read)
        if fixed is not None:
            require_for(fixed, problem=case.problem.sizes, machine=spec.name, origin=options.mapping)
            _require_sources(fixed, case.hierarchy, options.mapping)
            report = nest_report(fixed, case.problem, case.hierarchy, accounting, spec)
            _tell(report, [f"fixed: {options.mapping}, not searched; {accounting.name} accounting"], {}, outputs)
            return 0
        try:
            space = _space(options, case)
            outcome = _searched(options, space, stack.enter_context(searching.bar()))
        except KeyboardInterrupt:  # later ones end the search with the best so far
            print("tilewright: interrupted; nothing has been evaluated yet", file=sys.stderr)
            return INTERRUPTED
        if options.objective == "pareto":
            title = f"matmul {_sizes(case.problem)} on {spec.name}"
            fronts.tell(outcome.front, title, spec, outputs, "loop-nest")
        else:
            report = nest_report(outcome.best, case.problem, case.hierarchy, accounting, spec)
            _tell(report, [outcome.front.statement, *_space_lines(space)], outcome.front.details, outputs)
    return INTERRUPTED if outcome.front.interrupted else 0


def _require_sources(fixed: LoopNest, hierarchy: Hierarchy, origin: str) -> None:
    """Refuse a nest whose data do not begin and end in the outermost memory: its accesses there would count nothing."""
    outermost = hierarchy.memories[0]
    missing = sorted(outermost.keeps - fixed.levels[0].kept)
    if missing and fixed.levels[0].memory == outermost.name:
        raise CommandError(f"{origin}: {outermost.name} must keep {', '.join(missing)} too: it is the outermost memory")


def _refuse(options: argparse.Namespace, fixed: LoopNest | None) -> None:
    if options.mapping == "gemmini_auto":
        raise CommandError("--mapping gemmini_auto is a hardware loop; it needs --mapspace hardware-loop")
    for name in NEEDS_SIMULATION:
        if getattr(options, name) and (name, options.objective) != ("plot", "pareto"):
            raise CommandError(f"--{name} needs a simulation; loop nests are estimated by formulas only")
    if fixed is not None:
        for option in searching.given(options, ("factors", "constraints", "units")):
            raise CommandError(f"{option} has no meaning with --mapping {options.mapping}: nothing is searched")
    elif options.objective == "pareto":
        fronts.refuse_files(options)


def _accounting(options: argparse.Namespace) -> Accounting:
    """The accounting, with the factors it is to allow."""
    found = ACCOUNTINGS[options.accounting or DEFAULT.name]
    if options.factors == "imperfect" and found.ragged == "perfect":
        raise CommandError(f"--factors imperfect: the accounting {found.name!r} is defined for perfect factors only")
    return found


def _space(options: argparse.Namespace, case: Case) -> NestSpace:
    constraints = None if options.constraints is None else read_constraints(Path(options.constraints))
    perfect = None if options.factors is None else options.factors == "perfect"
    steps = None if options.units is None else units.parse(options.units, case.problem.names)
    if steps and (case.accounting.ragged == "perfect" if perfect is None else perfect):
        raise CommandError("--units has no effect with perfect factors: tiles are divisors")
    try:
        return NestSpace(
            case.problem,
            case.hierarchy,
            case.accounting,
            constraints,
            perfect=perfect,
            units=steps,
            most_units=units.MOST_UNITS,
        )
    except MappingError as problem:
        said = str(problem)
        if options.constraints is None or not said.startswith("constraints:"):
            raise
        raise CommandError(f"{options.constraints}:{said.removeprefix('constraints:')}") from problem


def _searched(options: argparse.Namespace, space: NestSpace, progress: Progress) -> Outcome:
    search = options.search or "optimal"
    space.require_room()
    if search == "optimal":
        return _proved(options, space, progress)
    if search == "exhaustive" and options.budget is None and space.total > LARGEST_WALK:
        raise CommandError(
            f"--search exhaustive: {space.total:,} nests are too many to walk; give --budget, perfect factors or "
            "constraints, or take --search optimal, which proves the same"
        )
    nests = LoopNests(space)
    found = find(nests, options.objective, search, progress=progress, **searching.settings(options))
    points = [(nests.mapping(row), cycles, energy) for row, cycles, energy in found.front]
    statement = f"{found.statement(f'{space.total:,} nests')}; {_holds_for(space)}"
    return Outcome(
        found.mapping,
        fronts.Front(points, statement, {**found.details(), "units": units.of(space)}, found.status == "interrupted"),
    )


def _proved(options: argparse.Namespace, space: NestSpace, progress: Progress) -> Outcome:
    budget = searching.budget_of(options)
    rows, seconds = (budget.evaluations, budget.seconds) if budget else (None, None)

    def tell(done: int, best: float, bound: float) -> None:
        del bound
        progress(done, 0.0, best)

    result = loop_nests.search(space, options.objective, max_rows=rows, seconds=seconds, progress=tell)
    what = "the whole front" if options.objective == "pareto" else f"least {searching.LEAST[options.objective]}"
    extent = "covered" if result.status == "optimal" else "in the space"
    effort = (
        f"{result.covered:,} mappings {extent}, {result.rows:,} rows evaluated, {result.pruned} of {result.classes} "
        f"classes of loop orders excluded by their bound; {result.cpu_s:.2f} CPU s"
    )
    spent = (rows is not None and result.rows >= rows) or (seconds is not None and result.wall_s >= seconds)
    if result.status == "optimal":
        statement = f"optimal: {what}, proved: {effort}; {_holds_for(space)}"
    else:
        why = "end of the budget" if spent else "interrupted"
        statement = f"not proved: {why}; at most {result.gap:.1%} above what is possible at all; {effort}"
    details: dict[str, object] = {
        "search": "optimal",
        "units": units.of(space),
        "objective": options.objective,
        "status": result.status if result.status == "optimal" else "budget" if spent else "interrupted",
        "covered": result.covered,
        "rows": result.rows,
        "classes": result.classes,
        "classes_pruned": result.pruned,
        "lower_bound": result.lower_bound,
        "value": result.score,
        "gap": result.gap,
    }
    points = [(priced.mapping, float(priced.cycles), priced.energy_pj) for priced in result.front]
    front = fronts.Front(points, statement, details, result.status != "optimal" and not spent)
    return Outcome(result.best.mapping, front)


def _holds_for(space: NestSpace) -> str:
    """The mapspace and the accounting in half a sentence."""
    steps = ", ".join(f"{dim} {unit}" for dim, unit in units.of(space).items())
    tiles = "perfect factors" if space.axes.perfect else f"tiles of any size in units of {steps}"
    return f"holds for {tiles}, the {space.axes.spatial} array, {space.accounting.name} accounting"


def _space_lines(space: NestSpace) -> list[str]:
    lines = space.describe().splitlines()
    return [
        "",
        "mapspace",
        *(part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent=HANGING)),
        "",
    ]


def _tell(report: NestReport, found: list[str], details: Mapping[str, object], outputs: Mapping[str, Output]) -> None:
    """Print one nest, with how it was found, and write its files."""
    statement, *space = found
    print(f"matmul {_sizes(report.problem)} on {report.hierarchy.name}: {report.problem.macs:,} MACs\n")
    print(nest_text(report) + "\n")
    print("\n".join([*wrapped(statement), *space, *wrapped(why_not_simulated(report))]), flush=True)
    if "yaml" in outputs:
        outputs["yaml"].finish(lambda path: path.write_text(dump_mapping(report.mapping), encoding="utf-8"))
    if "json" in outputs:
        document = {
            "schema": SCHEMA,
            "version": __version__,
            "machine": report.hierarchy.name,
            "search": dict(details),
            **nest_dict(report),
            "mapping": mapping_dict(report.mapping),
        }
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        outputs["json"].finish(lambda path: path.write_text(text, encoding="utf-8"))


def why_not_simulated(report: NestReport) -> str:
    """Whether Gemmini could execute the nest at all: these figures are formulas."""
    reasons = obstacles(report.mapping, report.hierarchy.rows)
    if reasons:
        return f"estimated by formulas, not simulated: Gemmini cannot execute this nest: {'; '.join(reasons)}"
    return (
        "estimated by formulas, not simulated: Gemmini can execute this nest, --mapspace hardware-loop simulates such"
    )


def _sizes(problem: NestProblem) -> str:
    return "x".join(str(size) for _, size in problem.dims)
