"""``tilewright map --objective pareto``: the mappings that no other one beats in cycles and energy at once."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack

import hwconfigs
import workloads
from mapper.commands import searching
from mapper.commands.machine import overrides
from mapper.commands.outputs import open_outputs
from mapper.commands.problems import CommandError
from mapper.effort import check_floor
from mapper.layout import lay_out, matmul_problem
from mapper.pipeline import load
from mapper.placement import place
from mapper.report_json import mapping_dict
from mapper.search.driver import Found, find
from mapper.search.hardware_loop import LoopSpace
from mapper.supported import require
from mapper.tables import columns, wrapped
from mapper.version import __version__
from workloads import OpGraph

SCHEMA = "tilewright.front/1"
NOT_FOR_FRONTS = ("trace", "plot", "yaml")
INTERRUPTED = 130


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
    changes = overrides(options.overrides)
    with ExitStack() as stack:
        outputs = open_outputs(stack, {"json": options.json}, (options.hw, options.energy))
        progress = stack.enter_context(searching.bar())
        space = _space(shape, options, changes)
        search = options.search or "optimal"
        found = find(
            space,
            "pareto",
            "exhaustive" if search == "optimal" else search,
            budget=searching.budget_of(options),
            seed=options.seed or 0,
            workers=1 if options.workers is None else options.workers,
            progress=progress,
        )
        print(front_text(found, space))
        if "json" in outputs:
            text = json.dumps(front_dict(found, space), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            outputs["json"].finish(lambda path: path.write_text(text, encoding="utf-8"))
    return INTERRUPTED if found.status == "interrupted" else 0


def _space(shape: tuple[int, int, int], options: argparse.Namespace, changes: dict[str, object] | None) -> LoopSpace:
    """The matmul as `pipeline.map_matmul` meets it."""
    spec = load(options.hw, changes)
    require(spec)
    prices = hwconfigs.load_energy(options.energy or spec.energy).bind(spec)
    placements = place(OpGraph("matmul", [workloads.matmul("matmul", *shape)]), spec)
    problem = matmul_problem(placements["matmul"], lay_out(placements), 0, spec.array.input_bits)
    check_floor(problem, spec)
    return LoopSpace.of(problem, spec, prices)


def front_text(found: Found, space: LoopSpace) -> str:
    """A line per mapping, fewest cycles first."""
    rows: list[tuple[str, ...]] = [("cycles", "energy", "EDP", "tile m x k x n", "order", "tiles")]
    clock = space.maps.spec.clock_mhz * 1e6
    for row, cycles, energy in found.front:
        loop = space.mapping(row).hardware_loop
        tile = " x ".join(str(extent * space.maps.dim) for extent in loop.tiles)
        edp = f"{energy * 1e-12 * cycles / clock:.3e} J s"
        buffering = "in halves" if loop.double_buffered else "in the whole memories"
        rows.append((f"{cycles:,.0f}", f"{energy * 1e-6:,.2f} µJ", edp, tile, " ".join(loop.order), buffering))
    problem = space.model.problem
    title = f"matmul {problem.m}x{problem.k}x{problem.n} on {space.maps.spec.name}: latency against energy, estimated"
    count = f"{len(found.front)} mapping{'s' * (len(found.front) != 1)} that no other one beats in both"
    statement = found.statement(f"{space.maps.legal:,} legal mappings")
    return "\n".join([title, "", *columns(rows, rules=(1,), right=range(4)), "", f"{count}; nothing was simulated",
                      *wrapped(statement)])  # fmt: skip


def front_dict(found: Found, space: LoopSpace) -> dict[str, object]:
    """The front as plain data."""
    problem = space.model.problem
    return {
        "schema": SCHEMA,
        "version": __version__,
        "machine": {"name": space.maps.spec.name, "fingerprint": space.maps.spec.fingerprint},
        "problem": problem.dims,
        "mapspace": "hardware-loop",
        "search": found.details(),
        "front": [
            {"cycles": cycles, "energy_pj": energy, "mapping": mapping_dict(space.mapping(row))}
            for row, cycles, energy in found.front
        ],
    }
