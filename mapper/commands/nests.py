"""``tilewright map --mapspace loop-nest``: any loop nest for one matmul, by formulas; nothing is simulated."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.commands import units
from mapper.commands.answers import Answer, json_file, mapping_file
from mapper.commands.fronts import front_answer
from mapper.commands.problems import CommandError
from mapper.commands.requests import GivenMapping, MapRequest, NestOptions
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import require_for
from mapper.nest.mapspace.constraint_file import read_constraints
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import ACCELFORGE, DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem, matmul
from mapper.reports.nest_report import NestReport, hardware_loop_obstacles, nest_dict, nest_report, nest_text
from mapper.reports.run_json import mapping_dict
from mapper.reports.text import WIDTH, wrapped
from mapper.search import registry
from mapper.search.mapping_result import MappingResult
from mapper.search.options import SearchProgress
from mapper.search.spaces.loop_nests import LoopNests
from mapper.search.strategies import search
from mapper.settings import RunSettings
from mapper.version import __version__

SCHEMA = "tilewright.nest/1"
ACCOUNTINGS = {accounting.name: accounting for accounting in (DEFAULT, TIMELOOP, ACCELFORGE)}
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

    def report(self, mapping: LoopNest) -> NestReport:
        """Return what the formulas say of a nest."""
        return nest_report(mapping, self.problem, self.hierarchy, self.accounting, self.spec)


def nest_answer(request: MapRequest, spec: HardwareSpec, progress: SearchProgress) -> Answer:
    """Search or evaluate a nest."""
    prices = hwconfigs.load_energy(request.settings.energy or spec.energy).bind(spec)
    case = Case(spec, Hierarchy.of(spec, prices), matmul(*request.shape), _accounting(request.nest))
    if request.given is not None:
        return _given_answer(request.given, case)
    try:
        nests = LoopNests(_space(request.nest, case))
        result = _searched(nests, request.settings, progress)
    except KeyboardInterrupt:  # later ones end the search with the best so far
        print("tilewright: interrupted; nothing has been evaluated yet", file=sys.stderr)
        return Answer("", interrupted=True)
    if request.settings.objective == "pareto":
        return front_answer(result, request, spec, "loop-nest")
    lines = [*wrapped(result.statement), *_mapspace_lines(nests)]
    answer = _nest_answer(case.report(result.mapping), lines, result.details)
    return Answer(answer.text, answer.files, result.interrupted)


def _given_answer(given: GivenMapping, case: Case) -> Answer:
    """Evaluate the nest of a file; refuse one that is for something else."""
    require_for(given.mapping, problem=case.problem.sizes, machine=case.spec.name, origin=given.origin)
    outermost = case.hierarchy.memories[0]
    missing = sorted(outermost.keeps - given.mapping.levels[0].kept)
    if missing and given.mapping.levels[0].memory == outermost.name:
        # Data begin and end in the outermost memory; without a copy there, its accesses would count nothing.
        names = ", ".join(missing)
        raise CommandError(f"{given.origin}: {outermost.name} must keep {names} too: it is the outermost memory")
    statement = f"fixed: {given.origin}, not searched; {case.accounting.name} accounting"
    return _nest_answer(case.report(given.mapping), wrapped(statement), {})


def _accounting(options: NestOptions) -> Accounting:
    """The accounting, with the factors it is to allow."""
    accounting = ACCOUNTINGS[options.accounting or DEFAULT.name]
    if options.factors == "imperfect" and accounting.ragged == "perfect":
        name = accounting.name
        raise CommandError(f"--factors imperfect: the accounting {name!r} is defined for perfect factors only")
    return accounting


def _space(options: NestOptions, case: Case) -> NestSpace:
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
        message = str(problem)
        if options.constraints is None or not message.startswith("constraints:"):
            raise
        raise CommandError(f"{options.constraints}:{message.removeprefix('constraints:')}") from problem


def _searched(nests: LoopNests, settings: RunSettings, progress: SearchProgress) -> MappingResult:
    nests.nests.require_room()
    method = registry.find_method(settings.search)
    if method is not None and method.walks_all and settings.budget is None and nests.size > LARGEST_WALK:
        raise CommandError(
            f"--search {method.name}: {nests.size:,} nests are too many to walk; give --budget, perfect factors or "
            f"constraints, or take --search {registry.DEFAULT_METHOD}, which proves the same"
        )
    return search(nests, settings.objective, settings.search, settings.strategy_options(progress))


def _mapspace_lines(nests: LoopNests) -> list[str]:
    lines = nests.describe().splitlines()
    return [
        "",
        "mapspace",
        *(part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent=HANGING)),
        "",
    ]


def _nest_answer(report: NestReport, found_by: Sequence[str], details: Mapping[str, object]) -> Answer:
    """One nest, with lines on how it was found."""
    sizes = "x".join(str(size) for _, size in report.problem.dims)
    lines = [
        f"matmul {sizes} on {report.hierarchy.name}: {report.problem.macs:,} MACs",
        "",
        nest_text(report),
        "",
        *found_by,
        *wrapped(_why_not_simulated(report)),
    ]
    files = {"yaml": mapping_file(report.mapping), "json": json_file(lambda: _document(report, details))}
    return Answer("\n".join(lines), files)


def _document(report: NestReport, details: Mapping[str, object]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "version": __version__,
        "machine": report.hierarchy.name,
        "search": dict(details),
        **nest_dict(report),
        "mapping": mapping_dict(report.mapping),
    }


def _why_not_simulated(report: NestReport) -> str:
    """Whether Gemmini could execute the nest at all: these figures are formulas."""
    reasons = hardware_loop_obstacles(report.mapping, report.hierarchy.rows)
    if reasons:
        return f"estimated by formulas, not simulated: Gemmini cannot execute this nest: {'; '.join(reasons)}"
    return (
        "estimated by formulas, not simulated: Gemmini can execute this nest, --mapspace hardware-loop simulates such"
    )
