"""Machines as the loop-nest model sees them: words, rates and prices from the data sheet."""

from __future__ import annotations

import pytest

import hwconfigs
from mapper.nest.model.hierarchy import Hierarchy


def hierarchy(name: str) -> Hierarchy:
    spec = hwconfigs.load(name)
    return Hierarchy.of(spec, hwconfigs.load_energy(spec.energy).bind(spec))


@pytest.mark.parametrize("name", sorted(hwconfigs.available()))
def test_every_shipped_machine(name: str) -> None:
    spec, machine = hwconfigs.load(name), hierarchy(name)
    assert machine.names == tuple(level.memory for level in hwconfigs.memory_levels(spec))
    assert machine.memories[0].entries is None and machine.memories[-1].instances == machine.macs
    for memory, level in zip(machine.memories[1:], hwconfigs.memory_levels(spec)[1:], strict=True):
        assert memory.entries == level.entries and memory.word_bits == level.word_bits
    assert machine.mac_pj > 0


def test_prices_per_word_follow_from_rows_and_beats() -> None:
    spec = hwconfigs.load("gemmini")
    pj = hwconfigs.load_energy(spec.energy).bind(spec).pj
    by_name = {memory.name: memory for memory in hierarchy("gemmini").memories}
    assert by_name["scratchpad"].read_pj == pytest.approx(pj["scratchpad", "read_row"] / 16)
    assert by_name["accumulator"].write_pj == pytest.approx(pj["accumulator", "write_row"] / 16)
    assert by_name["dram"].read_pj == pytest.approx(pj["dram", "read_byte"] + pj["dma", "read_beat"] / 16)
    assert by_name["l2"].write_pj == pytest.approx(pj["l2", "write"] / 64 + pj["dma", "write_beat"] / 16)
    assert by_name["array"].write_pj == pj["array", "weight_load"] and by_name["array"].ports == ()
    assert by_name["dram"].ports == (("read", 8.0), ("write", 8.0), ("shared", 8.0))
