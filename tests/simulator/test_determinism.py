"""Same program, same report, byte for byte, in processes with different hash seeds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import dataclasses, json
from hwconfigs import load
from simulator.machine import simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Fence, HostTask, MatmulLoop, Matrix, Mvin, Mvout, Program, Region

def program(dim, gelu):
    loops = tuple(
        MatmulLoop(3 * dim - 1, 4 * dim, 2 * dim, Matrix(0x1000 + k * 4 * dim, 20 * dim), Matrix(0x8000 + k * 999, 77),
                   Matrix(0x20000, 80) if k == 4 else None, accumulate=k > 0, activation="gelu" if gelu else "relu")
        for k in range(5))
    commands = tuple(Mvin(Matrix(0x9000 + 64 * i, 64), dim, dim, "scratchpad", dim * i) for i in range(6))
    host = HostTask("add", 500, 50, (Region("c", 0x20000, 4000),), (Region("r", 0x30000, 4000),))
    return Program("p", (*loops, Fence(), host, *commands, Mvout(Matrix(0x40000, 64), dim, dim, "accumulator", 0)))

def plain(report):
    units = {name: (t.busy_cycles, dict(t.stall_cycles), t.idle_cycles) for name, t in report.units.items()}
    spans = [dataclasses.astuple(span) for span in report.spans]
    return [report.cycles, report.bound, units, [[*key, number] for key, number in report.counts.items()], spans]

texts = []
for name in ("tiny_4x4", "gemmini", "gemmini_ibert", "firesim_dosa"):
    spec = load(name)
    memory = MemoryState(spec)
    for run in range(2):
        report = simulate(program(spec.array.rows, spec.vector is not None), spec, memory=memory, spans=True)
        texts += [plain(report), repr(report)]
print(json.dumps(texts))
"""


def run(seed: str) -> bytes:
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, check=True).stdout


def test_two_processes_print_the_same_bytes() -> None:
    first = run("1")
    assert first == run("4711")
    assert len(json.loads(first)) == 16
