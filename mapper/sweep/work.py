"""What a worker does with a point: map, simulate, and reduce the run to the numbers of a row."""

from __future__ import annotations

import errno
import hashlib
import json
import time
import traceback

from hwconfigs import SpecError
from mapper import pipeline
from mapper.errors import MappingError
from mapper.reports.run_json import mapping_dict, report_dict
from mapper.result import RunResult
from mapper.settings import SettingsError
from mapper.sweep.cache import cache_at
from mapper.sweep.limits import PointTimeout, memory_limit, time_limit
from mapper.sweep.outcome import Metric, Outcome
from mapper.sweep.points import Task, one_line
from simulator.program import ProgramError
from workloads.errors import GraphError

REFUSALS = (SettingsError, SpecError, GraphError, MappingError, ProgramError)
"""Errors that say what cannot be; every other one is a fault of the program."""


def evaluate(task: Task) -> Outcome:
    """Compute one point; whatever goes wrong with it becomes the reason of a failed row."""
    began = time.process_time()
    reason = trace = digest = ""
    metrics: dict[str, Metric] = {}
    try:
        with time_limit(task.timeout_s), memory_limit(task.memory_bytes):
            metrics, digest = _numbers(task)
    except PointTimeout:
        reason = f"took longer than {task.timeout_s:g} s"
    except REFUSALS as problem:
        reason = one_line(problem)
    except Exception as problem:
        if _wants_memory(problem):
            reason = _too_large(task.memory_bytes)
        else:
            reason, trace = (
                f"fault of the program: {type(problem).__name__}: {one_line(problem)}",
                traceback.format_exc(),
            )
    return Outcome(metrics, digest, reason, trace, time.process_time() - began)


def _wants_memory(problem: Exception) -> bool:
    """Whether an error says that there was no memory: the system's calls have an error of their own for that."""
    return isinstance(problem, MemoryError) or (isinstance(problem, OSError) and problem.errno == errno.ENOMEM)


def _too_large(limit: int | None) -> str:
    return "needs more memory than there is" + ("" if limit is None else f": more than {limit / 2**20:,.0f} MiB")


def _numbers(task: Task) -> tuple[dict[str, Metric], str]:
    if task.spec is None or task.graph is None or task.point.settings is None:
        raise MappingError(task.problem)
    recall = None if task.cache is None else cache_at(*task.cache)
    result = pipeline.run_graph(task.graph, task.spec, task.point.settings, recall=recall)
    return metrics_of(result), digest_of(result)


def metrics_of(result: RunResult) -> dict[str, Metric]:
    """Return the numbers of a row, all blocks of the model together."""
    report, estimate, silicon = result.simulation, result.estimate, result.prices.silicon
    by_unit = {f"{unit}_pj": energy for unit, energy in sorted(report.energy_pj_by_unit.items())}
    return {
        "cycles": report.cycles,
        "latency_s": report.latency_s,
        "energy_pj": report.energy_pj,
        "edp_js": report.edp_js,
        "utilisation": report.utilisation,
        "dram_bytes": report.dram_bytes,
        "macs": report.macs,
        **({} if silicon is None else {"area_mm2": silicon.area_mm2}),
        "bound": report.bound,
        "estimate_cycles": estimate.cycles,
        "estimate_energy_pj": estimate.energy_pj,
        **by_unit,
    }


def digest_of(result: RunResult) -> str:
    """Return the hash of everything that was computed: both reports with their operators, and all mappings."""
    document = {
        "simulation": report_dict(result.simulation),
        "estimate": report_dict(result.estimate),
        "mappings": {name: mapping_dict(mapping) for name, mapping in result.mappings.items()},
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
