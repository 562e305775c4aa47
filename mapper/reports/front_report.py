"""The Pareto front of a matmul's mappings as a table and as plain data: mappings that no other one beats in both."""

from __future__ import annotations

from hwconfigs import HardwareSpec
from mapper.mapping.loop_nest import LoopNest
from mapper.reports.quantities import in_one_unit
from mapper.reports.run_json import mapping_dict
from mapper.reports.text import columns, wrapped
from mapper.search.mapping_result import MappingResult, SimulatedFront
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
    settled = result.front_simulated
    if settled is not None:
        # Beside what was simulated, what the search took it to cost.
        shown = (f"{cycles:,.0f}" for cycles, _ in settled.estimates)
        rows = [(*row[:3], column, *row[3:]) for row, column in zip(rows, ("estimate", *shown), strict=True)]
    return "\n".join(
        [
            f"{title}: latency against energy, {'estimated' if settled is None else 'simulated'}",
            "",
            *columns(rows, rules=(1,), right=range(3 if settled is None else 4)),
            "",
            *wrapped(f"{count}; {_settlement(settled)}"),
            *wrapped(result.statement),
        ]
    )


def _settlement(settled: SimulatedFront | None) -> str:
    if settled is None:
        return "nothing was simulated"
    dropped = f"{settled.dropped} point{'s' * (settled.dropped != 1)} of the estimate's front dropped"
    return f"{settled.simulated} simulated on cold caches, {dropped}"


def front_dict(result: MappingResult, spec: HardwareSpec, mapspace: str) -> dict[str, object]:
    """The front as plain data, fewest cycles first: by simulation, with the estimates, or by the estimate alone."""
    settled = result.front_simulated
    estimates: list[dict[str, float]] = [{} for _ in result.front]
    if settled is not None:
        estimates = [{"estimated_cycles": cycles, "estimated_energy_pj": pj} for cycles, pj in settled.estimates]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "machine": {"name": spec.name, "fingerprint": spec.fingerprint},
        "problem": result.mapping.dims,
        "mapspace": mapspace,
        "search": dict(result.details),
        **_settlement_dict(settled),
        "front": [
            {"cycles": cycles, "energy_pj": energy_pj, **estimate, "mapping": mapping_dict(mapping)}
            for (mapping, cycles, energy_pj), estimate in zip(result.front, estimates, strict=True)
        ],
    }


def _settlement_dict(settled: SimulatedFront | None) -> dict[str, object]:
    return {} if settled is None else {"final": {"simulated": settled.simulated, "dropped": settled.dropped}}


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
