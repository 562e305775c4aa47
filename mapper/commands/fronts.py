"""``tilewright map --objective pareto``: the mappings that no other one beats in cycles and energy at once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import hwconfigs
import workloads
from hwconfigs import EnergyModel, HardwareSpec
from mapper.commands import searching
from mapper.commands.machine import overrides
from mapper.commands.outputs import Output, open_outputs
from mapper.commands.problems import CommandError
from mapper.graph.capabilities import require
from mapper.graph.dram_layout import lay_out, matmul_problem
from mapper.graph.fusion_cuts import fusion_groups
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.pipeline import load
from mapper.reports.run_json import mapping_dict
from mapper.reports.text import columns, wrapped
from mapper.search.driver import Progress, find
from mapper.search.exact import hardware_loops
from mapper.search.spaces.hardware_loops import LoopSpace
from mapper.version import __version__
from workloads import OpGraph

SCHEMA = "tilewright.front/1"
NOT_FOR_FRONTS = ("trace", "yaml")
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Front:
    """Mappings and their costs, fewest cycles first, and how they were found."""

    points: Sequence[tuple[LoopNest, float, float]]
    """(mapping, cycles, energy [pJ])"""
    statement: str
    details: Mapping[str, object]
    interrupted: bool = False


def refuse_files(options: argparse.Namespace) -> None:
    """A front is no single mapping and is not simulated: files of one mapping or one run make no sense."""
    for name in NOT_FOR_FRONTS:
        if getattr(options, name) is not None:
            raise CommandError(f"--{name} is for one mapping; --objective pareto finds many, write them with --json")
    for name in ("exact", "explain"):
        if getattr(options, name):
            raise CommandError(f"--{name} has no meaning with --objective pareto: nothing is simulated")


def execute(options: argparse.Namespace, shape: tuple[int, int, int]) -> int:
    """Search, print and write the front of hardware loops."""
    refuse_files(options)
    search = options.search or "optimal"
    if search == "optimal" and options.budget is not None:
        raise CommandError("--budget has no effect on --search optimal of a whole front: it ends by itself, soon")
    changes = overrides(options.overrides)
    with ExitStack() as stack:
        outputs = open_outputs(stack, {"json": options.json, "plot": options.plot}, (options.hw, options.energy))
        spec = load(options.hw, changes)
        require(spec)
        prices = hwconfigs.load_energy(options.energy or spec.energy).bind(spec)
        problem = _problem(shape, spec)
        progress = stack.enter_context(searching.bar())
        front = (
            _proved(problem, spec, prices) if search == "optimal" else _found(problem, spec, prices, options, progress)
        )
        tell(front, f"matmul {'x'.join(map(str, shape))} on {spec.name}", spec, outputs, "hardware-loop")
    return INTERRUPTED if front.interrupted else 0


def _problem(shape: tuple[int, int, int], spec: HardwareSpec) -> MatmulProblem:
    """The matmul as `pipeline.map_matmul` meets it."""
    groups = fusion_groups(OpGraph("matmul", [workloads.matmul("matmul", *shape)]), spec)
    return matmul_problem(groups[0], lay_out(groups), 0, spec.array.input_bits)


def _proved(problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> Front:
    found = hardware_loops.front(problem, spec, prices)
    statement = (
        f"optimal: the whole front of {found.legal:,} legal mappings ({found.candidates:,} in all); "
        f"{found.evaluated:,} evaluated, {found.pruned:,} excluded by their bounds; "
        f"holds for {found.mapspace}; {found.accounting}"
    )
    details = {
        "search": "optimal",
        "objective": "pareto",
        "status": "optimal",
        "candidates": found.candidates,
        "legal": found.legal,
        "evaluated": found.evaluated,
    }
    return Front([(point.mapping, point.cycles, point.energy_pj) for point in found.points], statement, details)


def _found(
    problem: MatmulProblem,
    spec: HardwareSpec,
    prices: EnergyModel,
    options: argparse.Namespace,
    progress: Progress,
) -> Front:
    space = LoopSpace.of(problem, spec, prices)
    found = find(space, "pareto", options.search, progress=progress, **searching.settings(options))
    points = [(space.mapping(row), cycles, energy) for row, cycles, energy in found.front]
    statement = found.statement(f"{space.maps.legal:,} legal mappings")
    return Front(points, statement, found.details(), found.status == "interrupted")


def tell(front: Front, title: str, spec: HardwareSpec, outputs: Mapping[str, Output], mapspace: str) -> None:
    """Print a line per mapping, and write the file."""
    rows: list[tuple[str, ...]] = [("cycles", "energy", "EDP", "outer tile", "outer loops", "two copies")]
    clock = spec.clock_mhz * 1e6
    for mapping, cycles, energy in front.points:
        edp = f"{energy * 1e-12 * cycles / clock:.3e} J s"
        rows.append((f"{cycles:,.0f}", f"{energy * 1e-6:,.2f} µJ", edp, *_outline(mapping)))
    count = f"{len(front.points)} mapping{'s' * (len(front.points) != 1)} that no other one beats in both"
    print(f"{title}: latency against energy, estimated\n")
    print("\n".join(columns(rows, rules=(1,), right=range(3))))
    print("\n".join(["", f"{count}; nothing was simulated", *wrapped(front.statement)]), flush=True)
    if "plot" in outputs:
        from mapper.plots.pareto_front import draw_front, front_points
        from simulator.views.plots import save

        figure = draw_front(front_points(title, front.points))
        kind = outputs["plot"].path.suffix[1:].lower()
        outputs["plot"].finish(lambda path: save(figure, path, kind))
    if "json" in outputs:
        document = {
            "schema": SCHEMA,
            "version": __version__,
            "machine": {"name": spec.name, "fingerprint": spec.fingerprint},
            "problem": front.points[0][0].dims,
            "mapspace": mapspace,
            "search": dict(front.details),
            "front": [
                {"cycles": cycles, "energy_pj": energy, "mapping": mapping_dict(mapping)}
                for mapping, cycles, energy in front.points
            ],
        }
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        outputs["json"].finish(lambda path: path.write_text(text, encoding="utf-8"))


def _outline(mapping: LoopNest) -> tuple[str, str, str]:
    """Tile that DRAM hands inward, its loops outer to inner, tensors with two copies."""
    outer = mapping.levels[0].temporal
    step = {loop.dim: loop.tile for loop in outer}
    doubled = set().union(*(level.double_buffered for level in mapping.levels))
    names = [name for name in ("input", "weight", "output") if name in doubled]
    return (
        " x ".join(f"{dim} {step.get(dim, size)}" for dim, size in mapping.problem),
        " ".join(loop.dim for loop in outer),
        "all" if len(names) == 3 else ", ".join(names) or "none",
    )
