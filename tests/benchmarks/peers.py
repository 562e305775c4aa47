"""Matmuls of BERT-Base on the machine and energy table of the peers' measurements: ours beside theirs.

    OMP_NUM_THREADS=1 python tests/benchmarks/peers.py [--against DIR [--pairs N]]

Energies in uJ, cycles, EDP in uJ x cycles, CPU seconds of the search without import (ours here, theirs on another day
on the same kind of machine, from tests/reference/peers_matmuls.json). The accounting is AccelForge's; ZigZag's differs
in stalls and onloading. A second table compares with Timeloop's random search on Timeloop's energies and mapspace: any
spatial factors, perfect tiles. With ``--against`` a second checkout is run in turn (`pairs`).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pairs

from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import TIMELOOP
from mapper.nest.model.problem import batched_matmul, matmul
from mapper.search.exact.loop_nests import search
from mapper.validation.peers import best_mapping, timeloop_machine

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "peers_matmuls.json"
NAMES = {
    "qkv_proj": "projection 512x768x768",
    "qkT_head": "QK^T, one head",
    "sv_head": "score*V, one head",
    "ffn1": "FFN1 512x768x3072",
    "ffn2": "FFN2 512x3072x768",
    "qkT_12": "QK^T, 12 heads",
    "sv_12": "score*V, 12 heads",
}


def figures(energy_uj: float, cycles: int, cpu_s: float | None) -> str:
    """One cell of the table."""
    search = "-" if cpu_s is None else f"{cpu_s:.2f}"
    return f"{energy_uj:.3f} uJ, {cycles:,}, {energy_uj * cycles:.4g}, {search} s"


def row(entry: dict[str, Any], zigzag: dict[tuple[str, str], dict[str, Any]]) -> str:
    sizes = entry["m"], entry["k"], entry["n"]
    problem = matmul(*sizes) if entry["heads"] == 1 else batched_matmul(entry["heads"], *sizes)
    ours_proved = best_mapping(problem, entry["objective"])
    best = ours_proved.result.best
    ours = figures(best.energy_pj / 1e6, best.cycles, ours_proved.cpu_s)
    theirs = figures(entry["energy_uj"], entry["cycles"], entry["cpu_s"])
    zigzag_result = zigzag.get((entry["matmul"], entry["objective"]))
    third = (
        figures(zigzag_result["energy_uj"], zigzag_result["cycles"], zigzag_result["cpu_s"]) if zigzag_result else "-"
    )
    return f"| {NAMES[entry['matmul']]} | {entry['objective']} | {ours} | {theirs} | {third} |"


def read_seconds(printed: str) -> pairs.Seconds:
    """CPU seconds of our searches by matmul and objective."""
    ours = r"^\| (.+?) \| (?:(\w+) \| )?[\d.]+ uJ, [\d,]+, \S+, ([\d.]+) s \|"
    rows = re.findall(ours, printed, re.MULTILINE)
    return {f"{name}, {objective or 'random search'}": float(text) for name, objective, text in rows}


def main() -> None:
    if pairs.compared(__file__, read_seconds):
        return
    argparse.ArgumentParser(description=__doc__.splitlines()[0], parents=[pairs.OPTIONS]).parse_args()
    data = json.loads(REFERENCE.read_text(encoding="utf-8"))
    zigzag = {
        (entry["matmul"], entry["objective"]): entry
        for entry in reversed(data["zigzag"])
        if entry["engine"] == "loma" and entry["lpf"] == 6
    }
    lines = [
        "| matmul | objective | tilewright, proved | AccelForge 1.0.467 | ZigZag 3.9.1, LOMA 6 |",
        "|---|---|---|---|---|",
    ]
    lines += [row(entry, zigzag) for entry in data["accelforge"]]
    lines += [
        "",
        "| matmul, EDP | tilewright, proved | Timeloop v3.0.3, random search | EDP ratio |",
        "|---|---|---|---|",
    ]
    lines += [timeloop_row(entry) for entry in data["timeloop"]]
    sys.stdout.write("\n".join(lines) + "\n")


def timeloop_row(entry: dict[str, Any]) -> str:
    start = time.process_time()
    problem = matmul(entry["m"], entry["k"], entry["n"])
    best = search(NestSpace(problem, timeloop_machine(), TIMELOOP, spatial="free"), "edp").best
    ours = figures(best.energy_pj / 1e6, best.cycles, time.process_time() - start)
    theirs = figures(entry["energy_uj"], entry["cycles"], entry["cpu_s"])
    return f"| {entry['matmul']} | {ours} | {theirs} | {entry['edp'] / best.edp:.3f} |"


if __name__ == "__main__":
    main()
