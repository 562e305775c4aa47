"""Extending's new machine: one YAML file, listed, shown with its sources and run."""

from __future__ import annotations

from collections.abc import Callable

from tests.extending.conftest import Block, Copy


def test_one_file_is_a_machine(extending: Callable[[str], tuple[Block, ...]], packages: Copy) -> None:
    (machine,) = extending("A machine")
    assert machine.path == "hwconfigs/edge_8x8.yaml"
    packages.add(machine)
    assert "edge_8x8" in packages.run("-m", "mapper.cli", "list")
    shown = packages.run("-m", "mapper.cli", "show", "hw", "edge_8x8")
    (capacity,) = (line.split() for line in shown.splitlines() if line.startswith("scratchpad.capacity_bytes"))
    assert capacity[1] == str(128 * 1024)
    report = packages.run("-m", "mapper.cli", "map", "64x64x64", "--hw", "edge_8x8")
    # 64 MACs a cycle: no mapping of 64 x 64 x 64 MACs can take less than 4,096 cycles.
    assert "at least 4,096 cycles of a full array (64 MACs/cycle)" in " ".join(report.split())
