"""The Pareto front of a matmul's mappings as a table and as plain data: mappings that no other one beats in both."""

from __future__ import annotations

from hwconfigs import HardwareSpec
from mapper.mapping.loop_nest import LoopNest
from mapper.reports.quantities import in_one_unit
from mapper.reports.run_json import mapping_dict
from mapper.reports.text import columns, wrapped
from mapper.search.mapping_result import MappingResult
from mapper.version import __version__

SCHEMA = "tilewright.front/1"


def front_text(result: MappingResult, title: str, spec: HardwareSpec) -> str:
    """A line per mapping, fewest cycles first, and how the front was found."""
    rows: list[tuple[str, ...]] = [("cycles", "energy", "EDP", "outer tile", "outer loops", "two copies")]
    joules = [energy_pj * 1e-12 for _, _, energy_pj in result.front]
    seconds = [cycles / (spec.clock_mhz * 1e6) for _, cycles, _ in result.front]
    energies = in_one_unit(joules, "J")
    products = in_one_unit([energy * time for energy, time in zip(joules, seconds, strict=True)], "J s", 3)
    for (mapping, cycles, _), energy, edp in zip(result.front, energies, products, strict=True):
        rows.append((f"{cycles:,.0f}", energy, edp, *_outline(mapping)))
    count = f"{len(result.front)} mapping{'s' * (len(result.front) != 1)} that no other one beats in both"
    return "\n".join(
        [
            f"{title}: latency against energy, estimated",
            "",
            *columns(rows, rules=(1,), right=range(3)),
            "",
            f"{count}; nothing was simulated",
            *wrapped(result.statement),
        ]
    )


def front_dict(result: MappingResult, spec: HardwareSpec, mapspace: str) -> dict[str, object]:
    """The front as plain data, fewest cycles first."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "machine": {"name": spec.name, "fingerprint": spec.fingerprint},
        "problem": result.mapping.dims,
        "mapspace": mapspace,
        "search": dict(result.details),
        "front": [
            {"cycles": cycles, "energy_pj": energy_pj, "mapping": mapping_dict(mapping)}
            for mapping, cycles, energy_pj in result.front
        ],
    }


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
