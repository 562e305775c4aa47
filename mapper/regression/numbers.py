"""What a mapping gives: cycles, energy, the count and the price of every action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import hwconfigs
from hwconfigs import HardwareSpec
from mapper import pipeline
from mapper.mapping.loop_nest import LoopNest
from mapper.search.strategies import FixedMapping

STATIC = "static"
"""The leakage of the run's time, whose price is that of a cycle."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The result of one mapping on one machine."""

    cycles: int
    estimate_cycles: float
    energy_pj: float
    counts: Mapping[str, int]
    """How often each action happens, as ``dram.read_byte``; those that never do are left out."""
    prices_pj: Mapping[str, float]
    """Energy of one of each of them, and of a cycle's leakage. [pJ]"""


def replay(mapping: LoopNest, spec: HardwareSpec, energy: str | None = None, origin: str = "mapping") -> Numbers:
    """Run a hardware loop by estimate and simulation.

    Parameters
    ----------
    mapping
        What to run; its machine must be ``spec``.
    spec, energy
        The machine, and the energy table; None: the machine's own.
    origin
        Where the mapping comes from, for messages.

    Raises
    ------
    MappingError
        When it is for another machine, does not fit, or is a loop nest that Gemmini's hardware loop cannot run.
    """
    m, k, n = (mapping.dims[name] for name in ("m", "k", "n"))
    graph = pipeline.matmul_graph(m, k, n)
    result = pipeline.run_graph(graph, spec, energy=energy, strategy=FixedMapping(mapping, origin))
    report = result.simulation
    prices = hwconfigs.load_energy(energy or spec.energy).bind(spec)
    counts = {action: count for action, count in sorted(report.counts.items()) if count}
    return Numbers(
        report.cycles,
        float(result.estimate.cycles),
        report.energy_pj,
        {".".join(action): count for action, count in counts.items()},
        {".".join(action): prices.pj[action] for action in counts if action in prices.pj}
        | {STATIC: prices.static_pj_per_cycle},
    )


def renamed(mapping: LoopNest, spec: HardwareSpec) -> LoopNest:
    """Return the same loops for another machine; whether they fit is asked when they run."""
    return replace(mapping, machine=spec.name)
