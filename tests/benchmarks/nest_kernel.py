"""Mappings per CPU second of the loop-nest cost kernel, on one core.

    python tests/benchmarks/nest_kernel.py [--rows 8192] [--seconds 2] [--against DIR [--pairs N]]

Ragged tiles (any number of rows of m, k and n in blocks of 16) of BERT-Base's FFN1 on Gemmini's DRAM, scratchpad,
accumulator and array, several loop orders in turn; capacity, cycles and energy of every mapping. One line per
accounting, best of eight rounds; then the time of a mapping alone. Needs the checkout on the path. With
``--against`` a second checkout is run in turn (`pairs`).
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import time

import numpy as np
import pairs

from mapper.nest.model.accounting import ACCELFORGE, DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.batch import NestBatch
from mapper.nest.model.cost import evaluate
from mapper.nest.model.problem import matmul
from tests.mapper.nest.gemmini_nests import batch, gemmini, random_tiles, skeleton

ROUNDS = 8


def rate(nests: list[NestBatch], rules: Accounting, seconds: float) -> float:
    """Mappings per CPU second, the best round."""
    best = 0.0
    for _ in range(ROUNDS):
        start, done, spent = time.process_time(), 0, 0.0
        while spent < seconds / ROUNDS:
            for nest in nests:
                evaluate(nest, rules)
                done += len(nest)
            spent = time.process_time() - start
        best = max(best, done / spent)
    return best


def read_seconds(printed: str) -> pairs.Seconds:
    """CPU seconds of a million mappings by accounting and buffering, of a thousand that are priced one by one."""
    lines = re.findall(r"^(.+?) +([\d.]+) [Mk] mappings/s$", printed, re.MULTILINE)
    return {" ".join(name.split()): 1.0 / float(speed) for name, speed in lines}


def main() -> None:
    """Print the table."""
    if pairs.compared(__file__, read_seconds):
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], parents=[pairs.OPTIONS])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--seconds", type=float, default=2.0, help="per line")
    options = parser.parse_args()
    rng, problem, machine = np.random.default_rng(1), matmul(512, 768, 3072, "ffn1"), gemmini()
    orders = list(itertools.permutations(["mkn", "knm", "nmk", "mnk"], 3))[::4]
    for rules, double in ((DEFAULT, True), (DEFAULT, False), (TIMELOOP, False), (ACCELFORGE, False)):
        shapes = [skeleton(order, double=double) for order in orders]
        nests = [batch(problem, machine, shape, *random_tiles(rng, problem, options.rows)) for shape in shapes]
        per_second = rate(nests, rules, options.seconds)
        buffering = "two tiles" if double else "one tile"
        sys.stdout.write(
            f"{rules.name:11s} {buffering:9s} {options.rows:7,d} rows  {per_second / 1e6:6.2f} M mappings/s\n"
        )
    alone = [nest.take(np.array([row])) for nest in nests for row in range(4)]
    single = rate(alone, DEFAULT, options.seconds)
    sys.stdout.write(f"{DEFAULT.name:11s} {'':9s} one by one   {single / 1e3:9.2f} k mappings/s\n")


if __name__ == "__main__":
    main()
