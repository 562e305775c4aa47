"""CPU seconds to prove the optimum of the hardware-loop mapspace under the full latency estimate.

    python tests/benchmarks/hardware_loop_search.py [--machine NAME ...] [--repeats N] [--against DIR [--pairs N]]

Each shape is searched for latency, for energy, for EDP and for the whole front; the best of N runs counts (set
OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1). ``bound`` is the goal of the project; ``of it`` the share that the
slowest of the three single objectives takes. With ``--against`` a second checkout is run in turn (`pairs`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import pairs

import hwconfigs
from mapper.cost.objective import OBJECTIVES
from mapper.mapping.matmul_problem import contiguous
from mapper.search.exact.hardware_loops import front, search

BERT = ((512, 768, 768), (512, 64, 512), (512, 512, 64), (512, 768, 3072), (512, 3072, 768))
LLAMA = ((512, 4096, 4096), (512, 4096, 11008), (512, 11008, 4096))
DECODE = ((1, 768, 768), (1, 3072, 768), (1, 4096, 11008))
BOUND_SECONDS = 0.5


def best_of(repeats: int, work: Callable[[], object]) -> float:
    """Return the least CPU time of some runs [s]."""
    times = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def read_seconds(printed: str) -> pairs.Seconds:
    """CPU seconds by machine, shape and goal."""
    cases = {}
    for row in printed.splitlines()[1:]:
        machine, shape, _, _, *times = row.split()
        cases |= {
            f"{machine} {shape} {goal}": float(text) for goal, text in zip((*OBJECTIVES, "front"), times, strict=False)
        }
    return cases


def main() -> int:
    """Print the table; 1 if a bound is missed."""
    if pairs.compared(__file__, read_seconds):
        return 0
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter, parents=[pairs.OPTIONS]
    )
    options.add_argument("--machine", nargs="+", default=["gemmini", "gemmini_ibert", "gemmini_chip", "paper_baseline"])
    options.add_argument("--repeats", type=int, default=3)
    asked = options.parse_args()
    write = sys.stdout.write
    write(f"{'machine':<15}{'shape':<16}{'legal':>9}{'evaluated':>11}")
    write("".join(f"{name + ' [s]':>13}" for name in (*OBJECTIVES, "front")) + f"{'bound':>7}{'of it':>7}\n")
    missed = 0
    for machine in asked.machine:
        spec = hwconfigs.load(machine)
        prices = hwconfigs.load_energy(spec.energy).bind(spec)
        for shape in (*BERT, *LLAMA, *DECODE):
            problem = contiguous(*shape)
            proved = search(problem, spec, prices)
            single = [best_of(asked.repeats, partial(search, problem, spec, prices, goal)) for goal in OBJECTIVES]
            whole = best_of(asked.repeats, partial(front, problem, spec, prices))
            share = max(single) / BOUND_SECONDS
            missed += share > 1.0
            text = "x".join(map(str, shape))
            write(f"{machine:<15}{text:<16}{proved.legal:>9,}{proved.evaluated:>11,}")
            write("".join(f"{time:>13.3f}" for time in (*single, whole)))
            write(f"{BOUND_SECONDS:>7.1f}{share:>7.0%}\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
