"""``tilewright map --mapspace loop-nest``: any loop nest for one matmul, by formulas; nothing is simulated."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack

import hwconfigs
from mapper.commands.machine import overrides
from mapper.commands.outputs import Output, open_outputs
from mapper.commands.problems import CommandError
from mapper.errors import MappingError
from mapper.mapping import Mapping
from mapper.mapping_file import dump_mapping, require_for
from mapper.nest.accounting import ACCELFORGE, DEFAULT, TIMELOOP
from mapper.nest.hierarchy import Hierarchy
from mapper.nest.problem import NestProblem, matmul
from mapper.nest_report import NestReport, nest_dict, nest_report, nest_text
from mapper.pipeline import load
from mapper.report_json import mapping_dict
from mapper.tables import wrapped
from mapper.version import __version__

SCHEMA = "tilewright.nest/1"
ACCOUNTINGS = {found.name: found for found in (DEFAULT, TIMELOOP, ACCELFORGE)}
SIMULATION_ONLY = ("trace", "plot")


def execute(options: argparse.Namespace, shape: tuple[int, int, int], fixed: Mapping | None) -> int:
    """Search or evaluate a nest, print it and write what was asked for."""
    _refuse(options)
    spec = load(options.hw, overrides(options.overrides))
    prices = hwconfigs.load_energy(options.energy or spec.energy).bind(spec)
    hierarchy, problem = Hierarchy.of(spec, prices), matmul(*shape)
    accounting = ACCOUNTINGS[options.accounting or "default"]
    with ExitStack() as stack:
        read = (options.hw, options.energy, options.constraints, options.mapping if fixed else None)
        outputs = open_outputs(stack, {"json": options.json, "yaml": options.yaml}, read)
        if fixed is None:
            raise CommandError("--mapspace loop-nest: no search yet")
        require_for(fixed, problem=problem.sizes, machine=spec.name, origin=options.mapping)
        report = nest_report(fixed, problem, hierarchy, accounting, spec)
        statement = f"fixed: {options.mapping}, not searched; {accounting.name} accounting"
        _tell(report, statement, outputs, options.objective)
    return 0


def _refuse(options: argparse.Namespace) -> None:
    for name in SIMULATION_ONLY:
        if getattr(options, name) is not None:
            raise CommandError(f"--{name} needs a simulation; loop nests are estimated by formulas only")
    for name in ("exact", "explain"):
        if getattr(options, name):
            raise CommandError(f"--{name} needs a simulation; loop nests are estimated by formulas only")


def _tell(report: NestReport, statement: str, outputs: dict[str, Output], objective: str) -> None:
    print(f"matmul {_sizes(report.problem)} on {report.hierarchy.name}: {report.problem.macs:,} MACs\n")
    print(nest_text(report) + "\n")
    print("\n".join([*wrapped(statement), *wrapped(why_not_simulated(report.mapping))]))
    if "yaml" in outputs:
        outputs["yaml"].finish(lambda path: path.write_text(dump_mapping(report.mapping), encoding="utf-8"))
    if "json" in outputs:
        document = {
            "schema": SCHEMA,
            "version": __version__,
            "objective": objective,
            "machine": report.hierarchy.name,
            "statement": statement,
            **nest_dict(report),
            "mapping": mapping_dict(report.mapping),
        }
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        outputs["json"].finish(lambda path: path.write_text(text, encoding="utf-8"))


def why_not_simulated(mapping: Mapping) -> str:
    """One sentence: this command's figures are formulas, and whether the machine could run the nest at all."""
    try:
        loop = mapping.hardware_loop
    except MappingError as problem:
        return f"not simulated: Gemmini cannot run this nest ({problem})"
    tiles = "x".join(map(str, loop.tiles))
    return f"not simulated; Gemmini's hardware loop could run it (tile {tiles} blocks): --mapspace hardware-loop does"


def _sizes(problem: NestProblem) -> str:
    return "x".join(str(size) for _, size in problem.dims)
