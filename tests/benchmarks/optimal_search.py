"""CPU seconds on one core until the optimum of a loop-nest mapspace is proved.

    OMP_NUM_THREADS=1 python tests/benchmarks/optimal_search.py [--objective GOAL] [--against DIR [--pairs N]]

Tiles of any size, M in single rows, K and N in what the array takes at once. Energies: the shipped table of the
machine, or that of the Timeloop reference runs. Each line is the largest of three cold runs (caches of chains and order
classes emptied before each) against the limit that the project sets itself. With ``--against`` a second checkout is run
in turn (`pairs`).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pairs

import hwconfigs
from hwconfigs import load_energy
from mapper.nest.bounds import order_classes, reuse_structure, tile_chains
from mapper.nest.mapspace import divisions
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model import cost
from mapper.nest.model.accounting import DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.problem import matmul
from mapper.search.exact.loop_nests import search

ALL = frozenset({"input", "weight", "output"})
RAGGED_TIMELOOP = replace(TIMELOOP, name="timeloop rules, ragged tiles", ragged="exact")
BERT = {
    "QKV, W_out": (512, 768, 768),
    "QK^T, one head": (512, 64, 512),
    "score*V, one head": (512, 512, 64),
    "FFN1": (512, 768, 3072),
    "FFN2": (512, 3072, 768),
}
LLAMA = {
    "LLaMA-2-7B attention": (512, 4096, 4096),
    "LLaMA-2-7B gate, up": (512, 4096, 11008),
    "LLaMA-2-7B down": (512, 11008, 4096),
}
BLOCK = [
    *["QKV, W_out"] * 4,
    *["QK^T, one head"] * 12,
    *["score*V, one head"] * 12,
    "FFN1",
    "FFN2",
]
"""Matmuls of one encoder block of BERT-Base at 512 tokens."""


def reference_machine(*, l2_kib: int = 0) -> Hierarchy:
    """The 16 x 16 machine of the Timeloop reference runs; an L2 word costs 9 pJ (our choice)."""
    memories = [
        Memory("dram", ALL, None, 8, shared_rate=16.0, read_pj=64.0, write_pj=64.0),
        Memory("scratchpad", ALL - {"output"}, 262_144, 8, 32.0, 16.0, None, 1, 4.75, 4.75),
        Memory("accumulator", frozenset({"output"}), 16_384, 32, 16.0, 16.0, None, 1, 6.5, 6.5),
        Memory("array", frozenset({"weight"}), 1, 8, None, None, None, 256, 0.05, 0.05),
    ]
    if l2_kib:
        memories.insert(1, Memory("l2", ALL, l2_kib * 1024, 8, shared_rate=32.0, read_pj=9.0, write_pj=9.0))
    return Hierarchy("reference", tuple(memories), 16, 16, 0.3)


def shipped_machine() -> Hierarchy:
    """The shipped gemmini with its energy table."""
    spec = hwconfigs.load("gemmini")
    return Hierarchy.of(spec, load_energy(spec.energy).bind(spec))


def cold() -> None:
    """Forget everything that one search can leave to the next."""
    for cache in (
        tile_chains.chains, order_classes.order_classes, order_classes.level_classes, divisions.break_points,
        reuse_structure.reuse_structure, cost._coefficients,
    ):  # fmt: skip
        cache.cache_clear()


def measured(run: Callable[[], str]) -> tuple[float, str]:
    """(largest CPU seconds of three runs, what the last one says)."""
    seconds, text = [], ""
    for _ in range(3):
        cold()
        start = time.process_time()
        text = run()
        seconds.append(time.process_time() - start)
    return max(seconds), text


def proof(
    shape: tuple[int, int, int],
    machine: Hierarchy,
    accounting: Accounting,
    objective: str,
    bypass: tuple[str, ...] = (),
) -> str:
    """Search one matmul and say what was found."""
    result = search(NestSpace(matmul(*shape), machine, accounting, bypass=bypass), objective)  # type: ignore[arg-type]
    best = result.best
    return f"{result.status}: {best.cycles:,} cycles, {best.energy_pj / 1e6:.3f} uJ, {result.rows:,} rows"


def say(text: str) -> None:
    """One line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def line(name: str, run: Callable[[], str], limit: float) -> bool:
    seconds, text = measured(run)
    good = seconds <= limit
    say(f"{name:72s} {seconds:7.3f} s of {limit:.1f} {'' if good else 'TOO SLOW '} {text}")
    return good


def import_seconds() -> float:
    """CPU seconds of ``import mapper`` in a fresh interpreter, interpreter start taken off."""

    def once(code: str) -> float:
        text = f"{code}; import time; print(time.process_time())"
        return float(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout)

    return min(
        once("import mapper, mapper.search.exact.loop_nests, mapper.nest.mapspace.nest_space") for _ in range(3)
    ) - once("pass")


def read_seconds(printed: str) -> pairs.Seconds:
    """CPU seconds by line."""
    return {name.strip(): float(text) for name, text in re.findall(r"^(.{72,}?) +([\d.]+) s of", printed, re.MULTILINE)}


def main() -> int:
    if pairs.compared(__file__, read_seconds):
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], parents=[pairs.OPTIONS])
    parser.add_argument("--objective", default="edp", choices=["latency", "energy", "edp", "pareto"])
    objective = parser.parse_args().objective
    shipped, reference, l2 = shipped_machine(), reference_machine(), reference_machine(l2_kib=512)
    good = True
    for accounting in (DEFAULT, RAGGED_TIMELOOP, TIMELOOP):
        for limit, layers in ((0.2, BERT), (0.5, LLAMA)):
            for name, shape in layers.items():
                run = lambda s=shape, a=accounting: proof(s, reference, a, objective)  # noqa: E731
                good &= line(f"{name} [{accounting.name}]", run, limit)
    for name, shape in BERT.items():
        good &= line(f"{name} [default, shipped gemmini]", lambda s=shape: proof(s, shipped, DEFAULT, objective), 0.5)
    for accounting in (DEFAULT, RAGGED_TIMELOOP):
        for name, shape in {**BERT, **LLAMA}.items():
            run = lambda s=shape, a=accounting: proof(s, l2, a, objective, ("l2",))  # noqa: E731
            good &= line(f"{name} + 512 KiB L2, all keep sets [{accounting.name}]", run, 2.0)
    for accounting in (DEFAULT, RAGGED_TIMELOOP):
        good &= line(f"BERT-Base block, unfused [{accounting.name}]", lambda a=accounting: block(reference, a), 1.0)
    importing = import_seconds()
    say(f"{'import mapper with the search':72s} {importing:7.3f} s of 0.5")
    return 0 if good and importing <= 0.5 else 1


def block(machine: Hierarchy, accounting: Accounting) -> str:
    """Search the matmuls of a block, equal ones once, and say what they cost one after the other."""
    best = {name: search(NestSpace(matmul(*BERT[name]), machine, accounting)).best for name in dict.fromkeys(BLOCK)}
    cycles, energy_pj = sum(best[name].cycles for name in BLOCK), sum(best[name].energy_pj for name in BLOCK)
    return f"{cycles:,} cycles, {energy_pj / 1e6:.1f} uJ, {len(BLOCK)} matmuls, {len(best)} searched"


if __name__ == "__main__":
    sys.exit(main())
