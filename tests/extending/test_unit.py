"""Extending's new unit: one file and its place in the table, and it shows wherever units are shown."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.extending.conftest import Block, Copy

SCRIPT = """\
import json

import hwconfigs
from mapper.cost.energy import priced
from mapper.cost.estimate_commands import estimate_commands
from mapper.testing.units import readouts
from simulator.bottleneck import cycles_by_cause
from simulator.machine import simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Program
from simulator.views.perfetto import trace_events
from simulator.views.style import BOUND_COLOURS

machine = hwconfigs.load("gemmini_ibert")
prices = hwconfigs.load_energy("cacti_22nm").bind(machine)
program = Program("scores", tuple(readouts(("softmax", "layernorm"), 16, 32, machine)))
report = priced(simulate(program, machine, spans=True), prices)
estimate = estimate_commands(program, machine, prices, MemoryState(machine))
print(json.dumps({
    "cycles": report.cycles,
    "busy": {name: time.busy_cycles for name, time in report.units.items()},
    "total": {name: time.total_cycles for name, time in report.units.items()},
    "estimated": {name: time.busy_cycles for name, time in estimate.units.items()},
    "reads": [each.counts["accumulator", "read_row"] for each in (report, estimate)],
    "same books": report.counts == estimate.counts,
    "threads": [event["args"]["name"] for event in trace_events(report) if event["name"] == "thread_name"],
    "breakdown": cycles_by_cause(report),
    "bounds": list(BOUND_COLOURS),
}))
"""

ROWS, BLOCKS = 16, 32


@pytest.fixture
def unit(extending: Callable[[str], tuple[Block, ...]]) -> tuple[Block, ...]:
    return extending("A unit")


def test_one_file_and_its_place_in_the_table(unit: tuple[Block, ...], packages: Copy) -> None:
    """Softmax moves from the normaliser to the new unit, whose passes are two instead of three."""
    added, row, suite = unit
    assert added.path == "simulator/units/online_softmax.py"
    assert row.path == "simulator/units/__init__.py"
    assert row.text.count("\n") == 1
    packages.add(Block("run.py", None, SCRIPT))
    before = json.loads(packages.run("run.py"))
    for block in (added, row):
        packages.add(block)
    after = json.loads(packages.run("run.py"))

    assert "online_softmax" not in before["busy"]
    assert list(after["busy"]) == ["host", "load", "execute", "store", "online_softmax", "normaliser", "simd"]
    assert 0 < after["busy"]["online_softmax"] == after["estimated"]["online_softmax"]
    assert 0 < after["busy"]["normaliser"] < before["busy"]["normaliser"]
    assert after["same books"]
    assert set(after["total"].values()) == {after["cycles"]}
    # One pass less over every row of every block, in both books.
    assert [fewer - more for fewer, more in zip(before["reads"], after["reads"], strict=True)] == [ROWS * BLOCKS] * 2
    assert {"online_softmax", "normaliser"} < set(after["threads"])
    assert after["breakdown"]["online_softmax"] > 0
    assert sum(after["breakdown"].values()) == after["cycles"]
    assert set(after["bounds"]) > {"compute", "bandwidth", "online_softmax", "normaliser", "host"}

    packages.add(suite)
    assert " passed" in packages.run("-m", "pytest", "-q", "-p", "no:cacheprovider", suite.path)
