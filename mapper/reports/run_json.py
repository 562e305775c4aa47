"""A run as JSON: versioned, with units in the names, byte for byte the same for the same run.

It holds no times of day, host names or paths, and its keys are in a fixed order. Later versions may add keys; those
that are there keep their meaning within ``tilewright.report/1``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from mapper.graph.fusion_group import FusionGroup
from mapper.graph.placement import Unit
from mapper.mapping.loop_nest import LoopNest
from mapper.reports.die import die_dict
from mapper.reports.documents import RUN_SCHEMA
from mapper.reports.finalists import finalists_dict
from mapper.reports.fusion_report import fusion_dict
from mapper.reports.host_constants import ESTIMATED, GIVEN, HostConstants, host_constants
from mapper.reports.roofline import cycles_by_bound, roofline
from mapper.reports.timeline_json import timeline_dict
from mapper.result import RunResult
from mapper.search.mapping_result import MappingResult
from mapper.version import __version__
from simulator.bottleneck import cycles_by_cause, load_cycles
from simulator.report import Action, Report
from simulator.units import is_shown


def run_dict(result: RunResult) -> dict[str, object]:
    """Return the whole run as plain data."""
    graph, spec = result.graph, result.spec
    roof = roofline(graph, spec)
    return {
        "schema": RUN_SCHEMA,
        "version": __version__,
        "objective": result.settings.objective,
        "settings": result.settings.to_dict(),
        "workload": {
            "name": graph.name,
            "config": graph.config,
            "blocks": graph.repeat,
            "macs": graph.macs,
            "compulsory_dram_bytes": roof.compulsory_bytes,
        },
        "machine": spec.model_dump(mode="json", exclude={"sources"}) | {"fingerprint": spec.fingerprint},
        "die": die_dict(result.prices),
        "limit": {
            "kind": result.simulation.bound,
            "block_cycles_by_bound": cycles_by_bound(result.simulation),
            "dram_floor_cycles": roof.dram_cycles,
            "array_floor_cycles": roof.array_cycles,
        },
        "host_constants": _constants_dict(host_constants(result)),
        "groups": [_group_dict(group) for group in result.groups],
        "placements": _placements_dict(result),
        "mappings": {name: mapping_dict(mapping) for name, mapping in result.mappings.items()},
        "searches": {name: _search_dict(search) for name, search in result.searches.items() if search.details},
        **fusion_dict(result),
        "estimate": report_dict(result.estimate),
        "simulation": report_dict(result.simulation),
        **timeline_dict(result.simulation),
    }


def report_dict(report: Report) -> dict[str, object]:
    """Return a report with its operators; spans stand beside it, in `timeline_dict`."""
    whole: dict[str, object] = {
        "name": report.name,
        "source": report.source,
        "repeat": report.repeat,
        "cycles": report.cycles,
        "latency_s": report.latency_s,
        "energy_pj": report.energy_pj,
        "static_pj": report.static_pj,
        "edp_js": report.edp_js,
        "utilisation": report.utilisation,
        "macs": report.macs,
        "dram_bytes": report.dram_bytes,
        "intensity_ops_per_byte": report.intensity if math.isfinite(report.intensity) else None,
        "bound": report.bound,
        "cycles_by_cause": {
            cause: cycles for cause, cycles in cycles_by_cause(report).items() if is_shown(cause, cycles)
        },
        "load_cycles": load_cycles(report),
        "peak_bytes": dict(sorted(report.peak_bytes.items())),
        "counts": _nested(report.counts),
        "energy_pj_by_action": _nested(report.energy_pj_by_action),
        "units": {
            unit: {
                "busy_cycles": time.busy_cycles,
                "stall_cycles": dict(sorted(time.stall_cycles.items())),
                "idle_cycles": time.idle_cycles,
            }
            for unit, time in report.units.items()
            if is_shown(unit, time.busy_cycles)
        },
    }
    if report.by_op:
        whole["operators"] = [report_dict(part) for part in report.by_op]
    return whole


def mapping_dict(mapping: LoopNest) -> dict[str, object]:
    """Return a mapping as plain data, levels outermost first."""
    return {
        "problem": mapping.dims,
        "levels": [
            {
                "memory": level.memory,
                "kept": sorted(level.kept),
                "double_buffered": sorted(level.double_buffered),
                "held": sorted(level.held),
                "temporal": [{"dim": loop.dim, "tile": loop.tile} for loop in level.temporal],
                "spatial": [{"dim": loop.dim, "size": loop.size, "axis": loop.axis} for loop in level.spatial],
            }
            for level in mapping.levels
        ],
    }


PLACES: dict[Unit, str] = {
    "array": "array",
    "normaliser": "unit",
    "accumulator": "accumulator",
    "simd": "simd",
    "host": "host",
}
"""Words of this schema for the unit that runs the leading operator of a group."""


def _group_dict(group: FusionGroup) -> dict[str, object]:
    note = {"note": group.note} if group.note else {}
    return {"name": group.name, "operators": [op.name for op in group.operators], "unit": group.unit, **note}


def _constants_dict(constants: HostConstants) -> dict[str, object]:
    """Return which operators take constants of the machine file, and how much of the run they are."""
    return {
        "share_of_cycles": constants.share,
        "estimated_block_cycles": constants.cycles[ESTIMATED],
        "given_block_cycles": constants.cycles[GIVEN],
        "operators": {name: "estimated" if mark == ESTIMATED else "given" for name, mark in constants.marks.items()},
    }


def _placements_dict(result: RunResult) -> dict[str, object]:
    """Place and note of each operator, in the order of the graph."""
    rows: dict[str, object] = {}
    for group in result.groups:
        rows[group.name] = {"place": PLACES[group.unit], "note": group.note}
        for op in group.epilogue:
            rows[op.name] = {"place": "store path", "note": f"fused into the store of {group.name}"}
    return {op.name: rows[op.name] for op in result.graph.operators}


def _search_dict(search: MappingResult) -> dict[str, object]:
    """Return how a mapping was found, with the finalists if the winner was simulated."""
    final = {} if search.finalists is None else {"final": finalists_dict(search.finalists)}
    return {**search.details, **final}


def _nested(flat: Mapping[Action, int] | Mapping[Action, float]) -> dict[str, dict[str, float]]:
    tree: dict[str, dict[str, float]] = {}
    for (unit, action), value in sorted(flat.items()):
        tree.setdefault(unit, {})[action] = value
    return tree
