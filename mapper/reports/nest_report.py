"""The cost of a loop nest on a machine, as text and as plain data: words moved, cycles, energy by memory, EDP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.model.access_counts import AccessCounts, count_accesses
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.cost import evaluate
from mapper.nest.model.fit import violations
from mapper.nest.model.from_mapping import batch_of
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import TENSORS, NestProblem
from mapper.nest.model.transfers import Kind
from mapper.reports.quantities import in_one_unit, percent, totals
from mapper.reports.text import columns

KINDS: tuple[Kind, ...] = ("read", "fill", "update")
"""Kinds of accesses. Reads feed the next inner copy or a drain, fills come from the outer copy, updates from the inner
one."""


@dataclass(frozen=True, slots=True)
class NestReport:
    """A mapping with everything that is counted of it."""

    problem: NestProblem
    hierarchy: Hierarchy
    accounting: Accounting
    clock_mhz: float
    mapping: LoopNest
    counts: AccessCounts
    cycles: int
    energy_pj: float
    footprint: dict[str, float]
    """Words in each memory of limited size."""

    @property
    def latency_s(self) -> float:
        return self.cycles / (self.clock_mhz * 1e6)

    @property
    def edp_js(self) -> float:
        """Energy times latency [J s]."""
        return self.energy_pj * 1e-12 * self.latency_s

    @property
    def energy_by_memory_pj(self) -> dict[str, float]:
        """Energy of the accesses of each memory, outermost first, then that of the multiplications."""
        memories = self.hierarchy.names
        sums = dict.fromkeys(memories, 0.0)
        for (memory, _), accesses in self.counts.accesses.items():
            sums[memory] += float(accesses.energy_pj[0])
        return {**sums, "MACs": self.problem.macs * self.hierarchy.mac_pj}

    @property
    def bound(self) -> str:
        """What takes all the cycles: the array's steps, a memory's port, or transfers that nothing overlaps."""
        slowest = {name: int(column[0]) for name, column in self.counts.level_cycles.items()}
        if self.cycles == int(self.counts.steps[0]):
            return "array"
        name = max(slowest, key=lambda key: slowest[key], default="")
        return name if slowest.get(name) == self.cycles else "transfers without overlap"


def nest_report(
    mapping: LoopNest, problem: NestProblem, hierarchy: Hierarchy, accounting: Accounting, spec: HardwareSpec
) -> NestReport:
    """Count one mapping.

    Raises
    ------
    MappingError
        When the mapping is for another problem or machine, is no legal nest, or does not fit; with the inequalities.
    """
    batch = batch_of(mapping, problem, hierarchy)
    costs = evaluate(batch, accounting)
    footprint = {name: float(column[0]) for name, column in costs.footprint.items()}
    if not costs.valid[0]:
        raise MappingError(
            f"{problem.name}: the mapping does not fit {hierarchy.name}",
            violations(batch, accounting),
        )
    return NestReport(
        problem,
        hierarchy,
        accounting,
        spec.clock_mhz,
        batch.mapping(0),
        count_accesses(batch, accounting),
        int(costs.cycles[0]),
        float(costs.energy_pj[0]),
        footprint,
    )


def nest_text(report: NestReport) -> str:
    """Return the nest, the words moved per memory and tensor, energy by memory, cycles and EDP as text."""
    energy = report.energy_by_memory_pj
    total = report.energy_pj
    shares = [("energy", *energy, "total")]
    shares.append(("", *_joules([*energy.values(), total])))
    shares.append(("", *(percent(pj, total) for pj in energy.values()), "100.0%"))
    steps = int(report.counts.steps[0])
    costs = totals(report.latency_s, report.clock_mhz, total, report.edp_js)
    return "\n".join(
        [
            report.mapping.loop_nest(),
            "",
            *columns(list(_word_rows(report)), rules=(1,), right=range(2, 9)),
            "",
            *columns(shares, rules=(1,), right=range(1, len(energy) + 2)),
            "",
            f"{report.cycles:,} cycles: the array computes in {steps:,} of them, {_limit(report)}; utilisation "
            f"{float(report.counts.utilisation[0]):.1%}",
            costs,
            "energies are dynamic: what the die leaks meanwhile is not in them",
        ]
    )


def _limit(report: NestReport) -> str:
    names = {"array": "nothing is faster than that", "transfers without overlap": "transfers take the others"}
    return names.get(report.bound, f"the port of {report.bound} takes all")


def _word_rows(report: NestReport) -> Iterator[tuple[str, ...]]:
    """Yield a heading and a row for each memory and tensor that has a copy there."""
    counted = report.counts.accesses
    *joules, _ = _joules([*(float(accesses.energy_pj[0]) for accesses in counted.values()), report.energy_pj])
    priced = dict(zip(counted, joules, strict=True))
    yield ("words", "tensor", "tile", "copies", *(f"{kind}s" for kind in KINDS), "in use", "energy")
    for memory in report.hierarchy.memories:
        first = True
        for tensor in TENSORS:
            accesses = report.counts.accesses.get((memory.name, tensor))
            if accesses is None:
                continue
            used = report.footprint.get(memory.name)
            share = f"{used / memory.entries:.0%}" if first and used is not None and memory.entries else ""
            numbers = [accesses.tile, accesses.instances, *(accesses.total[kind] for kind in KINDS)]
            yield (
                memory.name if first else "",
                tensor,
                *(f"{int(column[0]):,}" for column in numbers),
                share,
                priced[memory.name, tensor],
            )
            first = False


def _joules(pj: Sequence[float]) -> list[str]:
    """Write the energies of a table, the largest among them, with one unit."""
    return in_one_unit([value * 1e-12 for value in pj], "J", 3)


def hardware_loop_obstacles(nest: LoopNest, block: int) -> list[str]:
    """Say why Gemmini's hardware loop cannot be a nest; nothing if it can.

    The hardware loop runs over tiles of whole array blocks (``block`` x ``block``) in DRAM in any order, and over the
    blocks of a tile along k, n, m, outer to inner; it uses the whole array, and halves of both memories or the whole
    of both.
    """
    reasons = _loop_obstacles(nest, block)
    spread = {(loop.dim, loop.axis): loop.size for level in nest.levels for loop in level.spatial}
    if spread != {("k", "rows"): block, ("n", "cols"): block}:
        reasons.append("it does not spread k over all rows and n over all columns")
    doubled = {name for level in nest.levels if level.memory != "l2" for name in level.double_buffered}
    if doubled not in (set(), set(TENSORS)):
        reasons.append(f"only {', '.join(sorted(doubled))} would have two copies")
    return reasons


_BLOCK_ORDERS = {"", "m", "n", "k", "nm", "km", "kn", "knm"}
"""Orders of the loops over the blocks of a tile that are those of the hardware loop; loops of one trip are left out."""


def _loop_obstacles(nest: LoopNest, block: int) -> list[str]:
    """Say what is wrong with the temporal loops, outermost first."""
    reasons: list[str] = []
    size, tile = nest.dims, dict(nest.dims)
    inside: list[str] = []
    for level in nest.levels:
        iterating = []
        for loop in level.temporal:
            if loop.tile < tile[loop.dim]:
                iterating.append(loop.dim)
            tile[loop.dim] = loop.tile
        if level.memory == "dram":
            ragged = [dim for dim, part in tile.items() if part % block > 0 and part < size[dim]]
            reasons += [f"tile {dim}={tile[dim]} is no multiple of {block}" for dim in ragged]
        elif level.memory == "l2" and iterating:
            reasons.append(f"loops over {', '.join(iterating)} at the l2, which is a cache")
        else:
            inside += iterating
    if "".join(inside) not in _BLOCK_ORDERS:
        reasons.append(f"the blocks of a tile are walked along {' '.join(inside)}, not k n m")
    return reasons


def nest_dict(report: NestReport) -> dict[str, object]:
    """Return the report as plain data, units in the names."""
    counts = report.counts
    return {
        "problem": report.problem.sizes,
        "accounting": report.accounting.name,
        "macs": report.problem.macs,
        "cycles": report.cycles,
        "compute_cycles": int(counts.steps[0]),
        "bound": report.bound,
        "latency_s": report.latency_s,
        "energy_pj": report.energy_pj,
        "edp_js": report.edp_js,
        "utilisation": float(counts.utilisation[0]),
        "energy_pj_by_memory": report.energy_by_memory_pj,
        "words": {
            memory: {
                tensor: {
                    "tile": int(accesses.tile[0]),
                    "instances": int(accesses.instances[0]),
                    **{f"{kind}s": int(column[0]) for kind, column in accesses.total.items()},
                    "energy_pj": float(accesses.energy_pj[0]),
                }
                for tensor in TENSORS
                if (accesses := counts.accesses.get((memory, tensor))) is not None
            }
            for memory in report.hierarchy.names
        },
        "footprint_words": report.footprint,
    }
